"""From a job's files to its run, once, whatever is killed on the way. Knows files, recipes and `FineTuneJob`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tunekit.data.wording import brief
from tunekit.errors import DataError, JobCancelledError, NotFoundError, TunekitError
from tunekit.jobs.job import FineTuneJob
from tunekit.records import JobError, RunRecord
from tunekit.refs import Target
from tunekit.server import recipes, shapes
from tunekit.server.apart import Apart
from tunekit.server.rows import FileRow, JobRow
from tunekit.server.service import Service, blocking
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
    train = await service.slowly(_dataset, service, row, body.training_file, "training_file")
    validation = None
    if body.validation_file is not None:
        validation = await service.slowly(_dataset, service, row, body.validation_file, "validation_file")
    target = Target(row.target)

    async def announce(run_id: str) -> None:
        await blocking(_announce, service, row.id, run_id)

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
    """What a job says of the error that it failed with, and which parameter was to blame."""
    param = error.param if isinstance(error, BadFile) else None
    code = (
        "invalid_training_file"
        if param == "training_file"
        else "invalid_validation_file"
        if param
        else error.code
    )
    message = error.message[:2000]
    return JobError(message=message, hint=error.hint, code=code, retryable=error.retryable), param


def _announce(service: Service, job_id: str, run_id: str) -> None:
    """Write the run's id into the job's row, unless the job was cancelled before; the one excludes the other."""
    row = service.ledger.find(JobRow, job_id)
    if row is None or row.phase != "validating":
        raise JobCancelledError(f"job {job_id!r} was cancelled", hint="create it again")
    service.ledger.change(row, run_id=run_id)


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


def _dataset(service: Service, row: JobRow, file_id: str, param: str) -> Dataset:
    """The examples in a file. Errors name it as its owner does, and not where it lies here."""
    from tunekit.data.dataset import Dataset

    name = file_id
    try:
        file = service.ledger.get(FileRow, file_id, tenant=row.tenant)
        name = file.filename or file_id
        return Dataset.load(service.disk.path(file.id), format="jsonl")
    except DataError as error:
        line = f" line {error.line}" if error.line is not None else ""
        field = f" {error.field}" if error.field is not None else ""
        message = f"{brief(name)}{line}{field}: {error.message}"
        raise BadFile(message, param=param, hint=error.hint or "see the guide on preparing data") from error
    except NotFoundError as error:
        raise BadFile(error.message, param=param, hint=error.hint) from error
