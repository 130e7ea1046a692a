"""Routes of /models: the base models that are served, and a tenant's own tuned ones."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tunekit.errors import ConflictError
from tunekit.server import shapes
from tunekit.server.ledger import field_is
from tunekit.server.problems import refused
from tunekit.server.rows import JobRow, ModelRow
from tunekit.server.service import Service, blocking, service_of, tenant_of

_OWNER = "tunekit"
_MOST = 10_000
_RETRIES = 5


async def index(request: Request) -> Response:
    """All models that the caller may use."""
    service, tenant = service_of(request), tenant_of(request)
    page = await blocking(
        service.ledger.page,
        ModelRow,
        tenant=tenant,
        limit=_MOST,
        where=[field_is("is_checkpoint", 0), field_is("deleted", 0)],
    )
    base = [shapes.model(name, _OWNER, 0) for name in service.served]
    tuned = [shapes.model(row.id, row.tenant, row.created_at) for row in page.rows]
    return JSONResponse({"object": "list", "data": [*base, *tuned]})


async def retrieve(request: Request) -> Response:
    """One model."""
    service, name = service_of(request), request.path_params["model"]
    row = await blocking(service.tuned, name, tenant_of(request))
    if row is not None:
        return JSONResponse(shapes.model(row.id, row.tenant, row.created_at))
    service.base(name)
    return JSONResponse(shapes.model(name, _OWNER, 0))


async def delete(request: Request) -> Response:
    """Remove a tuned model."""
    service, tenant, name = service_of(request), tenant_of(request), request.path_params["model"]
    if await blocking(service.tuned, name, tenant) is None:
        service.base(name)
        raise refused(403, "A base model is not yours to delete.", code="model_not_deletable")
    await blocking(_delete, service, tenant, name)
    request.app.state.background.nudge()
    return JSONResponse({"id": name, "object": "model", "deleted": True})


def _delete(service: Service, tenant: str, name: str) -> None:
    """Hide the model at once; what it left at its backend goes in the background. Twice at once is as good as once."""
    for _ in range(_RETRIES):
        row = service.ledger.get(ModelRow, name, tenant=tenant)
        if row.deleted:
            return
        job = service.ledger.find(JobRow, row.parent)
        try:
            if job is not None and not row.is_checkpoint:
                service.ledger.change(job, model_deleted=True)
            service.ledger.change(row, deleted=True, due=service.now())
        except ConflictError:
            continue
        return
    raise ConflictError(f"model {name!r} changes too fast to be deleted", hint="try again in a moment")


ROUTES = [
    Route("/models", index, methods=["GET"]),
    Route("/models/{model:path}", retrieve, methods=["GET"]),
    Route("/models/{model:path}", delete, methods=["DELETE"]),
]
