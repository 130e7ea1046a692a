"""The script that leaves OpenAI runs from inventory to report, and again without asking or paying twice."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

import pytest

from tests.wire.account import Refusal
from tests.wire.faults import FaultyServer
from tests.wire.service import Service
from tunekit import Evaluation

ROOT = Path(__file__).resolve().parents[2]
Leave: TypeAlias = Callable[..., "subprocess.CompletedProcess[str]"]
TUNED = "ft:gpt-4.1-mini-2025-04-14:acme:tickets:A1"
ROWS = [{"prompt": f"What is {n} + 1?", "completion": str(n + 1)} for n in range(40)]

# A trainer that learns at once: the script finds it by its name, as it would find an installed one.
STAND_IN = """
import runpy, sys
from tunekit.backends import register
from tunekit.testing import ScriptedBackend
answer = lambda prompt: str(int(str(prompt).split()[2]) + 1)
trainer = ScriptedBackend(generate=answer, directory=__import__("pathlib").Path(sys.argv[1]))
register("acme", lambda settings: trainer)
sys.argv = sys.argv[2:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def wrong_once(messages: list[dict[str, str]]) -> str:
    number = int(messages[-1]["content"].split()[2]) + 1
    return "forty-two" if number == 40 else str(number)


@pytest.fixture
def service() -> Service:
    service = Service(answer=wrong_once)
    service.models[TUNED] = {
        "id": TUNED,
        "object": "model",
        "created": 1,
        "owned_by": "acme",
        "shutdown_date": "2001-01-01",
    }
    return service


@pytest.fixture
def leave(service: Service, tmp_path: Path) -> Iterator[Leave]:
    for name, rows in (("train", ROWS[:20]), ("test", ROWS[20:])):
        lines = [json.dumps(row) for row in rows]
        (tmp_path / f"{name}.jsonl").write_text("\n".join(lines), encoding="utf-8")
    with FaultyServer(service) as server:
        environment = {
            **os.environ,
            "PYTHONWARNINGS": "error",
            "OPENAI_BASE_URL": f"{server.url}/v1",
            "OPENAI_API_KEY": "sk-none-of-your-business",
        }

        def run(*arguments: str) -> subprocess.CompletedProcess[str]:
            script = [str(tmp_path / "trainer"), str(ROOT / "examples" / "leave_openai.py"), *arguments]
            return subprocess.run(
                [sys.executable, "-c", STAND_IN, *script],
                capture_output=True,
                text=True,
                env=environment,
                cwd=tmp_path,
            )

        yield run


def test_an_inventory_first(leave: Leave) -> None:
    done = leave()
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{TUNED}  from gpt-4.1-mini-2025-04-14  0 days left, until 2001-01-01" in done.stdout
    assert "1 tuned models" in done.stdout


def test_from_a_recording_to_a_report_and_again_without_the_old_model(
    leave: Leave, service: Service, tmp_path: Path
) -> None:
    steps = ["--model", TUNED, "--test", "test.jsonl"]
    recorded = leave(*steps)
    assert recorded.returncode == 0, recorded.stdout + recorded.stderr
    (path,) = (tmp_path / "leaving").glob("*.json")
    evaluation = Evaluation.from_json(path.read_bytes())
    assert len(evaluation.items) == 20 and evaluation["exact_match"].value.estimate == 0.95

    service.answer = None  # type: ignore[assignment]  # the day has come: asking it now would break
    for _ in range(2):
        done = leave(*steps, "--train", "train.jsonl", "--to", "acme:small")
        assert done.returncode == 0, done.stdout + done.stderr
        assert "small-tuned-1" in done.stdout
    report = (tmp_path / "leaving" / "report.md").read_text(encoding="utf-8")
    assert f"# From openai:{TUNED} to acme:small-tuned-1" in report
    assert "19 of 20 answers are the same" in report
    assert "'What is 39 + 1?': 'forty-two' became '40'" in report


def test_a_recording_of_other_questions_is_refused_before_anything_is_trained(leave: Leave) -> None:
    assert leave("--model", TUNED, "--test", "test.jsonl").returncode == 0
    done = leave("--model", TUNED, "--test", "train.jsonl", "--train", "test.jsonl", "--to", "acme:small")
    assert done.returncode == 1 and "is a recording of something else: test set" in done.stdout
    assert "job " not in done.stdout


def test_answers_that_are_missing_are_asked_for_again(leave: Leave, service: Service, tmp_path: Path) -> None:
    busy = [True] * 200

    def sometimes(messages: list[dict[str, str]]) -> str:
        if busy and int(messages[-1]["content"].split()[2]) % 4 == 0:
            raise Refusal(400, "not now", "busy")
        return wrong_once(messages)

    steps = ["--model", TUNED, "--test", "test.jsonl"]
    service.answer = sometimes
    first = leave(*steps)
    assert first.returncode == 0 and "5 were not answered; run this again" in first.stdout, first.stdout
    busy.clear()
    again = leave(*steps)
    assert again.returncode == 0 and "recorded  20 answers" in again.stdout
    (path,) = (tmp_path / "leaving").iterdir()
    path.write_text(path.read_text()[:500])
    cut = leave(*steps)
    assert cut.returncode == 1 and f"{path.name} is no recording" in cut.stdout


def test_names_cannot_steer_the_terminal(leave: Leave, service: Service) -> None:
    odd = "ft:gpt-4.1-mini-2025-04-14:acme:\u202eevil\x9b:A1"
    service.models[odd] = {"id": odd, "object": "model", "created": 1, "owned_by": "acme"}
    done = leave()
    assert done.returncode == 0 and "\\u202eevil" in done.stdout and "\u202e" not in done.stdout


def test_what_is_missing_is_said(leave: Leave) -> None:
    assert "--model needs --test" in leave("--model", TUNED).stderr
    done = leave("--model", TUNED, "--test", "nowhere.jsonl")
    assert done.returncode == 1 and "nowhere.jsonl" in done.stdout and "Traceback" not in done.stderr
