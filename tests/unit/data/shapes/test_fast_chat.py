"""Plain chats by the fast way are what the careful way makes of them, or are left to it. Knows both ways."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunekit.data.shapes import fast_chat
from tunekit.data.shapes.chat import OPENAI
from tunekit.errors import DataError
from tunekit.examples import ChatExample, Example

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


def fast(row: Any) -> Example | tuple[Example, ...] | None:
    def careful(value: Any, id: str) -> Example:
        raise AssertionError("a plain row went the careful way")

    chats = fast_chat.FastChats(careful)
    decoded = chats.decode(json.dumps(row, separators=(",", ":")).encode())
    return chats.read(decoded, "f:1") if decoded else None


@given(ROW)
def test_fast_way_agrees_with_the_careful_one_or_leaves_the_row_to_it(row: dict[str, Any]) -> None:
    found = fast(row)
    if found is not None:
        careful = OPENAI.read(row, "f:1")
        assert isinstance(careful, ChatExample)
        assert isinstance(found, ChatExample)
        assert found == careful
        assert (found.id, found.meta) == (careful.id, careful.meta)


@given(st.lists(PLAIN, min_size=1, max_size=4))
def test_plain_chats_take_the_fast_way(turns: list[dict[str, str]]) -> None:
    row = {"messages": turns}
    said = all(turn["content"] for turn in turns)
    learned = any(turn["role"] == "assistant" and turn["content"].strip() for turn in turns)
    quiet = not any(turn["content"].endswith("\\") for turn in turns)
    assert (fast(row) is not None) == (said and learned) or not quiet


@pytest.mark.parametrize(
    "line",
    [
        b'{"messages":[{"role":"assistant","content":"\\ud800"}]}',
        b'{"messages":[{"role":"assistant","content":"a","weight":NaN}]}',
        b'{"messages":' + b"[" * 5000,
        b'{"messages":[{"role":"assistant","content":"a"}]} {}',
        b'{"messages":[{"role":"assistant","content":"\xff"}]}',
        b'{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b","content":"c"}]}',
        b'{"messages":[{"role":"assistant","content":"b"}],"messages":[{"role":"assistant","content":"c"}]}',
    ],
)
def test_what_is_no_good_json_is_left_to_the_careful_way(line: bytes) -> None:
    assert fast_chat.plain(line) is None


def test_careful_way_still_names_what_is_wrong() -> None:
    row = {"messages": [{"role": "assistant", "content": " "}]}
    assert fast(row) is None
    with pytest.raises(DataError, match="empty or has weight 0"):
        OPENAI.read(row, "f:1")
