"""Hostile rows: whatever JSON says is read, or refused by a `DataError` with a hint, and nothing else leaves."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.data import strategies
from tunekit.data.shapes.choose import choose
from tunekit.data.shapes.columns import Columns
from tunekit.errors import DataError
from tunekit.examples import EXAMPLE_KINDS

KEYS = st.sampled_from(
    [
        *(
            "kind",
            "id",
            "meta",
            "messages",
            "prompt",
            "completion",
            "text",
            "content",
            "label",
            "labels",
            "chosen",
        ),
        *(
            "rejected",
            "pos",
            "neg",
            "input",
            "output",
            "response",
            "instruction",
            "instances",
            "history",
            "system",
        ),
        *(
            "tools",
            "conversations",
            "conversation",
            "from",
            "value",
            "role",
            "segments",
            "context",
            "question",
        ),
        *(
            "answers",
            "data",
            "paragraphs",
            "qas",
            "kto_tag",
            "preferred_output",
            "non_preferred_output",
            "input_ids",
        ),
        *(
            "chosen_messages",
            "rejected_messages",
            "reference",
            "answer",
            "contents",
            "parts",
            "name",
            "weight",
        ),
    ]
)
VALUE: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.sampled_from(
        ["", "user", "assistant", "human", "gpt", "\n\nHuman: a\n\nAssistant: b", *EXAMPLE_KINDS]
    )
    | strategies.TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)
KINDS = st.sampled_from([None, "completion", "labelled", "prompt"])
ROWS = st.lists(st.dictionaries(KEYS, VALUE, max_size=5) | VALUE, min_size=1, max_size=4)


@settings(max_examples=300, deadline=None)
@given(ROWS, KINDS)
def test_any_rows_are_read_or_refused_with_a_hint(rows: list[Any], kind: str | None) -> None:
    go_through(rows, kind)


@pytest.mark.soak
@pytest.mark.timeout(1_800)
@settings(max_examples=100_000, deadline=None)
@given(ROWS, KINDS)
def test_any_hundred_thousand_files_are_read_or_refused_with_a_hint(
    rows: list[Any], kind: str | None
) -> None:
    go_through(rows, kind)


def go_through(rows: list[Any], kind: str | None) -> None:
    try:
        chosen = choose(rows, columns=Columns.of(None, None, kind))
    except DataError as refused:
        check(refused)
        return
    for row in rows:
        try:
            found = chosen.read(row, "r:1")
        except DataError as refused:
            check(refused)
        else:
            several = found if isinstance(found, tuple) else (found,)
            assert several and all(example.kind in EXAMPLE_KINDS for example in several)


def check(refused: DataError) -> None:
    assert refused.hint and refused.message
    assert len(refused.message) < 1_000
