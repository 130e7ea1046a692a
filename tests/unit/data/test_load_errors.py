"""Bad input: whole messages, so that each says where it is wrong and what to do."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import openpyxl
import pytest

import tunekit as tk
from tunekit.errors import DataError, SpecError

NAMED = {"input": "text", "target": "label"}
OWN_ENCODING = (
    'leave encoding= out, or pass the file\'s own, such as "cp1251" (Cyrillic), "gb18030" (Chinese),'
    ' "shift_jis" (Japanese) or "euc_kr" (Korean)'
)
FORMATS = "formats are 'csv', 'tsv', 'jsonl', 'json', 'xlsx', 'ods', 'parquet', 'arrow', 'txt', 'md'"
SKIP = 'fill them in, or pass on_error="skip" to leave such rows out and list them in `skipped`'
SHAPES = (
    'rows are {"messages": [...]}, {"prompt": ..., "completion": ...} or {"text": ...};'
    " for other keys pass input= and target="
)
UTF16 = 'if this is UTF-16 text, pass encoding="utf-16"; else the file is binary or damaged'
TWICE = (
    "a quote inside a quoted cell is written twice; pass quoting=False if quotes are part of the text here, or"
    ' quoting="backslash" if they have backslashes before them'
)
MISSING = "fill in the missing cells, or put quotes around a cell that holds a line break"
TOO_LONG = "a quote in this row may never close"
ONE = "one line holds one object, and nothing after it"
INDENTED = (
    "these look like indented objects; JSON lines hold one whole object on each line, as `jq -c . FILE` writes them,"
    " and a JSON document one array of all"
)
DISK = "check its permissions, and the disk that it lies on"
QUERY = "look at what wrote it; did its query find anything?"
UNCLEAR = "which column is the input and which the target is not clear"
NAME_BOTH = "pass input= and target= with the columns to read and to answer, or target= alone for raw text"
NAME_THEM = "name the columns to use with input= and target="


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def said(path: str, **options: Any) -> str:
    with pytest.raises(DataError) as caught:
        tk.Dataset.load(path, **options)
    error = caught.value
    assert type(error) is DataError
    assert error.path == path
    assert str(pickle.loads(pickle.dumps(error))) == str(error)
    return str(error)


def hinted(message: str, hint: str) -> str:
    return f"{message}\n  hint: {hint}"


def test_files_that_are_not_there_or_not_files() -> None:
    os.mkdir("folder.csv")
    Path("nothing.csv").touch()
    Path("blank.jsonl").write_text("\n \n")
    assert said("no.csv") == hinted(
        "no.csv: no such file", "check the path; relative paths start where Python runs"
    )
    assert said("folder.csv") == hinted("folder.csv: this is a directory, not a file", "name one file in it")
    for path in ("nothing.csv", "blank.jsonl"):
        message = f"{path}: the file is empty"
        assert said(path) == hinted(message, "look at what wrote it; was it still writing?")
    Path("folder.csv/deep").mkdir()
    for name in (
        "train.JSONL.gz",
        "README.md",
        "deep/b.csv",
        "deep/a.parquet",
        ".hidden.csv",
        "c.tsv",
        "d.tsv",
    ):
        Path("folder.csv", name).touch()
    assert said("folder.csv") == hinted(
        "folder.csv: this is a directory, not a file",
        "load a file in it: Dataset.load('folder.csv/c.tsv'), Dataset.load('folder.csv/d.tsv'),"
        " Dataset.load('folder.csv/deep/a.parquet'), Dataset.load('folder.csv/deep/b.csv'), or one of 1 more",
    )
    with pytest.raises(SpecError, match=r"path is 'a\\x00b', which names no file"):
        tk.Dataset.load("a\0b")


@pytest.mark.skipif(
    not os.path.exists("/proc/self/mem"), reason="needs Linux: a file that opens and cannot be read"
)
def test_file_that_cannot_be_read() -> None:
    assert said("/proc/self/mem") == hinted("/proc/self/mem: cannot be read: Input/output error", DISK)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_file_without_permission() -> None:
    Path("secret.csv").write_text("text,label\na,b\n")
    os.chmod("secret.csv", 0)
    assert said("secret.csv") == hinted("secret.csv: cannot be read: Permission denied", DISK)


@pytest.mark.parametrize(
    ("content", "what", "hint"),
    [
        (b"PK\x03\x04....data.csv", "a zip archive", "unpack it, and name one file in it"),
        (b"BZh91AY", "bzip2-compressed", "unpack it first"),
        (
            b"version https://git-lfs.github.com/spec/v1\noid ",
            "a git-lfs pointer, not the data it stands for",
            "run `git lfs pull` where it came from",
        ),
        (b"\n<!DOCTYPE html><html>", "an HTML page", "the download may have ended at a login or error page"),
    ],
)
@pytest.mark.parametrize("name", ["data.xlsx", "data"])
def test_things_that_are_not_rows_of_text(name: str, content: bytes, what: str, hint: str) -> None:
    Path(name).write_bytes(content)
    assert said(name) == hinted(f"{name}: this is {what}", hint)


def test_text_of_no_known_form() -> None:
    Path("notes").write_text("Dear diary,\n")
    hint = 'pass format=, such as "csv", "jsonl" or "txt", if it is one of them'
    assert said("notes", **NAMED) == hinted(
        "notes: neither JSON nor a table with the columns 'text', 'label'", hint
    )


@pytest.mark.parametrize(
    ("content", "options", "message", "hint"),
    [
        ("text,label\n", NAMED, "1: the file has a header and no rows", QUERY),
        ("xy,z\na,b\n", NAMED, "1: no column 'text'; the columns are 'xy', 'z'", NAME_THEM),
        (
            "Text ,lable\na,b\n",
            NAMED,
            "1: no column 'text'; the columns are 'Text', 'lable'",
            "did you mean 'Text'?",
        ),
        ("a,b\n1,2\n", {}, f" {UNCLEAR}; the columns are 'a' (number), 'b' (number)", NAME_BOTH),
        ("text,label,text\na,b,c\n", NAMED, "1: 2 columns are named 'text'", "rename all but one"),
        ("text,label\na,b\nc\n", NAMED, "3: the row has 1 cell, the header has 2", MISSING),
        (
            "text,label\na,b,c\n",
            NAMED,
            "2: the row has 3 cells, the header has 2",
            "put quotes around a cell that holds ','",
        ),
        (
            'text,label\na,b\n"c,d\ne,f\n',
            NAMED,
            "3: a quote is opened in this row and never closed",
            f"close it; {TWICE}",
        ),
        ('text,label\n"a"b,c\n', NAMED, "2: a cell goes on after its closing quote", TWICE),
        (
            'text,label\n"' + "a,b,\n" * 1_000_000,
            NAMED,
            "2: a cell is longer than 4,194,304 characters;"
            " lines 2 to 100002 were passed by, and no row was found there",
            TOO_LONG,
        ),
        ("text,label\na,\n", NAMED, "2:label: empty text", SKIP),
        ("text,label\na,\nb,x\nc, \n", NAMED, "2:label: empty text in 2 rows, on lines 2, 4", SKIP),
        (
            "text,label\n" + "a,\n" * 9,
            NAMED,
            "2:label: empty text in 9 rows, on lines 2, 3, 4, 5, 6, ...",
            SKIP,
        ),
        ("text,label\n ,b\n", {**NAMED, "kind": "labelled"}, "2:text: empty text", SKIP),
        (
            b"text,label\na,b\ncaf\x81,d\n",
            NAMED,
            "3: byte 0x81 at position 4 of the line is not UTF-8 or cp1252",
            OWN_ENCODING,
        ),
        (b"text,label\na\x00,b\n", NAMED, "2: the line holds a NUL byte", UTF16),
        (
            "text,label\na,\n",
            {**NAMED, "on_error": "skip"},
            "2: no row can be used, 1 row skipped; the first: label: empty text",
            'pass on_error="raise" for that error with its own hint',
        ),
    ],
)
def test_tables(content: str | bytes, options: dict[str, Any], message: str, hint: str) -> None:
    Path("t.csv").write_bytes(content if isinstance(content, bytes) else content.encode())
    assert said("t.csv", **options) == hinted(f"t.csv:{message}", hint)


@pytest.mark.parametrize(
    ("line", "message", "hint"),
    [
        (
            '{"text": "a",}',
            " not valid JSON: Expecting property name enclosed in double quotes at column 14",
            "check this line with a JSON validator; keys and texts take double quotes",
        ),
        (
            '{"text": "a"} {}',
            " not valid JSON: Extra data at column 15",
            "one line holds one object, and nothing after it",
        ),
        ("{", " not valid JSON: Expecting property name enclosed in double quotes at column 2", INDENTED),
        ("[1]", " expected an object, found a list", SHAPES),
        ('"x"', " expected an object, found text", SHAPES),
        ("null", " expected an object, found null or nothing", SHAPES),
        ("{}", " unknown shape with the keys none", SHAPES),
        ('{"q": "a", "a": "b"}', " unknown shape with the keys 'q', 'a'", SHAPES),
        ('{"text": NaN}', " the number NaN is not finite, and not JSON", "write null or leave it out"),
        ('{"text": -1e999}', " the number -1e999 is not finite, and not JSON", "write null or leave it out"),
        (
            '{"text": ' + "9" * 5000 + "}",
            " a number has too many digits",
            "write it as a JSON text: put quotes around it",
        ),
        ('{"text": true}', "text: expected text, found true or false", "write it as a JSON text"),
        ('{"text": ""}', "text: empty text", SKIP),
        (b'{"text": "\x81"}', " byte 0x81 at position 11 of the line is not UTF-8 or cp1252", OWN_ENCODING),
        (
            '{"text": "a", "text": "b"}',
            " the key 'text' occurs twice in one object",
            "keep one of them, or rename one",
        ),
        (b'{"text": "\x00"}', " the line holds a NUL byte", UTF16),
    ],
)
def test_json_lines(line: str | bytes, message: str, hint: str) -> None:
    raw = line if isinstance(line, bytes) else line.encode()
    Path("t.jsonl").write_bytes(b'{"text": "fine"}\n' + raw + b"\n")
    assert said("t.jsonl") == hinted(f"t.jsonl:2:{message}", hint)


def test_a_blank_cell_of_a_workbook_says_why_it_is_blank() -> None:
    book = openpyxl.Workbook()
    for row in (["text", "label"], ["Where is it?", "=A2&1"], ["When was it?", "ok"]):
        book.active.append(row)
    book.save("t.xlsx")
    assert said("t.xlsx") == hinted(
        "t.xlsx:2:label: empty text; a formula in 1 row was never computed, and was read as a blank cell; open the"
        " workbook with a spreadsheet program and save it",
        SKIP,
    )


def test_named_keys_that_are_missing() -> None:
    Path("t.jsonl").write_text('{"question": "a", "answer": "b"}\n')
    assert said("t.jsonl", input="question", target="Answers") == hinted(
        "t.jsonl:1: no key 'Answers'; the keys are 'question', 'answer'", "did you mean 'answer'?"
    )


def test_a_line_without_end_is_refused_and_not_read_whole() -> None:
    with Path("long.jsonl").open("wb") as file:
        file.write(b'{"text": "' + b"a" * (1 << 20))
        file.truncate(1 << 34)  # sparse: 16 GB that no machine here could hold
    message = hinted(
        "long.jsonl:1: the line is longer than 32 MB", "rows are lines: check that the file has line ends"
    )
    assert said("long.jsonl") == message


@pytest.mark.parametrize(
    ("options", "message", "hint"),
    [
        ({"input": "text"}, "input='text' needs a target", "pass target= with the column to learn"),
        (
            {"input": ["a", "b"], "target": "c"},
            "input must be the name of one column, not ['a', 'b']",
            "pass a text, such as input='text'; for several columns input='{title}: {body}'",
        ),
        ({"kind": "chat"}, "unknown kind 'chat'", "kinds are 'completion', 'labelled', 'prompt'"),
        (
            {"target": "a", "kind": "labelled"},
            "kind='labelled' needs input=",
            "name the column with the text to classify",
        ),
        ({"format": "docx"}, "unknown format 'docx'", FORMATS),
        ({"encoding": "klingon"}, "unknown encoding 'klingon'", "common ones are utf-8, cp1252 and utf-16"),
        ({"encoding": "hex"}, "unknown encoding 'hex'", "common ones are utf-8, cp1252 and utf-16"),
        ({"delimiter": "||"}, "delimiter is '||'", "use one character, such as ';'"),
        ({"limit": 0}, "limit is 0", "use a whole number from 1 up"),
        ({"on_error": "ignore"}, "on_error is 'ignore'", "use 'raise' or 'skip'"),
    ],
)
def test_arguments(options: dict[str, Any], message: str, hint: str) -> None:
    Path("t.jsonl").write_text('{"text": "a"}\n')
    with pytest.raises(SpecError) as caught:
        tk.Dataset.load("t.jsonl", **options)
    assert str(caught.value) == hinted(message, hint)
