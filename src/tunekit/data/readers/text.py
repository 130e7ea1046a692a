"""Plain text: one row for each line, paragraph or document. Knows line ends and blank lines; not what the text says."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import chain, groupby, islice
from typing import BinaryIO, Literal

from tunekit.data.findings import Finding
from tunekit.data.readers.base import Notes, ReadOptions, Row
from tunekit.data.readers.encoding import Decoder
from tunekit.data.readers.text_file import MAX_LINE_BYTES, TextFile
from tunekit.errors import DataError

MAX_CHARS = MAX_LINE_BYTES
"""Of a paragraph or document; a longer one is refused, as a line is."""

_SAMPLE_LINES = 10_000
_LEAST_PARAGRAPHS = 3
_MOST_LINES = 50  # of a paragraph; blank lines further apart only group what stands in lines


def rows(file: BinaryIO, options: ReadOptions, notes: Notes) -> Iterator[Row]:
    """Number of the first line, and `{"text": ...}`, or the `DataError` that the piece is. Blank lines part pieces.

    Without `options.unit` a row is a line, unless most lines stand in groups with blank lines between: those are
    paragraphs, broken to fit a page. Line ends inside a row become newlines.

    Raises:
        DataError: A piece is too long, or the file breaks off.
    """
    text = TextFile(file, options.encoding)
    blocks = text.blocks()
    first = next(blocks, "")
    lines = chain.from_iterable(io.StringIO(block, newline="") for block in chain([first], blocks))
    unit = options.unit or _guessed(first, notes)
    notes.facts.update(encoding=text.decoder.encoding.name, unit=unit)
    try:
        yield from _rows(lines, unit, text.decoder, notes)
    finally:
        text.decoder.finish(notes)


def documents(file: BinaryIO, options: ReadOptions, notes: Notes) -> Iterator[Row]:
    """One row for the file, as a Markdown file is one document, unless `options.unit` says otherwise."""
    return rows(file, replace(options, unit=options.unit or "document"), notes)


def _guessed(sample: str, notes: Notes) -> Literal["line", "paragraph"]:
    lines = islice(io.StringIO(sample, newline=""), _SAMPLE_LINES)
    sizes = [
        sum(1 for _ in group) for filled, group in groupby(lines, lambda line: not line.isspace()) if filled
    ]
    broken = sum(size > 1 for size in sizes)
    if len(sizes) < _LEAST_PARAGRAPHS or 2 * broken < len(sizes) or sum(sizes) > _MOST_LINES * len(sizes):
        return "line"
    notes.findings.append(
        Finding(
            code="assumed-paragraphs",
            severity="info",
            message="lines stand in groups with blank lines between, each of which became one row;"
            ' pass unit="line" or unit="document" for another cut',
        )
    )
    return "paragraph"


def _rows(lines: Iterable[str], unit: str, decoder: Decoder, notes: Notes) -> Iterator[Row]:
    held: list[str] = []
    start = number = size = 0
    for number, line in enumerate(lines, start=1):
        if line.isspace() and (unit != "document" or not held):
            if held:
                yield start, _value(held, start, number, decoder, notes)
            held, size = [], 0
            continue
        start = start if held else number
        held.append(line)
        size += len(line)
        _refuse_long(size, start, unit)
        if unit == "line":
            yield start, _value(held, start, number, decoder, notes)
            held, size = [], 0
    if held:
        yield start, _value(held, start, number, decoder, notes)


def _refuse_long(size: int, start: int, unit: str) -> None:
    if size > MAX_CHARS:
        message = f"the {unit} that begins here is longer than {MAX_CHARS >> 20} million characters"
        raise DataError(message, line=start, hint='pass unit="line" for a row of each line')


def _value(
    held: list[str], start: int, end: int, decoder: Decoder, notes: Notes
) -> dict[str, str] | DataError:
    text = "".join(held).rstrip("\r\n")
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    odd, problem = decoder.settle(end)
    if problem:
        return problem
    if odd:
        decoder.note(notes.row(start), "text", text)
    return {"text": text}
