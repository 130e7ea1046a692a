"""Result files are tables of numbers, in whatever disguise a host sends them."""

from __future__ import annotations

import base64
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunekit.backends.openai.results import rows_of
from tunekit.errors import BackendError


def test_cells_that_hold_no_number_are_left_out() -> None:
    table = b"step,loss,note,rate\r\n1,nan,good,1e-4\r\n,,,\r\n2,0.5\r\n3,1,2,3,4\r\n"
    assert rows_of(table) == [
        {"step": 1.0, "rate": 1e-4},
        {"step": 2.0, "loss": 0.5},
        {"step": 3.0, "loss": 1.0, "note": 2.0, "rate": 3.0},
    ]


def test_empty_file_has_no_rows_and_a_page_is_no_table() -> None:
    assert rows_of(b"") == rows_of(b"step,loss\n") == []
    with pytest.raises(BackendError, match="cannot be read"):
        rows_of(b"<html>")


@pytest.mark.parametrize(
    "page",
    [
        b"<html>\n<body>\n",
        b"<html>\n<p>a, b\n",
        b"<html>oops, no</html>",
        b" <p>one; two</p>\n",
        b'{"error": "x", "code": 1}',
        b"not found\n",
        b"step,loss\nnan,x\n",
    ],
)
def test_page_is_no_table_even_if_it_has_lines(page: bytes) -> None:
    with pytest.raises(BackendError, match="cannot be read"):
        rows_of(page)


def test_column_of_its_own_is_not_taken_for_base64() -> None:
    assert rows_of(b"step\n12\n34\n") == [{"step": 12.0}, {"step": 34.0}]
    assert rows_of(b"Step\n1414\n") == [{"Step": 1414.0}], "though these letters are those of a text"


@pytest.mark.parametrize("disguise", [base64.b64encode, base64.urlsafe_b64encode, base64.encodebytes])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_disguises(disguise: Callable[[bytes], bytes], mark: bytes) -> None:
    table = b"\xef\xbb\xbfstep , loss??>>\r\n1,2.5\r\n"
    rows = [{"step": 1.0, "loss??>>": 2.5}]
    assert rows_of(mark + disguise(table)) == rows_of(mark + disguise(table).rstrip(b"=")) == rows


@pytest.mark.parametrize(
    "table",
    [
        b"step;loss\n1;0.5\n2;\n",
        b"step;loss\r\n1;0,5\r\n2;\r\n",
        b"step\tloss\n1\t0.5\n2\t\n",
        "step,loss\n1,0.5\n2,\n".encode("utf-16"),
        b"\xfe\xff" + "step;loss\n1;0,5\n2;\n".encode("utf-16-be"),
        b'"' + base64.b64encode(b"step,loss\n1,0.5\n2,\n") + b'"\n',
        b'"step","loss"\n"1","0.5"\n"2",""\n',
        base64.b64encode("step\tloss\n1\t0.5\n2\t\n".encode("utf-16")),
    ],
)
def test_tables_of_spreadsheets_are_tables(table: bytes) -> None:
    assert rows_of(table) == [{"step": 1.0, "loss": 0.5}, {"step": 2.0}]


def test_thousands_are_not_decimals() -> None:
    assert rows_of(b'step,tokens\n1,"1,234"\n') == [{"step": 1.0}]


def test_numbers_are_those_of_a_table_and_not_of_python() -> None:
    assert rows_of("a,b,c,d,\n1_000,\u0663, 4e2 ,1e999,7\n".encode()) == [{"c": 400.0}]


@given(st.binary(max_size=200))
@settings(max_examples=100, deadline=None)
def test_any_bytes_are_rows_or_a_typed_error(content: bytes) -> None:
    try:
        rows = rows_of(content)
    except BackendError:
        return
    assert all(isinstance(value, float) for row in rows for value in row.values())
