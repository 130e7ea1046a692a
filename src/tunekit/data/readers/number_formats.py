"""Number formats of sheets, as far as they change what a number is: a day, a time, an id with zeros in front.

Not what only decorates it: thousands, currencies, percent signs. A sheet keeps moments as days since 1900 (or 1904).
Knows format codes (ECMA-376 part 1, sections 18.8.30 and 18.8.31); reads no files.
"""

from __future__ import annotations

import datetime
import math
import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Literal, TypeAlias

Kind: TypeAlias = Literal["number", "date", "time", "datetime", "duration"]

DIGITS = 15
"""That a sheet keeps of a number. Those of longer ids are zeros after that, or wrong."""

_LONG = 10.0**DIGITS
_BUILT_IN: dict[int, Kind] = {
    **dict.fromkeys((14, 15, 16, 17, *range(27, 32), 36, *range(50, 55), 57, 58), "date"),
    **dict.fromkeys((18, 19, 20, 21, *range(32, 36), 45, 47, 55, 56), "time"),
    22: "datetime",
    46: "duration",
}
_LITERAL = re.compile(r'"[^"]*"|\\.|_.|\*.|\[(?!h+\]|m+\]|s+\])[^\]]*\]')
_DURATION = re.compile(r"\[(?:h+|m+|s+)\]")
_PADDED = re.compile("(?=.{2,18}$)0+(?:[- ]0+)*")
_PLAIN = re.compile(r"(?:-?(?:0\.[0-9]*[1-9]|[1-9][0-9]*+(?:\.[0-9]*[1-9])?+)|0)")
_ALL_PLAIN = re.compile(rf"(?:{_PLAIN.pattern}(?:\n|\Z))*+")

_DAY_MS = 86_400_000
_END_OF_DAYS = 2_958_466 - 1 / _DAY_MS  # the last millisecond of 9999-12-31
_LEAP_DAY = 60  # Lotus 1-2-3 took 1900 for a leap year, and every sheet still does
_DAYS_TO_1904 = 1462


def kind(id: int, code: str = "") -> Kind:
    """What a number with this format is.

    Args:
        id: Of the format.
        code: Its code, for formats that the workbook defines.

    Examples:
        >>> kind(14), kind(164, "yyyy/mm/dd hh:mm"), kind(165, '[Red]#,##0.00" dm"'), kind(166, "[h]:mm:ss")
        ('date', 'datetime', 'number', 'duration')
    """
    if not code:
        return _BUILT_IN.get(id, "number")
    bare = _LITERAL.sub("", code).split(";")[0].lower()
    if _DURATION.search(bare):
        return "duration"
    bare = bare.replace("general", "").replace("am/pm", "h").replace("a/p", "h")
    has_time = any(letter in bare for letter in "hs")
    has_date = any(letter in bare for letter in "yd") or ("m" in bare and not has_time)
    if has_date:
        return "datetime" if has_time else "date"
    return "time" if has_time else "number"


def texts(values: Sequence[str], id: int, code: str, *, since_1904: bool) -> Sequence[str]:
    """Numbers of one format as a person sees them.

    Raises:
        ValueError: One is not a number.
    """
    found = kind(id, code)
    if found != "number":
        return _moments(values, found, since_1904=since_1904)
    mask = code.replace("\\", "").replace('"', "")
    if _PADDED.fullmatch(mask):
        return [_padded(number(value), mask) for value in values]
    if not _ALL_PLAIN.fullmatch("\n".join(values)):
        return list(map(number, values))
    return [value if len(value) <= DIGITS else number(value) for value in values]


def _padded(text: str, mask: str) -> str:
    """A whole number with zeros in front, as in "000-00-0000"; any other has no such form."""
    sign, digits = ("-", text[1:]) if text.startswith("-") else ("", text)
    if not digits.isdecimal():
        return text
    left = list(digits.zfill(mask.count("0")))
    shown = [left.pop() if place == "0" else place for place in reversed(mask)]
    return sign + "".join(left) + "".join(reversed(shown))


def number(value: str) -> str:
    """A number as text, with as many digits as a sheet keeps.

    Examples:
        >>> number("7"), number("0.30000000000000004"), number("1.23E+16")
        ('7', '0.3', '12300000000000000')
    """
    if len(value) <= DIGITS and _PLAIN.fullmatch(value):
        return value
    found = float(value)
    if not math.isfinite(found):
        raise ValueError(f"the number {value!r}")
    if _LONG <= abs(found) < 1e21 and found.is_integer():
        return str(int(found))
    return f"{found + 0.0:.15g}"  # no "-0"


def is_long(value: str) -> bool:
    """Whether this is a whole number with more digits than a sheet keeps."""
    found = float(value)
    return abs(found) >= _LONG and found.is_integer()


# --- moments ------------------------------------------------------------------------------------------


def _moments(values: Sequence[str], kind: Kind, *, since_1904: bool) -> list[str]:
    """Days and fractions as moments; what no sheet shows as a moment stays a number."""
    shift = _DAYS_TO_1904 if since_1904 and kind in ("date", "datetime") else 0
    days = list(map(float, values))
    if min(days) >= 0 and max(days) + shift < _END_OF_DAYS:
        return _SHOWN[kind]([round((day + shift) * _DAY_MS) for day in days])
    if len(days) > 1:
        return [_moments([value], kind, since_1904=since_1904)[0] for value in values]
    if kind == "duration" and -_END_OF_DAYS < days[0] < 0:  # only lengths of time may be less than nothing
        return ["-" + _clock(round(-days[0] * _DAY_MS))]
    return [number(values[0])]


@lru_cache(maxsize=1 << 16)
def _date(day: int) -> str:
    """The day with this number, in ISO form."""
    if day == _LEAP_DAY:
        return "1900-02-29"
    return (datetime.date(1899, 12, 30) + datetime.timedelta(days=day + (day < _LEAP_DAY))).isoformat()


@lru_cache(maxsize=1 << 16)
def _clock(ms: int) -> str:
    seconds, ms = divmod(ms, 1000)
    text = f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    return f"{text}.{ms:03}" if ms else text


_SHOWN: dict[Kind, Callable[[Sequence[int]], list[str]]] = {
    "date": lambda since_ms: [_date(ms // _DAY_MS) for ms in since_ms],
    "time": lambda since_ms: [_clock(ms % _DAY_MS) for ms in since_ms],
    "datetime": lambda since_ms: [f"{_date(ms // _DAY_MS)} {_clock(ms % _DAY_MS)}" for ms in since_ms],
    "duration": lambda since_ms: [_clock(ms) for ms in since_ms],
}
