"""Routes of /files. Knows how a file is shown and kept; not what is trained on it."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from tunekit.data.wording import brief
from tunekit.errors import NotFoundError
from tunekit.server.forms import Form, read_form
from tunekit.server.ledger import field_is
from tunekit.server.problems import invalid, refused
from tunekit.server.reading import newest_first, whole_number
from tunekit.server.rows import FileRow, new_id
from tunekit.server.service import Service, blocking, listed, service_of, tenant_of

PURPOSES = ("assistants", "batch", "fine-tune", "vision", "user_data", "evals")
KEEP_S = (3600, 2_592_000)
"""Shortest and longest `expires_after`, in seconds."""


async def create(request: Request) -> Response:
    """Take a file."""
    service, tenant = service_of(request), tenant_of(request)
    await require_room(service, tenant, 0)
    file_id = new_id("file-")
    async with service.disk.arriving(file_id) as into:
        form = await read_form(request, "file", into, limit=service.limits.file_bytes)
        row = _row(form, file_id, tenant, service.now())
        await require_room(service, tenant, form.size)
    await blocking(service.ledger.add, row)
    return JSONResponse(shown(row))


async def index(request: Request) -> Response:
    """A page of files."""
    service = service_of(request)
    purpose = request.query_params.get("purpose")
    page = await blocking(
        service.ledger.page,
        FileRow,
        tenant=tenant_of(request),
        after=request.query_params.get("after"),
        limit=whole_number(request, "limit", 10_000, most=10_000),
        newest_first=newest_first(request),
        where=[field_is("purpose", purpose)] if purpose is not None else [],
    )
    return JSONResponse(listed([shown(row) for row in page.rows], has_more=page.has_more))


async def retrieve(request: Request) -> Response:
    """One file."""
    return JSONResponse(shown(await _file(request)))


async def content(request: Request) -> Response:
    """The bytes of a file."""
    row = await _file(request)
    path = service_of(request).disk.path(row.id)
    if not await blocking(path.is_file):
        raise NotFoundError(f"file {row.id!r} is gone", hint="upload it again")
    return FileResponse(path, media_type="application/octet-stream", filename=row.filename)


async def delete(request: Request) -> Response:
    """Remove a file."""
    service, row = service_of(request), await _file(request)
    await blocking(forget, service, row)
    return JSONResponse({"id": row.id, "object": "file", "deleted": True})


def forget(service: Service, row: FileRow) -> None:
    """Remove a file. The row goes first: bytes without a row are swept up, a row without bytes would be a lie."""
    service.ledger.remove(row)
    service.disk.remove(row.id)


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
    """Refuse what would take a tenant over its share of the disk."""
    most = service.limits.tenant_bytes
    if await blocking(service.ledger.total_bytes, tenant) + size > most:
        raise refused(
            403, f"Your files may take {most} bytes together; delete some.", code="storage_quota_exceeded"
        )


async def _file(request: Request) -> FileRow:
    return await blocking(
        service_of(request).ledger.get, FileRow, request.path_params["file_id"], tenant=tenant_of(request)
    )


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
