"""Which parameter of a body was wrong, by the name that its sender knows. Knows pydantic's errors; not HTTP.

Of a field that may be one of several kinds, pydantic complains once for each kind, and names the kinds among the
parts of the path. What is told is the complaint of the kind that fits best, at a path of the body's own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tunekit.data.wording import brief

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

_LOOKED_AT = 64


def blamed(
    errors: Sequence[ErrorDetails], body: Mapping[str, Any], *, at: str = ""
) -> tuple[str, ErrorDetails]:
    """The parameter to blame, and what is wrong with it.

    Args:
        errors: All that pydantic found, or the first of it.
        body: What was looked at.
        at: Where that stands in the body of the request, if it is a part of that.

    Returns:
        The path of the parameter as OpenAI writes it, `messages[0].role`, and the error.
    """
    first = tuple(_parts(errors[0], body))[:1]
    same_field = [error for error in errors[:_LOOKED_AT] if tuple(_parts(error, body))[:1] == first]
    worst = max(same_field, key=lambda error: (len(list(_parts(error, body))), not _is_of_kind(error)))
    return written(_parts(worst, body), at=at), worst


def written(parts: Iterable[str | int], *, at: str = "") -> str:
    """The path of a parameter; names are cut one by one, so that the last is always there.

    Examples:
        >>> written(["messages", 0, "role"])
        'messages[0].role'
    """
    path = at
    for part in parts:
        if isinstance(part, int):
            path += f"[{part}]"
        else:
            path += f".{brief(part, quote=False)}" if path else brief(part, quote=False)
    return path


def _parts(error: ErrorDetails, body: Any) -> Iterator[str | int]:
    """The parts of an error's path that lead through the body; the others name kinds."""
    *way, last = error["loc"] or ("",)
    for part in way:
        if _leads(part, body):
            yield part
            body = body[part]
    if error["loc"] and (error["type"] == "missing" or _leads(last, body)):
        yield last


def _leads(part: str | int, body: Any) -> bool:
    if isinstance(part, str):
        return isinstance(body, Mapping) and part in body
    return isinstance(body, list) and 0 <= part < len(body)


def _is_of_kind(error: ErrorDetails) -> bool:
    """Whether the value is of another kind altogether; else it is of this kind, and wrong."""
    return error["type"].endswith("_type") or error["type"] == "literal_error"
