"""JSON lines: values as JSON has them, and whatever would lose data refused in its line."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunekit.data.readers.base import Notes, ReadOptions, Row
from tunekit.data.readers.json_lines import rows
from tunekit.data.readers.json_value import MAX_DEPTH, value
from tunekit.errors import DataError


def read(content: str | bytes, **options: Any) -> tuple[list[Row], Notes]:
    notes = Notes(name="t")
    raw = content if isinstance(content, bytes) else content.encode()
    return list(rows(io.BytesIO(raw), ReadOptions(**options), notes)), notes


JSON: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8")),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=8), inner, max_size=4)
    ),
    max_leaves=15,
)


@given(JSON, st.booleans(), st.sampled_from([(",", ":"), (", ", ": "), (" , ", " : ")]))
def test_every_value_is_what_json_makes_of_it(wanted: Any, ascii: bool, separators: tuple[str, str]) -> None:
    text = json.dumps(wanted, ensure_ascii=ascii, separators=separators)
    for found in (value(text), value(text.encode())):
        assert found == wanted
        assert json.dumps(found) == json.dumps(wanted)  # 1 is not 1.0 is not True, and keys stay in order


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32-le", "gb18030"])
@given(wanted=st.lists(JSON, min_size=1, max_size=5))
def test_what_is_written_is_read_back(encoding: str, wanted: list[Any]) -> None:
    content = "".join(json.dumps(each, ensure_ascii=False) + "\r\n" for each in wanted)
    found, notes = read(content.encode(encoding), encoding=encoding)
    assert found == list(enumerate(wanted, start=1))
    assert notes.findings == []


@pytest.mark.parametrize(
    "text",
    [
        '{"a": "\\ud83d\\ude00"}',
        '{"a\\\\": 1, "b": {"a\\\\": "\\": "}}',
        '{"tools": "[{\\"name\\": \\"f\\"}]", "a" : 1}',
        '{"a": 123456789012345678901234567890, "b": 0.1e-7, "c": -0.0, "d": 1E5}',
        "[" * MAX_DEPTH + "]" * MAX_DEPTH,
        '{"a": {"a": {"a": [{"a": 1}, {"a": 2}]}}}',
    ],
)
def test_unusual_json_is_json(text: str) -> None:
    assert value(text) == value(text.encode()) == json.loads(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a": 1, "b": 2, "a": 3}', "the key 'a' occurs twice in one object"),
        ('{"a" : 1, "a" : 3}', "the key 'a' occurs twice in one object"),
        ('[{"x": {"a\\\\": 1, "a\\\\": 3, "t": "\\":"}}]', "the key 'a\\\\' occurs twice in one object"),
        ('{"a": NaN}', "the number NaN is not finite, and not JSON"),
        ('{"a": -Infinity}', "the number -Infinity is not finite, and not JSON"),
        ('{"a": 1e999}', "the number 1e999 is not finite, and not JSON"),
        ('{"a": ' + "9" * 5000 + "}", "a number has too many digits"),
        ('{"a": "\\ud83d"}', "the text holds \\ud83d, half a surrogate pair, which is not a character"),
        ('{"a": "\\ude00"}', "the text holds \\ude00, half a surrogate pair, which is not a character"),
        ('{"a\\ud83d": 1}', "the text holds \\ud83d, half a surrogate pair, which is not a character"),
        ("[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1), "JSON nested deeper than 100 levels"),
        ('{"a":' * 100_000, "JSON nested deeper than 100 levels"),
        ('{"a": 1,}', "not valid JSON: Expecting property name enclosed in double quotes at column 9"),
        ("{'a': 1}", "not valid JSON: Expecting property name enclosed in double quotes at column 2"),
        ('{"a": 1}{"a": 2}', "not valid JSON: Extra data at column 9"),
        ('{"a": "b\tc"}', "not valid JSON: Invalid control character at at column 9"),
        ("", "not valid JSON: Expecting value at column 1"),
    ],
)
def test_what_would_lose_data_is_refused(text: str, message: str) -> None:
    for form in (text, text.encode()):
        with pytest.raises(DataError) as caught:
            value(form)
        assert caught.value.message == message
        assert caught.value.hint


def test_a_hundred_thousand_keys_cost_no_square() -> None:
    keys = ", ".join(f'"{number}": 1' for number in range(100_000))
    with pytest.raises(DataError, match="the key '99999' occurs twice"):
        value("{" + keys + ', "99999": 1}')


def test_errors_stay_in_their_lines() -> None:
    found, notes = read('{"a": 1}\n\n \t\r\n{\n{"a": 1} {"a": 2}\n{"a": "\0"}\n"text"')
    assert [(number, getattr(each, "message", each)) for number, each in found] == [
        (1, {"a": 1}),
        (4, "not valid JSON: Expecting property name enclosed in double quotes at column 2"),
        (5, "not valid JSON: Extra data at column 10"),
        (6, "the line holds a NUL byte"),
        (7, "text"),
    ]
    assert found[1][1].hint.startswith("these look like indented objects")
    assert found[2][1].hint == "one line holds one object, and nothing after it"
    assert notes.facts == {"encoding": "utf-8"}


def test_only_a_newline_ends_a_line() -> None:
    found, _ = read('{"a":\r1}\n{"a": "\u2028\x85"}')
    assert found == [(1, {"a": 1}), (2, {"a": "\u2028\x85"})]


def test_lines_longer_than_a_block() -> None:
    long = {"text": "é" * 400_000}
    content = "\n".join(json.dumps(row, ensure_ascii=False) for row in [long, {"a": 1}, long, {"a": 2}])
    assert read(content)[0] == [(1, long), (2, {"a": 1}), (3, long), (4, {"a": 2})]


def test_stray_bytes_are_cp1252_and_listed() -> None:
    good = [json.dumps({"text": f"é {number}"}, ensure_ascii=False).encode() for number in range(3)]
    found, notes = read(b"\n".join([*good, b'{"text": "caf\xe9 \xc3\xa9"}', b'{"text": "\x81"}', *good]))
    assert [number for number, each in found if isinstance(each, DataError)] == [5]
    assert found[3] == (4, {"text": "café é"})
    assert [(finding.code, finding.rows) for finding in notes.findings] == [("assumed-cp1252", ("t:4",))]
    assert notes.facts["encoding"] == "utf-8 with cp1252 in places"


def test_a_broken_line_of_another_encoding_is_told_as_broken() -> None:
    found, _ = read(b'{"text": "caf\xe9",}\n')
    assert found[0][1].message.startswith("not valid JSON: Expecting property name")


def test_broken_lines_of_named_and_wide_encodings() -> None:
    found, _ = read(b'{"a": "\xe9"}\n{"a": "\x81"}\n{"a": "\0"}\n{"a": "\xe9",}\n', encoding="cp1252")
    assert found[0] == (1, {"a": "é"})
    assert [each.message for _, each in found[1:]] == [
        "byte 0x81 at position 8 of the line is not CP1252",
        "the line holds a NUL byte",
        "not valid JSON: Expecting property name enclosed in double quotes at column 11",
    ]
    found, _ = read('{"a": "é"}\n{"a": "\0"}\n{"a": "é",}\n'.encode("utf-16"))
    assert found[0] == (1, {"a": "é"})
    assert [each.message for _, each in found[1:]] == [
        "the line holds a NUL byte",
        "not valid JSON: Expecting property name enclosed in double quotes at column 11",
    ]


def test_bytes_that_are_not_utf8_are_told_by_place() -> None:
    with pytest.raises(DataError, match=r"^byte 0xff at position 7 is not UTF-8"):
        value(b'{"a": \xff}')
