"""Two server processes behind one store, killed at any moment: no job is lost, none is doubled.

Most jobs are a scripted backend's, which counts them; some are trained for real, by the local backend.
"""

from __future__ import annotations

import json
import random
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.kill.harness import make_model
from tests.processes import eventually, start_python
from tunekit.testing import ScriptedBackend

KEY = "sk-of-the-support-team"
SERVER = """
import os, signal, socket, sys
from pathlib import Path

import uvicorn

from tunekit import Dataset, Settings
from tunekit.server import Limits, create_app
from tunekit.testing import ScriptedBackend

home, dies_at, target = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
seen = []
if dies_at < 0:  # as one that runs out of memory while it reads what it was sent

    def dying(*arguments, **named):
        os.kill(os.getpid(), signal.SIGKILL)

    Dataset.load = dying


def on_accept(job_id):
    seen.append(job_id)
    if len(seen) == dies_at:  # the job is made, and nobody was told
        os.kill(os.getpid(), signal.SIGKILL)


backend = ScriptedBackend(directory=home / "service", on_accept=on_accept)
app = create_app(
    {"base": target},
    keys={"sk-of-the-support-team": "a"},
    backends=[backend],
    limits=Limits(backend_jobs=2),
    settings=Settings(home=home),
)
listening = socket.socket()
listening.bind(("127.0.0.1", 0))
listening.listen()
print(listening.getsockname()[1], flush=True)
uvicorn.Server(uvicorn.Config(app, log_level="warning", ws="none")).run(sockets=[listening])
"""


class Pair:
    """Two servers on one home; a dead one is replaced when it is next asked."""

    def __init__(self, home: Path, target: str, *, first_dies_at: int, alone: bool) -> None:
        self._home, self._target = home, target
        self._children: list[subprocess.Popen[str] | None] = [None, None]
        self.ports = [0, 0]
        self.start(0, dies_at=first_dies_at)
        if not alone:
            self.start(1)

    def ask(self, which: int, method: str, path: str, body: object = None) -> Any:
        """What one of them answers, or None if it died before it could."""
        child = self._children[which]
        if child is None or child.poll() is not None:
            self.start(which)
        data = json.dumps(body).encode() if body is not None else None
        headers = {"authorization": f"Bearer {KEY}", "content-type": "application/json"}
        url = f"http://127.0.0.1:{self.ports[which]}/v1{path}"
        try:
            request = urllib.request.Request(url, data, headers, method=method)
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.load(answer)
        except urllib.error.HTTPError:
            raise
        except OSError:
            return None

    def died(self, which: int) -> bool:
        child = self._children[which]
        return child is not None and child.poll() is not None

    def kill(self, which: int) -> None:
        child = self._children[which]
        if child is not None:
            child.kill()
            child.communicate()

    def start(self, which: int, dies_at: int = 0) -> None:
        self.kill(which)
        child = start_python(SERVER, self._home, dies_at, self._target)
        assert child.stdout is not None
        self._children[which], self.ports[which] = child, int(child.stdout.readline() or 0)


@contextmanager
def pair(
    home: Path, target: str = "scripted:base", *, first_dies_at: int = 0, alone: bool = False
) -> Iterator[Pair]:
    servers = Pair(home, target, first_dies_at=first_dies_at, alone=alone)
    try:
        yield servers
    finally:
        servers.kill(0)
        servers.kill(1)


def uploaded(servers: Pair, which: int, count: int = 4) -> str:
    """A training file."""
    rows = b"".join(b'{"prompt": "%d", "completion": "x"}\n' % at for at in range(count))
    form = (
        b'--b\r\ncontent-disposition: form-data; name="purpose"\r\n\r\nfine-tune\r\n'
        b'--b\r\ncontent-disposition: form-data; name="file"; filename="t.jsonl"\r\n\r\n'
        + rows
        + b"\r\n--b--\r\n"
    )
    headers = {"authorization": f"Bearer {KEY}", "content-type": "multipart/form-data; boundary=b"}
    url = f"http://127.0.0.1:{servers.ports[which]}/v1/files"
    with urllib.request.urlopen(urllib.request.Request(url, form, headers), timeout=20) as answer:
        return str(json.load(answer)["id"])


def created(servers: Pair, which: int, body: dict[str, Any]) -> str:
    """A job, asked for again and again until an answer comes, here and there, as clients do."""
    for _ in range(10):
        answer = servers.ask(which, "POST", "/fine_tuning/jobs", body)
        if answer is not None:
            return str(answer["id"])
        which = 1 - which
    raise AssertionError("no answer from either server")


def all_jobs(servers: Pair, which: int = 1) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = servers.ask(which, "GET", "/fine_tuning/jobs?limit=100")["data"]
    return found


def survive(home: Path, *, jobs: int, kills: int, seed: int) -> None:
    chance = random.Random(seed)
    with pair(home, first_dies_at=2) as servers:
        file = uploaded(servers, 1)
        kill_at = sorted(chance.sample(range(jobs), kills))
        ids = []
        for number in range(jobs):
            body = {"model": "base", "training_file": file, "seed": number}
            ids.append(created(servers, chance.randrange(2), body))
            if number in kill_at:
                time.sleep(chance.uniform(0.0, 0.3))  # not to wait for anything: to hit another moment
                servers.kill(chance.randrange(2))
        eventually(
            lambda: all(job["status"] == "succeeded" for job in all_jobs(servers)),
            timeout_s=60.0,
            every_s=0.2,
        )
        assert sorted(job["id"] for job in all_jobs(servers)) == sorted(set(ids))
        models = [job["fine_tuned_model"] for job in all_jobs(servers)]
        assert len(set(models)) == jobs
        for job_id in ids:
            events = servers.ask(1, "GET", f"/fine_tuning/jobs/{job_id}/events?limit=100")["data"]
            said = [event["message"] for event in events]
            assert len(set(said)) == len(said), said
    assert ScriptedBackend(directory=home / "service").counters.jobs == jobs


def test_a_job_whose_server_died_before_it_heard_of_it_is_found_again(tmp_path: Path) -> None:
    with pair(tmp_path, first_dies_at=1, alone=True) as servers:
        job = created(servers, 0, {"model": "base", "training_file": uploaded(servers, 0)})
        eventually(lambda: servers.died(0))
        eventually(
            lambda: servers.ask(0, "GET", f"/fine_tuning/jobs/{job}")["status"] == "succeeded", every_s=0.1
        )
    counted = ScriptedBackend(directory=tmp_path / "service").counters
    assert (counted.submits, counted.jobs) == (1, 1)
    assert counted.finds > 0


def test_a_job_whose_files_kill_whoever_reads_them_is_given_up(tmp_path: Path) -> None:
    with pair(tmp_path, alone=True) as servers:
        file = uploaded(servers, 0)
        for number in range(3):
            servers.start(0, dies_at=-1)
            if number == 0:
                body = {"model": "base", "training_file": file}
                servers.ask(0, "POST", "/fine_tuning/jobs", body)  # it may die before it answers
            eventually(lambda: servers.died(0))
        servers.start(0, dies_at=-1)  # it would die, too
        eventually(lambda: all_jobs(servers, 0)[0]["status"] == "failed", every_s=0.1)
        (job,) = all_jobs(servers, 0)
        error = job["error"]
        assert not servers.died(0)
    assert (error["code"], error["param"]) == ("invalid_training_file", "training_file")
    assert "begun to be read 3 times" in error["message"]
    assert ScriptedBackend(directory=tmp_path / "service").counters.submits == 0


def test_no_job_is_lost_and_none_doubled(tmp_path: Path) -> None:
    survive(tmp_path, jobs=8, kills=3, seed=1)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(25))
def test_no_job_is_lost_and_none_doubled_soak(tmp_path: Path, seed: int) -> None:
    survive(tmp_path, jobs=30, kills=12, seed=seed)


def train_through_kills(home: Path, *, kills: int, seed: int) -> None:
    """One real training, while servers die at random moments of it; what it made answers through another process."""
    chance = random.Random(seed)
    with pair(home, f"local:{make_model(home / 'tiny')}") as servers:
        parameters = {"n_epochs": 10, "batch_size": 1}
        body = {
            "model": "base",
            "training_file": uploaded(servers, 1, count=16),
            "method": {"type": "supervised", "supervised": {"hyperparameters": parameters}},
        }
        job = created(servers, 0, body)
        time.sleep(chance.uniform(0.0, 1.0))  # not to wait for anything: to hit another moment
        servers.kill(0)
        eventually(lambda: status(servers, 0, job) == "running", timeout_s=60.0)
        for number in range(1, kills):
            servers.kill(dying := chance.randrange(2))
            assert created(servers, 1 - dying, body) == job
            if number == 1:
                assert status(servers, 1 - dying, job) == "running", "give it more to do"
            time.sleep(chance.uniform(0.0, 0.5))
        eventually(lambda: status(servers, 1, job) == "succeeded", timeout_s=90.0, every_s=0.2)
        (found,) = all_jobs(servers)
        assert found["trained_tokens"] > 0
        assert answer(servers, 0, found["fine_tuned_model"])
        events = servers.ask(0, "GET", f"/fine_tuning/jobs/{job}/events?limit=1000")["data"]
        steps = [event["data"]["step"] for event in events if "train_loss" in event["data"]]
        assert steps == list(range(160, 0, -1))
    assert len(list(home.glob("runs/*/artifact"))) == 1


def status(servers: Pair, which: int, job_id: str) -> str:
    """How a job stands, as one of the servers sees it."""
    return str(servers.ask(which, "GET", f"/fine_tuning/jobs/{job_id}")["status"])


def answer(servers: Pair, which: int, model: str) -> dict[str, Any]:
    """What a model says through one of the servers."""
    body = {"model": model, "messages": [{"role": "user", "content": "3"}], "max_tokens": 4}
    said = servers.ask(which, "POST", "/chat/completions", body)
    assert said is not None
    return dict(said["choices"][0]["message"])


@pytest.mark.timeout(300)
def test_a_real_training_outlives_its_servers(tmp_path: Path) -> None:
    train_through_kills(tmp_path, kills=3, seed=1)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(10))
def test_a_real_training_outlives_its_servers_soak(tmp_path: Path, seed: int) -> None:
    train_through_kills(tmp_path, kills=8, seed=seed)
