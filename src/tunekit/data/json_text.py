"""JSON inside JSON: a text that itself holds JSON, as tool arguments and tool lists do. Knows no field's meaning."""

from __future__ import annotations

import json
import math
from typing import Any, NoReturn

from tunekit.data.wording import brief
from tunekit.errors import DataError

MAX_DEPTH = 100
"""Deeper nesting is refused: it would exhaust the stack of whoever writes it again."""


def parsed(text: str, field: str) -> Any:
    """The value that a JSON text holds.

    Raises:
        DataError: It is not JSON, or holds what would be lost or could not be written again: a key twice in one
            object, a number that is not finite, half a character, nesting without end.

    Examples:
        >>> parsed('{"order": 7}', "arguments")
        {'order': 7}
    """
    try:
        value = _DECODER.decode(text)
        if text.count("{") + text.count("[") > MAX_DEPTH and _deeper(value, MAX_DEPTH):
            raise RecursionError
        if "\\u" in text:
            json.dumps(value, ensure_ascii=False).encode()  # half a surrogate pair has no UTF-8 form
    except (ValueError, RecursionError) as error:
        raise DataError(
            f"not valid JSON: {_reason(error)}, in {brief(text)}",
            field=field,
            hint="write one JSON value as a text, such as '{\"order\": 7}'",
        ) from None
    return value


def written(value: Any, field: str) -> str:
    """The value as a JSON text: keys in their order, spaces after commas and colons, as models are used to see it.

    Raises:
        DataError: It holds what JSON cannot.

    Examples:
        >>> written({"order": 7, "to": "é"}, "arguments")
        '{"order": 7, "to": "é"}'
    """
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise DataError(
            f"not a JSON value: {brief(str(error), quote=False)}",
            field=field,
            hint="keep to texts, finite numbers, lists and objects",
        ) from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        raise ValueError("an object has the same key twice")
    return value


def _refused(name: str) -> NoReturn:
    raise ValueError(f"the number {name} is not finite")


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        _refused(brief(text, quote=False))
    return number


_DECODER = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_refused, parse_float=_finite)


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


def _reason(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return f"nested deeper than {MAX_DEPTH} levels"
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg} at character {error.pos + 1}"
    if isinstance(error, UnicodeEncodeError):
        return "half a surrogate pair"
    return (
        str(error) if "not finite" in str(error) or "twice" in str(error) else "a number has too many digits"
    )
