"""What must go is gone when the call returns, and nothing else is, whoever writes meanwhile and whoever is killed."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tunekit.errors import SpecError
from tunekit.retrain.collecting import Collector
from tunekit.retrain.collecting.files import files
from tunekit.retrain.collecting.records import Feedback, digest, line, new_id
from tunekit.retrain.collecting.sweeping import ORPHANED_AFTER_S

DAY_S = 86_400.0

FORGETTING = """
import os, signal, sys
from tunekit.retrain.collecting import Collector

at = int(sys.argv[2])

def hook(event, told):
    global at
    if event in ("open", "os.rename", "os.remove", "fcntl.flock") and sys.argv[1] in str(told):
        at -= 1
        if at < 0:
            os.kill(os.getpid(), signal.SIGKILL)

collector = Collector("bot", directory=sys.argv[1])
sys.addaudithook(hook)
collector.forget("u-0")
"""


class ManualClock:
    """Time as the test says."""

    def __init__(self) -> None:
        self.at = time.time()

    def now(self) -> float:
        return self.at

    def monotonic(self) -> float:
        return self.at

    async def sleep(self, seconds: float) -> None:
        raise NotImplementedError


@pytest.fixture
def collector(tmp_path: Path) -> Collector:
    return Collector("bot", directory=tmp_path / "bot", max_bytes=3000, strict=True)


def filled(collector: Collector, count: int = 60) -> None:
    """Turns of three users, each with its user in the text, and feedback on all."""
    for n in range(count):
        turn = collector.record(f"user {n % 3} asks {n}", "b", user=f"u-{n % 3}")
        collector.feedback(turn, correction=f"user {n % 3} is told {n}", comment=f"user {n % 3}")


def bytes_of(directory: Path) -> bytes:
    """Every byte that is left, in hidden files too."""
    return b"".join(path.read_bytes() for path in sorted(directory.iterdir()))


def test_no_byte_of_a_forgotten_user_is_left(collector: Collector) -> None:
    filled(collector)
    found = collector.forget("u-0")
    assert (found.turns, found.feedback, found.busy, found.spoilt) == (20, 20, 0, 0)
    assert b"user 0" not in bytes_of(collector.directory)
    assert len(collector.sft()) == 40
    assert collector.forget("u-0").turns == 0
    collector.forget("u-1")
    collector.forget("u-2")
    assert files(collector.directory) == [], "a file without rows is no file"


def test_who_is_nobody(collector: Collector) -> None:
    filled(collector, 3)
    assert collector.forget("u-77").turns == 0
    with pytest.raises(SpecError, match="user"):
        collector.forget("")


def test_others_record_meanwhile_and_lose_nothing(tmp_path: Path) -> None:
    """A process and threads write while rows are taken out again and again."""
    directory = tmp_path / "bot"
    collector = Collector("bot", directory=directory, max_bytes=3000, strict=True)
    code = (
        "import sys; from tunekit.retrain.collecting import Collector\n"
        "collector = Collector('bot', directory=sys.argv[1], max_bytes=3000, strict=True)\n"
        "for n in range(300): collector.feedback(collector.record('q', str(n), user=f'u-{n % 2}'), thumb='up')\n"
    )
    child = subprocess.Popen([sys.executable, "-c", code, str(directory)])
    threads = [threading.Thread(target=filled, args=(collector, 300)) for _ in range(2)]
    for thread in threads:
        thread.start()
    while child.poll() is None or any(thread.is_alive() for thread in threads):
        assert collector.forget("u-0").spoilt == 0
    for thread in threads:
        thread.join()
    collector.forget("u-0")
    assert child.returncode == 0
    found = collector.counts()
    assert found.turns == 150 + 2 * 200
    assert (found.thumbs_up, found.corrections) == (150, 400)
    assert b"user 0" not in bytes_of(directory)


def test_killed_at_any_touch_of_the_disk_the_next_call_does_the_rest(tmp_path: Path) -> None:
    collector = Collector("bot", directory=tmp_path / "bot", max_bytes=3000, strict=True)
    for at in range(0, 60, 4):
        filled(collector, 12)
        before = collector.counts().turns
        command = [sys.executable, "-c", FORGETTING, str(collector.directory), str(at)]
        done = subprocess.run(command, check=False)
        assert done.returncode in (0, -signal.SIGKILL)
        others = [row for row in collector.sft() if "user 0" not in row.prompt]  # type: ignore[union-attr]
        assert len(others) % 8 == 0 and collector.counts().spoilt == ()
        collector.forget("u-0")
        assert collector.counts().turns == len(others) == len(collector.sft()) <= before
        assert b"user 0" not in bytes_of(collector.directory)
    assert len(collector.sft()) == 15 * 8


def test_a_file_that_its_writer_holds_on_to_is_counted(collector: Collector) -> None:
    filled(collector, 3)
    busy = next(collector.directory.glob("*.open"))
    with busy.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # a writer that was stopped in the middle of a line
        assert collector.forget("u-0").busy == 1
        assert collector.record("meanwhile", "c"), "nobody waits for it"
    assert collector.forget("u-0").busy == 0
    assert b"user 0" not in bytes_of(collector.directory)


def test_what_is_too_old_goes_with_its_feedback(collector: Collector) -> None:
    clock = collector._clock = ManualClock()
    old = collector.record("old", "a")
    clock.at += 20 * DAY_S
    collector.feedback(old, thumb="up")
    new = collector.record("new", "b")
    collector.feedback(new, thumb="down")
    clock.at += 15 * DAY_S
    found = collector.sweep(keep_days=30)
    assert (found.turns, found.feedback) == (1, 1)
    assert [row.messages[0].content for row in collector.unpaired()] == ["new"]  # type: ignore[union-attr]
    assert collector.sweep(keep_days=30).turns == 0
    with pytest.raises(SpecError, match="keep_days"):
        collector.sweep(keep_days=-1)


def test_feedback_that_comes_after_the_user_is_forgotten_goes_with_the_next_call(
    collector: Collector,
) -> None:
    late = collector.record("forgotten", "a", user="u-0")
    collector.forget("u-0")
    collector.feedback(late, comment="user 0 wrote")
    assert collector.forget("u-0").feedback == 1
    assert b"user 0" not in bytes_of(collector.directory)


def test_feedback_waits_a_day_where_its_turn_may_be_in_a_spoilt_line(collector: Collector) -> None:
    clock = collector._clock = ManualClock()
    collector.record("a", "b")
    with files(collector.directory)[0].open("ab") as file:
        file.write(b"spoilt\n" + line(Feedback(turn=digest(new_id()), at=clock.at, comment="user 0 wrote")))
    assert collector.sweep(keep_days=30).feedback == 0
    clock.at += ORPHANED_AFTER_S + 1
    assert collector.sweep(keep_days=30).feedback == 1
    assert b"user 0" not in bytes_of(collector.directory)


def test_spoilt_lines_stay_and_are_said(collector: Collector) -> None:
    filled(collector, 3)
    path = files(collector.directory)[0]
    with path.open("ab") as file:
        file.write(b"spoilt\n" + line(Feedback(turn=digest(new_id()), at=time.time(), thumb="up")))
    found = collector.forget("u-0")
    assert (found.turns, found.spoilt) == (1, 1)
    assert b"spoilt" in bytes_of(collector.directory)


def test_half_written_files_of_the_killed_are_removed(collector: Collector) -> None:
    filled(collector, 3)
    left = collector.directory / f".20261101T000000-1-ab.jsonl.{os.getpid()}.abcd"
    left.write_bytes(b"user 0")
    collector.forget("u-0")
    assert not left.exists()
