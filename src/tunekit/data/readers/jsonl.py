"""JSON lines: one decoded value for each line. Knows JSON; not what the values mean."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Iterator
from typing import Any, NoReturn

from tunekit.data.readers.lines import Line
from tunekit.errors import DataError

MAX_DEPTH = 100
"""Deeper nesting is refused: no training data needs it, and it would exhaust the stack of whoever writes it again."""

_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


class _NotFinite(ValueError):
    pass


def rows(lines: Iterable[Line]) -> Iterator[tuple[int, Any]]:
    """Line number and decoded value, or the `DataError` that a line is. Blank lines hold no row and are passed by."""
    decode = json.JSONDecoder(parse_constant=_refuse_constant, parse_float=_finite).decode
    for number, text in lines:
        if isinstance(text, DataError):
            yield number, text
        elif text and not text.isspace():
            try:
                yield number, _careful(decode(text), text)
            except (ValueError, RecursionError) as error:
                yield number, error if isinstance(error, DataError) else _explained(error, text)


def _careful(value: Any, text: str) -> Any:
    # Both counts are a fraction of the parse; only suspicious lines pay for the walk.
    if text.count("{") + text.count("[") > MAX_DEPTH and _deeper(value, MAX_DEPTH):
        raise RecursionError
    if _SURROGATE.search(text):
        _refuse_half_surrogates(value)
    return value


def _deeper(value: Any, levels: int) -> bool:
    here = [value]
    for _ in range(levels):
        here = [
            item
            for each in here
            for item in (each.values() if isinstance(each, dict) else each)
            if isinstance(item, (dict, list))
        ]
        if not here:
            return False
    return True


def _refuse_half_surrogates(value: Any) -> None:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        half = f"\\u{ord(error.object[error.start]):04x}"
        raise DataError(
            f"the text holds {half}, half a surrogate pair, which is not a character",
            hint="whatever wrote this file cut a character (often an emoji) in two",
        ) from None


def _refuse_constant(name: str) -> NoReturn:
    raise _NotFinite(name)


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise _NotFinite(text)
    return number


def _explained(error: Exception, text: str) -> DataError:
    if isinstance(error, RecursionError):
        return DataError(
            f"JSON nested deeper than {MAX_DEPTH} levels", hint="write deep structures as a JSON text"
        )
    if isinstance(error, _NotFinite):
        return DataError(
            f"the number {str(error)[:40]} is not finite, and not JSON", hint="write null or leave it out"
        )
    if not isinstance(error, json.JSONDecodeError):
        # sys.get_int_max_str_digits
        return DataError("a number has too many digits", hint="write it as a JSON text: put quotes around it")
    hint = "check this line with a JSON validator; keys and texts take double quotes"
    if text.strip() in ("{", "["):
        hint = "this looks like one indented JSON document; JSON lines hold one whole object on each line"
    elif error.msg == "Extra data":
        hint = "one line holds one object"
    return DataError(f"not valid JSON: {error.msg} at column {error.colno}", hint=hint)
