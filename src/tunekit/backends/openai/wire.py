"""What a host says, read leniently. Knows the JSON of jobs, events, files, checkpoints and models; not what it means.

Hosts differ from OpenAI's description and from each other: they add fields and states, leave fields out, or send nulls
where values should be. All of that is kept or read as absence. Only what nothing can be made of is an error.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeGuard, TypeVar
from urllib.parse import quote

from tunekit._canonical import canonical_json
from tunekit.data.wording import brief, shown
from tunekit.errors import BackendError

T = TypeVar("T")
Body = Mapping[str, Any]


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
        expires_at: Unix time in seconds; 0 for never.
    """

    id: str
    filename: str = ""
    size_bytes: int = -1
    purpose: str = ""
    status: str = ""
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(Generic[T]):
    """A stretch of a listing, and where to go on."""

    items: tuple[T, ...]
    has_more: bool = False
    last_id: str = ""


def job(body: Any) -> RemoteJob:
    """A job.

    Raises:
        BackendError: It is none, or has no id.
    """
    body = _object(body, "a job")
    return RemoteJob(
        id=_id(body, "a job"),
        status=text(body, "status"),
        created_at=number(body, "created_at"),
        finished_at=number(body, "finished_at"),
        model=text(body, "model"),
        fine_tuned_model=text(body, "fine_tuned_model"),
        training_file=text(body, "training_file"),
        validation_file=text(body, "validation_file"),
        result_files=_names(body.get("result_files")),
        trained_tokens=_whole(body.get("trained_tokens")),
        metadata=mapping(body, "metadata"),
        error=_error(body.get("error")),
        raw=body,
    )


def event(body: Any) -> RemoteEvent:
    """An event; one without an id gets one of its content, so that it is the same event next time.

    Raises:
        BackendError: It is none.
    """
    body = _object(body, "an event")
    return RemoteEvent(
        id=text(body, "id") or f"event-{_digest(body)}",
        created_at=number(body, "created_at"),
        level=text(body, "level") or "info",
        type=text(body, "type") or "message",
        message=text(body, "message"),
        data=mapping(body, "data"),
    )


def file(body: Any) -> RemoteFile:
    """A file.

    Raises:
        BackendError: It is none, or has no id.
    """
    body = _object(body, "a file")
    size = _whole(body.get("bytes"))
    return RemoteFile(
        id=_id(body, "a file"),
        filename=text(body, "filename"),
        size_bytes=-1 if size is None else size,
        purpose=text(body, "purpose"),
        status=text(body, "status"),
        expires_at=number(body, "expires_at"),
    )


def checkpoint(body: Any) -> RemoteCheckpoint:
    """A checkpoint.

    Raises:
        BackendError: It is none, or has no id.
    """
    body = _object(body, "a checkpoint")
    return RemoteCheckpoint(
        id=_id(body, "a checkpoint"),
        model=text(body, "fine_tuned_model_checkpoint"),
        step=_whole(body.get("step_number")) or 0,
        created_at=number(body, "created_at"),
        metrics=numbers(mapping(body, "metrics")),
    )


def model(body: Any) -> RemoteModel:
    """A model.

    Raises:
        BackendError: It is none, or has no id.
    """
    body = _object(body, "a model")
    return RemoteModel(
        id=_id(body, "a model"),
        created_at=number(body, "created"),
        owned_by=text(body, "owned_by"),
        shutdown_date=text(body, "shutdown_date"),
    )


def page(body: Any, read: Callable[[Any], T]) -> Page[T]:
    """A stretch of a listing; nulls among its items are nothing.

    Raises:
        BackendError: It is no listing, or an item in it is not what it should be.
    """
    body = _object(body, "a list")
    data = body.get("data")
    if data is None:
        data = []
    if not isinstance(data, list):
        raise unreadable("a list", f"its data are {shown(data)}")
    bodies = [item for item in data if item is not None]
    items = tuple(read(item) for item in bodies)
    last = bodies[-1] if bodies else {}
    return Page(
        items=items,
        has_more=body.get("has_more") is True,
        last_id=text(_object(last, "an item"), "id") or text(body, "last_id"),
    )


def id_of(body: Any, what: str) -> str:
    """The id of anything that has one.

    Raises:
        BackendError: It has none.
    """
    return _id(_object(body, what), what)


def made(body: Any, what: str) -> str:
    """The id of what a call has just made.

    Raises:
        BackendError: There is none. That is ambiguous: the host did answer that it went well.
    """
    try:
        return id_of(body, what)
    except BackendError as error:
        error.ambiguous = True
        raise


def quoted(name: str) -> str:
    """A name as a part of a path."""
    return quote(name, safe="")


def text(body: Body, name: str) -> str:
    """A field's text; "" where there is none."""
    value = body.get(name)
    return value if isinstance(value, str) else ""


def number(body: Body, name: str) -> float:
    """A field's finite number; 0 where there is none."""
    value = body.get(name)
    return float(value) if is_number(value) else 0.0


def mapping(body: Body, name: str) -> Body:
    """A field's object; an empty one where there is none."""
    value = body.get(name)
    return value if isinstance(value, dict) else {}


def numbers(body: Body, *, depth: int = 3) -> dict[str, float]:
    """The finite numbers of an object and of the objects inside it, by their own names; the outer one wins."""
    found = {str(name): float(value) for name, value in body.items() if is_number(value)}
    for value in body.values() if depth > 1 else ():
        if isinstance(value, dict):
            found = numbers(value, depth=depth - 1) | found
    return found


def unreadable(what: str, why: str) -> BackendError:
    """The error for an answer of a shape that no host of this dialect sends."""
    return BackendError(
        f"the host sent {what} that cannot be read: {why}",
        hint="check that base_url is that of an API that speaks OpenAI's dialect",
    )


def _digest(body: Body) -> str:
    try:
        return hashlib.blake2b(canonical_json(body), digest_size=10).hexdigest()
    except (ValueError, RecursionError):  # NaN, which Python reads, or objects a thousand deep
        raise unreadable("an event", "it holds what has no JSON form") from None


def _error(value: Any) -> RemoteError | None:
    if isinstance(value, str) and value:
        return RemoteError(message=value)
    if not isinstance(value, dict):
        return None
    found = RemoteError(code=text(value, "code"), message=text(value, "message"), param=text(value, "param"))
    return None if found == RemoteError() else found


def _object(body: Any, what: str) -> Body:
    if not isinstance(body, dict):
        raise unreadable(what, f"it is {shown(body)}")
    return body


def _id(body: Body, what: str) -> str:
    found = text(body, "id")
    if not found:
        raise unreadable(what, f"its id is {brief(body.get('id'))}")
    return found


def _names(value: Any) -> tuple[str, ...]:
    """Ids, which some hosts give as the whole objects."""
    if not isinstance(value, list):
        return ()
    named = [text(item, "id") if isinstance(item, dict) else item for item in value]
    return tuple(item for item in named if isinstance(item, str) and item)


def _whole(value: Any) -> int | None:
    return int(value) if is_number(value) else None


def is_number(value: Any) -> TypeGuard[int | float]:
    """Whether a value is a finite number, and not a truth value."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number beyond the largest float
        return False
