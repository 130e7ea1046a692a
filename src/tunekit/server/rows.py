"""What the server remembers about its own things: files, uploads, jobs, models. Knows fields; not where they lie."""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Mapping
from typing import ClassVar, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, JsonValue

from tunekit.data.wording import brief
from tunekit.events import JobState
from tunekit.records import JobError
from tunekit.refs import Target

_WAITS = "for "
# Ours and the original's; keys (sk-...) are not among them.
_ID = re.compile(r"(file|ftjob|ftevent|ftckpt|upload|part|batch|batch_req)[-_][A-Za-z0-9]{1,64}\Z")


def new_id(prefix: str) -> str:
    """An id that nobody can guess."""
    return f"{prefix}{secrets.token_hex(12)}"


def id_of(prefix: str, *parts: object) -> str:
    """The id that follows from these parts: whoever makes the same thing twice, in any process, gives it one name."""
    digest = hashlib.sha256("\0".join(map(str, parts)).encode()).hexdigest()
    return f"{prefix}{digest[:24]}"


def shown_id(given: str) -> str:
    """An id in a message, whole if it is of the dialect's form: who sent it must see which one was wrong.

    Examples:
        >>> shown_id("file-00c1d2e3f4a5b6c7d8e9f0a1")
        "'file-00c1d2e3f4a5b6c7d8e9f0a1'"
    """
    return repr(given) if _ID.match(given) else brief(given)


class Row(BaseModel):
    """What every row has.

    Attributes:
        id: Its name on the wire, unique among all tenants.
        tenant: To whom it belongs.
        parent: What it is a part of: an upload, or a job; or "".
        created_at: Unix seconds.
        due: When something is to be done about it, in Unix seconds; None means never.
        version: Grows by one with every write; compare-and-set is on this.
        turn_at: When it got one of few places, in Unix seconds; None means not yet, or that it needs none.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    kind: ClassVar[str]
    keeps_place: ClassVar[bool] = False
    """Whether a list can go on behind a row of this kind that was removed."""

    id: str
    tenant: str
    parent: str = ""
    created_at: float
    due: float | None = None
    version: int = 1
    turn_at: float | None = None

    @property
    def line(self) -> str | None:
        """What it waits in, or has a place of; None if it does neither."""
        return None


class FileRow(Row):
    """A file that was uploaded, or that training left behind. Its bytes lie on disk under its id."""

    kind: ClassVar[str] = "file"
    keeps_place: ClassVar[bool] = True
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


Phase: TypeAlias = Literal["validating", "held", "starting", "submitted", "ended"]


class JobRow(Row):
    """A fine-tuning job as it was asked for, and what became of it.

    Attributes:
        parent: Hash of the request: equal requests of one tenant are one job, until that has failed.
        attempt: 1 for the first job of this request.
        request: The body, checked.
        metadata: That of the request, where SQL can see it.
        target: Backend and base model.
        phase: "validating" while its files are looked at, "held" until there is a place at its backend, "starting"
            until the run is handed in, "ended" when nothing more can happen.
        begun: How often in a row its files were begun to be read, and the process ended before it was through.
        run_id: The run in the `RunStore`; "" until something may have been sent.
        has_pairs: Whether it is trained on prompts that are plain texts.
        state: Last state seen.
        cursor: How far the backend's events have been copied.
        events: How many have been.
        failures: Looks in a row that failed.
        used: Hyperparameters that the run has chosen itself, by their names on the wire, once they are known.
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
    begun: int = 0
    run_id: str = ""
    has_pairs: bool = False
    state: JobState = JobState.CREATED
    cursor: str | None = None
    events: int = 0
    failures: int = 0
    used: dict[str, int] = {}
    model: str = ""
    model_deleted: bool = False
    error: JobError | None = None
    param: str | None = None
    trained_tokens: int | None = None
    finished_at: int | None = None
    result_files: list[str] = []

    @property
    def is_before_its_run(self) -> bool:
        """Whether it is not certain yet that its backend has it."""
        return self.phase in ("validating", "held", "starting")

    @property
    def line(self) -> str | None:
        """That of its backend.

        A job that is paused has no place, and takes one when it is to go on. Nor has one of which nobody knows whether
        its backend has it: it may never end, and a few of these would keep all others waiting.
        """
        backend = Target(self.target).backend
        if self.state in (JobState.PAUSED, JobState.UNKNOWN):
            return None
        if self.phase in ("starting", "submitted"):
            return line_at(backend)
        return line_for(backend) if self.phase == "held" else None


def line_for(backend: str) -> str:
    """The line of jobs that wait for a place at a backend."""
    return f"{_WAITS}{backend}"


def line_at(backend: str) -> str:
    """The line of jobs that have one."""
    return f"at {backend}"


def waited_for(line: str) -> str | None:
    """The backend that a line waits for; None if it waits for none.

    Examples:
        >>> waited_for(line_for("local")), waited_for(line_at("local"))
        ('local', None)
    """
    return line.removeprefix(_WAITS) if line.startswith(_WAITS) else None


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
        has_pairs: Whether it was trained on prompts that are plain texts.
        is_checkpoint: Whether it is one on the way, and not the end.
        deleted: It is gone on the wire; `due` says when its files go.
    """

    kind: ClassVar[str] = "model"
    base: str
    target: str
    ref: str
    step: int = 0
    metrics: dict[str, float] = {}
    has_pairs: bool = False
    is_checkpoint: bool = False
    deleted: bool = False


class DeliveryRow(Row):
    """A webhook that is to be sent. `due` is when to try next; None means that it was given up."""

    kind: ClassVar[str] = "delivery"
    endpoint: str
    payload: str
    attempts: int = 0


BatchStatus: TypeAlias = Literal[
    "validating", "in_progress", "cancelling", "completed", "failed", "expired", "cancelled"
]


class BatchRow(Row):
    """Questions in a file, answered in the background. `due` is None once it has ended.

    Attributes:
        endpoint: Where the questions are asked, such as "/v1/chat/completions".
        input_file_id: The file with the questions.
        metadata: That of the request.
        status: As the wire shows it.
        expires_at: When no more questions are asked, in Unix seconds.
        keep_s: How long the files with the answers are kept; None is until somebody deletes them.
        problem: Why none was asked.
        total: Questions.
        completed: Those with an answer.
        failed: Those that were refused.
        output_file_id: The answers; "" where there are none (yet).
        error_file_id: The refusals; "" where there are none (yet).
        times: When it came to a status, by the name of that time on the wire.
    """

    kind: ClassVar[str] = "batch"
    endpoint: str
    input_file_id: str
    metadata: dict[str, str] | None = None
    status: BatchStatus = "validating"
    expires_at: int
    keep_s: int | None = None
    problem: str = ""
    total: int = 0
    completed: int = 0
    failed: int = 0
    output_file_id: str = ""
    error_file_id: str = ""
    times: dict[str, int] = {}


KINDS: Mapping[str, type[Row]] = {
    item.kind: item
    for item in (FileRow, UploadRow, PartRow, JobRow, EventRow, ModelRow, DeliveryRow, BatchRow)
}
