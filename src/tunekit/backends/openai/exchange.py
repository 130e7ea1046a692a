"""One request and its answer, from which anybody may walk away. Knows tasks; knows HTTP only as status and bytes.

Each wait for the network is a task of its own. Whoever is cancelled, or has no more time, leaves it behind; it is
drained and the connection put in order, so that no client is cut off at a moment that it does not expect.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from tunekit.backends.openai.inflate import Inflater
from tunekit.backends.openai.lanes import Lane
from tunekit.backends.openai.problems import Refusal
from tunekit.backends.openai.retrying import Outcome
from tunekit.backends.openai.secret import Secret
from tunekit.errors import TunekitError

T = TypeVar("T")


class Response(Protocol):
    """What a client gives: an answer whose body is still to come."""

    @property
    def status_code(self) -> int: ...  # noqa: D102 (as HTTP has it)

    @property
    def headers(self) -> Mapping[str, str]: ...  # noqa: D102 (as HTTP has it)

    @property
    def is_closed(self) -> bool: ...  # noqa: D102 (whether the connection is free again)

    def aiter_raw(self) -> AsyncIterator[bytes]: ...  # noqa: D102 (the body as it comes)

    async def aclose(self) -> None: ...  # noqa: D102 (frees the connection)


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """How an attempt did not go well. Words and numbers, nothing of a client: its frames know the key.

    Attributes:
        reason: What happened.
        reached: Whether a byte of the request may have left this machine.
        late: Whether the call's time is up.
        lasting: Whether another attempt cannot help.
        refusal: The answer, if a whole one came.
    """

    reason: str
    reached: bool
    late: bool = False
    lasting: bool = False
    refusal: Refusal | None = None

    @property
    def outcome(self) -> Outcome:
        """What is decided upon."""
        if self.refusal is None:
            return Outcome(reached=self.reached, lasting=self.lasting)
        return Outcome(
            reached=self.reached,
            status=self.refusal.status,
            headers=self.refusal.headers,
            lasting=self.lasting,
        )


class _Failed(Exception):
    """Carries a failure to whoever calls `settled`."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.reason)
        self.failure = failure


def failed(
    reason: str,
    *,
    reached: bool,
    late: bool = False,
    lasting: bool = False,
    refusal: Refusal | None = None,
) -> Exception:
    """What to raise where an attempt fails; `settled` gives it back as a `Failure`."""
    return _Failed(Failure(reason=reason, reached=reached, late=late, lasting=lasting, refusal=refusal))


async def settled(work: Awaitable[T]) -> tuple[T | None, Failure | None]:
    """What it gives, or how it failed: so an error that is made of that has no context to show."""
    try:
        return await work, None
    except _Failed as error:
        return None, error.failure


class Exchange:
    """One request on a lane, of which a slot is held until `close`.

    Args:
        lane: Where it takes place.
        secret: The key that goes with it.
        describe: Says in words what an exception of the client means.

    Attributes:
        lane: Where it takes place.
        reached: Whether a byte of the request may have left this machine; for the client to note.
        location: Where a redirect leads; for the client to note.
    """

    def __init__(self, lane: Lane[Any], secret: Secret | None, describe: Callable[[Exception], str]) -> None:
        self.secret = secret
        self.reached = False
        self.location = ""
        self.status = 0
        self.headers: Mapping[str, str] = {}
        self.lane = lane
        self._describe = describe
        self._pending: asyncio.Task[Any] | None = None
        self._response: Response | None = None
        self._raw: AsyncIterator[bytes] | None = None
        self._unpacked: Iterator[bytes] = iter(())
        self._closed = False
        lane.enter()

    @property
    def request_id(self) -> str:
        """What the host calls this exchange; empty where it does not say."""
        return self.headers.get("x-request-id") or self.headers.get("apim-request-id", "")

    async def begin(self, sending: Coroutine[Any, Any, Response], left_s: float) -> None:
        """Send the request and wait for the head of the answer.

        Raises:
            Exception: None came (`settled`).
            TunekitError: What was to be sent could not be read.
        """
        self._response = response = await self._waited(sending, left_s)
        self.status = response.status_code
        self.headers = {name.lower(): value for name, value in response.headers.items()}
        if self.location:
            self.headers = {**self.headers, "location": self.location}
        self._raw = response.aiter_raw()
        try:
            self._inflater = Inflater(self.headers.get("content-encoding", ""))
        except ValueError as error:
            raise failed(str(error), reached=True) from None

    async def piece(self, left_s: float) -> bytes | None:
        """The next bytes of the body, at most 256 KiB, unpacked; None at its end.

        Raises:
            Exception: The rest does not come, or is damaged (`settled`).
        """
        damage = ""
        try:
            while (piece := next(self._unpacked, None)) is None:
                raw = await self._waited(self._next(), left_s)
                if raw is None:
                    self._inflater.finish()
                    return None
                self._unpacked = self._inflater.pieces(raw)
            await asyncio.sleep(0)  # a small body may hold a large one: others come in between its pieces
            return piece
        except ValueError as error:
            damage = str(error)
        raise failed(damage, reached=True)

    async def _next(self) -> bytes | None:
        assert self._raw is not None, "begin comes first"
        return await anext(self._raw, None)

    async def _waited(self, work: Coroutine[Any, Any, T], left_s: float) -> T:
        self._pending = task = asyncio.create_task(work)
        task.add_done_callback(_heard)
        await asyncio.wait({task}, timeout=left_s)  # which leaves the task alone, whatever becomes of us
        if not task.done():
            raise failed("the time was up", reached=self.reached, late=True)
        self._pending = None
        if task.cancelled():
            raise failed("the event loop ends", reached=self.reached)
        error = task.exception()
        if error is None:
            return task.result()
        if isinstance(error, TunekitError):
            raise error.with_traceback(None)
        if isinstance(error, Exception):
            reason = self._describe(error)
            # The host's certificate will be the same at the next attempt.
            raise failed(reason, reached=self.reached, lasting="CERTIFICATE_VERIFY_FAILED" in reason)
        raise error

    def close(self) -> None:
        """Walk away. What is still under way is put in order behind the scenes, and then the slot is free."""
        if self._closed:
            return
        self._closed = True
        if self._pending is None and (self._response is None or self._response.is_closed):
            self.lane.leave()
        else:
            self.lane.background(self._wind_up())

    async def _wind_up(self) -> None:
        try:
            if self._pending is not None:
                await self.lane.drain(self._pending)
                self._response = self._response or _given(self._pending)
            if self._response is not None:
                await self._response.aclose()
        finally:
            self.lane.leave()


def _heard(task: asyncio.Task[Any]) -> None:
    """Of a task that was left behind nobody asks how it ended, which asyncio would log."""
    if not task.cancelled():
        task.exception()


def _given(task: asyncio.Task[Any]) -> Response | None:
    """The answer that came after all to a request that nobody waits for."""
    failed = not task.done() or task.cancelled() or task.exception() is not None
    return None if failed else task.result()
