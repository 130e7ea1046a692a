"""When a training process leaves early. Knows signals, the run's markers and the host; knows no step and no torch.

A trainer asks between two forward passes and while graders work, which is soon enough for a cancel or a pause. SIGTERM
has a deadline (25 s, below the 30 s that Kubernetes and gunicorn give), so it also breaks into the middle of whatever
is marked with `at_once`: there nothing has been changed yet. Where even that does not come through, because one call
into C (or the save) takes longer than the deadline, the process ends as it is: the newest checkpoint is as good as
after a kill.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from tunekit.events import JobState
from tunekit.training.run import launches
from tunekit.training.run.events_log import EventLog
from tunekit.training.run.rundir import RunDirectory, RunResult
from tunekit.training.run.stops import Stop, Stopped

EXIT_INTERRUPTED = 75
"""EX_TEMPFAIL in sysexits.h: try again. The run goes on later."""

_PATIENCE_S = 20.0  # until it is on its way
_DEADLINE_S = 24.0  # until it is gone
_LOOK_FOR_HOST_S = 1.0
_BEAT_EVERY_S = 5.0


class Leaving:
    """Asked whether to leave, this answers why, or None. One per training process, made in its main thread.

    Args:
        run: The run; its markers are looked for, and that it was asked shows there as a sign of life.
        host_pid: Leave when this parent is gone; 0 for none.
    """

    def __init__(self, run: RunDirectory, *, host_pid: int = 0) -> None:
        self._run = run
        self._terminated = False
        self._may_break_in = False
        self._on_its_way = threading.Event()
        self._beat_at = 0.0
        self._watch_for_signal()
        if host_pid:
            threading.Thread(target=_terminate_without, args=(host_pid,), daemon=True).start()

    def __call__(self) -> Stop | None:
        """Why to leave, or None."""
        self._beat()
        if self._run.cancel_requested():
            return Stop.CANCELLED
        if self._terminated:
            self._on_its_way.set()
            return Stop.INTERRUPTED
        return Stop.PAUSED if self._run.pause_requested() else None

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Let SIGTERM break into the block.

        Raises:
            Stopped: It has come.
        """
        self._may_break_in = True
        try:
            if self._terminated:
                self._break_in()
            yield
        finally:
            self._may_break_in = False

    @contextmanager
    def undisturbed(self) -> Iterator[None]:
        """Inside of `at_once`: what must be done whole. SIGTERM breaks in behind it.

        Raises:
            Stopped: It has come.
        """
        may_break_in, self._may_break_in = self._may_break_in, False
        try:
            yield
        finally:
            self._may_break_in = may_break_in
        if may_break_in and self._terminated:
            self._break_in()

    def _beat(self) -> None:
        if time.monotonic() >= self._beat_at:
            self._run.show_life()
            self._beat_at = time.monotonic() + _BEAT_EVERY_S

    def _break_in(self) -> None:
        self._on_its_way.set()
        raise Stopped(Stop.INTERRUPTED)

    def _watch_for_signal(self) -> None:
        # The child's own process, so nothing is taken from anybody. Python's handlers wait for the end of a call into
        # C; the byte in the pipe does not, so the thread that counts the seconds begins in time.
        arrived, arrives = os.pipe()
        os.set_blocking(arrives, False)
        signal.set_wakeup_fd(arrives, warn_on_full_buffer=False)
        signal.signal(signal.SIGTERM, self._terminate)  # noqa: TID251
        threading.Thread(target=self._lose_patience, args=(arrived,), daemon=True).start()

    def _terminate(self, number: int, frame: FrameType | None) -> None:
        first, self._terminated = not self._terminated, True
        if first and self._may_break_in:
            self._break_in()

    def _lose_patience(self, arrived: int) -> None:
        while signal.SIGTERM not in os.read(arrived, 1):
            pass
        ends = time.monotonic() + _DEADLINE_S
        if self._on_its_way.wait(_PATIENCE_S):
            time.sleep(max(0.0, ends - time.monotonic()))  # most processes are gone by then
        launches.note_left(self._run)
        os._exit(EXIT_INTERRUPTED)


def before_the_first_step(reason: Stop, log: EventLog, *, doing: str = "getting ready") -> RunResult | None:
    """How a run ends that is left while it waits or gets ready; None if it goes on later."""
    if reason is Stop.CANCELLED:
        return RunResult(state=JobState.CANCELLED, message=f"cancelled while {doing}")
    log.notice(f"{reason.value} while {doing}; the run goes on later")
    if reason is Stop.PAUSED:
        log.state(JobState.PAUSED)
    return None


def _terminate_without(host_pid: int) -> None:
    # A child whose parent is gone gets another parent at once, whatever becomes of the number; so this needs no start
    # times and no /proc, and a recycled process id cannot deceive it.
    while os.getppid() == host_pid:
        time.sleep(_LOOK_FOR_HOST_S)
    os.kill(os.getpid(), signal.SIGTERM)
