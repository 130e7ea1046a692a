"""Calls of one function in a child process that is watched. Knows processes and time; not what a grade is.

The child is started at the first call and kept for the next ones; it is killed when it takes too long, and started anew
after that. `_child` is what runs in it, and sets its own limits.
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tunekit.graders.finite import finite
from tunekit.graders.flags import Unreadable
from tunekit.graders.watching import LOOK_EVERY_S, look

_CHILD = Path(__file__).with_name("_child.py")
_MAX_REPLY_BYTES = 65_536
_START_S = 30.0
_ENVIRONMENT = {
    # Order in sets of texts is to be the same in every child; so -I, which ignores this, is spelled out as -s -P.
    "PYTHONHASHSEED": "0",
    # Numeric libraries otherwise start a thread per core, each with a stack that counts as memory.
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a call may use. The defaults are those of OpenAI's guide on graders.

    Attributes:
        seconds: Of wall-clock time, per call.
        memory_bytes: Of address space.
    """

    seconds: float = 120.0
    memory_bytes: int = 2 << 30


class Sandbox:
    """Runs `grade(sample, item)` of a source.

    Args:
        source: Python source.
        limits: What a call may use.
    """

    def __init__(self, source: str, limits: Limits) -> None:
        self._source = source
        self._limits = limits
        self._lock = threading.Lock()
        self._child: _Child | None = None

    def call(self, sample: Mapping[str, Any], item: Mapping[str, Any]) -> float:
        """What the function returns. While it runs, `watching.look` is asked whether to go on waiting for it.

        Raises:
            Unreadable: It could not be started, failed, took too long, or returned no finite number.
        """
        with self._lock:
            try:
                reply = self._reply(sample, item)
            except BaseException:
                # Whatever broke in, perhaps between question and answer: the next call begins with a new child.
                self._kill()
                raise
        if "error" in reply:
            raise Unreadable("python_grader_runtime_error", str(reply["error"])[:500])
        value = finite(reply.get("value"))
        if value is None:
            said = f"grade returned {reply.get('value')!r}, which is no finite number"
            raise Unreadable("python_grader_runtime_error", said)
        return value

    def close(self) -> None:
        """End the child."""
        with self._lock:
            self._kill()

    def _reply(self, sample: Mapping[str, Any], item: Mapping[str, Any]) -> dict[str, Any]:
        if self._child is None:
            self._child = _Child(self._source, self._limits)
        return self._child.ask({"sample": sample, "item": item}, self._limits.seconds)

    def _kill(self) -> None:
        if self._child is not None:
            self._child.end()
            self._child = None


class _Child:
    """One process. Questions and replies are lines of JSON."""

    def __init__(self, source: str, limits: Limits) -> None:
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-s", "-P", "-B", str(_CHILD)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=_ENVIRONMENT,
                cwd="/",  # nothing that it could read lies there, and nothing is to be cleared away
                start_new_session=True,
            )
        except OSError as error:
            raise Unreadable("python_grader_server_error", f"no child process: {error}") from error
        # Even where nobody calls `end`, nothing is left behind.
        self.end = weakref.finalize(self, _end, self._process)
        self._read = b""
        try:
            told = {"source": source, "seconds": limits.seconds, "memory_bytes": limits.memory_bytes}
            started = self.ask(told, max(_START_S, limits.seconds))
        except BaseException:
            self.end()
            raise
        if "error" in started:
            self.end()
            raise Unreadable("python_grader_runtime_error", str(started["error"])[:500])

    def ask(self, question: Mapping[str, Any], seconds: float) -> dict[str, Any]:
        """The reply to one question."""
        deadline = time.monotonic() + seconds
        line = json.dumps(question, default=str).encode() + b"\n"
        assert self._process.stdin is not None and self._process.stdout is not None, "both are pipes"
        self._move(self._process.stdin.fileno(), selectors.EVENT_WRITE, line, deadline, seconds)
        reply = self._move(self._process.stdout.fileno(), selectors.EVENT_READ, b"", deadline, seconds)
        try:
            found = json.loads(reply)
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict):
            raise Unreadable(
                "python_grader_runtime_error", "the child process said something else than a grade"
            )
        return found

    def _move(self, descriptor: int, event: int, line: bytes, deadline: float, seconds: float) -> bytes:
        """Write a line, or read one, for as long as there is time."""
        os.set_blocking(descriptor, False)
        with selectors.DefaultSelector() as selector:
            selector.register(descriptor, event)
            while line if event == selectors.EVENT_WRITE else not self._read.endswith(b"\n"):
                if selector.select(max(0.0, min(deadline - time.monotonic(), LOOK_EVERY_S))):
                    line = self._moved(descriptor, event, line)
                elif time.monotonic() >= deadline:
                    raise Unreadable("python_grader_runtime_error", f"grade took more than {seconds:g} s")
                look()
        reply, self._read = self._read, b""
        return reply

    def _moved(self, descriptor: int, event: int, line: bytes) -> bytes:
        try:
            if event == selectors.EVENT_WRITE:
                return line[os.write(descriptor, line) :]
            got = os.read(descriptor, _MAX_REPLY_BYTES)
        except BrokenPipeError:
            got = b""
        self._read += got
        if not got or len(self._read) > _MAX_REPLY_BYTES:
            raise Unreadable(
                "python_grader_runtime_error", self._how_it_ended() if not got else "the reply is too long"
            )
        return line

    def _how_it_ended(self) -> str:
        try:
            status = self._process.wait(timeout=5.0)
        except subprocess.TimeoutExpired:
            return "the child process closed its output"
        return (
            f"the child process ended by signal {-status}"
            if status < 0
            else f"the child process exited ({status})"
        )


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill the child and all that it started."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    for pipe in (process.stdin, process.stdout):
        assert pipe is not None, "both are pipes"
        try:
            pipe.close()
        except BrokenPipeError:
            pass
    process.wait()
