"""Plain chats by the fast way are what the careful way makes of them, or are left to it. Knows both ways."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunekit import Dataset
from tunekit.data.shapes import fast_chat
from tunekit.data.shapes.chat import OPENAI
from tunekit.errors import DataError
from tunekit.examples import ChatExample

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


def fast(row: Any) -> ChatExample | None:
    found = fast_chat.plain(json.dumps(row).encode() + b"\n", "f", 1)
    return found[0] if found else None


@given(ROW)
def test_fast_way_agrees_with_the_careful_one_or_leaves_the_row_to_it(row: dict[str, Any]) -> None:
    found = fast(row)
    if found is not None:
        careful = OPENAI.read(row, "f:1")
        assert isinstance(careful, ChatExample)
        assert found == careful
        assert (found.id, found.meta) == (careful.id, careful.meta)


@given(st.lists(PLAIN, min_size=1, max_size=4))
def test_plain_chats_take_the_fast_way(turns: list[dict[str, str]]) -> None:
    row = {"messages": turns}
    ends_with_answer = turns[-1]["role"] == "assistant" and bool(turns[-1]["content"].strip())
    assert (fast(row) is not None) == ends_with_answer


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
    assert fast_chat.plain(line, "f", 1) is None


def test_careful_way_still_names_what_is_wrong() -> None:
    row = {"messages": [{"role": "assistant", "content": " "}]}
    assert fast(row) is None
    with pytest.raises(DataError, match="empty or has weight 0"):
        OPENAI.read(row, "f:1")


GOOD = b'{"messages":[{"role":"user","content":"a \\"b\\""},{"role":"assistant","content":"c"}]}'


@pytest.mark.parametrize("block", [GOOD, GOOD + b"\n", GOOD + b"\n" + GOOD, (GOOD + b"\r\n") * 3])
def test_blocks_give_a_row_for_each_line(block: bytes) -> None:
    found = fast_chat.plain(block, "f", 1)
    assert found is not None
    assert len(found) == len(block.splitlines())


@pytest.mark.parametrize("gap", [b"\n", b" \n", b"\t\r\n"])
def test_blank_lines_are_left_to_the_careful_way_which_counts_them(gap: bytes, tmp_path: Path) -> None:
    for block in (gap + GOOD, GOOD + b"\n" + gap + GOOD, GOOD + b"\n" + gap):
        assert fast_chat.plain(block, "f", 1) is None
    lines = [GOOD + b"\n"] * 4000
    lines[2500] = gap
    (tmp_path / "f.jsonl").write_bytes(b"".join(lines))
    ids = [row.id for row in Dataset.load(tmp_path / "f.jsonl")]
    assert ids == [f"f.jsonl:{n}" for n in range(1, 4001) if n != 2501]


def test_rows_that_do_not_stand_one_to_a_line_are_left_to_the_careful_way_which_refuses_them(
    tmp_path: Path,
) -> None:
    parted = GOOD[:13] + b"\n" + GOOD[13:]
    for block in (GOOD * 3 + b"\n", GOOD * 2 + b"\n" + parted + b"\n", GOOD + b"\n" + GOOD * 2 + b"\n\n"):
        assert fast_chat.plain(block, "f", 1) is None
    lines = [GOOD + b"\n"] * 9000
    lines[7000] = GOOD * 2 + b"\n"
    (tmp_path / "f.jsonl").write_bytes(b"".join(lines))
    with pytest.raises(DataError) as caught:
        Dataset.load(tmp_path / "f.jsonl")
    assert caught.value.line == 7001


def test_one_odd_row_in_a_large_file_is_read_or_named(tmp_path: Path) -> None:
    path = tmp_path / "f.jsonl"
    lines = [GOOD + b"\n"] * 9000
    lines[5000] = GOOD.replace(b'"c"', b'"c","weight":0.5') + b"\n"
    path.write_bytes(b"".join(lines))
    data = Dataset.load(path)
    assert len(data) == 9000
    assert [row.id for row in data if isinstance(row, ChatExample) and row.messages[1].weight != 1.0] == [
        "f.jsonl:5001"
    ]
    lines[7000] = GOOD.replace(b'"role":"user"', b'"role":"usr"') + b"\n"
    path.write_bytes(b"".join(lines))
    with pytest.raises(DataError, match="usr") as caught:
        Dataset.load(path)
    assert (caught.value.line, caught.value.field) == (7001, "messages[0].role")
