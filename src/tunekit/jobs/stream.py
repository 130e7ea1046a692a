"""`EventStream`: a job's events, each once, in order, resumable. Knows pages and cursors; not where jobs live."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Self

from tunekit import _portal
from tunekit._clock import Clock
from tunekit.backends.base import EventPage, Snapshot
from tunekit.errors import SpecError
from tunekit.events import JobEvent, Notice
from tunekit.jobs import outcome
from tunekit.jobs.polling import Patience, asked_s, pauses

REMEMBERED_IDS = 10_000
"""Ids kept to drop repeats of pages that overlap; far more than any page holds."""

BARREN_PAGES = 100
"""Pages of nothing but repeats that are passed over at once; a backend may move its cursor for ever."""

SILENCE_S = 30.0
"""How long reads may fail before the reader of the stream is told."""


class EventStream(Iterator[JobEvent], AsyncIterator[JobEvent]):
    """The events of a job from the first or from a cursor on, until the job has ended and all is read.

    Use it with `for` or `async for`; both wait for more. One reader at a time. Reading is safe to cancel: an event
    that was not handed out is handed out next time.

    Args:
        read: Reads the page after a page cursor.
        look: Where the job stands; raises `UnknownOutcomeError` where nobody knows.
        clock: Time.
        longest_pause_s: Pause between looks at a quiet job, reached by doubling.
        cursor: A saved `cursor` of an earlier stream of the same job; None starts at the first event.

    Raises:
        SpecError: The cursor was not made by this class.
        UnknownOutcomeError: While iterating: nobody knows whether the job exists.

    Examples:
        >>> from tunekit import FineTuneJob
        >>> from tunekit.store import MemoryStore
        >>> from tunekit.testing import ScriptedBackend, tiny_dataset
        >>> job = FineTuneJob.submit(tiny_dataset(), "scripted:base", backend=ScriptedBackend(), store=MemoryStore())
        >>> seen = job.events()
        >>> first = next(seen)
        >>> first.id in {event.id for event in job.events(seen.cursor)}
        False
    """

    def __init__(
        self,
        read: Callable[[str | None], Awaitable[EventPage]],
        look: Callable[[], Awaitable[Snapshot]],
        *,
        clock: Clock,
        longest_pause_s: float,
        cursor: str | None = None,
    ) -> None:
        self._read, self._look = read, look
        self._clock, self._longest_pause_s = clock, longest_pause_s
        self._page_cursor, self._last_id = _parse(cursor)
        self._next_cursor = self._page_cursor
        self._buffer: deque[JobEvent] = deque()
        self._seen: dict[str, None] = {}  # in order of arrival, so that the oldest can be forgotten
        self._patience = Patience(clock)
        self._told_of_silence = False
        self._told_of_state = ""
        self._terminal = False

    @property
    def cursor(self) -> str | None:
        """Where this stream stands, as a string to store. `job.events(cursor=...)` goes on right behind it."""
        page = self._page_cursor if self._buffer else self._next_cursor
        return None if page is None and self._last_id is None else json.dumps([page, self._last_id])

    def __iter__(self) -> Self:
        return self

    def __aiter__(self) -> Self:
        return self

    def __next__(self) -> JobEvent:
        # The event is taken here, not on the portal: a Ctrl-C while waiting must not swallow one.
        if not self._buffer and not _portal.run(self._fill(), instead="async for"):
            raise StopIteration
        return self._pop()

    async def __anext__(self) -> JobEvent:
        if not self._buffer and not await self._fill():
            raise StopAsyncIteration
        return self._pop()

    def _pop(self) -> JobEvent:
        event = self._buffer.popleft()
        self._last_id = event.id or self._last_id
        return event

    async def _fill(self) -> bool:
        """Wait until there is an event to hand out; False at the end."""
        for pause in pauses(self._longest_pause_s):
            try:
                if await self._advance():
                    return True
            except Exception as error:
                if self._notices_silence(self._patience.bear(error), error):
                    return True
                pause = max(pause, asked_s(error))
            else:
                self._patience.restore()
                self._told_of_silence = False
                if self._terminal:
                    return False
            await self._clock.sleep(pause)
        raise AssertionError("pauses never end")

    async def _advance(self) -> bool:
        """One look at the job; True if that brought something to hand out."""
        if await self._turn_page():
            return True
        if self._terminal:
            return False
        seen = await self._look()
        if not seen.state.is_terminal:
            return self._notices_strange_state(seen)
        self._terminal = True
        # What was written between the last read and the end must still come.
        return await self._turn_page()

    async def _turn_page(self) -> bool:
        """Read on until there is something new; False where the backend has no more for now."""
        for _ in range(BARREN_PAGES):
            page = await self._read(self._next_cursor)
            # No await from here to the loop's end: a cancelled reader has a whole page or nothing of it.
            self._buffer.extend(self._fresh(page.events))
            at_end = not page.events or page.cursor == self._next_cursor
            self._page_cursor, self._next_cursor = self._next_cursor, page.cursor
            if self._buffer or at_end:
                break
        return bool(self._buffer)

    def _fresh(self, events: tuple[JobEvent, ...]) -> list[JobEvent]:
        """Leave out what was handed out before: up to the last one by position, the rest by id."""
        ids = [event.id for event in events]
        start = ids.index(self._last_id) + 1 if self._last_id in ids else 0
        fresh = [event for event in events[start:] if not event.id or event.id not in self._seen]
        self._seen.update(dict.fromkeys(event.id for event in fresh))
        while len(self._seen) > REMEMBERED_IDS:
            del self._seen[next(iter(self._seen))]
        return fresh

    def _notices_strange_state(self, seen: Snapshot) -> bool:
        """Tell once of each word for a state that only the backend knows; the wait goes on."""
        if seen.unknown_state in ("", self._told_of_state):
            return False
        self._told_of_state = seen.unknown_state
        text = f"{outcome.strange_state(seen)}; job.snapshot().raw is all that it says"
        self._buffer.append(Notice(id="", at=self._clock.now(), message=text, level="warning"))
        return True

    def _notices_silence(self, silent_s: float, error: Exception) -> bool:
        if silent_s < SILENCE_S or self._told_of_silence:
            return False
        self._told_of_silence = True
        text = f"no answer from the backend for {silent_s:.0f} s, still trying: {error}"
        # No id: it is ours, and has no place in the backend's own sequence.
        self._buffer.append(Notice(id="", at=self._clock.now(), message=text, level="warning"))
        return True


def _parse(cursor: str | None) -> tuple[str | None, str | None]:
    if cursor is None:
        return None, None
    try:
        page, last_id = json.loads(cursor)
    except (ValueError, TypeError):
        page = last_id = 0
    if not all(part is None or isinstance(part, str) for part in (page, last_id)):
        raise SpecError(f"{cursor!r} is not an event cursor", hint="pass what `EventStream.cursor` gave")
    return page, last_id
