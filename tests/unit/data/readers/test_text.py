"""Plain text: lines, paragraphs, documents, and which of them a file has."""

from __future__ import annotations

import io
from typing import Any

import pytest

from tunekit.data.readers import text
from tunekit.data.readers.base import Notes, ReadOptions, Row
from tunekit.data.readers.catalogue import reader
from tunekit.errors import DataError

LINES = "one\ntwo\n\nthree\n"
PARAGRAPHS = "It was the best\nof times.\n\nIt was the\nworst of times.\n\n\nThe end.\n"
DIALOGUES = "Ann: hi\nBob: hello\n\nAnn: bye\nBob: bye\n\nAnn: hm\nBob: what?\n"


def read(content: str | bytes, format: str = "txt", **options: Any) -> tuple[list[Row], Notes]:
    notes = Notes(name="t")
    raw = content if isinstance(content, bytes) else content.encode()
    return list(reader(format)(io.BytesIO(raw), ReadOptions(**options), notes)), notes


def test_a_row_for_each_line() -> None:
    rows, notes = read(LINES)
    assert rows == [(1, {"text": "one"}), (2, {"text": "two"}), (4, {"text": "three"})]
    assert notes.facts == {"encoding": "utf-8", "unit": "line"}
    assert notes.findings == []


def test_a_row_for_each_paragraph_where_lines_stand_in_groups() -> None:
    rows, notes = read(PARAGRAPHS)
    assert rows == [
        (1, {"text": "It was the best\nof times."}),
        (4, {"text": "It was the\nworst of times."}),
        (8, {"text": "The end."}),
    ]
    assert notes.facts["unit"] == "paragraph"
    (finding,) = notes.findings
    assert (finding.code, finding.severity) == ("assumed-paragraphs", "info")
    assert 'pass unit="line"' in finding.message
    assert len(read(DIALOGUES)[0]) == 3
    assert len(read("a\nb\n\nc\n\nd\ne\n\nf\n")[0]) == 4  # half of them broken
    assert len(read("a\nb\n\nc\n\nd\n\nf\n")[0]) == 5  # fewer


@pytest.mark.parametrize(
    "content", [LINES, "a\n\n" * 10, "a\nb\nc\n", "a\n" * 200 + "\n" + "b\n" * 300, "\n\n", ""]
)
def test_what_are_no_paragraphs(content: str) -> None:
    assert read(content)[1].facts["unit"] == "line"


def test_markdown_is_one_document() -> None:
    content = "\n\n# Title\r\n\r\nA text,\rand more.\n\n"
    rows, notes = read(content, "md")
    assert rows == [(3, {"text": "# Title\n\nA text,\nand more."})]
    assert notes.facts["unit"] == "document"


def test_the_callers_word_counts() -> None:
    assert len(read(PARAGRAPHS, unit="line")[0]) == 5
    assert len(read(PARAGRAPHS, unit="document")[0]) == 1
    assert len(read(LINES, unit="paragraph")[0]) == 2
    assert len(read("a\n\nb\n", "md", unit="paragraph")[0]) == 2


def test_spaces_inside_stay() -> None:
    assert read("    indented \n\ttab\n")[0] == [(1, {"text": "    indented "}), (2, {"text": "\ttab"})]


def test_odd_and_damaged_pieces() -> None:
    rows, notes = read(b"fine\nand\n\ncaf\xe9\nx\n\nbad\x81\ny\n", unit="paragraph")
    assert rows[1] == (4, {"text": "café\nx"})
    assert (
        rows[2][0] == 7 and rows[2][1].message == "byte 0x81 at position 4 of the line is not UTF-8 or cp1252"
    )
    assert notes.findings[0].rows == ("t:4",)


def test_a_document_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text, "MAX_CHARS", 3 << 20)
    assert len(read("12345678\n" * 300_000, unit="document")[0]) == 1
    with pytest.raises(
        DataError, match="the document that begins here is longer than 3 million characters"
    ) as caught:
        read("\n" + "12345678\n" * 400_000, unit="document")
    assert caught.value.line == 2
