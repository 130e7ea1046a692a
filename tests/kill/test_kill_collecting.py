"""What the Collector acknowledged survives SIGKILL: every turn and all feedback that it returned for."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tunekit.retrain.collecting import Collector

# Acknowledged is what has been told to another process: it writes the id only after the call came back.
SERVING = """
import sys, threading
from tunekit.retrain.collecting import Collector

collector = Collector("bot", directory=sys.argv[1], max_bytes=20_000, strict=True)
told = open(sys.argv[2], "ab", buffering=0)

def serve():
    while True:
        turn = collector.record("Where is my parcel? I am ann@acme.org", "x" * 500, user="u-1")
        told.write(f"turn {turn}\\n".encode())
        collector.feedback(turn, correction=f"of {turn}")
        told.write(f"feedback {turn}\\n".encode())

for _ in range(3):
    threading.Thread(target=serve, daemon=True).start()
threading.Event().wait()
"""


def killed(directory: Path, kills: int) -> None:
    told, draw = directory / "told", random.Random(7)
    for _ in range(kills):
        command = [sys.executable, "-c", SERVING, str(directory / "bot"), str(told)]
        server = subprocess.Popen(command)
        before = told.stat().st_size if told.exists() else 0
        while not told.exists() or told.stat().st_size == before:
            assert server.poll() is None
            time.sleep(0.001)
        time.sleep(draw.uniform(0.0, 0.1))
        os.kill(server.pid, signal.SIGKILL)
        assert server.wait() == -signal.SIGKILL
    collector = Collector("bot", directory=directory / "bot", strict=True)
    acknowledged = [entry.split() for entry in told.read_text().splitlines()]
    found = collector.counts()
    assert found.spoilt == () and found.turns >= sum(kind == "turn" for kind, _ in acknowledged)
    corrected = {row.completion.removeprefix("of ") for row in collector.sft()}  # type: ignore[union-attr]
    assert {turn for kind, turn in acknowledged if kind == "feedback"} <= corrected
    written = b"".join(path.read_bytes() for path in collector.directory.iterdir())
    assert b"ann@acme.org" not in written
    assert collector.forget("u-1").turns == found.turns


def test_nothing_acknowledged_is_lost(tmp_path: Path) -> None:
    """Ten here; `make soak` kills two hundred times."""
    killed(tmp_path, 10)


@pytest.mark.soak
@pytest.mark.timeout(600)
def test_nothing_acknowledged_is_lost_over_two_hundred_kills(tmp_path: Path) -> None:
    killed(tmp_path, 200)
