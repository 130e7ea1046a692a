"""Routes of /uploads: large files in parts, which arrive in any order and become one. Knows parts, sums and expiry."""

from __future__ import annotations

import hashlib
import hmac
import math
from typing import Annotated, Any, Literal

from pydantic import Field
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tunekit.errors import ConflictError, StorageError
from tunekit.server import files
from tunekit.server.forms import read_form
from tunekit.server.ledger import NoRoomError, Room, Where, field_is
from tunekit.server.problems import invalid, refused
from tunekit.server.reading import Body, json_body
from tunekit.server.rows import FileRow, PartRow, UploadRow, new_id, shown_id
from tunekit.server.service import Service, blocking, service_of, tenant_of

_MAX_PARTS = 10_000


class ExpiresAfter(Body):
    """How long a file is kept."""

    anchor: Literal["created_at"]
    seconds: Annotated[int, Field(ge=files.KEEP_S[0], le=files.KEEP_S[1])]


class CreateUpload(Body):
    """The body of POST /uploads."""

    bytes: Annotated[int, Field(ge=1)]
    filename: Annotated[str, Field(min_length=1, max_length=255)]
    mime_type: Annotated[str, Field(max_length=255)]
    purpose: str
    expires_after: ExpiresAfter | None = None


class CompleteUpload(Body):
    """The body of POST /uploads/{upload_id}/complete."""

    part_ids: Annotated[
        list[Annotated[str, Field(max_length=64)]], Field(min_length=1, max_length=_MAX_PARTS)
    ]
    md5: Annotated[str, Field(max_length=64)] | None = None


async def create(request: Request) -> Response:
    """Begin an upload."""
    service, tenant = service_of(request), tenant_of(request)
    body = await json_body(request, CreateUpload, service.limits)
    files.checked_purpose(body.purpose)
    if body.bytes > service.limits.upload_bytes:
        raise invalid(f"The file is larger than {service.limits.upload_bytes} bytes.", param="bytes")
    await files.require_room(service, tenant, body.bytes)
    now = service.now()
    expires_at = math.ceil(now) + service.limits.upload_s
    row = UploadRow(
        id=new_id("upload_"),
        tenant=tenant,
        created_at=now,
        due=expires_at,
        bytes=body.bytes,
        filename=body.filename.replace("\\", "/").rpartition("/")[2],
        purpose=body.purpose,
        expires_at=expires_at,
        keep_s=body.expires_after.seconds if body.expires_after is not None else None,
    )
    await blocking(_add, service, row)
    return JSONResponse(_shown(row, None))


async def add_part(request: Request) -> Response:
    """Take a part."""
    service, upload = service_of(request), await _pending(request)
    part_id = new_id("part_")
    most = min(service.limits.part_bytes, upload.bytes)
    async with files.room_for(request, most):
        async with service.disk.arriving(part_id) as into:
            form = await read_form(request, "data", into, limit=most, limits=service.limits)
            if not form.size:
                raise invalid("The part is empty.", param="data")
        now = service.now()
        row = PartRow(id=part_id, tenant=upload.tenant, parent=upload.id, created_at=now, bytes=form.size)
        await blocking(_add_part, service, row)
    body = {"id": row.id, "object": "upload.part", "created_at": int(row.created_at), "upload_id": upload.id}
    return JSONResponse(body)


async def complete(request: Request) -> Response:
    """Make one file of the parts."""
    service = service_of(request)
    body = await json_body(request, CompleteUpload, service.limits)
    upload = await _pending(request, or_completed=True)
    if upload.status == "pending":
        upload = await service.slowly(f"files of {upload.tenant}", _complete, service, upload, body)
    file = await blocking(service.ledger.find, FileRow, upload.file_id)
    return JSONResponse(_shown(upload, file))


async def cancel(request: Request) -> Response:
    """Give an upload up."""
    service, upload = service_of(request), await _pending(request)
    changed = await blocking(lambda: service.ledger.change(upload, status="cancelled", due=service.now()))
    request.app.state.background.nudge()
    return JSONResponse(_shown(changed, None))


def _add(service: Service, row: UploadRow) -> None:
    most = service.limits.tenant_uploads
    try:
        service.ledger.add(row, room=Room(most=most, where=field_is("status", "pending")))
    except NoRoomError:
        raise refused(
            429, f"You have {most} open uploads; complete or cancel one.", code="rate_limit_exceeded"
        ) from None


def _add_part(service: Service, row: PartRow) -> None:
    try:
        service.ledger.add(row, room=Room(most=_MAX_PARTS, where=Where("parent = ?", (row.parent,))))
    except NoRoomError:
        service.disk.remove(row.id)
        raise invalid(f"An upload has at most {_MAX_PARTS} parts.", param="data") from None


def _complete(service: Service, upload: UploadRow, body: CompleteUpload) -> UploadRow:
    """Join the parts. The upload changes and the file appears in one transaction, so doing it twice makes one file."""
    total = _require_parts(service, upload, body)
    now, file_id = service.now(), new_id("file-")  # of this attempt alone: no other one can harm its bytes
    file = FileRow(
        id=file_id,
        tenant=upload.tenant,
        created_at=now,
        due=now + upload.keep_s if upload.keep_s is not None else None,
        bytes=total,
        filename=upload.filename,
        purpose=upload.purpose,
        expires_at=int(now) + upload.keep_s if upload.keep_s is not None else None,
    )
    try:
        _join(service, upload, body, file_id)
        files.require_plain(service, file_id, upload.purpose)
        # Due at once: its parts can go.
        return service.ledger.change(upload, file, status="completed", file_id=file_id, due=now)
    except (ConflictError, HTTPException):
        service.disk.remove(file_id)
        raise


def _require_parts(service: Service, upload: UploadRow, body: CompleteUpload) -> int:
    """Bytes of the parts together, which are those that were announced."""
    left = {part.id: part.bytes for part in service.ledger.all(PartRow, parent=upload.id)}
    known, total = frozenset(left), 0
    for part_id in body.part_ids:
        if part_id not in left:
            said = "stands there twice" if part_id in known else "is no part of this upload"
            raise invalid(f"{shown_id(part_id)} {said}.", param="part_ids")
        total += left.pop(part_id)
    if total != upload.bytes:
        raise invalid(f"The parts have {total} bytes, and {upload.bytes} were announced.", param="part_ids")
    return total


def _join(service: Service, upload: UploadRow, body: CompleteUpload, file_id: str) -> None:
    checksum = hashlib.md5(usedforsecurity=False)
    try:
        service.disk.join(file_id, body.part_ids, checksum.update)
    except StorageError:
        if service.ledger.find(UploadRow, upload.id) != upload:
            raise ConflictError(
                f"upload {upload.id!r} was changed by somebody else", hint="complete it again to see its file"
            ) from None
        raise
    if body.md5 is not None and not hmac.compare_digest(
        body.md5.lower().encode(), checksum.hexdigest().encode()
    ):
        raise invalid("The MD5 of the parts is another one.", param="md5", code="checksum_mismatch")


async def _pending(request: Request, *, or_completed: bool = False) -> UploadRow:
    service = service_of(request)
    row = await blocking(
        service.ledger.get, UploadRow, request.path_params["upload_id"], tenant=tenant_of(request)
    )
    if row.status == "completed" and or_completed:
        return row
    if row.status != "pending" or row.expires_at <= service.now():
        state = row.status if row.status != "pending" else "expired"
        raise ConflictError(f"upload {row.id!r} is {state}", hint="create another one")
    return row


def _shown(row: UploadRow, file: FileRow | None) -> dict[str, Any]:
    return {
        "id": row.id,
        "object": "upload",
        "bytes": row.bytes,
        "created_at": int(row.created_at),
        "filename": row.filename,
        "purpose": row.purpose,
        "status": row.status,
        "expires_at": row.expires_at,
        "file": files.shown(file) if file is not None else None,
    }


ROUTES = [
    Route("/uploads", create, methods=["POST"]),
    Route("/uploads/{upload_id}/parts", add_part, methods=["POST"]),
    Route("/uploads/{upload_id}/complete", complete, methods=["POST"]),
    Route("/uploads/{upload_id}/cancel", cancel, methods=["POST"]),
]
