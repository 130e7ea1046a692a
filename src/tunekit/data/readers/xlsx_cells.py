"""Cells of an Excel sheet as a person sees them, which is as text. Knows the types of cells; not where they lie.

What comes out is what saving the sheet as CSV would give, with moments in ISO form: "7", not "7.0"; "00123" where the
format says so; "2017-07-02 14:30:00"; "TRUE". An error such as #DIV/0! is no value: it comes out blank, and is noted.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TypeAlias

from tunekit.data.readers import number_formats, xml_text
from tunekit.data.readers.xlsx_package import NumberFormat, Package

Convert: TypeAlias = Callable[[Sequence[str]], Sequence[str]]

_STYLE = re.compile(r'\ss="([0-9]{1,9})"')
_TYPE = re.compile(r'\st="([a-zA-Z]*)"')
_BOOLEANS = {"1": "TRUE", "0": "FALSE", "true": "TRUE", "false": "FALSE", "": ""}
_GENERAL = NumberFormat(0, "")


class Cells:
    """Turns what cells hold in XML into text.

    Args:
        package: The workbook, which has the shared texts and the formats.
    """

    def __init__(self, package: Package) -> None:
        self._texts = package.texts
        self._formats = package.formats
        self._since_1904 = package.since_1904
        self._converts: dict[str, Convert] = {}

    def texts(self, attributes: Sequence[str] | str, values: Sequence[str]) -> Sequence[str]:
        """The cells of a column. Most columns hold cells of one type and format, and are converted at once.

        Args:
            attributes: Of each cell, after its reference, such as `' s="1" t="s"'`; "" for a cell that is not there.
                One text where all cells have the same.
            values: Of each, as in XML; "" where it has none.

        Raises:
            ValueError, LookupError: One of them is not what its type says.
        """
        kinds = {attributes} if isinstance(attributes, str) else set(attributes)
        if len(kinds) == 1:
            return self.convert(*kinds)(values)
        found = list(values)
        for kind in kinds:
            places = [place for place, each in enumerate(attributes) if each == kind]
            texts = self.convert(kind)([values[place] for place in places])
            for place, text in zip(places, texts, strict=True):
                found[place] = text
        return found

    def convert(self, attributes: str) -> Convert:
        """What turns the values of cells with these attributes into texts."""
        if attributes not in self._converts:
            self._converts[attributes] = self._made(attributes)
        return self._converts[attributes]

    def _made(self, attributes: str) -> Convert:
        style, type_ = _STYLE.search(attributes), _TYPE.search(attributes)
        match type_[1] if type_ else "n":
            case "s":
                return self._shared
            case "str" | "inlineStr":
                return xml_text.plain_all
            case "b":
                return lambda values: [_BOOLEANS[value] for value in values]
            case "e":
                return lambda values: [""] * len(values)
            case "d":
                return lambda values: [value.replace("T", " ") for value in values]
            case "n":
                number = int(style[1]) if style else 0
                known = self._formats[number] if number < len(self._formats) else _GENERAL
                return lambda values: number_formats.texts(
                    values, known.id, known.code, since_1904=self._since_1904
                )
            case unknown:
                raise LookupError(f"cells of type {unknown!r}")

    def _shared(self, values: Sequence[str]) -> Sequence[str]:
        texts = self._texts
        return [texts[int(value)] if value else "" for value in values]
