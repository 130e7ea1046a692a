"""The fields of a record: its texts and targets on the way in, its other columns both ways. Knows no shape."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from tunekit.data import messages
from tunekit.data.wording import brief, listed, nearest, shown
from tunekit.errors import DataError
from tunekit.examples import Example, Message

_FILL_IN = 'fill in what the model should answer, or pass on_error="skip"'
_EXACT = 2**53
"""Below this every whole number has its own double, so that leaving ".0" off loses nothing."""


class BlankTarget(DataError):
    """A row with nothing to learn: its completion, label or answer is empty."""


def blank(field: str | None, message: str = "empty text") -> BlankTarget:
    """The error for a row with nothing to learn."""
    return BlankTarget(message, field=field, hint=_FILL_IN)


# --- in -----------------------------------------------------------------------------------------------


def spelled(value: Any) -> str | None:
    """A text as it is and a finite number as JSON writes it; None for anything else.

    JSON has one kind of number, so that 7.0 is "7", as JavaScript prints it: exports make doubles of whole columns
    that have one empty cell.

    Examples:
        >>> spelled("007"), spelled(7.0), spelled(0.5), spelled(True)
        ('007', '7', '0.5', None)
    """
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return str(value)
    if not isinstance(value, float) or not math.isfinite(value):
        return None
    return str(int(value)) if value.is_integer() and abs(value) < _EXACT else repr(value)


def missing(value: Any) -> bool:
    """Whether there is no value: null, or the NaN that frames put into empty cells."""
    return value is None or (isinstance(value, float) and math.isnan(value))


def text(record: Mapping[str, Any], key: str) -> str:
    """The text under a key that must be there."""
    if key not in record:
        known = [str(name) for name in record]
        hint = nearest(key, known) or "name the keys to use with input= and target="
        raise DataError(f"no key {key!r}; the keys are {listed(known) or 'none'}", hint=hint)
    return as_text(record[key], key)


def as_text(value: Any, field: str) -> str:
    """The value as a text; numbers are written out."""
    found = spelled(value)
    if found is None:
        said = "null or nothing" if missing(value) else shown(value)
        raise DataError(f"expected text, found {said}", field=field, hint="write it as a JSON text")
    return found


def optional_text(record: Mapping[str, Any], key: str) -> str:
    """The text under a key; "" where it is not there or null."""
    value = record.get(key)
    return "" if missing(value) else as_text(value, key)


def target(record: Mapping[str, Any], key: str) -> str:
    """The text that is to be learned.

    Raises:
        BlankTarget: It is empty, or null.
    """
    if key in record and missing(record[key]):
        raise blank(key)
    return not_blank(text(record, key), key)


def not_blank(text: str, field: str | None) -> str:
    """The text, unless it is empty or nothing but white space."""
    if not text or text.isspace():
        raise blank(field)
    return text


def learnable(turns: tuple[Message, ...], field: str = "messages") -> tuple[Message, ...]:
    """The turns, if an assistant turn among them can be learned.

    Raises:
        BlankTarget: There is such a turn, but it is empty or has weight 0.
        DataError: There is none.
    """
    if messages.has_answer(turns):
        return turns
    if any(turn.role == "assistant" for turn in turns):
        raise blank(field, "every assistant turn is empty or has weight 0")
    raise DataError(
        "no assistant turn, so nothing to learn",
        field=field,
        hint="add what the model should answer as a turn with the role 'assistant'",
    )


def label(record: Mapping[str, Any], key: str) -> str | tuple[str, ...]:
    """The label under a key, or the labels of a list; true and false are written as JSON writes them."""
    value = record.get(key)
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, (list, tuple)):
        return target(record, key)
    found = [spelled(each) for each in value]
    if None in found:
        raise DataError("expected a list of texts", field=key, hint='write labels as ["a", "b"]')
    return tuple(not_blank(each, key) for each in found if each is not None)


def mapping(value: Any, field: str) -> Mapping[str, Any]:
    """The value as a JSON object."""
    if not isinstance(value, Mapping):
        raise DataError(
            f"expected an object, found {shown(value)}", field=field, hint="write {...}, or leave the key out"
        )
    return value


def items(value: Any, field: str) -> list[Any]:
    """The value as a JSON list that is not empty."""
    if not isinstance(value, list):
        raise DataError(f"expected a list, found {shown(value)}", field=field, hint="write [...]")
    if not value:
        raise DataError("the list is empty", field=field, hint="leave such a row out, or fill it in")
    return value


def rest(record: Mapping[str, Any], used: Collection[str]) -> dict[str, Any]:
    """What means nothing to the shape, for `meta`."""
    return {key: value for key, value in record.items() if key not in used}


# --- out ----------------------------------------------------------------------------------------------


def with_meta(body: dict[str, Any], example: Example, reserved: Iterable[str] = ()) -> dict[str, Any]:
    """The record with the meta columns beside it.

    Args:
        body: What the shape writes.
        example: Whose meta columns.
        reserved: Keys that the shape reads when they are there, and did not write now.

    Raises:
        DataError: A meta column is called like something that the shape reads, or makes a row of another shape.
    """
    if not example.meta:
        return body
    for key in (*body, *reserved):
        if key in example.meta:
            raise DataError(
                f"a meta column is called {brief(key)}, which means something in this shape",
                field=f"meta.{key}",
                hint='rename the column, or write shape="tunekit", which keeps meta apart',
            )
    record = body | dict(example.meta)
    _refuse_other_shape(body, record)
    return record


def _refuse_other_shape(body: dict[str, Any], record: dict[str, Any]) -> None:
    # It knows all shapes, and so comes after this module.
    from tunekit.data.shapes.catalogue import looked_at, recognised

    if not looked_at(record.keys() - body.keys()):  # nearly always, and recognising takes longer than writing
        return
    found, wanted = recognised(record), recognised(body)
    # Flat rows of no shape are read by what their columns hold.
    flat = not any(isinstance(value, (list, dict)) for value in body.values())
    if found is wanted or (found is None and flat):
        return
    key = next((key for key in record if recognised({**body, key: record[key]}) is not wanted), "")
    raise DataError(
        f"a meta column is called {brief(key)}, which makes a row of another shape",
        field=f"meta.{key}",
        hint='rename the column, or write shape="tunekit", which keeps meta apart',
    )


def refused(example: Example, shape: str, kinds: Iterable[str], hint: str = "") -> DataError:
    """The error for an example of a kind that the shape cannot hold."""
    wanted = sorted(kinds)
    ways = "; ".join(f"to_{kind}() may make it one" for kind in wanted)
    return DataError(
        f"the shape {shape!r} holds {' and '.join(wanted)} examples, not {example.kind!r}", hint=hint or ways
    )
