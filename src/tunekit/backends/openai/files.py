"""Files at a host: each content once, however often it is asked for and whatever fails. Knows no dataset and no job."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from tunekit._clock import Clock
from tunekit.backends.base import LISTING_DELAYS_S
from tunekit.backends.openai import listing, uploads, wire
from tunekit.backends.openai.datafiles import DataFile
from tunekit.backends.openai.remote import RemoteFile
from tunekit.backends.openai.transport import Call, FilePart, Query, Safety, Transport
from tunekit.errors import BackendError, DeadlineError, NotFoundError

FINE_TUNE = "fine-tune"
BATCH = "batch"
PAGE_SIZE = 1000
MAX_ATTEMPTS = 3
LONGEST_WAIT_S = 24 * 3600.0
"""A file that expires sooner than this is not counted on: a job may wait in the queue before it reads it. Where the
caller lets files expire sooner, half of that time is enough."""

SLOWEST_BYTES_PER_S = 1_000_000
LEAST_DEADLINE_S = 300.0
_UNUSABLE = frozenset({"error", "deleted", "deleting"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Files:
    """The files of an account.

    Attributes:
        transport: Carries the calls.
        clock: Time.
        takes_parts: Whether the host takes large files in parts.
        expire_after_s: When the host shall remove what is uploaded, in seconds from then; None keeps it.
        part_bytes: Size of a part, and of the largest file that is sent whole where parts are taken.
    """

    transport: Transport
    clock: Clock
    takes_parts: bool = False
    expire_after_s: int | None = None
    part_bytes: int = uploads.PART_BYTES

    async def ensure(self, file: DataFile, purpose: str = FINE_TUNE) -> str:
        """The id of this file at the host: of one that is there, else of one that is uploaded now.

        An upload whose outcome nobody knows is looked for before it is made again.

        Args:
            file: The file here.
            purpose: What it is for there.

        Raises:
            BackendError: It could not be uploaded.
            DeadlineError: A call took too long; what was uploaded is found by the next call.
        """
        found = await self._find(file, purpose)
        for attempt in range(MAX_ATTEMPTS):
            if found:
                break
            try:
                return await self._upload(file, purpose)
            except (BackendError, DeadlineError) as error:
                if not getattr(error, "ambiguous", True):
                    raise
                found = await look_again(self.clock, lambda: self._find(file, purpose))
                if not found and attempt == MAX_ATTEMPTS - 1:
                    raise
        return found

    async def listed(self, purpose: str = FINE_TUNE) -> list[RemoteFile]:
        """Every file that is for this purpose.

        Raises:
            BackendError: The listing cannot be read to its end.
        """
        query: Query = (("purpose", purpose),)
        return await listing.everything(self.transport, "/files", wire.file, query=query, size=PAGE_SIZE)

    async def of(self, file_id: str) -> RemoteFile:
        """What is known of one file."""
        call = Call(method="GET", path=f"/files/{wire.quoted(file_id)}", safety=Safety.READ)
        return wire.file((await self.transport.send(call)).json())

    async def content(self, file_id: str) -> bytes:
        """What is in one file."""
        path = f"/files/{wire.quoted(file_id)}/content"
        call = Call(method="GET", path=path, safety=Safety.READ, takes_bytes=True)
        return (await self.transport.send(call)).body

    async def delete(self, file_id: str) -> None:
        """Remove a file; one that is not there is gone already."""
        call = Call(method="DELETE", path=f"/files/{wire.quoted(file_id)}", safety=Safety.REPEATABLE)
        with suppress(NotFoundError):
            await self.transport.send(call)

    async def _find(self, file: DataFile, purpose: str) -> str:
        query: Query = (("purpose", purpose),)
        async for page in listing.pages(self.transport, "/files", wire.file, query=query, size=PAGE_SIZE):
            for item in page.items:
                if self._is(item, file):
                    return item.id
        return ""

    def _is(self, item: RemoteFile, file: DataFile) -> bool:
        lasts = not item.expires_at or item.expires_at > self.clock.now() + self._long_enough_s
        same = item.filename == file.filename and item.size_bytes in (file.size_bytes, -1)
        return same and lasts and item.status not in _UNUSABLE

    @property
    def _long_enough_s(self) -> float:
        """How long a file must be there yet."""
        return LONGEST_WAIT_S if self.expire_after_s is None else min(LONGEST_WAIT_S, self.expire_after_s / 2)

    async def _upload(self, file: DataFile, purpose: str) -> str:
        if self.takes_parts and file.size_bytes > self.part_bytes:
            return await uploads.in_parts(
                self.transport,
                file,
                purpose=purpose,
                expires_after=self._expires_after(),
                part_bytes=self.part_bytes,
                deadline_s=_deadline_s(self.part_bytes),
            )
        return await self._whole(file, purpose)

    async def _whole(self, file: DataFile, purpose: str) -> str:
        form = [("purpose", purpose)]
        form += [(f"expires_after[{name}]", str(value)) for name, value in self._expires_after().items()]
        call = Call(
            method="POST",
            path="/files",
            safety=Safety.ONCE,
            form=tuple(form),
            file=FilePart(
                field="file",
                filename=file.filename,
                content_type=uploads.MIME_TYPE,
                source=file.path,
                length=file.size_bytes,
            ),
            deadline_s=_deadline_s(file.size_bytes),
        )
        reply = await self.transport.send(call)
        return wire.made(reply.json(), "a file")

    def _expires_after(self) -> Mapping[str, Any]:
        if self.expire_after_s is None:
            return {}
        return {"anchor": "created_at", "seconds": self.expire_after_s}


async def look_again(clock: Clock, look: Callable[[], Awaitable[str]]) -> str:
    """The id that a look finds, after a call whose outcome nobody knows: what hosts list lags behind. "" for none."""
    for delay_s in LISTING_DELAYS_S:
        await clock.sleep(delay_s)
        if found := await look():
            return found
    return ""


def _deadline_s(size_bytes: int) -> float:
    """Time for so many bytes on a slow line."""
    return max(LEAST_DEADLINE_S, size_bytes / SLOWEST_BYTES_PER_S)
