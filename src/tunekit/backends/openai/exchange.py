"""One request and its answer, from which anybody may walk away. Knows tasks; knows HTTP only as status and bytes.

Everything that a host says comes in here, and leaves without the key that was sent.

Each wait for the network is a task of its own. Whoever is cancelled, or has no more time, leaves it behind; it is
drained and the connection put in order, so that no client is cut off at a moment that it does not expect.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from tunekit.backends.openai.inflate import Inflater
from tunekit.backends.openai.lanes import Lane, Seat
from tunekit.backends.openai.masking import Mask
from tunekit.backends.openai.problems import Refusal, shown
from tunekit.backends.openai.retrying import Outcome
from tunekit.backends.openai.secret import Secret
from tunekit.backends.openai.transport import request_id
from tunekit.errors import TunekitError

T = TypeVar("T")
CLOSED = "the transport was closed"
_LONGEST_REASON = 140


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
    """One request on a lane, of which a seat is held until `close`.

    Args:
        lane: Where it takes place.
        seat: What it takes there.
        secret: The key that goes with it.
        describe: Says in words what an exception of the client means.

    Attributes:
        seat: What it has for itself until then.
        secret: The key that goes with it.
        reached: Whether a byte of the request may have left this machine; for the client to note.
        location: Where a redirect leads, as it is; for the client to note, and for nobody to show.
    """

    def __init__(
        self, lane: Lane[Any], seat: Seat[Any], secret: Secret | None, describe: Callable[[Exception], str]
    ) -> None:
        self.seat = seat
        self.secret = secret
        self.reached = False
        self.location = ""
        self.status = 0
        self.headers: Mapping[str, str] = {}
        self._lane = lane
        self._describe = describe
        self._pending: asyncio.Task[Any] | None = None
        self._response: Response | None = None
        self._raw: AsyncIterator[bytes] | None = None
        self._unpacked: Iterator[bytes] = iter(())
        self._mask = Mask(secret)
        self._ended = False
        self._closed = False

    @property
    def request_id(self) -> str:
        """What the host calls this exchange; empty where it does not say."""
        return request_id(self.headers)

    async def begin(self, sending: Coroutine[Any, Any, Response], left_s: float) -> None:
        """Send the request and wait for the head of the answer.

        Raises:
            Exception: None came (`settled`).
            TunekitError: What was to be sent could not be read.
        """
        self._response = response = await self._waited(sending, left_s)
        self.status = response.status_code
        headers = {name.lower(): value for name, value in response.headers.items()}
        headers |= {"location": self.location} if self.location else {}
        self.headers = {name: self._masked(value) for name, value in headers.items()}
        self._raw = response.aiter_raw()
        try:
            self._inflater = Inflater(self.headers.get("content-encoding", ""))
        except ValueError as error:
            raise failed(str(error), reached=True, lasting=True) from None

    async def piece(self, left_s: float) -> bytes | None:
        """The next bytes of the body, some 256 KiB at most, unpacked and masked; None at its end.

        Args:
            left_s: How long to wait for them, however many packed bytes come that hold nothing.

        Raises:
            Exception: The rest does not come, or is damaged (`settled`).
        """
        damage = ""
        ends_s = self._lane.loop.time() + left_s
        try:
            while not self._ended:
                for unpacked in self._unpacked:
                    await asyncio.sleep(
                        0
                    )  # a small body may hold a large one: others come in between its pieces
                    if piece := self._mask.feed(unpacked):
                        return piece
                raw = await self._waited(self._next(), max(0.0, ends_s - self._lane.loop.time()))
                if raw is not None:
                    self._unpacked = self._inflater.pieces(raw)
                    continue
                self._inflater.finish()
                self._ended = True
            return self._mask.end() or None
        except ValueError as error:
            damage = str(error)
        raise failed(damage, reached=True)

    def _masked(self, text: str) -> str:
        return text if self.secret is None else self.secret.masked(text)

    async def _next(self) -> bytes | None:
        assert self._raw is not None, "begin comes first"
        return await anext(self._raw, None)

    async def _waited(self, work: Coroutine[Any, Any, T], left_s: float) -> T:
        self._pending = task = self._lane.work(work)
        await asyncio.wait({task}, timeout=left_s)  # which leaves the task alone, whatever becomes of us
        if not task.done():
            raise failed("the time was up", reached=self.reached, late=True)
        self._pending = None
        if not _went_well(task):
            self.seat.spoilt = True
        if task.cancelled():
            reason = CLOSED if self._lane.closed else "the event loop ends"
            raise failed(reason, reached=self.reached, lasting=self._lane.closed)
        error = task.exception()
        if error is None:
            return task.result()
        if isinstance(error, TunekitError):
            raise error.with_traceback(None)
        if isinstance(error, Exception):
            reason = shown(self._masked(self._describe(error)), _LONGEST_REASON)
            # The host's certificate will be the same at the next attempt.
            raise failed(reason, reached=self.reached, lasting="CERTIFICATE_VERIFY_FAILED" in reason)
        raise error

    def close(self) -> None:
        """Walk away. What is still under way is put in order behind the scenes, and then the seat is free."""
        if self._closed:
            return
        self._closed = True
        if self._pending is None and (self._response is None or self._response.is_closed):
            self._lane.give_back(self.seat)
        else:
            self._lane.background(self._wind_up())

    async def _wind_up(self) -> None:
        try:
            if self._pending is not None:
                await self._lane.drain(self._pending)
                self.seat.spoilt = self.seat.spoilt or not _went_well(self._pending)
                if self._response is None and not self.seat.spoilt:
                    self._response = self._pending.result()  # it came after all, and nobody waits for it
            if self._response is not None:
                await self._response.aclose()
        except BaseException:
            self.seat.spoilt = True
            raise
        finally:
            self._lane.give_back(self.seat)


def _went_well(task: asyncio.Task[Any]) -> bool:
    return task.done() and not task.cancelled() and task.exception() is None
