"""Cells of an Excel sheet as a person sees them, which is as text. Knows the types of cells; not where they lie.

What comes out is what saving the sheet as CSV would give, with moments in ISO form: "7", not "7.0"; "00123" where the
format says so; "2017-07-02 14:30:00"; "TRUE". An error such as #DIV/0! is no value: it comes out blank, and is noted.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tunekit.data.readers import number_formats, xml_text
from tunekit.data.readers.xlsx_package import NumberFormat, Package

MAX_KINDS = 100_000
"""That are remembered. Excel knows 65,490 formats of cells."""

_STYLE = re.compile(r'\ss="([0-9]{1,9})"')
_TYPE = re.compile(r'\st="([a-zA-Z]*)"')
_BOOLEANS = {"1": "TRUE", "0": "FALSE", "true": "TRUE", "false": "FALSE"}
_GENERAL = NumberFormat(0, "")


@dataclass(frozen=True, slots=True)
class CellKind:
    """Cells of one type and format.

    Attributes:
        convert: Turns what such cells hold in XML into texts; one or more at once, of which none is blank.
        is_number: Whether the texts are numbers.
    """

    convert: Callable[[Sequence[str]], Sequence[str]]
    is_number: bool = False


class Cells:
    """Turns what cells hold in XML into text.

    Args:
        package: The workbook, which has the shared texts and the formats.
    """

    def __init__(self, package: Package) -> None:
        self._texts = package.texts
        self._formats = package.formats
        self._since_1904 = package.since_1904
        self._kinds: dict[str, CellKind] = {}

    def texts(self, kinds: Sequence[str] | str, values: Sequence[str]) -> Sequence[str]:
        """The cells of a column. Most columns hold cells of one kind, which are converted at once.

        Args:
            kinds: Attributes of each cell, after its reference, such as `' s="1" t="s"'`; one text where all cells
                have the same.
            values: Of each, as in XML; "" where it has none.

        Raises:
            ValueError, LookupError: One of them is not what its type says.
        """
        if isinstance(kinds, str) and all(values):
            return self._kind(kinds).convert(values)
        found = [""] * len(values)
        for kind, places in _places(kinds, values).items():
            texts = self._kind(kind).convert([values[place] for place in places])
            for place, text in zip(places, texts, strict=True):
                found[place] = text
        return found

    def long(self, kinds: Sequence[str] | str, values: Sequence[str]) -> list[int]:
        """Where in a column, as `texts` takes it, whole numbers have more digits than a sheet keeps."""
        if isinstance(kinds, str) and not self._kind(kinds).is_number:
            return []
        if max(map(len, values)) <= number_formats.DIGITS:
            return []
        return [
            place
            for place, value in enumerate(values)
            if len(value) > number_formats.DIGITS
            and (isinstance(kinds, str) or self._kind(kinds[place]).is_number)
            and number_formats.is_long(value)
        ]

    def _kind(self, attributes: str) -> CellKind:
        if attributes not in self._kinds:
            if len(self._kinds) >= MAX_KINDS:
                self._kinds.clear()
            self._kinds[attributes] = self._made(attributes)
        return self._kinds[attributes]

    def _made(self, attributes: str) -> CellKind:
        style, type_ = _STYLE.search(attributes), _TYPE.search(attributes)
        match type_[1] if type_ else "n":
            case "s":
                return CellKind(self._shared)
            case "str" | "inlineStr":
                return CellKind(xml_text.plain_all)
            case "b":
                return CellKind(lambda values: [_BOOLEANS[value] for value in values])
            case "e":
                return CellKind(lambda values: [""] * len(values))
            case "d":
                return CellKind(lambda values: [value.replace("T", " ") for value in values])
            case "n":
                return self._number(int(style[1]) if style else 0)
            case unknown:
                raise LookupError(f"cells of type {unknown!r}")

    def _number(self, style: int) -> CellKind:
        format = self._formats[style] if style < len(self._formats) else _GENERAL
        return CellKind(
            lambda values: number_formats.texts(values, format.id, format.code, since_1904=self._since_1904),
            is_number=number_formats.kind(format.id, format.code) == "number",
        )

    def _shared(self, values: Sequence[str]) -> Sequence[str]:
        positions = list(map(int, values))
        if min(positions) < 0:
            raise LookupError(f"shared text {min(positions)}")
        return list(map(self._texts.__getitem__, positions))


def _places(kinds: Sequence[str] | str, values: Sequence[str]) -> dict[str, list[int]]:
    """Where in a column the cells of each kind are that are not blank."""
    found: dict[str, list[int]] = {}
    for place, value in enumerate(values):
        if value:
            found.setdefault(kinds if isinstance(kinds, str) else kinds[place], []).append(place)
    return found
