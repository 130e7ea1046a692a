"""What a host says, read leniently. Knows the JSON of jobs, events, files, checkpoints and models; not what it means.

Hosts differ from OpenAI's description and from each other: they add fields and states, leave fields out, or send nulls
where values should be. All of that is kept or read as absence. Only what nothing can be made of is an error.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Generic, TypeGuard, TypeVar
from urllib.parse import quote

from tunekit._canonical import canonical_json
from tunekit.backends.openai.remote import (
    Body,
    RemoteCheckpoint,
    RemoteError,
    RemoteEvent,
    RemoteFile,
    RemoteJob,
    RemoteModel,
)
from tunekit.data.wording import brief, shown
from tunekit.errors import BackendError, SpecError

T = TypeVar("T")

MAX_ID_CHARS = 512
MAX_MESSAGE_CHARS = 2000
MAX_COUNT = 2**53
"""Beyond it neighbours of a whole number are one float; no host has so many of anything."""
YEAR_2000 = 946_684_800.0
LAST_MOMENT = 253_402_300_799.0
"""The last second of the year 9999, in Unix seconds."""

# What no path, no log and no terminal can take: control characters and halves of pairs.
_UNSENDABLE = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
_HALVES = re.compile(r"[\ud800-\udfff]")
MAX_DEPTH = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(Generic[T]):
    """A stretch of a listing, and where to go on; `has_more` is None where the host does not say."""

    items: tuple[T, ...]
    has_more: bool | None = None
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
        created_at=moment(body, "created_at"),
        finished_at=moment(body, "finished_at"),
        model=text(body, "model"),
        fine_tuned_model=text(body, "fine_tuned_model"),
        training_file=text(body, "training_file"),
        validation_file=text(body, "validation_file"),
        result_files=_names(body.get("result_files")),
        trained_tokens=_whole(body.get("trained_tokens")),
        metadata=plain(mapping(body, "metadata")),
        error=_error(body.get("error")),
        raw=plain(body),
    )


def event(body: Any) -> RemoteEvent:
    """An event; one without an id gets one of its content, so that it is the same event next time.

    What is no event at all is one that says so: a log with one odd line in it is still a log.
    """
    if not isinstance(body, dict):
        message = f"the host lists {shown(body)} among the events: {brief(body)}"
        return RemoteEvent(id=f"event-{_digest(body)}", level="warn", type="unreadable", message=message)
    return RemoteEvent(
        id=_usable(body) or f"event-{_digest(body)}",
        created_at=moment(body, "created_at"),
        level=text(body, "level") or "info",
        type=text(body, "type") or "message",
        message=text(body, "message"),
        data=plain(mapping(body, "data")),
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
        created_at=moment(body, "created_at"),
        expires_at=moment(body, "expires_at"),
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
        created_at=moment(body, "created_at"),
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
        created_at=moment(body, "created"),
        owned_by=text(body, "owned_by"),
        shutdown_date=_date(body, "shutdown_date"),
    )


def listed_model(body: Any) -> RemoteModel:
    """A model in a listing; one whose id nobody could ask for is shown all the same, by what can be said of it."""
    if isinstance(body, dict) and _usable(body):
        return model(body)
    return RemoteModel(id=brief(body.get("id") if isinstance(body, dict) else body, quote=False))


def page(body: Any, read: Callable[[Any], T]) -> Page[T]:
    """A stretch of a listing; nulls among its items are nothing.

    Raises:
        BackendError: It is no listing, or an item in it is not what it should be.
    """
    body = _object(body, "a list")
    data = body.get("data")
    if data is None and body.get("object") == "list" and not _error(body.get("error")):
        data = []  # nothing, as servers in Go write it
    if not isinstance(data, list):
        said = _error(body.get("error"))  # some proxies answer 200 and send an error
        raise unreadable("a list", said.message if said and said.message else f"its data are {shown(data)}")
    bodies = [item for item in data if item is not None]
    items = tuple(read(item) for item in bodies)
    last = bodies[-1] if bodies else {}
    return Page(
        items=items,
        has_more=None if body.get("has_more") is None else body["has_more"] is True,
        last_id=(_usable(last) if isinstance(last, dict) else "") or text(body, "last_id"),
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
    """A name as a part of a path.

    Raises:
        SpecError: No path can hold it.
    """
    if _UNSENDABLE.search(name):
        raise SpecError(
            f"{brief(name)} is no name that a host can be asked for", hint="check where it came from"
        )
    return quote(name, safe="")


def text(body: Body, name: str) -> str:
    """A field's text; "" where there is none. Halves of pairs of surrogates, which no file holds, become U+FFFD."""
    value = body.get(name)
    return _whole_characters(value) if isinstance(value, str) else ""


def number(body: Body, name: str) -> float:
    """A field's finite number; 0 where there is none."""
    value = body.get(name)
    return float(value) if is_number(value) else 0.0


def moment(body: Body, name: str) -> float:
    """A field's Unix time in seconds; 0 where there is none that a calendar has."""
    value = number(body, name)
    return value if 0 <= value <= LAST_MOMENT else 0.0


def count(body: Body, name: str) -> int:
    """A field's number of things; 0 where there is none."""
    return _whole(body.get(name)) or 0


def words(body: Body, name: str) -> str:
    """A field's text, which some hosts give in parts."""
    value = body.get(name)
    if not isinstance(value, list):
        return text(body, name)
    return "".join(text(part, "text") for part in value if isinstance(part, dict))


def items(body: Any, name: str) -> list[Any]:
    """A field's list; an empty one where there is none, or where the body is no object."""
    value = body.get(name) if isinstance(body, dict) else None
    return value if isinstance(value, list) else []


def first(body: Any, name: str) -> Body:
    """The first object in a field's list; an empty one where there is none."""
    found = next(iter(items(body, name)), None)
    return found if isinstance(found, dict) else {}


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


def plain(value: Any, depth: int = MAX_DEPTH) -> Any:
    """The same with what no JSON can hold as text: numbers that are none, halves of pairs, endless nesting."""
    if isinstance(value, str):
        return _whole_characters(value)
    if isinstance(value, (int, float)) and not isinstance(value, bool) and not is_number(value):
        return str(value)[:40]
    if not isinstance(value, (dict, list)):
        return value
    if not depth:
        return "..."
    if isinstance(value, list):
        return [plain(item, depth - 1) for item in value]
    return {plain(name): plain(item, depth - 1) for name, item in value.items()}


def unreadable(what: str, why: str) -> BackendError:
    """The error for an answer of a shape that no host of this dialect sends."""
    return BackendError(
        f"the host sent {what} that cannot be read: {why}",
        hint="check that base_url is that of an API that speaks OpenAI's dialect",
    )


def _date(body: Body, name: str) -> str:
    """A date as it is written; a Unix time, which some hosts give instead, as its day."""
    at = body.get(name)
    if not is_number(at):
        return text(body, name)
    is_moment = YEAR_2000 <= at <= LAST_MOMENT
    return datetime.fromtimestamp(at, tz=UTC).date().isoformat() if is_moment else brief(at)


def _whole_characters(value: str) -> str:
    return value if value.isascii() else _HALVES.sub("\ufffd", value)


def _digest(body: Any) -> str:
    return hashlib.blake2b(canonical_json(plain(body)), digest_size=10).hexdigest()


def _error(value: Any) -> RemoteError | None:
    if isinstance(value, str) and value:
        return RemoteError(message=_whole_characters(value)[:MAX_MESSAGE_CHARS])
    if not isinstance(value, dict):
        return None
    message = text(value, "message")[:MAX_MESSAGE_CHARS]
    found = RemoteError(code=text(value, "code"), message=message, param=text(value, "param"))
    return None if found == RemoteError() else found


def _object(body: Any, what: str) -> Body:
    if not isinstance(body, dict):
        raise unreadable(what, f"it is {shown(body)}")
    return body


def _id(body: Body, what: str) -> str:
    found = _usable(body)
    if not found:
        said = _error(body.get("error"))  # some proxies answer 200 and send an error
        raise unreadable(what, said.message if said else f"its id is {brief(body.get('id'))}")
    return found


def _usable(body: Body) -> str:
    """An object's id; "" if there is none, or none that can be asked for."""
    found = body.get("id")
    if not isinstance(found, str):
        return ""
    is_usable = len(found) <= MAX_ID_CHARS and found not in (".", "..") and not _UNSENDABLE.search(found)
    return found if is_usable else ""


def _names(value: Any) -> tuple[str, ...]:
    """Ids, which some hosts give as the whole objects."""
    if not isinstance(value, list):
        return ()
    return tuple(filter(None, (_usable(item if isinstance(item, dict) else {"id": item}) for item in value)))


def _whole(value: Any) -> int | None:
    return int(value) if is_number(value) and 0 <= value <= MAX_COUNT else None


def is_number(value: Any) -> TypeGuard[int | float]:
    """Whether a value is a finite number, and not a truth value."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number beyond the largest float
        return False
