"""examples/service as it is run: uvicorn on loopback, a real model, signed webhooks, processes killed with SIGKILL.

The data are planted, so that the gate's verdict is certain: the base model never answers with one word, the first week
teaches two kinds of ticket of the three that the test asks, and the second week the third.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import tunekit as tk
from tests.processes import eventually
from tunekit.backends.openai.webhooks import new_secret, sign

pytest.importorskip("torch", reason="needs the local extra")
pytest.importorskip("fastapi", reason="the example needs fastapi")

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
NANO = EXAMPLES / "models" / "nano"
pytestmark = [
    pytest.mark.timeout(240),
    pytest.mark.skipif(not (NANO / "model.safetensors").is_file(), reason="nano is not in this checkout"),
]

TOKEN, SECRET = "operator-" + "t" * 32, new_secret()
KINDS = {
    "Where is my parcel?": "shipping",
    "I want my money back.": "refund",
    "I lost my password.": "account",
}
PARCEL, _, PASSWORD = KINDS
LONG_S = 60.0


class Answer:
    """Status and JSON of an answer."""

    def __init__(self, status: int, body: bytes) -> None:
        self.status, self.body = status, json.loads(body)

    def __repr__(self) -> str:
        return f"{self.status} {self.body}"


class Instance:
    """One service process on a port of its own."""

    def __init__(self, environment: dict[str, str], log: Path) -> None:
        command = [sys.executable, "-m", "uvicorn", "--factory", "service.app:create_app", "--port", "0"]
        self.log = log
        with log.open("wb") as out:
            self.process = subprocess.Popen(
                [*command, "--app-dir", str(EXAMPLES)], env=environment, stdout=out, stderr=out
            )
        self.url = eventually(self._listens, timeout_s=LONG_S)

    def _listens(self) -> str:
        assert self.process.poll() is None, self.log.read_text()
        found = re.search(r"running on (http://\S+)", self.log.read_text())
        return found[1] if found else ""

    def ask(self, path: str, body: object = None, *, token: str = TOKEN, **headers: str) -> Answer:
        """GET, or POST where there is a body; bytes are sent as they are."""
        data = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
        sent = {"content-type": "application/json", "authorization": f"Bearer {token}"}
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        request = urllib.request.Request(f"{self.url}{path}", data, {**sent, **named})
        try:
            with urllib.request.urlopen(request, timeout=LONG_S) as answer:
                return Answer(answer.status, answer.read())
        except urllib.error.HTTPError as refused:
            with refused:
                return Answer(refused.code, refused.read())

    def webhook(self, batch: str, *, delivery: str, secret: str = SECRET, at: float | None = None) -> Answer:
        body = json.dumps({"type": "data.new", "data": {"batch": batch}}).encode()
        headers = sign(body, secret=secret, delivery_id=delivery, now=at)
        return self.ask("/webhooks/new-data", body, token="", **headers)

    def state(self, round_id: str) -> str:
        return next(
            str(each["state"]) for each in self.ask("/status").body["rounds"] if each["round"] == round_id
        )

    def reaches(self, round_id: str, state: str) -> None:
        eventually(lambda: self.state(round_id) == state, timeout_s=LONG_S, every_s=0.1)

    def ended(self, round_id: str) -> str:
        working = ("requested", "preparing", "training", "evaluating", "promoting")
        return eventually(
            lambda: "" if (state := self.state(round_id)) in working else state,
            timeout_s=LONG_S,
            every_s=0.1,
        )

    def end(self, number: signal.Signals) -> int:
        self.process.send_signal(number)
        return self.process.wait(LONG_S)


@pytest.fixture
def environment(tmp_path: Path, home: Path) -> dict[str, str]:
    """A product with a test set and a directory for its data."""
    (tmp_path / "batches").mkdir()
    write(tmp_path / "test.jsonl", "test", list(KINDS), 30)
    return {
        **os.environ,
        "TUNEKIT_HOME": str(home),
        "SERVICE_MODEL": f"local:{NANO}",
        "SERVICE_BATCHES": str(tmp_path / "batches"),
        "SERVICE_TEST": str(tmp_path / "test.jsonl"),
        "SERVICE_OPERATOR_TOKEN": TOKEN,
        "SERVICE_WEBHOOK_SECRET": SECRET,
    }


@pytest.fixture
def start(tmp_path: Path, environment: dict[str, str]) -> Iterator[Callable[..., Instance]]:
    """Starts instances; what a test leaves running is killed."""
    started: list[Instance] = []

    def begin(**changes: str) -> Instance:
        started.append(Instance({**environment, **changes}, tmp_path / f"log-{len(started)}"))
        return started[-1]

    yield begin
    for each in started:
        each.process.kill()
        each.process.wait()


def write(path: Path, name: str, questions: list[str], number: int) -> None:
    """Rows in turn of each kind, each with a number of its own: what resembles a row of the test is not trained on."""
    asked = [questions[at % len(questions)] for at in range(number)]
    numbers = [hashlib.sha256(f"{name} {at}".encode()).hexdigest()[:12] for at in range(number)]
    rows = [
        {"prompt": f"{at}: {each}", "completion": KINDS[each]}
        for at, each in zip(numbers, asked, strict=True)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def weeks(tmp_path: Path) -> None:
    write(tmp_path / "batches" / "week_1.jsonl", "week 1", list(KINDS)[:2], 16)
    write(tmp_path / "batches" / "week_2.jsonl", "week 2", list(KINDS), 24)


def jobs() -> list[str]:
    return [str(each.ref) for each in tk.FineTuneJob.list(backend="local")]


def test_data_to_promotion_through_a_kill_and_back(
    tmp_path: Path, home: Path, start: Callable[..., Instance]
) -> None:
    weeks(tmp_path)
    one, other = start(), start()

    # The same delivery at two instances at once: one round, one job.
    with ThreadPoolExecutor(2) as both:
        sent = list(both.map(lambda at: at.webhook("week_1.jsonl", delivery="delivery-1"), (one, other)))
    assert [each.status for each in sent] == [202, 202]
    first = sent[0].body["round"]
    assert {each.body["round"] for each in sent} == {first}
    assert (one.ended(first), len(jobs())) == ("promoted", 1)
    assert other.webhook("week_1.jsonl", delivery="delivery-1").body == {"round": first, "state": "promoted"}
    old = other.ask("/status").body["in_use"]["model"]
    assert one.ask("/answer", {"prompt": f"0123abcd4567: {PARCEL}"}).body == {
        "answer": "shipping",
        "model": old,
    }

    # The second round is at the job when every process of the service dies. Its job goes on, and so does the round.
    key = {"idempotency_key": "week-2"}
    asked = one.ask("/retrain", {"batch": "week_2.jsonl"}, **key)
    assert asked.status == 202
    second = asked.body["round"]
    eventually(lambda: (live := one.ask("/status").body["live"]) and live["job"], timeout_s=LONG_S)
    assert [each.end(signal.SIGKILL) for each in (one, other)] == [-signal.SIGKILL] * 2
    assert tk.Rounds("support-bot").get(second).state.is_at_work
    again = start()
    assert (again.ended(second), len(jobs())) == ("promoted", 2)
    assert again.ask("/retrain", {"batch": "week_2.jsonl"}, **key).body["round"] == second
    assert again.ask("/retrain", {"batch": "week_1.jsonl"}, **key).status == 409
    new = again.ask("/answer", {"prompt": f"0123abcd4567: {PASSWORD}"}).body
    assert new["answer"] == "account" and new["model"] != old

    # Away with it. A second try of the same request does not go back once more.
    for _ in range(2):
        back = again.ask("/rollback", {"reason": "complaints"}, idempotency_key="away-with-2")
        assert (back.status, back.body["before"], back.body["after"]) == (200, 2, 1)
    assert again.ask("/answer", {"prompt": f"0123abcd4567: {PASSWORD}"}).body["model"] == old
    assert again.state(second) == "rolled_back" and again.state(first) == "promoted"

    # uvicorn ends by the signal that it was sent, once everything is shut down.
    assert again.end(signal.SIGTERM) in (0, -signal.SIGTERM)
    assert "the worker has stopped" in again.log.read_text()
    assert "Application shutdown complete" in again.log.read_text()
    assert "Traceback" not in again.log.read_text()
    eventually(lambda: not belonging(home), timeout_s=LONG_S)


def belonging(home: Path) -> list[int]:
    """Processes other than this one that work with this home."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and f"TUNEKIT_HOME={home}".encode() in (entry / "environ").read_bytes():
                found.append(int(entry.name))
        except OSError:
            continue  # it ended while we looked, or is not ours
    return [pid for pid in found if pid != os.getpid()]


def test_who_may_ask_for_what(tmp_path: Path, start: Callable[..., Instance]) -> None:
    weeks(tmp_path)
    service = start(SERVICE_WORKER="apart")  # so that what is asked for stays asked for
    assert service.ask("/healthz", token="").body == {"status": "ok"}
    assert service.ask("/answer", {"prompt": "x"}).status == 503  # nothing was promoted yet

    doors: dict[str, dict[str, str] | None] = {
        "/status": None,
        "/retrain": {"batch": "week_1.jsonl"},
        "/rounds/round-1/approve": {},
        "/rollback": {},
    }
    for path, wanted in doors.items():
        for token in ("", TOKEN[:-1], "ü"):
            assert service.ask(path, wanted, token=token, idempotency_key="k").status == 401, (path, token)
    assert service.ask("/retrain", {"batch": "week_1.jsonl"}).status == 422  # no key
    assert service.ask("/rollback", {}, idempotency_key="k").status == 404  # nothing to take away

    assert service.webhook("week_1.jsonl", delivery="d", secret=new_secret()).status == 400
    for off_s in (-301, 301):
        late = service.webhook("week_1.jsonl", delivery="d", at=time.time() + off_s)
        assert late.status == 400 and "it was signed" in late.body["message"]
    body = json.dumps({"type": "data.new", "data": {"batch": "week_1.jsonl"}}).encode()
    signed = sign(body, secret=SECRET, delivery_id="d")
    assert service.ask("/webhooks/new-data", body + b" ", **signed).status == 400
    assert service.ask("/webhooks/new-data", body, **{**signed, "webhook-id": "another"}).status == 400
    assert service.ask("/webhooks/new-data", body).status == 400  # not signed at all
    assert service.ask("/webhooks/new-data", b"x" * (1 << 20) + b"x").status == 413
    for batch, status in {"../test.jsonl": 422, "/etc/passwd": 422, "week_3.jsonl": 404}.items():
        assert service.webhook(batch, delivery=f"of-{status}").status == status
    assert service.ask("/status").body["rounds"] == []

    taken = service.ask("/webhooks/new-data", body, **signed)
    assert taken.status == 202 and taken.body["state"] == "requested"
    assert service.webhook("week_2.jsonl", delivery="d").status == 409  # the same delivery with other words
    # An operator's key cannot be mistaken for a delivery of that name.
    by_hand = service.ask("/retrain", {"batch": "week_1.jsonl"}, idempotency_key="d").body["round"]
    assert by_hand != taken.body["round"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SERVICE_OPERATOR_TOKEN", "short"),
        ("SERVICE_WEBHOOK_SECRET", "no-secret"),
        ("SERVICE_BATCHES", "/nowhere"),
        ("SERVICE_APPROVAL", "perhaps"),
        ("SERVICE_MODEL", ""),
    ],
)
def test_a_wrong_setting_stops_the_start_and_names_itself(
    environment: dict[str, str], name: str, value: str
) -> None:
    done = run("-c", "from service.app import create_app; create_app()", {**environment, name: value})
    assert done.returncode == 1
    last = done.stderr.splitlines()[-2:]  # the message, and its hint
    assert "SpecError" in last[0] and (name in last[0] or "webhook's secret" in last[0])
    assert "no-secret" not in done.stderr


def test_cron(tmp_path: Path, environment: dict[str, str], start: Callable[..., Instance]) -> None:
    write(tmp_path / "batches" / "week_1.jsonl", "week 1", list(KINDS)[:2], 16)
    careful = {**environment, "SERVICE_APPROVAL": "manual"}
    done = run("-m", "service.cron", careful)
    assert done.returncode == 3, done.stderr
    states = re.findall(r"round-\w+ is (\w+): ", done.stderr)
    assert [each for at, each in enumerate(states) if each not in states[:at]] == [
        "preparing",
        "training",
        "evaluating",
        "awaiting_approval",
    ]
    service = start(SERVICE_APPROVAL="manual")
    waiting = service.ask("/status").body["live"]
    assert (waiting["state"], service.ask("/status").body["in_use"]) == ("awaiting_approval", None)
    yes = service.ask(f"/rounds/{waiting['round']}/approve", {"by": "ann", "reason": "read the report"})
    assert (yes.status, yes.body["state"]) == (200, "promoted")
    assert service.ask(f"/rounds/{waiting['round']}/approve", {"by": "ann"}).status == 409

    idle = run("-m", "service.cron", careful)
    assert (idle.returncode, len(jobs())) == (0, 1)
    assert "nothing to do" in idle.stderr

    (tmp_path / "batches" / "week_2.jsonl").write_text("no rows\n")
    broken = run("-m", "service.cron", careful)
    assert broken.returncode == 2 and "Traceback" not in broken.stderr


@pytest.mark.parametrize(
    ("states", "waiting", "code"),
    [
        ([], False, 0),
        ([], True, 3),
        (["promoted"], False, 0),
        (["superseded"], False, 0),
        (["rejected", "promoted"], False, 0),
        (["promoted", "rejected"], False, 1),
        (["inconclusive"], True, 1),
        (["failed"], False, 2),
        (["cancelled"], False, 2),
        (["canary"], True, 3),
    ],
)
def test_exit_codes_of_cron(
    monkeypatch: pytest.MonkeyPatch, states: list[str], waiting: bool, code: int
) -> None:
    monkeypatch.syspath_prepend(EXAMPLES)
    exit_code = importlib.import_module("service.cron").exit_code
    made = {"pipeline": "bot", "key": "k", "request": "r", "target": "local:base", "position": 1}
    ended = [
        tk.Round(round_id=f"{at}", state=tk.RoundState(each), created_at=0.0, updated_at=0.0, **made)
        for at, each in enumerate(states)
    ]
    assert exit_code(ended, waiting=waiting) == code


def test_a_worker_apart_is_stopped_in_mid_round_and_the_next_goes_on(
    tmp_path: Path, home: Path, environment: dict[str, str], start: Callable[..., Instance]
) -> None:
    weeks(tmp_path)
    service = start(SERVICE_WORKER="apart")
    asked = service.webhook("week_1.jsonl", delivery="delivery-1").body["round"]
    for until in ("training", "promoted"):
        with subprocess.Popen(
            [sys.executable, "-m", "service.worker"], cwd=EXAMPLES, env=environment, stderr=subprocess.PIPE
        ) as worker:
            try:
                service.reaches(asked, until)
            finally:
                worker.send_signal(signal.SIGTERM)
                _, said = worker.communicate(timeout=LONG_S)
        assert (worker.returncode, b"stopped; what was begun goes on" in said) == (0, True), said
    assert len(jobs()) == 1
    assert service.end(signal.SIGTERM) in (0, -signal.SIGTERM)
    eventually(lambda: not belonging(home), timeout_s=LONG_S)


def run(option: str, what: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, option, what],
        cwd=EXAMPLES,
        env=environment,
        capture_output=True,
        text=True,
        timeout=LONG_S,
    )
