"""Damaged text files through recognition and every reader of text: rows, or typed errors that say where.

A slice of it runs with the other tests, a million files with `make soak`.
"""

from __future__ import annotations

import gzip
import io
import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import zstandard

from tunekit.data.readers import catalogue, compressed
from tunekit.data.readers.base import Notes, ReadOptions
from tunekit.data.recognise import recognise
from tunekit.errors import DataError

TABLE = (
    'id,text,label,,\r\n1,"a ""quoted"" cell, with\nlines",x,,\r\n2,plain,"y",note,\r\n,,,,\r\n'
    '3,"café · 5|6; ok",x,,\r\n4,late,z,,\r\n'
)
PLAIN = 'ham\tSee you "there" at 5\nspam\t"WIN now\nham\tok\nspam\t"cash" today"\nham\t"fine"\n'
TITLED = "Report of 2020\n\nname;score;note\nann;1,5;a b\nbob;2,0;\nann;3;c\n"
LINES = (
    '{"messages": [{"role": "user", "content": "hi \\ud83d\\ude00"}, {"content": null}], "n": 1e3}\n'
    '{"prompt": "café", "completion": "[{\\"a\\": 1}]", "deep": [[[[{"x": {}}]]]]}\n\n{"text": "raw"}\r\n["a", 1]\n'
)
PROSE = "It was the best\nof times. Café!\n\nIt was the\nworst of times.\n\n\nThe end.\nReally.\n"

PACKINGS: tuple[Callable[[bytes], bytes], ...] = (
    *[bytes] * 12,
    gzip.compress,
    zstandard.ZstdCompressor().compress,
    lambda content: gzip.compress(content) + gzip.compress(content),
)
ENCODINGS = (
    "utf-8",
    "utf-8",
    "utf-8",
    "utf-8-sig",
    "cp1252",
    "utf-16",
    "utf-16-le",
    "utf-32",
    "gb18030",
    "cp1251",
)
SEEDS = tuple(
    text.encode(encoding, "replace")
    for text in (TABLE, PLAIN, TITLED, LINES, PROSE, TABLE.replace(",", "\t"), TABLE.replace(",", "|"))
    for encoding in ENCODINGS
)
SPICE = (
    *(bytes([byte]) for byte in b"\0\"',\t;|\r\n\\{}[]: \xff\xe9\x81"),
    *(
        b"\r\n",
        b"\n\n",
        b'""',
        b'",',
        b'\n"',
        b"\\u",
        b"\\ud800",
        b"null",
        b"NaN",
        b"-Infinity",
        b"1e999",
        b"9" * 5000,
    ),
    *(
        b"[" * 300,
        b'{"a":' * 120,
        b"\xef\xbb\xbf",
        b"\xff\xfe",
        b"\xfe\xff\0",
        b"\xed\xa0\x80",
        b"\xe2\x80\xa8",
        b"\xc3",
    ),
    *(
        b"PK\x03\x04",
        b"\x1f\x8b",
        b"\x28\xb5\x2f\xfd",
        b"PAR1",
        b"<html",
        b"version https://git-lfs",
        b"x" * 3000,
        b"",
    ),
)
OPTIONS: tuple[dict[str, Any], ...] = (
    *[{}] * 8,
    {"encoding": "utf-8"},
    {"encoding": "cp1252"},
    {"encoding": "utf-16"},
    {"encoding": "gb18030"},
    {"delimiter": ";"},
    {"quoting": False},
    {"quoting": True},
    {"header": True},
    {"header": False},
    {"header": 3},
    {"header": ("one", "two")},
    {"unit": "paragraph"},
    {"unit": "document"},
    {"wanted": ("text", "label")},
)
NAMES = ("x", "x.csv", "x.tsv", "x.jsonl", "x.txt", "x.md", "x.csv.gz")
TEXT_FORMATS = ("csv", "tsv", "jsonl", "txt", "md")


def mutated(seed: bytes, dice: random.Random) -> bytes:
    """Up to eight edits: a byte changed, a part cut, doubled, turned round, or something nasty put in."""
    data = bytearray(seed)
    for _ in range(dice.randint(0, 8)):
        start = dice.randint(0, len(data))
        end = min(len(data), start + dice.choice((0, 1, 1, 1, 2, 4, 30)))
        part = bytes(data[start:end])
        byte = bytes([dice.randrange(256)])
        spice = dice.choice(SPICE)
        data[start:end] = dice.choice((b"", part * 2, part[::-1], byte, spice, spice + part))
    return bytes(data)


@dataclass
class Seen:
    """What reading a file gave."""

    good: int = 0
    bad: int = 0
    last: int = 0
    end: DataError | None = None


def attempt(content: bytes, name: str, options: ReadOptions, format: str | None) -> Seen:
    """Read a file to its end, and look at all that it gives."""
    notes, seen = Notes(name="x"), Seen()
    try:
        read(content, name, options, format, notes, seen)
    except DataError as error:
        seen.end = error
    # Whatever was noticed can be shown, written and kept.
    json.dumps([notes.facts, *(finding.to_dict() for finding in notes.findings)], ensure_ascii=False).encode()
    if seen.end:
        assert seen.end.hint
        assert not seen.last or seen.end.line, "an error among rows says where"
        assert seen.end.line is None or seen.end.line >= seen.last, "and is not above what was read"
    return seen


def read(
    content: bytes, name: str, options: ReadOptions, format: str | None, notes: Notes, seen: Seen
) -> None:
    file = compressed.opened(io.BufferedReader(io.BytesIO(content)), notes)
    known = format or recognise(file.peek(1), name, options)
    if known not in TEXT_FORMATS:
        return
    for number, value in catalogue.reader(known)(file, options, notes):
        assert number > seen.last, "rows come in order, each with a number of its own"
        seen.last = number
        if isinstance(value, DataError):
            seen.bad += 1
            assert value.message and value.hint
        else:
            seen.good += 1
            check(value, known)


def check(value: Any, format: str) -> None:
    if format in ("csv", "tsv"):
        assert value and all(type(key) is str and type(cell) is str for key, cell in value.items())
    elif format != "jsonl":
        assert list(value) == ["text"] and value["text"].strip()
    json.dumps(
        value, ensure_ascii=False, allow_nan=False
    ).encode()  # no half characters, no NaN, no endless depth


def throw(dice: random.Random) -> tuple[bytes, str, ReadOptions, str | None]:
    content = dice.choice(PACKINGS)(mutated(dice.choice(SEEDS), dice))
    if dice.random() < 0.05:
        content = mutated(content, dice)  # damage to the packing itself
    format = dice.choice((None, None, *TEXT_FORMATS))
    return content, dice.choice(NAMES), ReadOptions(**dice.choice(OPTIONS)), format


def run(files: int, dice: random.Random) -> tuple[int, int, set[str]]:
    """How many good and bad rows there were, and what kinds of errors ended files."""
    good = bad = 0
    ends: set[str] = set()
    for _ in range(files):
        thrown = throw(dice)
        try:
            seen = attempt(*thrown)
        except BaseException as error:
            error.add_note(f"the file that did it: {thrown}")
            raise
        good, bad = good + seen.good, bad + seen.bad
        ends.add(seen.end.message[:20] if seen.end else "")
    return good, bad, ends


@pytest.mark.parametrize("part", range(4))
def test_mutated_files_give_rows_or_errors_with_their_place(part: int) -> None:
    good, bad, ends = run(5_000, random.Random(f"tunekit readers {part}"))
    # The files are neither all good nor all hopeless, or this would test nothing.
    assert good > 5_000 and bad > 2_000 and len(ends) > 20


def test_the_same_file_gives_the_same_rows_and_findings() -> None:
    def seen(thrown: tuple[bytes, str, ReadOptions, str | None]) -> str:
        content, _, options, format = thrown
        notes = Notes(name="x")
        rows: list[Any] = []
        try:
            rows += catalogue.reader(format or "csv")(io.BytesIO(content), options, notes)
        except DataError as error:
            rows.append(error)
        return repr((rows, notes))

    dice = random.Random("tunekit twice")
    for thrown in [throw(dice) for _ in range(300)]:
        assert seen(thrown) == seen(thrown)


@pytest.mark.soak
@pytest.mark.timeout(0)
def test_a_million_mutated_files_give_rows_or_errors_with_their_place() -> None:
    run(1_000_000, random.Random("tunekit readers soak"))
