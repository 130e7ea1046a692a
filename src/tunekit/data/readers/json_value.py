"""One JSON value out of bytes or text, with nothing lost on the way. Knows JSON; not where the text comes from.

msgspec decodes; Python's `json` is the judge of what msgspec refuses, and words the error. Refused besides broken
JSON, because data would be lost, or could not be written again: a key that occurs twice in one object (readers
elsewhere keep the last in silence), numbers that are not finite, half a surrogate pair, nesting without end.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from typing import Any, NoReturn

import msgspec

from tunekit.data.wording import brief
from tunekit.errors import DataError

MAX_DEPTH = 100
"""Deeper nesting is refused: no training data needs it, and it would exhaust the stack of whoever writes it again."""

_decoded = msgspec.json.Decoder().decode


class _Refused(ValueError):
    """JSON that `json` would accept, and tunekit does not: what is wrong, and what to do about it."""


def value(raw: bytes | str) -> Any:
    r"""The one value that this is.

    Raises:
        DataError: It is not one JSON value, or not UTF-8, or would not survive; without a line, which the caller knows.

    Examples:
        >>> value(b'{"prompt": "caf\\u00e9", "n": [1, 2.5, null]}')
        {'prompt': 'café', 'n': [1, 2.5, None]}
        >>> value('{"prompt": "a", "prompt": "b"}')
        Traceback (most recent call last):
        ...
        tunekit.errors.DataError: the key 'prompt' occurs twice in one object
          hint: keep one of them, or rename one
    """
    try:
        found = _decoded(raw)
        keys = _keys(found, MAX_DEPTH)
    except RecursionError as error:
        raise _explained(error) from None
    except (msgspec.DecodeError, UnicodeError):
        return _slow(raw)
    colon, escaped = ('":', '\\":') if isinstance(raw, str) else (b'":', b'\\":')
    # A key is followed by a quote and a colon, which inside a text have a backslash before them. Other spacing, and a
    # key that ends in a backslash, only send the value the slow way, which counts right. (Two equal keys of which one
    # has a space before its colon go unnoticed: to look for that would cost a fifth of the whole.)
    count = raw.count(colon)  # type: ignore[arg-type]  # colon is of the type of raw
    if count != keys and count - raw.count(escaped) != keys:  # type: ignore[arg-type]
        return _slow(raw)
    return found


def _keys(found: Any, levels: int) -> int:
    """How many keys all objects in this value have together."""
    if type(found) is not dict and type(found) is not list:
        return 0
    if not levels:
        raise RecursionError
    count = len(found) if type(found) is dict else 0
    for item in found.values() if type(found) is dict else found:
        if type(item) is dict or type(item) is list:
            count += _keys(item, levels - 1)
    return count


def _slow(raw: bytes | str) -> Any:
    try:
        text = raw if isinstance(raw, str) else raw.decode()
        found = _JUDGE.decode(text)
        _keys(found, MAX_DEPTH)
        if "\\u" in text:
            json.dumps(found, ensure_ascii=False).encode()  # half a surrogate pair has no UTF-8 form
    except (ValueError, RecursionError) as error:
        raise _explained(error) from None
    return found


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        counts = Counter(name for name, _ in pairs)
        twice = next(name for name, count in counts.items() if count > 1)
        raise _Refused(
            f"the key {brief(twice)} occurs twice in one object", "keep one of them, or rename one"
        )
    return found


def _not_finite(number: str) -> NoReturn:
    shown = brief(number, quote=False)
    raise _Refused(f"the number {shown} is not finite, and not JSON", "write null or leave it out")


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        _not_finite(text)
    return number


_JUDGE = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_not_finite, parse_float=_finite)


def _explained(error: ValueError | RecursionError) -> DataError:
    match error:
        case _Refused():
            message, hint = error.args
        case RecursionError():
            message, hint = (
                f"JSON nested deeper than {MAX_DEPTH} levels",
                "write deep structures as a JSON text",
            )
        case UnicodeEncodeError():
            half = f"\\u{ord(error.object[error.start]):04x}"
            message = f"the text holds {half}, half a surrogate pair, which is not a character"
            hint = "whatever wrote this file cut a character (often an emoji) in two"
        case UnicodeDecodeError():
            message = f"byte 0x{error.object[error.start]:02x} at position {error.start + 1} is not UTF-8"
            hint = "pass encoding= with the encoding that the file was written in"
        case json.JSONDecodeError(msg="Extra data"):
            message = f"not valid JSON: Extra data at column {error.colno}"
            hint = "one line holds one object, and nothing after it"
        case json.JSONDecodeError():
            message = f"not valid JSON: {error.msg} at column {error.colno}"
            hint = "check this line with a JSON validator; keys and texts take double quotes"
        case _:  # sys.get_int_max_str_digits
            message, hint = "a number has too many digits", "write it as a JSON text: put quotes around it"
    return DataError(message, hint=hint)
