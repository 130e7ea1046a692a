"""What a host has: jobs, events, files, checkpoints and models, as values. Knows no JSON and no meaning of ours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

Body: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteError:
    """Why a job failed, as the host says it."""

    code: str = ""
    message: str = ""
    param: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteJob:
    """A fine-tuning job. Whether it failed is said by `status`, never by `error`.

    Attributes:
        id: The host's name for it.
        status: As the host says it; "" where it says nothing.
        created_at: Unix time in seconds; 0 where the host does not say.
        finished_at: Likewise.
        model: Base model.
        fine_tuned_model: The tuned model, "" while there is none.
        training_file: Id of the uploaded file.
        validation_file: Likewise, or "".
        result_files: Ids of files with metrics.
        trained_tokens: What is billed, or None while nobody knows.
        metadata: What it was tagged with.
        error: What went wrong; None on a healthy job, whatever shape the host gives to nothing.
        raw: All of it.
    """

    id: str
    status: str = ""
    created_at: float = 0.0
    finished_at: float = 0.0
    model: str = ""
    fine_tuned_model: str = ""
    training_file: str = ""
    validation_file: str = ""
    result_files: tuple[str, ...] = ()
    trained_tokens: int | None = None
    metadata: Body = field(default_factory=dict)
    error: RemoteError | None = None
    raw: Body = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteEvent:
    """One line of a job's log, or a set of metrics.

    Attributes:
        id: The host's, or one made from its content where the host gives none.
        created_at: Unix time in seconds; 0 where the host does not say.
        level: "info", "warn", "error" or whatever else the host says.
        type: "message", "metrics" or whatever else the host says.
        message: For people.
        data: For programs.
    """

    id: str
    created_at: float = 0.0
    level: str = "info"
    type: str = "message"
    message: str = ""
    data: Body = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteFile:
    """A file at the host.

    Attributes:
        id: The host's name for it.
        filename: Ours.
        size_bytes: Its size; -1 where the host does not say.
        purpose: What it is for.
        status: "uploaded", "processed", "error" or whatever else the host says; deprecated at OpenAI.
        created_at: Unix time in seconds; 0 where the host does not say.
        expires_at: Unix time in seconds; 0 for never.
    """

    id: str
    filename: str = ""
    size_bytes: int = -1
    purpose: str = ""
    status: str = ""
    created_at: float = 0.0
    expires_at: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteCheckpoint:
    """A model saved along the way.

    Attributes:
        id: The host's name for the checkpoint.
        model: The name under which it answers; "" where it does not.
        step: Step at which it was saved.
        created_at: Unix time in seconds.
        metrics: Numbers measured at that step, by the host's names.
    """

    id: str
    model: str = ""
    step: int = 0
    created_at: float = 0.0
    metrics: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteModel:
    """A model that the account sees.

    Attributes:
        id: Its name.
        created_at: Unix time in seconds.
        owned_by: Who owns it.
        shutdown_date: Day on which it stops answering, as YYYY-MM-DD; "" where none is announced.
    """

    id: str
    created_at: float = 0.0
    owned_by: str = ""
    shutdown_date: str = ""
