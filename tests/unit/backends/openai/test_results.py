"""Result files are tables of numbers, in whatever disguise a host sends them."""

from __future__ import annotations

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


@given(st.binary(max_size=200))
@settings(max_examples=100, deadline=None)
def test_any_bytes_are_rows_or_a_typed_error(content: bytes) -> None:
    try:
        rows = rows_of(content)
    except BackendError:
        return
    assert all(isinstance(value, float) for row in rows for value in row.values())
