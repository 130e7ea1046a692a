"""What happens to a job, as values. Knows the vocabulary of progress; it does not know how events travel.

Events are the one progress channel: command line, notebooks and trackers all render these.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import MISSING, asdict, dataclass, field, fields
from enum import StrEnum
from typing import Any, ClassVar, TypeAlias


class JobState(StrEnum):
    """Where a job stands. A remote state that tunekit does not know maps to RUNNING, never to an error.

    Attributes:
        CREATED: Written down by tunekit; nothing has been sent.
        SUBMITTING: Being sent, by a process that is alive or was.
        QUEUED: Accepted by the backend, not begun.
        RUNNING: Training, or something that the backend calls by a name of its own.
        PAUSED: Stopped where it can go on.
        SUCCEEDED: Ended with a model.
        FAILED: Ended without one. Submitting the same again is a new attempt.
        CANCELLED: Ended on request. Submitting the same again is a new attempt.
        UNKNOWN: The backend may or may not have accepted it; every look tries to find out. Never sent again blindly.

    Examples:
        >>> JobState.RUNNING.is_terminal
        False
    """

    CREATED = "created"
    SUBMITTING = "submitting"
    QUEUED = "queued"
    RUNNING = "running"
    PAUSED = "paused"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    UNKNOWN = "unknown"

    @property
    def is_terminal(self) -> bool:
        """Whether nothing more can happen."""
        return self in (JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What a job or a call consumed.

    Attributes:
        trained_tokens: Real (not padding) tokens that went through training, all epochs counted.
        input_tokens: Prompt tokens of a generation.
        output_tokens: Generated tokens.
        seconds: Wall time.

    Examples:
        >>> Usage(input_tokens=12, output_tokens=3).trained_tokens
        0
    """

    trained_tokens: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Event:
    """What every event carries.

    Attributes:
        id: Unique within the job, in order.
        at: Unix time in seconds, as the backend's clock had it.
        message: One line for people.
    """

    type: ClassVar[str]
    id: str
    at: float
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StateChanged(_Event):
    """The job entered another state."""

    type: ClassVar[str] = "state"
    state: JobState


@dataclass(frozen=True, slots=True, kw_only=True)
class Preflight(_Event):
    """What the trainer found before its first step: rows, tokens, plan, warnings."""

    type: ClassVar[str] = "preflight"
    report: Mapping[str, Any] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step(_Event):
    """One optimizer step.

    Attributes:
        step: 1-based number of the optimizer step.
        total_steps: How many the run will take; 0 where the backend does not say.
        epoch: Epochs seen so far, with a fraction.
        loss: Training loss in nats per target token of this step.
        learning_rate: Rate used by this step.
        gradient_norm: Global norm before clipping.
        tokens_per_s: Real tokens per second since the last step event.
        metrics: Anything else that the backend reports by name.
    """

    type: ClassVar[str] = "step"
    step: int
    total_steps: int = 0
    epoch: float = 0.0
    loss: float | None = None
    learning_rate: float | None = None
    gradient_norm: float | None = None
    tokens_per_s: float | None = None
    metrics: Mapping[str, float] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluated(_Event):
    """Held-out metrics measured during training, by name (`"loss"` is nats per target token).

    That of step 0 is of the model before training, where the backend looks at that.
    """

    type: ClassVar[str] = "evaluated"
    step: int
    metrics: Mapping[str, float] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointSaved(_Event):
    """A complete checkpoint was published."""

    type: ClassVar[str] = "checkpoint"
    step: int
    checkpoint: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice(_Event):
    """Something worth saying that fits no other event; an event type unknown to tunekit arrives as one.

    Attributes:
        level: "info", "warning" or "error".
        data: The raw facts.
    """

    type: ClassVar[str] = "notice"
    level: str = "info"
    data: Mapping[str, Any] = field(default_factory=dict, hash=False)


JobEvent: TypeAlias = StateChanged | Preflight | Step | Evaluated | CheckpointSaved | Notice

_TYPES: Mapping[str, type[JobEvent]] = {
    cls.type: cls for cls in (StateChanged, Preflight, Step, Evaluated, CheckpointSaved, Notice)
}


def event_to_dict(event: JobEvent) -> dict[str, Any]:
    """A JSON-ready dictionary that `event_from_dict` turns back into an equal event."""
    return {"type": event.type, **asdict(event)}


def event_from_dict(body: Mapping[str, Any]) -> JobEvent:
    """An event from its dictionary; one with an unknown type or field, or without a needed one, becomes a `Notice`.

    Examples:
        >>> event_from_dict({"type": "surprise", "id": "3", "at": 0.0, "x": 1}).data
        {'type': 'surprise', 'x': 1}
    """
    values = dict(body)
    cls = _TYPES.get(str(values.get("type")))
    if cls is not None and _fits(cls, values.keys() - {"type"}):
        values.pop("type")
        if cls is StateChanged:
            values["state"] = _state(values["state"])
        return cls(**values)
    event_id, at, message = values.pop("id", ""), values.pop("at", 0.0), values.pop("message", "")
    return Notice(id=str(event_id), at=float(at), message=str(message), data=values)


def _fits(cls: type[JobEvent], names: Set[str]) -> bool:
    known = {item.name for item in fields(cls)}
    needed = {
        item.name for item in fields(cls) if item.default is MISSING and item.default_factory is MISSING
    }
    return needed <= names <= known


def _state(value: Any) -> JobState:
    try:
        return JobState(value)
    except ValueError:
        return JobState.RUNNING
