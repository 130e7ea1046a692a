"""What is persisted about a run. Knows the schema and its version; not where records are kept.

Every record carries `schema_version`; an older one is upgraded on read by `tunekit.store.upgrade`.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, JsonValue

from tunekit.events import JobState

SCHEMA_VERSION = 2

OVER_BUDGET = "over-budget"
"""Code of the error of a job that was cancelled because its budget was used up."""


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class JobError(_Record):
    """Why a job failed, as stored.

    Attributes:
        message: What happened.
        hint: What to do about it.
        code: Stable code of the cause, where there is a more precise one.
        retryable: Whether the same submission may succeed later.
        details: Facts for programs.
    """

    message: str
    hint: str = ""
    code: str = "job-failed"
    retryable: bool = False
    details: dict[str, JsonValue] = {}


class RunRecord(_Record):
    """One submission: the intent, written before any money is spent, and what became of it.

    Attributes:
        run_id: tunekit's own name for the run, known before the backend answers.
        key: Idempotency key: hash of spec, data and target. One live run per key.
        attempt: 1 for the first submission of this key; a failed or cancelled one may be followed by another.
        backend: Name of the backend.
        place: `Backend.place` of the backend that it was handed to; "" where the name says it all, and in old records.
        model: Base model, as the backend calls it.
        spec: The `TuneSpec` as JSON.
        train_fingerprint: Fingerprint of the training data.
        validation_fingerprint: Fingerprint of the validation data, or "".
        state: Last state known.
        job_id: What the backend calls the job; "" until it has answered.
        tuned_model: What the backend calls the tuned model; "" until there is one.
        error: Why it failed.
        created_at: Unix seconds.
        updated_at: Unix seconds.
        version: Grows by one with every write; compare-and-set is on this.
        lease_token: Fencing token of the submission lease that last wrote; 0 for none.
    """

    schema_version: Literal[2] = 2
    run_id: str
    key: str
    attempt: int = 1
    backend: str
    place: str = ""
    model: str
    spec: dict[str, JsonValue]
    train_fingerprint: str
    validation_fingerprint: str = ""
    state: JobState = JobState.CREATED
    job_id: str = ""
    tuned_model: str = ""
    error: JobError | None = None
    created_at: float
    updated_at: float
    version: int = 1
    lease_token: int = 0

    @property
    def is_unsettled(self) -> bool:
        """Whether nobody knows yet if the backend has the job. One that has an id there is never sent again."""
        open_states = (JobState.CREATED, JobState.SUBMITTING, JobState.UNKNOWN)
        return not self.job_id and self.state in open_states

    @property
    def is_over_budget(self) -> bool:
        """Whether it was cancelled, or asked to stop, because its budget was used up."""
        return self.error is not None and self.error.code == OVER_BUDGET

    @property
    def is_closed(self) -> bool:
        """Whether another submission of the same key may start a new attempt."""
        return self.state in (JobState.FAILED, JobState.CANCELLED)
