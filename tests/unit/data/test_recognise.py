"""What a file is: by its content, whatever it is called; and what is no data is named as what it is."""

from __future__ import annotations

import io
import json
import sqlite3
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tunekit.data.readers.base import ReadOptions
from tunekit.data.recognise import Format, recognise
from tunekit.errors import DataError

ROWS: list[dict[str, Any]] = [
    {"prompt": "a", "completion": {"b": [1, 2]}},
    {"prompt": "c", "completion": "d"},
]
LINES = "".join(json.dumps(row) + "\n" for row in ROWS)
LONG = {"text": "word " * 50_000}
ANY_NAME = pytest.mark.parametrize(
    "name", ["x", "x.txt", "x.csv", "x.tsv", "x.json", "x.jsonl", "x.xlsx", "x.csv.gz"]
)


def known(content: str | bytes, name: str = "x", given: Format | None = None, **options: Any) -> str:
    raw = content if isinstance(content, bytes) else content.encode()
    return recognise(raw[: 64 << 10], name, ReadOptions(**options), given)


def refused(content: str | bytes, name: str = "x", given: Format | None = None, **options: Any) -> str:
    with pytest.raises(DataError) as caught:
        known(content, name, given, **options)
    assert caught.value.hint
    return caught.value.message


@ANY_NAME
@pytest.mark.parametrize(
    "content",
    [
        LINES,
        "\ufeff" + LINES,
        "\r\n  " + LINES.replace("\n", "\r\n"),
        '{"a": 1,}\n{"a": 2}\n',
        '{"a": 1}{"a": 2}\n',
        '["Hello there", "greeting"]\n["Bye", "parting"]\n',
        "{}\n{}\n",
        json.dumps({"a": 1}) + "\n" + json.dumps(LONG),
    ],
)
def test_json_lines(content: str, name: str) -> None:
    assert known(content, name) == "jsonl"


@ANY_NAME
@pytest.mark.parametrize(
    "content",
    [
        json.dumps(ROWS),
        json.dumps(ROWS, indent=2),
        json.dumps(ROWS, indent=None, separators=(",\n", ":")),
        json.dumps({"train": ROWS}, indent="\t"),
        json.dumps([LONG]),
        json.dumps({"train": [LONG]}, indent=0),
        "\ufeff[]",
        "[\n" + ",\n".join(map(json.dumps, ROWS)) + "\n]",
    ],
)
def test_json_documents(content: str, name: str) -> None:
    assert known(content, name) == "json"


def test_one_line_with_one_object_is_what_its_name_says() -> None:
    for content in (json.dumps(ROWS[0]), json.dumps(LONG)):
        assert known(content, "x.json") == "json"
        assert [known(content, name) for name in ("x", "x.jsonl", "x.txt")] == ["jsonl"] * 3


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32-be", "utf-8-sig", "cp1252"])
def test_other_encodings(encoding: str) -> None:
    assert known('{"text": "café"}\n{"text": "ok"}\n'.encode(encoding)) == "jsonl"
    assert known("text\tlabel\ncafé\tyes\n".encode(encoding)) == "tsv"
    assert known("text,label\ncafé,yes\n".encode(encoding), encoding=encoding) == "csv"


@pytest.mark.parametrize(
    ("content", "name", "format"),
    [
        ("text,label\na,b\n", "x.csv", "csv"),
        ("text,label\na,b\n", "x.jsonl", "csv"),
        ("text,label\na,b\n", "x", "csv"),
        ("text\nHello, you\nBye\n", "x.csv", "csv"),
        ("just one word", "x.csv", "csv"),
        ("just one word", "x.tsv", "tsv"),
        ("a\tb\nc\td\n", "x.csv", "tsv"),
        ("a\tb\nc\td\n", "x.txt", "tsv"),
        ("a,b\nc,d\n", "x.tsv", "csv"),
        ("a;b\nc;d\n", "x.dat", "csv"),
        ('text,label\n"{""a"": 1}",b\n', "x.csv", "csv"),
        ("[INST],label\na,b\n", "x.csv", "csv"),
        ("{{name}},label\na,b\n", "x.csv", "csv"),
        ("text,label\n" * 5, "x.txt", "csv"),
        ("Is it?,Yes it is!,1,2\n" * 5, "x.txt", "csv"),
    ],
)
def test_tables(content: str, name: str, format: str) -> None:
    assert known(content, name) == format


@pytest.mark.parametrize(
    "content",
    [
        "Dear diary,\n",
        "Roses are red, violets are blue,\nSugar is sweet, and so are you.\n" * 5,
        "[Music] playing\n[1] A note\n",
        "[1] First\n[2] Second\n",
        "{name}, hello\n{name}, bye\n",
        "One line; another.\nAnd more\n",
        "# Title\n\nwords | and words\n",
        "text,label\n" * 4,
        "Is it?,Yes it is!,1\n" * 5,
    ],
)
def test_prose_is_text(content: str) -> None:
    assert known(content, "notes.txt") == "txt"
    assert known(content, "notes.md") == "md"
    assert known(content, "NOTES.TXT.GZ") == "txt"


def test_the_callers_word_counts() -> None:
    assert known(LINES, given="txt") == "txt"
    assert known("a,b\n", delimiter=":") == "csv"
    assert known("a,b\n", delimiter="\t") == "tsv"
    assert known(LINES, delimiter=",") == "csv"
    assert known("a;b,c\n1;2,3\n", wanted=("b,c",)) == "csv"
    assert known("<html>", given="txt") == "txt"
    assert known(b"PK\x05\x06", given="xlsx") == "xlsx"
    assert refused(b"PAR1\x15", given="csv") == "this is a Parquet file, not csv"
    assert refused("<html>", given="jsonl") == "this is an HTML page"


def zipped(*names: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name in names:
            archive.writestr(
                name, "application/vnd.oasis.opendocument.spreadsheet" if name == "mimetype" else "x"
            )
    return file.getvalue()


@ANY_NAME
@pytest.mark.parametrize(
    ("content", "format"),
    [
        (zipped("[Content_Types].xml", "_rels/.rels", "xl/workbook.xml"), "xlsx"),
        (zipped("mimetype", "content.xml"), "ods"),
        (b"PAR1\x15\x04", "parquet"),
        (b"ARROW1\0\0", "arrow"),
        (b"\xff\xff\xff\xff\xf8\0\0\0\x10", "arrow"),
    ],
)
def test_binary_formats_under_any_name(content: bytes, format: str, name: str) -> None:
    assert known(content, name) == format


def database(folder: Path) -> bytes:
    connection = sqlite3.connect(folder / "x.db")
    connection.execute("create table t (a)")
    connection.commit()
    connection.close()
    return (folder / "x.db").read_bytes()


def tarred() -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("data.jsonl"), io.BytesIO(b""))
    return file.getvalue()


LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"


@ANY_NAME
@pytest.mark.parametrize(
    ("content", "what"),
    [
        (LFS, "a git-lfs pointer, not the data it stands for"),
        (b"\n<!DOCTYPE html><html>", "an HTML page"),
        (b"\xef\xbb\xbf<HTML lang='en'>", "an HTML page"),
        ("<html>".encode("utf-16"), "an HTML page"),
        (b"<?xml version='1.0'?><Error>", "an XML document"),
        (b"<!DOCTYPE lolz [<!ENTITY lol 'lol'>", "an XML document"),
        (zipped("data.csv"), "a zip archive"),
        (zipped("[Content_Types].xml", "word/document.xml"), "a Word document"),
        (zipped("[Content_Types].xml", "xl/workbook.bin"), "a binary Excel workbook (.xlsb)"),
        (zipped("archive/data.pkl"), "a PyTorch file"),
        (zipped("a.npy"), "NumPy arrays"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old or protected Office file, such as an .xls workbook"),
        (b"\x1f\x8b\x08", "gzip-compressed twice"),
        (b"BZh91AY", "bzip2-compressed"),
        (b"\xfd7zXZ\0", "xz-compressed"),
        (b"%PDF-1.7\n", "a PDF document"),
        (b"\x80\x04\x95", "a Python pickle"),
        (b"\x89PNG\r\n\x1a\n", "an image"),
        (tarred(), "a tar archive"),
        (bytes(range(256)) * 4, "binary data of no known kind"),
    ],
)
def test_what_is_no_data_is_named(content: bytes, what: str, name: str) -> None:
    assert refused(content, name) == f"this is {what}"


def test_a_database_is_named(tmp_path: Path) -> None:
    assert refused(database(tmp_path), "x.csv") == "this is an SQLite database"


@pytest.mark.parametrize(
    "content", [b"", b"\n \r\n", b"\xef\xbb\xbf", b"\xff\xfe", "\ufeff\n".encode("utf-16-be")]
)
def test_nothing(content: bytes) -> None:
    assert refused(content, "x.csv") == "the file is empty"


def test_blanks_and_zeros() -> None:
    assert refused("\n" * 70_000, "x.csv") == "the file begins with nothing but blank lines"
    assert refused(bytes(1000), "x.csv") == "the file begins with zero bytes only"


def test_text_of_no_known_form() -> None:
    assert refused("Dear diary,\n", "notes") == "neither JSON nor a table"
    assert (
        refused("Dear diary,\n", "x.dat", wanted=("text",))
        == "neither JSON nor a table with the columns 'text'"
    )


@pytest.mark.parametrize(
    "content", ["[" * 60_000, '{"a":' * 12_000, '"' * 60_000, "," * 60_000, "x\t\n" * 20_000]
)
def test_deep_and_dull_content_costs_nothing(content: str) -> None:
    assert known(content, "x.jsonl") in ("json", "jsonl", "csv", "tsv")
