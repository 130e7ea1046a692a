"""The log of events where writing is not one short moment: short writes, and a signal in the middle."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.processes import run_python
from tests.unit.training.conftest import MakeRun
from tunekit.training.run.events_log import EventLog


class InPieces:
    """A file that takes a few bytes at a time, as one may that is nearly out of space."""

    def __init__(self, file: Any) -> None:
        self._file = file

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def write(self, data: bytes) -> int:
        written: int = self._file.write(data[:7])
        return written


def test_an_event_written_in_many_pieces_is_whole(make_run: MakeRun) -> None:
    run = make_run()
    with EventLog(run) as log:
        log._file = InPieces(log._file)  # type: ignore[assignment]
        log.notice("a word that is longer than one piece")
        log.notice("and another")
    assert [event.message for event in run.events_from(0)[0]] == [
        "a word that is longer than one piece",
        "and another",
    ]


INTERRUPTED = """
import os, signal, sys
from pathlib import Path
from tunekit.training.run.events_log import EventLog
from tunekit.training.run.leaving import Leaving
from tunekit.training.run.rundir import RunDirectory
from tunekit.training.run.stops import Stopped

class Interrupted:
    def __init__(self, file):
        self.file = file
    def __getattr__(self, name):
        return getattr(self.file, name)
    def write(self, data):
        written = self.file.write(data)
        os.kill(os.getpid(), signal.SIGTERM)
        return written

run = RunDirectory(Path(sys.argv[1]))
leaving = Leaving(run)
with EventLog(run, undisturbed=leaving.undisturbed) as log:
    file, log._file = log._file, Interrupted(log._file)
    try:
        with leaving.at_once():
            log.notice("whole")
            print("the work around it goes on")
    except Stopped:
        log._file = file
        log.notice("left")
for event in run.events_from(0)[0]:
    print(event.id, event.message)
"""


def test_sigterm_in_the_middle_of_an_event_comes_behind_it(make_run: MakeRun, tmp_path: Path) -> None:
    """A reader may have seen the line already: it must neither be taken back nor be numbered twice."""
    assert run_python(INTERRUPTED, make_run().path).splitlines() == ["1 whole", "2 left"]
