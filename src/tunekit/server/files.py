"""Routes of /files. Knows how a file is shown and kept; not what is trained on it."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, BinaryIO
from urllib.parse import quote

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from tunekit.data.wording import brief
from tunekit.errors import StorageError
from tunekit.server.forms import Form, read_form
from tunekit.server.ledger import Where, field_is
from tunekit.server.problems import invalid, refused
from tunekit.server.reading import declared_bytes, newest_first, whole_number
from tunekit.server.rows import FileRow, new_id
from tunekit.server.service import Service, blocking, listed, service_of, tenant_of
from tunekit.server.telling import UnknownHereError

_log = logging.getLogger(__name__)

PURPOSES = ("assistants", "batch", "fine-tune", "vision", "user_data", "evals")
KEEP_S = (3600, 2_592_000)
"""Shortest and longest `expires_after`, in seconds."""
_PIECE_BYTES = 1 << 18


async def create(request: Request) -> Response:
    """Take a file."""
    service, tenant = service_of(request), tenant_of(request)
    file_id, most = new_id("file-"), service.limits.file_bytes
    async with room_for(request, most):
        async with service.disk.arriving(file_id) as into:
            form = await read_form(request, "file", into, limit=most, limits=service.limits)
            row = _row(form, file_id, tenant, service.now())
        await blocking(_keep, service, row)
    return JSONResponse(shown(row))


async def index(request: Request) -> Response:
    """A page of files."""
    service = service_of(request)
    purpose = request.query_params.get("purpose")
    gone = json.dumps(await blocking(service.disk.all_aside))
    purposes = [field_is("purpose", purpose)] if purpose is not None else []
    page = await blocking(
        service.ledger.page,
        FileRow,
        tenant=tenant_of(request),
        after=request.query_params.get("after"),
        limit=whole_number(request, "limit", 10_000, most=10_000),
        newest_first=newest_first(request),
        where=[Where("id NOT IN (SELECT value FROM json_each(?))", (gone,)), *purposes],
    )
    return JSONResponse(listed([shown(row) for row in page.rows], has_more=page.has_more))


async def retrieve(request: Request) -> Response:
    """One file."""
    return JSONResponse(shown(await _file(request)))


async def content(request: Request) -> Response:
    """The bytes of a file."""
    row = await _file(request)
    try:
        file = await blocking(service_of(request).disk.path(row.id).open, "rb")
    except FileNotFoundError:
        raise UnknownHereError(f"file {row.id!r} is gone", hint="upload it again") from None
    return _Content(file, row)


async def delete(request: Request) -> Response:
    """Remove a file."""
    service, row = service_of(request), await _file(request)
    await blocking(forget, service, row.id)
    return JSONResponse({"id": row.id, "object": "file", "deleted": True})


def found(service: Service, file_id: str, tenant: str) -> FileRow:
    """A tenant's file.

    Raises:
        NotFoundError: The tenant has none of that name.
    """
    row = service.ledger.get(FileRow, file_id, tenant=tenant)
    if service.disk.is_aside(row.id):
        raise UnknownHereError(f"no file {row.id!r}", hint="it was deleted; upload it again")
    return row


def forget(service: Service, file_id: str) -> None:
    """Remove a file: whole or gone, whatever is killed on the way, and on a full disk too.

    It is gone as soon as its bytes are set aside. What is left of it after that nobody sees, and `forget` with the same
    id ends it.

    Raises:
        StorageError: The disk said no; the file is whole.
    """
    service.disk.set_aside(file_id)
    try:
        try:
            _forget_row(service, file_id)
        except StorageError:
            service.disk.free_aside(file_id)  # now the ledger has room to write
            _forget_row(service, file_id)
        service.disk.remove_aside(file_id)
    except StorageError as error:
        _log.warning("the end of file %s waits for the next sweep: %s", file_id, error)


def _forget_row(service: Service, file_id: str) -> None:
    while row := service.ledger.find(FileRow, file_id):
        service.ledger.remove(row)  # or another process has just written it


def require_plain(service: Service, file_id: str, purpose: str) -> None:
    """Refuse a training file that is packed: nobody knows what it unpacks to.

    Raises:
        HTTPException: It is.
    """
    packing = service.disk.packing(file_id) if purpose == "fine-tune" else None
    if packing is not None:
        raise invalid(
            f"The file is packed with {packing}; unpack it and upload the JSON lines themselves.",
            param="file",
            code="invalid_file",
        )


def _keep(service: Service, row: FileRow) -> None:
    try:
        require_plain(service, row.id, row.purpose)
    except HTTPException:
        service.disk.remove(row.id)
        raise
    service.ledger.add(row)


def shown(row: FileRow) -> dict[str, Any]:
    """A file on the wire."""
    body = {
        "id": row.id,
        "object": "file",
        "bytes": row.bytes,
        "created_at": int(row.created_at),
        "filename": row.filename,
        "purpose": row.purpose,
        "status": "processed",
    }
    return body if row.expires_at is None else {**body, "expires_at": row.expires_at}


def checked_purpose(purpose: str | None) -> str:
    """The purpose of a file."""
    if purpose not in PURPOSES:
        known = ", ".join(repr(item) for item in PURPOSES)
        raise invalid(f"Invalid value for 'purpose': {brief(purpose)} is none of {known}.", param="purpose")
    return purpose


async def require_room(service: Service, tenant: str, size: int) -> None:
    """Refuse what would take a tenant over its share of the disk.

    Raises:
        HTTPException: It would.
    """
    most = service.limits.tenant_bytes
    if await blocking(service.ledger.total_bytes, tenant) + size > most:
        raise refused(
            403, f"Your files may take {most} bytes together; delete some.", code="storage_quota_exceeded"
        )


@asynccontextmanager
async def room_for(request: Request, most: int) -> AsyncIterator[None]:
    """Keep room for a body while it arrives, or many that come at once would all find the same room.

    Raises:
        HTTPException: There is none, counting what else of the tenant arrives here.
    """
    service, tenant = service_of(request), tenant_of(request)
    size = min(declared_bytes(request, most), most)
    service.arriving[tenant] += size
    try:
        await require_room(service, tenant, service.arriving[tenant])
        yield
    finally:
        service.arriving[tenant] -= size


class _Content(StreamingResponse):
    """The bytes of a file that is open: whoever removes it now, they are all sent."""

    def __init__(self, file: BinaryIO, row: FileRow) -> None:
        name = quote(row.filename, safe="")
        shown_name = f'filename="{name}"' if name == row.filename else f"filename*=utf-8''{name}"
        headers = {
            "content-length": str(os.fstat(file.fileno()).st_size),
            "content-disposition": f"attachment; {shown_name}",
        }
        super().__init__(_pieces(file), headers=headers, media_type="application/octet-stream")
        self._open = file

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._open:
            await super().__call__(scope, receive, send)


async def _pieces(file: BinaryIO) -> AsyncIterator[bytes]:
    while data := await blocking(file.read, _PIECE_BYTES):
        yield data


async def _file(request: Request) -> FileRow:
    return await blocking(found, service_of(request), request.path_params["file_id"], tenant_of(request))


def _row(form: Form, file_id: str, tenant: str, now: float) -> FileRow:
    fields = dict(form.fields)
    purpose = checked_purpose(fields.pop("purpose", None))
    anchor, seconds = fields.pop("expires_after[anchor]", None), fields.pop("expires_after[seconds]", None)
    if fields:
        name = brief(min(fields), quote=False)
        raise invalid(f"Unrecognized request argument supplied: {name}", param=name, code="unknown_parameter")
    expires_at = None if anchor is seconds is None else int(now) + _keep_s(anchor, seconds)
    return FileRow(
        id=file_id,
        tenant=tenant,
        created_at=now,
        due=expires_at,
        bytes=form.size,
        filename=form.filename or "",
        purpose=purpose,
        expires_at=expires_at,
    )


def _keep_s(anchor: str | None, seconds: str | None) -> int:
    if anchor != "created_at":
        raise invalid("expires_after[anchor] is not 'created_at'.", param="expires_after")
    number = int(seconds) if seconds and seconds.isascii() and seconds.isdigit() and len(seconds) < 10 else 0
    if not KEEP_S[0] <= number <= KEEP_S[1]:
        raise invalid(
            f"expires_after[seconds] is not between {KEEP_S[0]} and {KEEP_S[1]}.", param="expires_after"
        )
    return number


ROUTES = [
    Route("/files", create, methods=["POST"]),
    Route("/files", index, methods=["GET"]),
    Route("/files/{file_id}", retrieve, methods=["GET"]),
    Route("/files/{file_id}", delete, methods=["DELETE"]),
    Route("/files/{file_id}/content", content, methods=["GET"]),
]
