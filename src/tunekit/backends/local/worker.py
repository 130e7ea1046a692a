"""The host's end of the inference worker: one child process that keeps models loaded. Knows pipes, not models.

One request and one reply at a time, each a line of JSON on the child's stdin and stdout; lines with pieces of an answer
may come before the reply. The child ends when its stdin closes or its host is gone, and after a while without requests,
so that it does not hold memory for nothing.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import threading
import weakref
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any

from tunekit import _files, errors
from tunekit.backends.local.launch import child_environment, log_tail, reap
from tunekit.errors import BackendError, TunekitError

SERVER = ("-P", "-m", "tunekit.training.serving.serve")
"""How the interpreter is asked to serve. -P: the current directory must not shadow installed packages."""

_ENOUGH = b'{"op": "enough"}\n'
_LAST_PIECE_S = 5.0  # how long a child may take to notice that nobody wants the rest, before it is killed
_LOGS_KEPT_S = 7 * 86_400.0


class _Link:
    """The connection of one process. A fork gets an empty one: the pipes it inherits are its parent's."""

    __slots__ = ("child", "lock", "serving", "thread")

    def __init__(self) -> None:
        self.lock = threading.Lock()
        # Not the loop's default threads: calls that wait for their turn would use them all up, and with them the
        # heartbeats and look-ups of jobs.
        self.thread = ThreadPoolExecutor(1, thread_name_prefix="tunekit-inference")
        self.child: subprocess.Popen[bytes] | None = None
        self.serving: threading.Event | None = None


@dataclass(slots=True)
class _Caller:
    """Who waits for an answer, and how much of it was told."""

    left: threading.Event
    on_piece: Callable[[str], object] | None
    pieces: int = 0
    asked_to_end: bool = False

    def hear(self, piece: str) -> bool:
        """Tell a piece. False, once, if nobody listens any more."""
        if not self.left.is_set() and self.on_piece is not None:
            self.pieces += 1
            self.on_piece(piece)
            return True
        first, self.asked_to_end = not self.asked_to_end, True
        return not first


class InferenceWorker:
    """A child process that answers requests to models; started on first use, restarted when it dies.

    Args:
        logs: Directory for the child's stderr, one file per host process.
        threads: CPU threads it computes with.
        idle_timeout_s: Seconds without a request after which it exits.
        python: The interpreter.
        server: Arguments of the interpreter; threads and idle timeout are appended.
    """

    def __init__(
        self,
        *,
        logs: Path,
        threads: int,
        idle_timeout_s: float,
        python: str = sys.executable,
        server: Sequence[str] = SERVER,
    ) -> None:
        self._logs = logs
        self._python = python
        self._threads = threads
        self._idle_timeout_s = idle_timeout_s
        self._server = tuple(server)
        self._links: dict[int, _Link] = {}
        weakref.finalize(self, _hang_up_links, self._links)

    async def ask(self, operation: str, **arguments: Any) -> Any:
        """`call` for async code. Cancelling it stops the computation. Raises what `call` raises."""
        abandoned = threading.Event()
        call = partial(self.call, operation, abandoned=abandoned, **arguments)
        try:
            return await asyncio.get_running_loop().run_in_executor(self._link().thread, call)
        except asyncio.CancelledError:
            self.abandon(abandoned)
            raise

    async def stream(self, operation: str, **arguments: Any) -> AsyncGenerator[Any]:
        """The pieces of an answer as they come, and last the answer. Raises what `call` raises.

        Closing it ends the computation and leaves the child as it is, models and all.
        """
        abandoned, link, loop = threading.Event(), self._link(), asyncio.get_running_loop()
        pieces: asyncio.Queue[str | None] = asyncio.Queue()
        call = partial(
            self.call,
            operation,
            abandoned=abandoned,
            on_piece=lambda piece: loop.call_soon_threadsafe(pieces.put_nowait, piece),
            **arguments,
        )
        answer = loop.run_in_executor(link.thread, call)
        answer.add_done_callback(lambda _: pieces.put_nowait(None))
        try:
            while (piece := await pieces.get()) is not None:
                yield piece
            yield await answer
        finally:
            abandoned.set()
            if link.serving is abandoned:
                await asyncio.wait({answer}, timeout=_LAST_PIECE_S)
            if not answer.cancel() and not answer.cancelled():
                answer.exception()  # it was raised above, or nobody is there to hear of it
            self.abandon(abandoned)

    def call(
        self,
        operation: str,
        *,
        abandoned: threading.Event | None = None,
        on_piece: Callable[[str], object] | None = None,
        **arguments: Any,
    ) -> Any:
        """Send one request and wait for its answer.

        Args:
            operation: "generate", "stream", "score" or "embed".
            abandoned: Pass it to `abandon` from another thread to end the wait. Once it is set, an answer that comes
                in pieces is ended at its next one.
            on_piece: Told the pieces of an answer that comes in pieces.
            arguments: What goes with it, JSON-ready.

        Raises:
            TunekitError: What the worker raised, as the same type.
            BackendError: The worker died twice over this request.
        """
        line = json.dumps({"op": operation, **arguments}, ensure_ascii=False, allow_nan=False).encode(
            "utf-8", "surrogatepass"
        )
        link = self._link()
        caller = _Caller(left=abandoned or threading.Event(), on_piece=on_piece)
        with link.lock:
            link.serving = caller.left
            try:
                answer = self._exchange(link, line, caller)
                # Twice, because a worker that just went for being idle is nobody's fault.
                if answer is None and not caller.pieces:
                    answer = self._exchange(link, line, caller)
            finally:
                link.serving = None
        if answer is None:
            raise BackendError(
                f"the inference worker died while it served {operation!r}",
                backend="local",
                hint=f"often it ran out of memory; its log ends with: {log_tail(self._log_path) or 'nothing'}"
                f" (see {str(self._log_path)!r})",
                retryable=True,
            )
        if "error" in answer:
            raise _error(answer["error"])
        return answer["value"]

    def abandon(self, abandoned: threading.Event) -> None:
        """Nobody waits for this call any more: stop computing, at the price of loading the model again."""
        abandoned.set()
        link = self._link()
        child = link.child
        # If the next call has begun meanwhile, the kill hits that one, which is then simply asked again.
        if child is not None and link.serving is abandoned:
            child.kill()

    def close(self) -> None:
        """End the child, if there is one. The next call starts another."""
        link = self._link()
        with link.lock:
            child, link.child = link.child, None
        if child is not None:
            _hang_up(child)
            try:
                child.wait(timeout=5)
            except subprocess.TimeoutExpired:
                child.kill()

    @property
    def _log_path(self) -> Path:
        return self._logs / f"inference-{os.getpid()}.log"

    def _link(self) -> _Link:
        return self._links.setdefault(os.getpid(), _Link())

    def _exchange(self, link: _Link, line: bytes, caller: _Caller) -> dict[str, Any] | None:
        """One round trip, or None if the child died over it or nobody waits."""
        if caller.left.is_set():
            return None
        child, answer = self._running_child(link), None
        try:
            _send(child, line + b"\n")
            for reply in _replies(child):
                if "piece" not in reply:
                    answer = reply
                    break
                if not caller.hear(reply["piece"]):
                    _send(child, _ENOUGH)
        except (BrokenPipeError, ConnectionResetError):
            pass  # it died; said by the missing reply
        finally:
            # Whatever interrupted us, the next caller must not get this one's answer.
            if answer is None:
                _drop(link)
        return answer

    def _running_child(self, link: _Link) -> subprocess.Popen[bytes]:
        if link.child is not None and link.child.poll() is not None:
            _drop(link)
        if link.child is None:
            link.child = self._start()
        return link.child

    def _start(self) -> subprocess.Popen[bytes]:
        _files.make_private_directory(self._logs)
        _files.remove_old_files(self._logs, "inference-*.log", older_than_s=_LOGS_KEPT_S)
        with (
            _files.storage_errors("cannot start the inference worker"),
            _files.open_private(self._log_path) as log,
        ):
            child = subprocess.Popen(
                [self._python, *self._server, str(self._threads), str(self._idle_timeout_s)],
                # Unbuffered: a buffer copied by a fork would be flushed into the pipe a second time.
                bufsize=0,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                cwd=self._logs,
                env=child_environment(self._threads),
                start_new_session=True,
                umask=0o077,
            )
        reap(child)
        return child


def _send(child: subprocess.Popen[bytes], line: bytes) -> None:
    requests, _ = _pipes(child)
    rest = memoryview(line)
    while rest:
        rest = rest[requests.write(rest) :]


def _replies(child: subprocess.Popen[bytes]) -> Iterator[dict[str, Any]]:
    """What the child says, line by line, until it dies. Nothing follows a reply that is no piece."""
    _, replies = _pipes(child)
    begun: list[bytes] = []
    while read := replies.read(1 << 16):
        *ends, rest = read.split(b"\n")
        for end in ends:
            yield json.loads(b"".join([*begun, end]))
            begun = []
        begun.append(rest)


def _pipes(child: subprocess.Popen[bytes]) -> tuple[IO[bytes], IO[bytes]]:
    if child.stdin is None or child.stdout is None:
        raise AssertionError("the worker is always started with pipes")
    return child.stdin, child.stdout


def _hang_up(child: subprocess.Popen[bytes]) -> None:
    for pipe in _pipes(child):
        pipe.close()


def _drop(link: _Link) -> None:
    child, link.child = link.child, None
    if child is not None:
        child.kill()
        _hang_up(child)


def _hang_up_links(links: dict[int, _Link]) -> None:
    """Nobody can call any more. Only this process's link: the others belong to its parents."""
    link = links.get(os.getpid())
    if link is not None and link.child is not None:
        _hang_up(link.child)


def _error(body: dict[str, Any]) -> TunekitError:
    """The worker's error in the host: the same class where it is one of ours, else a `BackendError`."""
    message, state = str(body["message"]), dict(body["state"])
    cls = getattr(errors, str(body["type"]), None)
    if isinstance(cls, type) and issubclass(cls, TunekitError):
        return cls._from_state(message, {**state, "backend": "local"})
    return BackendError(message, backend="local", hint=str(state.get("hint", "")))
