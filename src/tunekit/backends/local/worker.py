"""The host's end of the inference worker: one child process that keeps models loaded. Knows pipes, not models.

One request and one reply at a time, each a line of JSON on the child's stdin and stdout. The child ends when its stdin
closes, so it never outlives the host, and after a while without requests, so it does not hold memory for nothing.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from tunekit import _files, errors
from tunekit.backends.local.launch import child_environment, log_tail, reap
from tunekit.errors import BackendError, TunekitError


class InferenceWorker:
    """A child process that answers generate and score requests; started on first use, restarted when it dies.

    Args:
        log_path: Where the child's stderr goes.
        threads: CPU threads it computes with.
        idle_timeout_s: Seconds without a request after which it exits.
    """

    def __init__(self, *, log_path: Path, threads: int, idle_timeout_s: float) -> None:
        self._log_path = log_path
        self._threads = threads
        self._idle_timeout_s = idle_timeout_s
        self._lock = threading.Lock()
        self._child: subprocess.Popen[bytes] | None = None
        self._pid = 0

    def call(self, operation: str, **arguments: Any) -> Any:
        """Send one request and wait for its answer.

        Raises:
            TunekitError: What the worker raised, as the same type.
            BackendError: The worker died twice over this request.
        """
        line = json.dumps({"op": operation, **arguments}, ensure_ascii=False, allow_nan=False).encode(
            "utf-8", "surrogatepass"
        )
        with self._lock:
            reply = self._exchange(line) or self._exchange(line)
        if reply is None:
            raise BackendError(
                f"the inference worker died while it served {operation!r}",
                backend="local",
                hint=f"often it ran out of memory; its log ends with: {log_tail(self._log_path) or 'nothing'}"
                f" (see {str(self._log_path)!r})",
                retryable=True,
            )
        answer = json.loads(reply)
        if "error" in answer:
            raise _error(answer["error"])
        return answer["value"]

    def close(self) -> None:
        """End the child, if there is one. The next call starts another."""
        with self._lock:
            child, self._child = self._child, None
        if child is not None and self._pid == os.getpid():
            _hang_up(child)
            try:
                child.wait(timeout=5)
            except subprocess.TimeoutExpired:
                child.kill()

    def _exchange(self, line: bytes) -> bytes | None:
        """One round trip, or None if the child died over it."""
        child = self._running_child()
        if child.stdin is None or child.stdout is None:
            raise AssertionError("the worker is always started with pipes")
        try:
            child.stdin.write(line + b"\n")
            child.stdin.flush()
            reply = child.stdout.readline()
        except (BrokenPipeError, ConnectionResetError):
            reply = b""
        if reply.endswith(b"\n"):
            return reply
        child.kill()
        _hang_up(child)
        self._child = None
        return None

    def _running_child(self) -> subprocess.Popen[bytes]:
        if self._child is not None and self._pid == os.getpid() and self._child.poll() is None:
            return self._child
        self._child, self._pid = self._start(), os.getpid()
        return self._child

    def _start(self) -> subprocess.Popen[bytes]:
        _files.make_private_directory(self._log_path.parent)
        command = [
            sys.executable,
            "-P",
            "-m",
            "tunekit.training.serve",
            str(self._threads),
            str(self._idle_timeout_s),
        ]
        with _files.storage_errors("cannot start the inference worker"), self._log_path.open("ab") as log:
            child = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                cwd=self._log_path.parent,
                env=child_environment(self._threads),
                start_new_session=True,
            )
        reap(child)
        return child


def _hang_up(child: subprocess.Popen[bytes]) -> None:
    for pipe in (child.stdin, child.stdout):
        if pipe is not None:
            try:
                pipe.close()
            except BrokenPipeError:
                pass  # unread input of a dead child


def _error(body: dict[str, Any]) -> TunekitError:
    """The worker's error in the host: the same class where it is one of ours, else a `BackendError`."""
    cls = getattr(errors, str(body.get("type")), BackendError)
    if not (isinstance(cls, type) and issubclass(cls, TunekitError)):
        cls = BackendError
    state = {"hint": body.get("hint", ""), "backend": "local", "retryable": False, "details": {}}
    return cls._from_state(str(body["message"]), {"message": str(body["message"]), **state})
