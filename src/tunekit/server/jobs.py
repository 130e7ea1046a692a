"""Routes of /fine_tuning/jobs. Knows requests and rows; what happens to a job in between is not its business."""

from __future__ import annotations

import hashlib
import json

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tunekit.data.wording import brief
from tunekit.errors import ConflictError, UnsupportedError
from tunekit.events import JobState
from tunekit.refs import Target
from tunekit.server import following, holding, recipes, shapes
from tunekit.server.ledger import NoRoomError, Room, Where, entry_is, field_is
from tunekit.server.problems import invalid, refused, unsupported
from tunekit.server.reading import json_body, whole_number
from tunekit.server.rows import EventRow, FileRow, JobRow, ModelRow, id_of, shown_id
from tunekit.server.service import Served, Service, blocking, listed, service_of, tenant_of
from tunekit.server.telling import UnknownHereError

_MAX_LIMIT = 100
_RETRIES = 5


async def create(request: Request) -> Response:
    """Write the job down. Files are read, and the run is submitted, in the background."""
    service, tenant = service_of(request), tenant_of(request)
    body = await json_body(request, recipes.CreateJob, service.limits)
    served, target = await blocking(_base, service, body, tenant)
    backend = await blocking(service.backend, target.backend)
    await blocking(recipes.require_sense, body, served, backend.capabilities, service.limits)
    await blocking(_require_files, service, body, tenant)
    key = _fingerprint(body, request.headers.get("idempotency-key", ""))
    row = await blocking(_claim, service, body, tenant, target, key)
    request.app.state.background.nudge()
    return JSONResponse(shapes.job(row))


async def index(request: Request) -> Response:
    """A page of jobs, the newest first."""
    page = await blocking(
        service_of(request).ledger.page,
        JobRow,
        tenant=tenant_of(request),
        after=request.query_params.get("after"),
        limit=whole_number(request, "limit", 20, most=_MAX_LIMIT),
        where=_metadata_filter(request),
    )
    return JSONResponse(listed([shapes.job(row) for row in page.rows], has_more=page.has_more))


async def retrieve(request: Request) -> Response:
    """One job, as it was last seen."""
    return JSONResponse(shapes.job(await _job(request)))


async def cancel(request: Request) -> Response:
    """Stop a job: at once while nothing was sent, else as soon as its backend does."""
    service, row = service_of(request), await _job(request)
    while row.is_before_its_run and not row.run_id:
        try:
            return JSONResponse(shapes.job(await following.cancelled(service, row)))
        except ConflictError:
            row = await _job(request)  # it has just come further
    return await _change(request, row, "cancel")


async def pause(request: Request) -> Response:
    """Stop a job where it can go on; one that has not begun waits here until it is resumed."""
    row = await _job(request)
    while row.phase in ("validating", "held"):
        try:
            return JSONResponse(shapes.job(await blocking(_stand_still, service_of(request), row)))
        except ConflictError:
            row = await _job(request)  # it has just come further
    return await _change(request, row, "pause")


async def resume(request: Request) -> Response:
    """Let a paused job go on."""
    row = await _job(request)
    if row.state is not JobState.PAUSED:
        raise invalid(f"The job is not paused; it is {shapes.status(row)}.", code="job_not_paused")
    if row.is_before_its_run:
        row = await blocking(lambda: service_of(request).ledger.change(row, state=JobState.QUEUED))
        request.app.state.background.nudge()
        return JSONResponse(shapes.job(row))
    row = await blocking(_with_place, service_of(request), row)
    return await _change(request, row, "resume")


async def events(request: Request) -> Response:
    """A page of events, the newest first."""
    row = await _job(request)
    page = await blocking(
        service_of(request).ledger.page,
        EventRow,
        tenant=row.tenant,
        parent=row.id,
        after=request.query_params.get("after"),
        limit=whole_number(request, "limit", 20, most=1000),
    )
    return JSONResponse(listed([item.body for item in page.rows], has_more=page.has_more))


async def checkpoints(request: Request) -> Response:
    """Models of a job, the newest first; the first of all is the tuned model itself."""
    row, after = await _job(request), request.query_params.get("after")
    limit = whole_number(request, "limit", 10, most=_MAX_LIMIT)
    models = [item for item in await _models(request, row) if not item.deleted]
    data = [shapes.checkpoint(item) for item in sorted(models, key=_by_step, reverse=True)]
    ids = [item["id"] for item in data]
    if after is not None and after not in ids:
        raise UnknownHereError(
            f"no checkpoint {shown_id(after)} to go on after", hint="pass the id of the last one seen"
        )
    rest = data[ids.index(after) + 1 :] if after is not None else data
    return JSONResponse(listed(rest[:limit], has_more=len(rest) > limit))


def _stand_still(service: Service, row: JobRow) -> JobRow:
    return service.ledger.change(row, state=JobState.PAUSED)


async def _models(request: Request, row: JobRow) -> list[ModelRow]:
    return await blocking(service_of(request).ledger.all, ModelRow, parent=row.id)


def _by_step(row: ModelRow) -> tuple[int, bool]:
    return row.step, not row.is_checkpoint


async def _job(request: Request) -> JobRow:
    return await blocking(
        service_of(request).ledger.get, JobRow, request.path_params["job_id"], tenant=tenant_of(request)
    )


async def _change(request: Request, row: JobRow, verb: str) -> Response:
    """Ask the backend, then look: what the answer shows is what the backend says."""
    service = service_of(request)
    if row.phase == "ended":
        raise invalid(f"The job has already {shapes.status(row)}.", code="job_already_ended")
    if row.is_before_its_run:
        raise refused(409, "The job is just being handed in; try again in a moment.", code="job_not_ready")
    job = await following.attached(service, row)
    verbs = {"cancel": job.cancel_async, "pause": job.pause_async, "resume": job.resume_async}
    try:
        await verbs[verb]()
    except UnsupportedError as error:
        raise unsupported(verb, error.message) from None
    for _ in range(_RETRIES):
        try:
            row = await following.follow(service, row)
            break
        except ConflictError:
            row = await _job(request)
            if row.phase == "ended":
                break
    return JSONResponse(shapes.job(row))


def _with_place(service: Service, row: JobRow) -> JobRow:
    """The job with a place at its backend again; if it stays paused, the next look at it gives that back."""
    try:
        return holding.retake(service, row)
    except NoRoomError:
        raise refused(
            429,
            f"You have {service.limits.backend_jobs} jobs at its backend; resume it when one of them has ended.",
            code="rate_limit_exceeded",
        ) from None


def _base(service: Service, body: recipes.CreateJob, tenant: str) -> tuple[Served, Target]:
    """The base model of a request, which may name a tuned model to go on from."""
    tuned = service.tuned(body.model, tenant)
    if tuned is not None:
        return service.base(tuned.base), Target(tuned.target)
    served = service.base(body.model)
    if not served.trainable:
        raise invalid(
            f"The model {brief(body.model)} is not available for fine-tuning.",
            param="model",
            code="model_not_available",
        )
    return served, Target(served.target)


def _require_files(service: Service, body: recipes.CreateJob, tenant: str) -> None:
    for param, file_id in (("training_file", body.training_file), ("validation_file", body.validation_file)):
        if file_id is None:
            continue
        row = service.ledger.find(FileRow, file_id)
        if row is None or row.tenant != tenant:
            raise invalid(f"The file {shown_id(file_id)} does not exist.", param=param, code="file_not_found")
        if row.purpose != "fine-tune":
            raise invalid(
                f"The purpose of {shown_id(file_id)} is not 'fine-tune'.", param=param, code="invalid_file"
            )


def _fingerprint(body: recipes.CreateJob, idempotency_key: str) -> str:
    """What makes two requests the same: clients send one again when its answer was lost."""
    said = json.dumps([body.model_dump(mode="json"), idempotency_key], sort_keys=True)
    return hashlib.sha256(said.encode()).hexdigest()


def _claim(service: Service, body: recipes.CreateJob, tenant: str, target: Target, key: str) -> JobRow:
    """The job that stands for a request, or a new one: there is none, it failed, or its model was deleted."""
    for _ in range(_RETRIES):
        latest = _latest(service, tenant, key)
        if latest is not None and not _is_over(latest):
            return latest
        row = _new_job(service, body, tenant, target, key, 1 if latest is None else latest.attempt + 1)
        said = [
            shapes.notice_row(row, 0, row.created_at, f"Created fine-tuning job: {row.id}"),
            shapes.notice_row(row, 1, row.created_at, f"Validating training file: {body.training_file}"),
        ]
        if _added(service, row, said):
            return row
    raise ConflictError("the same request is being made over and over", hint="try again in a moment")


def _latest(service: Service, tenant: str, key: str) -> JobRow | None:
    page = service.ledger.page(JobRow, tenant=tenant, parent=key, limit=1)
    return page.rows[0] if page.rows else None


def _is_over(row: JobRow) -> bool:
    failed = row.state in (JobState.FAILED, JobState.CANCELLED)
    return row.phase == "ended" and (failed or row.model_deleted)


def _added(service: Service, row: JobRow, said: list[EventRow]) -> bool:
    """Whether the job is written down; it is not if the same request has made it meanwhile."""
    most = service.limits.tenant_jobs
    going_on = Where("json_extract(body, '$.phase') != ?", ("ended",))
    try:
        return service.ledger.add(row, *said, room=Room(most=most, where=going_on))
    except NoRoomError:
        raise refused(
            429, f"You have {most} jobs that wait or run; wait for one of them.", code="rate_limit_exceeded"
        ) from None


def _new_job(
    service: Service, body: recipes.CreateJob, tenant: str, target: Target, key: str, attempt: int
) -> JobRow:
    now = service.now()
    return JobRow(
        id=id_of("ftjob-", tenant, key, attempt),
        tenant=tenant,
        parent=key,
        created_at=now,
        due=now,
        attempt=attempt,
        request=body.model_dump(mode="json", exclude_none=True),
        metadata=body.metadata,
        target=target,
        events=2,
    )


def _metadata_filter(request: Request) -> list[Where]:
    found = []
    for name, value in request.query_params.multi_items():
        if name == "metadata" and value == "null":
            found.append(field_is("metadata", None))
        elif name.startswith("metadata[") and name.endswith("]"):
            found.append(entry_is("metadata", name[len("metadata[") : -1], value))
    if len(found) > recipes.MAX_PAIRS:
        raise invalid(f"More than {recipes.MAX_PAIRS} pairs of metadata.", param="metadata")
    return found


ROUTES = [
    Route("/fine_tuning/jobs", create, methods=["POST"]),
    Route("/fine_tuning/jobs", index, methods=["GET"]),
    Route("/fine_tuning/jobs/{job_id}", retrieve, methods=["GET"]),
    Route("/fine_tuning/jobs/{job_id}/cancel", cancel, methods=["POST"]),
    Route("/fine_tuning/jobs/{job_id}/pause", pause, methods=["POST"]),
    Route("/fine_tuning/jobs/{job_id}/resume", resume, methods=["POST"]),
    Route("/fine_tuning/jobs/{job_id}/events", events, methods=["GET"]),
    Route("/fine_tuning/jobs/{job_id}/checkpoints", checkpoints, methods=["GET"]),
]
