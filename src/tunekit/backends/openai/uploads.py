"""Large files in parts, several at a time. Knows OpenAI's uploads; not what is in a file or whether it is there."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from tunekit.backends.openai import wire
from tunekit.backends.openai.datafiles import DataFile
from tunekit.backends.openai.side_by_side import each
from tunekit.backends.openai.transport import Call, FilePart, Safety, Transport
from tunekit.errors import TunekitError

PART_BYTES = 64_000_000
PARTS_AT_ONCE = 4
MIME_TYPE = "application/jsonl"


async def in_parts(
    transport: Transport,
    file: DataFile,
    *,
    purpose: str,
    expires_after: Mapping[str, Any],
    part_bytes: int = PART_BYTES,
    deadline_s: float | None = None,
) -> str:
    """Upload a file in parts and give the id of what they became.

    A part is read from the disk while it is sent, and sent again by itself if it is lost.

    Raises:
        BackendError: The host refused; `ambiguous` where the file may be there all the same.
        DeadlineError: A call took too long.
    """
    checksum = await asyncio.to_thread(_md5, file.path)
    upload_id = await _begin(transport, file, purpose, expires_after)
    try:
        starts = range(0, file.size_bytes, part_bytes)
        calls = [_part(upload_id, file, start, part_bytes, deadline_s) for start in starts]
        replies = await each(calls, transport.send, at_once=PARTS_AT_ONCE)
        part_ids = [wire.id_of(reply.json(), "a part of an upload") for reply in replies]
        return await _complete(transport, upload_id, part_ids, checksum)
    except TunekitError:
        with suppress(TunekitError):  # it ends by itself an hour after it was begun
            await transport.send(_call(upload_id, "cancel", Safety.REPEATABLE))
        raise


async def _begin(transport: Transport, file: DataFile, purpose: str, expires_after: Mapping[str, Any]) -> str:
    body: dict[str, Any] = {
        "filename": file.filename,
        "purpose": purpose,
        "bytes": file.size_bytes,
        "mime_type": MIME_TYPE,
    }
    if expires_after:
        body["expires_after"] = dict(expires_after)
    # Repeated, it leaves an empty upload behind, which costs nothing and ends by itself.
    call = Call(method="POST", path="/uploads", safety=Safety.REPEATABLE, body=body)
    return wire.id_of((await transport.send(call)).json(), "an upload")


def _part(upload_id: str, file: DataFile, start: int, part_bytes: int, deadline_s: float | None) -> Call:
    data = FilePart(
        field="data",
        filename=file.filename,
        content_type="application/octet-stream",
        source=file.path,
        start=start,
        length=min(part_bytes, file.size_bytes - start),
    )
    path = f"/uploads/{wire.quoted(upload_id)}/parts"
    return Call(method="POST", path=path, safety=Safety.REPEATABLE, file=data, deadline_s=deadline_s)


async def _complete(transport: Transport, upload_id: str, part_ids: list[str], checksum: str) -> str:
    # Once: a second one is refused because the first worked, which would look like a failure.
    parts = {"part_ids": part_ids, "md5": checksum}
    reply = await transport.send(_call(upload_id, "complete", Safety.ONCE, parts))
    body = reply.json()
    return wire.made(body.get("file") if isinstance(body, dict) else None, "the file of an upload")


def _call(upload_id: str, verb: str, safety: Safety, body: Mapping[str, Any] | None = None) -> Call:
    return Call(method="POST", path=f"/uploads/{wire.quoted(upload_id)}/{verb}", safety=safety, body=body)


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
