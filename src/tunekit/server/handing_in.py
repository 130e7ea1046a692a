"""From a job's files to its run, once, whatever is killed on the way. Knows files, recipes and `FineTuneJob`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tunekit.backends.capabilities import preflight
from tunekit.data.wording import brief
from tunekit.errors import DataError, JobCancelledError, NotFoundError, TunekitError
from tunekit.jobs.job import FineTuneJob
from tunekit.records import JobError, RunRecord
from tunekit.refs import Target
from tunekit.server import files, recipes, shapes
from tunekit.server.apart import Apart
from tunekit.server.rows import JobRow
from tunekit.server.service import Service, blocking
from tunekit.server.telling import BAD_FILE_CODES
from tunekit.spec import TuneSpec

if TYPE_CHECKING:
    from tunekit.data.dataset import Dataset


class BadFile(DataError):
    """A file of a job that cannot be trained on.

    Args:
        message: What was wrong, without paths of this machine.
        param: Which parameter named the file.
        hint: What to do about it.
    """

    def __init__(self, message: str, *, param: str, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.param = param


async def look_through(service: Service, row: JobRow) -> None:
    """Read the job's files and hold them against what its backend can do, before it waits for a place there.

    Raises:
        BadFile: A file is gone or cannot be read as examples.
        TunekitError: The backend would refuse them for certain.
    """
    body = recipes.CreateJob.model_validate(row.request)
    spec = await blocking(_spec, service, row, body)
    train, validation = await _datasets(service, row, body)
    backend, today = Target(row.target).backend, datetime.fromtimestamp(service.now(), tz=UTC).date()
    capabilities = service.backend(backend).capabilities
    await service.slowly(
        _lane(row), lambda: preflight(spec, train, validation, capabilities, backend=backend, today=today)
    )


async def hand_in(service: Service, row: JobRow) -> RunRecord:
    """Read the job's files and submit it, or find out what became of a submission that was begun.

    The caller holds the lease of this job. The run's id is in the row before anything is sent.

    Raises:
        BadFile: A file is gone or cannot be read as examples.
        ConflictError: The job was cancelled, or changed by somebody else, before anything was sent.
        TunekitError: The backend refused.
    """
    if begun := await blocking(_closed_run, service, row):
        return begun
    body = recipes.CreateJob.model_validate(row.request)
    spec = await blocking(_spec, service, row, body)
    train, validation = await _datasets(service, row, body)
    target = Target(row.target)

    async def announce(run_id: str) -> None:
        await blocking(_announce, service, row.id, run_id, _has_pairs(train))

    job = await FineTuneJob.submit_async(
        train,
        target,
        spec,
        validation=validation,
        backend=Apart(service.backend(target.backend), row.id, announce),
        store=service.store,
        settings=service.settings,
    )
    assert job.record is not None, "a job that was submitted has a record"
    return job.record


def error_of(error: TunekitError) -> tuple[JobError, str | None]:
    """What a job keeps of the error that it failed with, and which parameter was to blame."""
    param = error.param if isinstance(error, BadFile) else None
    kept = JobError(
        message=error.message[:2000],
        hint=error.hint,
        code=error.code if param is None else BAD_FILE_CODES[param],
        retryable=error.retryable,
        details={"status": error.details["status"]} if "status" in error.details else {},
    )
    return kept, param


def _has_pairs(train: Dataset) -> bool:
    """Whether prompts are plain texts, so that the tuned model is to be asked with such as it was trained on."""
    return any(isinstance(getattr(example, "prompt", None), str) for example in train)


def _announce(service: Service, job_id: str, run_id: str, has_pairs: bool) -> None:
    """Write the run's id into the job's row, unless the job was cancelled before; the one excludes the other."""
    row = service.ledger.find(JobRow, job_id)
    if row is None or row.phase != "starting":
        raise JobCancelledError(f"job {job_id!r} was cancelled", hint="create it again")
    service.ledger.change(row, run_id=run_id, has_pairs=has_pairs)


def _closed_run(service: Service, row: JobRow) -> RunRecord | None:
    """The run of a submission that was begun before, if it has failed since: sending it again would be another one."""
    if not row.run_id:
        return None
    try:
        record = service.store.get(row.run_id)
    except NotFoundError:
        return None
    return record if record.is_closed and record.job_id else None


def _spec(service: Service, row: JobRow, body: recipes.CreateJob) -> TuneSpec:
    tuned = service.tuned(body.model, row.tenant)
    served = service.base(tuned.base if tuned is not None else body.model)
    return recipes.spec_of(
        body, served, warm_start=tuned.ref if tuned is not None else None, seed=shapes.seed_of(row.id)
    )


async def _datasets(service: Service, row: JobRow, body: recipes.CreateJob) -> tuple[Dataset, Dataset | None]:
    """What to train on, and what to look at on the way."""
    train = await service.slowly(_lane(row), _dataset, service, row, body.training_file, "training_file")
    if body.validation_file is None:
        return train, None
    validation = await service.slowly(
        _lane(row), _dataset, service, row, body.validation_file, "validation_file"
    )
    return train, validation


def _lane(row: JobRow) -> str:
    return f"files of {row.tenant}"


def _dataset(service: Service, row: JobRow, file_id: str, param: str) -> Dataset:
    """The examples in a file. Errors name it as its owner does, and not where it lies here."""
    from tunekit.data.dataset import Dataset

    name = file_id
    try:
        file = files.found(service, file_id, row.tenant)
        name = file.filename or file_id
        if packing := service.disk.packing(file.id):  # a little of it may be more than this machine can hold
            raise DataError(
                f"it is packed with {packing}", hint="unpack it and upload the JSON lines themselves"
            )
        return Dataset.load(service.disk.path(file.id), format="jsonl")
    except DataError as error:
        line = f" line {error.line}" if error.line is not None else ""
        field = f" {error.field}" if error.field is not None else ""
        said = error.message.replace(str(service.disk.path(file_id)), name)
        message = f"{brief(name)}{line}{field}: {said}"
        raise BadFile(message, param=param, hint=error.hint or "see the guide on preparing data") from error
    except NotFoundError as error:
        raise BadFile(error.message, param=param, hint=error.hint) from error
