"""Plain chats by the fast way are what the careful way makes of them, or are left to it. Knows both ways."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunekit.data.shapes import fast_chat
from tunekit.data.shapes.chat import OPENAI
from tunekit.errors import DataError
from tunekit.examples import Example

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
ANYTHING = st.one_of(st.none(), st.booleans(), st.integers(-2, 2), TEXT, st.just([]), st.just({}))
TURN = st.fixed_dictionaries(
    {"role": st.sampled_from(["system", "user", "assistant", "tool", "developer", "function", "User"])},
    optional={
        "content": st.one_of(TEXT, ANYTHING),
        "name": ANYTHING,
        "weight": st.one_of(st.sampled_from([0, 1, 0.5, 1.0]), ANYTHING),
        "tool_calls": ANYTHING,
        "tool_call_id": ANYTHING,
        "parts": ANYTHING,
        "reasoning": ANYTHING,
        "extra": ANYTHING,
    },
)
PLAIN = st.fixed_dictionaries({"role": st.sampled_from(["system", "user", "assistant"]), "content": TEXT})
ROW = st.fixed_dictionaries(
    {"messages": st.one_of(st.lists(PLAIN, max_size=4), st.lists(st.one_of(PLAIN, TURN), max_size=4))},
    optional={"tools": ANYTHING, "source": ANYTHING},
)


def fast(row: Any) -> Example | None:
    try:
        return fast_chat.example(fast_chat.decode(json.dumps(row).encode()), "f:1")
    except (msgspec.MsgspecError, RecursionError):
        return None


@given(ROW)
def test_fast_way_agrees_with_the_careful_one_or_leaves_the_row_to_it(row: dict[str, Any]) -> None:
    found = fast(row)
    if found is not None:
        careful = OPENAI.read(row, "f:1")
        assert found == careful
        assert (found.id, found.meta) == ("f:1", {})


@given(st.lists(PLAIN, min_size=1, max_size=4))
def test_plain_chats_take_the_fast_way(turns: list[dict[str, str]]) -> None:
    row = {"messages": turns}
    said = all(turn["content"] for turn in turns)
    learned = any(turn["role"] == "assistant" and turn["content"].strip() for turn in turns)
    assert (fast(row) is not None) == (said and learned)


@pytest.mark.parametrize(
    "line",
    [
        b'{"messages":[{"role":"assistant","content":"\\ud800"}]}',
        b'{"messages":[{"role":"assistant","content":"a","weight":NaN}]}',
        b'{"messages":' + b"[" * 5000,
        b'{"messages":[{"role":"assistant","content":"a"}]} {}',
        b'{"messages":[{"role":"assistant","content":"\xff"}]}',
    ],
)
def test_what_is_no_good_json_is_left_to_the_careful_way(line: bytes) -> None:
    with pytest.raises((msgspec.MsgspecError, RecursionError, UnicodeDecodeError)):
        fast_chat.decode(line)


def test_careful_way_still_names_what_is_wrong() -> None:
    row = {"messages": [{"role": "assistant", "content": " "}]}
    assert fast(row) is None
    with pytest.raises(DataError, match="empty or has weight 0"):
        OPENAI.read(row, "f:1")
