"""Text in every encoding that people have: what is recognised, what is assumed, and what is refused with its place."""

from __future__ import annotations

import io
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunekit.data.readers import encoding
from tunekit.data.readers.base import Notes, ReadOptions
from tunekit.data.readers.text import rows
from tunekit.errors import DataError, SpecError

ANY_ENCODING = 'such as "cp1251" (Cyrillic), "gb18030" (Chinese), "shift_jis" (Japanese) or "euc_kr" (Korean)'


def read(content: bytes, **options: Any) -> tuple[list[str | DataError], Notes]:
    """Texts of the lines, and what was noticed."""
    notes = Notes(name="t")
    found = rows(io.BytesIO(content), ReadOptions(unit="line", **options), notes)
    return [value if isinstance(value, DataError) else value["text"] for _, value in found], notes


@pytest.mark.parametrize(
    ("head", "name"),
    [
        (b"id,text", "utf-8"),
        (b"\xef\xbb\xbfid", "utf-8-sig"),
        ("id".encode("utf-16"), "utf-16"),
        (b"\xfe\xff\0i\0d", "utf-16"),
        ("id".encode("utf-32"), "utf-32"),
        ("id,text\n".encode("utf-16-le"), "utf-16-le"),
        ("id,text\n".encode("utf-16-be"), "utf-16-be"),
        ("id,text\n".encode("utf-32-le"), "utf-32-le"),
        ("id,text\n".encode("utf-32-be"), "utf-32-be"),
        ('{"question": "日本"}\n'.encode("utf-16-le"), "utf-16-le"),
        ("\ufeff中文".encode("gb18030"), "gb18030"),
        (b"text,label\na\0,b\n", "utf-8"),  # a NUL gone astray is no UTF-16
        (b"\0\0\0\0", "utf-8"),
        (b"", "utf-8"),
    ],
)
def test_recognised_by_mark_or_by_where_the_nuls_are(head: bytes, name: str) -> None:
    assert encoding.recognised(head).name == name


def test_the_callers_word_counts() -> None:
    found = encoding.recognised(b"\xef\xbb\xbfid", "cp1252")
    assert (found.name, found.named) == ("cp1252", True)
    # Python wants a byte order mark for plain "utf-16"; a file without one shows its order.
    assert encoding.recognised("a,b".encode("utf-16-be"), "utf-16").name == "utf-16-be"
    assert encoding.recognised("a,b".encode("utf-16"), "utf-16").name == "utf-16"


@pytest.mark.parametrize("name", ["klingon", "hex", "undefined", "a\0b"])
def test_unknown_encodings_are_refused(name: str) -> None:
    with pytest.raises(SpecError, match="unknown encoding"):
        encoding.check(name)


@pytest.mark.parametrize("name", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32-be", "gb18030"])
@given(
    lines=st.lists(st.text(st.characters(exclude_characters="\r\n\0", codec="utf-8"), min_size=1), max_size=5)
)
def test_every_text_comes_back(name: str, lines: list[str]) -> None:
    content = "".join(f"{line}|\n" for line in ["first", *lines]).encode(name)
    found, notes = read(content, encoding=name)
    assert found == ["first|", *(f"{line}|" for line in lines)]
    assert notes.findings == []


def test_stray_bytes_are_cp1252_and_listed() -> None:
    found, notes = read("plain\ncafé\n£5 or €4\n".encode("cp1252"))
    assert found == ["plain", "café", "£5 or €4"]
    assert notes.facts["encoding"] == "cp1252"
    (finding,) = notes.findings
    assert (finding.code, finding.severity) == ("assumed-cp1252", "warning")
    assert finding.rows == ("t:2", "t:3")
    assert [place.evidence for place in finding.places] == ["café", "£5 or €4"]
    assert finding.facts == {"rows": 2, "bytes": 3}
    assert "2 rows" in finding.message


def test_one_stray_byte_late_in_a_file_of_utf8_spoils_no_other_line() -> None:
    good = [f"naïve {number}" for number in range(50_000)]  # several blocks
    content = "\n".join(good).encode() + b"\nna\xefve, but also caf\xc3\xa9\n" + "dernière\n".encode()
    found, notes = read(content)
    assert found == [*good, "naïve, but also café", "dernière"]
    assert notes.facts["encoding"] == "utf-8 with cp1252 in places"
    assert notes.findings[0].rows == ("t:50001",)


def test_a_file_of_cp1252_is_that_in_lines_that_happen_to_be_utf8() -> None:
    lines = ["élève", "CAFÉ»", "fin"]  # the second is C9 BB, which is valid UTF-8
    assert "CAFÉ»".encode("cp1252").decode() == "CAFɻ"
    found, notes = read("\n".join(lines).encode("cp1252"))
    assert found == lines
    assert notes.findings[0].rows == ("t:1", "t:2")


def test_a_mark_of_utf8_is_evidence_for_it() -> None:
    found, _ = read(b"\xef\xbb\xbfcaf\xe9 \xc3\xa9\n")
    assert found == ["café é"]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("привет, информация", "cp1251"),
        ("你好世界再见朋友们", "gb18030"),
        ("안녕하세요 반갑습니다", "euc_kr"),
    ],
)
def test_what_is_no_western_text_is_not_taken_for_it(text: str, name: str) -> None:
    (error,), notes = read(f"{text}\n".encode(name))
    assert isinstance(error, DataError)
    assert error.message.startswith("not UTF-8, and no Western European text either: it holds b'")
    assert error.hint == f"pass encoding= with the file's own, {ANY_ENCODING}"
    assert error.line == 1
    assert notes.findings == []
    assert read(f"{text}\n".encode(name), encoding=name)[0] == [text]


@pytest.mark.parametrize("text", ["Nãããããããããão!", "‰Û÷‰ÛÒ hé", "————————— ••••••••", "ÀÉÎÕÜ"])
def test_odd_but_western_text_is(text: str) -> None:
    assert read(text.encode("cp1252"))[0] == [text]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"ok\nab\x81\n", "byte 0x81 at position 3 of the line is not UTF-8 or cp1252"),
        (
            b"ok\nutf-8: \xc3\xa9\xc3\xa9 \x9d\n",
            "byte 0x9d at position 13 of the line is not UTF-8 or cp1252",
        ),
        (b"ok\n\xed\xa0\xbd\n", "the line holds half a surrogate pair, which is not a character"),
        (b"ok\na\0b\n", "the line holds a NUL byte"),
        ("ok\na\0b\n".encode("utf-16"), "the line holds a NUL byte"),
        (b"ok\n\xe9\0\n", "the line holds a NUL byte"),
    ],
)
def test_what_is_no_text_is_an_error_in_its_line_only(content: bytes, message: str) -> None:
    wide = content.startswith(b"\xff\xfe")
    first, error, last = read(content + "fine\n".encode("utf-16-le" if wide else "utf-8"))[0]
    assert (first, last) == ("ok", "fine")
    assert isinstance(error, DataError)
    assert (error.line, error.message) == (2, message)


def test_a_named_encoding_is_strict() -> None:
    (first, error, last), notes = read(b"a\ncaf\xe9\nb\n", encoding="utf-8")
    assert (first, last) == ("a", "b")
    assert isinstance(error, DataError)
    assert error.message == "byte 0xe9 at position 4 of the line is not UTF-8"
    assert error.hint == f"leave encoding= out, or pass the file's own, {ANY_ENCODING}"
    assert notes.findings == []


@pytest.mark.parametrize("name", ["utf-16-le", "utf-32-be"])
def test_wide_text_that_breaks_off_gives_the_lines_before_it(name: str) -> None:
    notes = Notes()
    content = "one\ntwo\nthree\n".encode(name)[:-5]
    found = rows(io.BytesIO(content), ReadOptions(unit="line"), notes)
    assert [next(found)[1], next(found)[1]] == [{"text": "one"}, {"text": "two"}]
    with pytest.raises(DataError, match=f"from here on this is not {name.upper()}") as caught:
        next(found)
    assert caught.value.line == 3


def test_a_long_list_is_cut_and_counted() -> None:
    _, notes = read(b"caf\xe9\n" * 20_000)
    (finding,) = notes.findings
    assert len(finding.rows) == 10_000
    assert finding.facts["rows"] == 20_000
    assert "20,000 rows" in finding.message
