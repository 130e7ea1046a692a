"""Routes of /batches: many questions in one file, answered in the background. Knows requests and rows; asks nobody."""

from __future__ import annotations

from functools import partial
from typing import Any, Literal

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tunekit.errors import ConflictError
from tunekit.server.ledger import NoRoomError, Room, Where
from tunekit.server.problems import invalid, refused
from tunekit.server.reading import Body, json_body, whole_number
from tunekit.server.recipes import Id, Metadata
from tunekit.server.rows import BatchRow, FileRow, new_id, shown_id
from tunekit.server.service import Service, blocking, listed, service_of, tenant_of
from tunekit.server.uploads import ExpiresAfter

_WINDOW, _WINDOW_S = "24h", 24 * 3600
_RETRIES = 5


class CreateBatch(Body):
    """The body of POST /batches."""

    input_file_id: Id
    endpoint: Literal["/v1/chat/completions", "/v1/completions", "/v1/embeddings"]
    completion_window: Literal["24h"]
    metadata: Metadata | None = None
    output_expires_after: ExpiresAfter | None = None


async def create(request: Request) -> Response:
    """Write a batch down. Its questions are read, and asked, in the background."""
    service, tenant = service_of(request), tenant_of(request)
    body = await json_body(request, CreateBatch, service.limits)
    await blocking(_require_input, service, tenant, body.input_file_id)
    now = service.now()
    row = BatchRow(
        id=new_id("batch_"),
        tenant=tenant,
        created_at=now,
        due=now,
        endpoint=body.endpoint,
        input_file_id=body.input_file_id,
        metadata=body.metadata,
        expires_at=int(now) + _WINDOW_S,
        keep_s=body.output_expires_after.seconds if body.output_expires_after is not None else None,
    )
    await blocking(_add, service, row)
    request.app.state.background.nudge()
    return JSONResponse(shown(row))


async def index(request: Request) -> Response:
    """A page of batches, the newest first."""
    page = await blocking(
        service_of(request).ledger.page,
        BatchRow,
        tenant=tenant_of(request),
        after=request.query_params.get("after"),
        limit=whole_number(request, "limit", 20, most=100),
    )
    body = listed([shown(row) for row in page.rows], has_more=page.has_more)
    # Of batches, as they are described, an empty list has no first and no last, and not ones that are null.
    return JSONResponse({name: value for name, value in body.items() if value is not None})


async def retrieve(request: Request) -> Response:
    """One batch."""
    return JSONResponse(shown(await _batch(request)))


async def cancel(request: Request) -> Response:
    """Ask no more questions. What is answered is kept."""
    service = service_of(request)
    for _ in range(_RETRIES):
        row = await _batch(request)
        if row.due is None:
            raise invalid(f"The batch has already {row.status}.", code="batch_already_ended")
        now = service.now()
        times = {**row.times, "cancelling_at": int(now)}
        try:
            row = await blocking(
                partial(service.ledger.change, row, status="cancelling", times=times, due=now)
            )
        except ConflictError:
            continue  # an answer was counted
        request.app.state.background.nudge()
        return JSONResponse(shown(row))
    raise ConflictError("the batch changes too fast to be cancelled", hint="try again in a moment")


def shown(row: BatchRow) -> dict[str, Any]:
    """A batch on the wire."""
    body: dict[str, Any] = {
        "id": row.id,
        "object": "batch",
        "endpoint": row.endpoint,
        "input_file_id": row.input_file_id,
        "completion_window": _WINDOW,
        "status": row.status,
        "output_file_id": row.output_file_id or None,
        "error_file_id": row.error_file_id or None,
        "created_at": int(row.created_at),
        "expires_at": row.expires_at,
        **row.times,
        "request_counts": {"total": row.total, "completed": row.completed, "failed": row.failed},
        "metadata": row.metadata,
    }
    if row.problem:
        error = {"code": "invalid_input_file", "message": row.problem, "param": None, "line": None}
        body["errors"] = {"object": "list", "data": [error]}
    return {name: value for name, value in body.items() if value is not None or name == "metadata"}


async def _batch(request: Request) -> BatchRow:
    return await blocking(
        service_of(request).ledger.get, BatchRow, request.path_params["batch_id"], tenant=tenant_of(request)
    )


def _require_input(service: Service, tenant: str, file_id: str) -> None:
    row = service.ledger.find(FileRow, file_id)
    if row is None or row.tenant != tenant:
        raise invalid(
            f"The file {shown_id(file_id)} does not exist.", param="input_file_id", code="file_not_found"
        )
    if row.purpose != "batch":
        raise invalid(
            f"The purpose of {shown_id(file_id)} is not 'batch'.", param="input_file_id", code="invalid_file"
        )


def _add(service: Service, row: BatchRow) -> None:
    most = service.limits.tenant_batches
    try:
        service.ledger.add(row, room=Room(most=most, where=Where("due IS NOT NULL", ())))
    except NoRoomError:
        raise refused(429, f"You have {most} batches that wait or run.", code="rate_limit_exceeded") from None


ROUTES = [
    Route("/batches", create, methods=["POST"]),
    Route("/batches", index, methods=["GET"]),
    Route("/batches/{batch_id}", retrieve, methods=["GET"]),
    Route("/batches/{batch_id}/cancel", cancel, methods=["POST"]),
]
