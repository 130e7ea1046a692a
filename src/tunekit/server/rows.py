"""What the server remembers about its own things: files, uploads, jobs, models. Knows fields; not where they lie."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from typing import ClassVar, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, JsonValue

from tunekit.events import JobState
from tunekit.records import JobError


def new_id(prefix: str) -> str:
    """An id that nobody can guess."""
    return f"{prefix}{secrets.token_hex(12)}"


def id_of(prefix: str, *parts: object) -> str:
    """The id that follows from these parts: whoever makes the same thing twice, in any process, gives it one name."""
    digest = hashlib.sha256("\0".join(map(str, parts)).encode()).hexdigest()
    return f"{prefix}{digest[:24]}"


class Row(BaseModel):
    """What every row has.

    Attributes:
        id: Its name on the wire, unique among all tenants.
        tenant: To whom it belongs.
        parent: What it is a part of: an upload, or a job; or "".
        created_at: Unix seconds.
        due: When something is to be done about it, in Unix seconds; None means never.
        version: Grows by one with every write; compare-and-set is on this.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    kind: ClassVar[str]

    id: str
    tenant: str
    parent: str = ""
    created_at: float
    due: float | None = None
    version: int = 1


class FileRow(Row):
    """A file that was uploaded, or that training left behind. Its bytes lie on disk under its id."""

    kind: ClassVar[str] = "file"
    bytes: int
    filename: str
    purpose: str
    expires_at: int | None = None


class UploadRow(Row):
    """A file that comes in parts. `due` is when it expires."""

    kind: ClassVar[str] = "upload"
    bytes: int
    filename: str
    purpose: str
    expires_at: int
    keep_s: int | None = None
    status: Literal["pending", "completed", "cancelled", "expired"] = "pending"
    file_id: str = ""


class PartRow(Row):
    """A part of an upload. Its bytes lie on disk under its id."""

    kind: ClassVar[str] = "part"
    bytes: int


Phase: TypeAlias = Literal["validating", "submitted", "ended"]


class JobRow(Row):
    """A fine-tuning job as it was asked for, and what became of it.

    Attributes:
        parent: Hash of the request: equal requests of one tenant are one job, until that has failed.
        attempt: 1 for the first job of this request.
        request: The body, checked.
        metadata: That of the request, where SQL can see it.
        target: Backend and base model.
        phase: "validating" until the run is handed in, "ended" when nothing more can happen.
        run_id: The run in the `RunStore`; "" until something may have been sent.
        state: Last state seen.
        cursor: How far the backend's events have been copied.
        events: How many have been.
        failures: Looks in a row that failed.
        model: Name of the tuned model on the wire.
        model_deleted: Whether it is gone: then an equal request is a new job.
        error: Why it failed.
        param: Which parameter of the request was to blame.
        trained_tokens: Tokens trained on, all epochs counted.
        finished_at: Unix seconds.
        result_files: Ids of files with its metrics.
    """

    kind: ClassVar[str] = "job"
    attempt: int = 1
    request: dict[str, JsonValue]
    metadata: dict[str, str] | None = None
    target: str
    phase: Phase = "validating"
    run_id: str = ""
    state: JobState = JobState.CREATED
    cursor: str | None = None
    events: int = 0
    failures: int = 0
    model: str = ""
    model_deleted: bool = False
    error: JobError | None = None
    param: str | None = None
    trained_tokens: int | None = None
    finished_at: int | None = None
    result_files: list[str] = []


class EventRow(Row):
    """One event of a job, copied from its backend or added here; `body` is what the wire shows."""

    kind: ClassVar[str] = "event"
    body: dict[str, JsonValue]


class ModelRow(Row):
    """A tuned model, or a checkpoint on the way to one. `parent` is its job.

    Attributes:
        base: Name of the base model on the wire.
        target: The base model itself, `"<backend>:<model>"`.
        ref: The tuned model, `"<backend>:<model>"`.
        step: After which step it was saved.
        metrics: What was measured there.
        is_checkpoint: Whether it is one on the way, and not the end.
        deleted: It is gone on the wire; `due` says when its files go.
    """

    kind: ClassVar[str] = "model"
    base: str
    target: str
    ref: str
    step: int = 0
    metrics: dict[str, float] = {}
    is_checkpoint: bool = False
    deleted: bool = False


class DeliveryRow(Row):
    """A webhook that is to be sent. `due` is when to try next; None means that it was given up."""

    kind: ClassVar[str] = "delivery"
    endpoint: str
    payload: str
    attempts: int = 0


KINDS: Mapping[str, type[Row]] = {
    item.kind: item for item in (FileRow, UploadRow, PartRow, JobRow, EventRow, ModelRow, DeliveryRow)
}
