"""Stopping and giving up before the first step."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest

from tests.unit.training.conftest import MakeRun, events, rows
from tunekit.errors import DataError, JobFailedError
from tunekit.events import JobState
from tunekit.examples import CompletionExample
from tunekit.testing.tiny_models import CHAT_TEMPLATE, make_tiny_llama
from tunekit.training.models import load
from tunekit.training.run.bounds import cpu_limit
from tunekit.training.run.events_log import EventLog
from tunekit.training.run.rundir import RunDirectory, RunResult
from tunekit.training.run.stops import Stop
from tunekit.training.texts import template
from tunekit.training.texts.render import render_example
from tunekit.training.trainer import run_training

# Harmless until a message says "loop".
LOOPS = (
    "{% if 'loop' in messages[0].content %}{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}"
    "{% endfor %}{% endif %}" + CHAT_TEMPLATE
)


def stop_at_look(run: RunDirectory, reason: Stop, look: int) -> tuple[RunResult | None, int]:
    """Train, told to stop when it asks for the `look`-th time; with the number of times it asked."""
    looks = 0

    def stop() -> Stop | None:
        nonlocal looks
        looks += 1
        return reason if looks >= look else None

    with EventLog(run) as log:
        return run_training(run, log, stop), looks


@pytest.mark.parametrize("look", [1, 2, 10, 22], ids=["at once", "first row", "a row", "before loading"])
def test_cancelled_while_getting_ready(make_run: MakeRun, monkeypatch: pytest.MonkeyPatch, look: int) -> None:
    monkeypatch.setattr(load, "load_base", lambda *a, **o: pytest.fail("loaded although it was cancelled"))
    result, looks = stop_at_look(make_run(), Stop.CANCELLED, look)
    assert looks == look
    assert result is not None
    assert (result.state, result.message) == (JobState.CANCELLED, "cancelled while getting ready")


def test_interrupted_while_getting_ready_it_goes_on_later(make_run: MakeRun) -> None:
    run = make_run()
    assert stop_at_look(run, Stop.INTERRUPTED, 5) == (None, 5)
    assert "interrupted while getting ready" in events(run, "notice")[0].message
    assert run.result() is None


def test_a_template_that_hangs_is_given_up(make_run: MakeRun, tmp_path: Path) -> None:
    model = make_tiny_llama(tmp_path / "loops", chat_template=LOOPS)
    run = make_run([*rows(3), CompletionExample(id="bad", prompt="loop", completion="x")], model=model)
    limit = partial(cpu_limit, seconds=1.0)
    with EventLog(run) as log, pytest.raises(JobFailedError, match=r"row 'bad' .* more than 1 s of CPU"):
        run_training(run, log, lambda: None, limit)


def test_a_limit_that_was_not_reached_is_gone() -> None:
    with cpu_limit("something quick", seconds=0.05):
        pass
    began = time.process_time()
    while time.process_time() - began < 0.2:
        pass


def test_an_instruction_that_does_not_end_ends_with_its_process() -> None:
    """Nobody can interrupt a tokenizer's loops in Rust: Python looks at signals when they are through."""
    code = """
from hashlib import pbkdf2_hmac
from tunekit.training.run.bounds import cpu_limit
with cpu_limit("it", seconds=0.2):
    pass
with cpu_limit("it", seconds=0.2):
    pbkdf2_hmac("sha256", b"", b"", 10**9)
"""
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True)
    assert done.returncode == -signal.SIGXCPU, done.stderr


def test_a_template_that_swells_is_refused(llama: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(template, "_MAX_CHARACTERS", 10_000)
    tokenizer = load.load_tokenizer(llama)
    tokenizer.chat_template = "{% for a in range(20000) %}x{% endfor %}" + CHAT_TEMPLATE
    with pytest.raises(DataError, match=r"row 'r': .* makes 2\d{4} characters"):
        render_example(tokenizer, CompletionExample(id="r", prompt="a", completion="b"))
