"""What a finished, or doubtful, job means for the caller: a model, or a typed error. Pure functions; no I/O."""

from __future__ import annotations

from dataclasses import replace

from tunekit._canonical import plain_facts
from tunekit.backends.base import Failure, Snapshot
from tunekit.errors import (
    BackendError,
    JobCancelledError,
    JobFailedError,
    NotFoundError,
    UnknownOutcomeError,
)
from tunekit.events import JobState
from tunekit.records import OVER_BUDGET, JobError, RunRecord
from tunekit.refs import JobRef, ModelRef


def model_of(ref: JobRef, snapshot: Snapshot) -> ModelRef:
    """The tuned model of a job that has ended.

    Raises:
        JobFailedError: It failed.
        JobCancelledError: It was cancelled.
        BackendError: It succeeded, and the backend does not name a model.
    """
    if snapshot.state is JobState.CANCELLED:
        reason = snapshot.failure or Failure(message="")
        raise JobCancelledError(
            f"job {str(ref)!r} was cancelled{f': {reason.message}' if reason.message else ''}",
            hint=reason.hint or "submit it again to start a new attempt",
            backend=ref.backend,
        )
    if snapshot.state is JobState.FAILED:
        failure = snapshot.failure or Failure(message="the backend gave no reason")
        raise JobFailedError(
            f"job {str(ref)!r} failed: {failure.message}",
            hint=failure.hint or "look at the job's events for what came before",
            backend=ref.backend,
            retryable=failure.retryable,
            details={**failure.details, "code": failure.code},
        )
    if not snapshot.model:
        raise BackendError(
            f"job {str(ref)!r} succeeded, but the backend names no model",
            hint="look at `job.snapshot().raw`",
            backend=ref.backend,
        )
    return ModelRef.of(ref.backend, snapshot.model)


def unknown_outcome(record: RunRecord) -> UnknownOutcomeError:
    """What to say about a run that the backend may or may not have accepted."""
    cause = f" ({record.error.message})" if record.error else ""
    return UnknownOutcomeError(
        f"nobody knows whether backend {record.backend!r} accepted run {record.run_id!r}{cause}",
        hint=(
            "submitting the same spec and data again, or FineTuneJob.attach, looks the job up once more and never"
            f" sends it blindly; if you find it at the backend, tagged {record.run_id!r}, attach to it by its own id;"
            " if it is certainly not there, submit with another spec.seed"
        ),
        backend=record.backend,
        details={"run_id": record.run_id},
    )


def snapshot_of(record: RunRecord) -> Snapshot:
    """Where a job stands as far as the store knows."""
    return Snapshot(
        job_id=record.job_id,
        state=record.state,
        model=record.tuned_model or None,
        failure=_failure(record.error),
    )


def of_accepted(snapshot: Snapshot) -> Snapshot:
    """The snapshot as core reads it: a job that the backend shows has been accepted, whatever it calls its state.

    The states of a submission are core's own. Taken from a backend, they would send an accepted job again.
    """
    if snapshot.state in (JobState.CREATED, JobState.SUBMITTING):
        return replace(snapshot, state=JobState.QUEUED)
    if snapshot.state is JobState.UNKNOWN:
        return replace(snapshot, state=JobState.RUNNING)
    return snapshot


def strange_state(snapshot: Snapshot) -> str:
    """What to say of a job whose state only its backend knows."""
    return f"the backend calls the job {snapshot.unknown_state!r}, which tunekit does not know and takes for running"


def lost(record: RunRecord, *, now: float) -> RunRecord:
    """The record of a job that its backend no longer knows: closed, so that a new attempt may begin."""
    error = JobError(
        message=f"the backend no longer knows job {record.job_id!r}, last seen {record.state}",
        hint="submit the same spec and data again: that is a new attempt",
        code=NotFoundError.code,
        retryable=True,
        details={"job_id": record.job_id, "state": str(record.state)},
    )
    return record.model_copy(update={"state": JobState.FAILED, "error": error, "updated_at": now})


def stopped(record: RunRecord, why: str, *, now: float) -> RunRecord:
    """The record of a job that was cancelled because its budget is used up. How it ends, its backend says."""
    error = JobError(
        message=why,
        hint="raise the budget, or train on fewer rows or epochs; that is a new attempt",
        code=OVER_BUDGET,
    )
    return record.model_copy(update={"error": error, "updated_at": now})


def unstoppable(record: RunRecord, why: str, refusal: str, *, now: float) -> RunRecord:
    """The record of a job that is over its budget and cannot be cancelled. It does not count as told to stop."""
    error = JobError(
        message=f"{why}, and the backend does not cancel it: {refusal}",
        hint="cancel it at the backend by hand",
        code="over-budget-and-running",
    )
    return record.model_copy(update={"error": error, "updated_at": now})


def with_reason(snapshot: Snapshot, record: RunRecord) -> Snapshot:
    """The snapshot of a cancelled job with what it was cancelled for, where that was the budget."""
    if snapshot.state is not JobState.CANCELLED or snapshot.failure or not record.is_over_budget:
        return snapshot
    return replace(snapshot, failure=_failure(record.error))


def progressed(record: RunRecord, snapshot: Snapshot, *, now: float) -> RunRecord:
    """The record with what a snapshot adds. An end, once stored, stays."""
    if record.state.is_terminal or snapshot.state is record.state:
        return record
    return record.model_copy(
        update={
            "state": snapshot.state,
            "tuned_model": snapshot.model or "",
            "error": _error(with_reason(snapshot, record).failure),
            "updated_at": now,
        }
    )


def _error(failure: Failure | None) -> JobError | None:
    if failure is None:
        return None
    return JobError(
        message=failure.message,
        hint=failure.hint,
        code=failure.code,
        retryable=failure.retryable,
        details=plain_facts(failure.details),
    )


def _failure(error: JobError | None) -> Failure | None:
    if error is None:
        return None
    return Failure(
        message=error.message,
        hint=error.hint,
        code=error.code,
        retryable=error.retryable,
        details=error.details,
    )
