"""Chat-like shapes among each other: every row belongs to one of them, and what one holds another can write."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given

from tests.unit.data import strategies
from tests.unit.data.shapes.law import recognised_by
from tunekit.data.shapes.catalogue import shape
from tunekit.data.shapes.dialects import dialect
from tunekit.examples import ChatExample

CHAT_LIKE = (
    "openai",
    "openai-functions",
    "sharegpt",
    "anthropic",
    "converse",
    "gemini",
    "mistral",
    "typed-parts",
)
# Their rows without any mark of their own are OpenAI's as well.
MODERN = {"openai-functions", "anthropic", "mistral"}
U = {"role": "user", "content": "hi"}
A = {"role": "assistant", "content": "yo"}

COMMON = strategies.chat(ids=False, parallel=False, calls_and_content=False, schema=True, blank_system=False)


@given(COMMON)
def test_a_chat_goes_through_every_shape(example: ChatExample) -> None:
    found: Any = example
    for name in CHAT_LIKE:
        if name == "mistral":
            continue  # gives other ids
        written = shape(name).write(found)
        assert recognised_by(written) in ([name], ["openai"] if name in MODERN else [name])
        found = shape(name).read(written, example.id)
    assert found == example
    assert found.meta == example.meta


@pytest.mark.parametrize(
    "record",
    [
        {},
        {"text": "a"},
        {"prompt": "a", "completion": "b"},
        {"conversations": []},
        {"conversations": "x"},
        {"contents": ["x"]},
        {"contents": "a table of contents", "text": "a"},
        {"messages": [U, A], "chosen": [A], "rejected": [A]},
        {"messages": [U, A], "label": True},
        {"messages": [U, A], "kto_tag": "true"},
        {"kind": "chat", "messages": [U, A]},
        {"messages": [U], "reference_answer": "4"},
        {"messages": [U, A, U], "answer": "4"},
        {"messages": [U], "difficulty": 3},
    ],
    ids=lambda record: "-".join(record) or "empty",
)
def test_rows_of_other_shapes(record: dict[str, Any]) -> None:
    assert dialect(record) is None


@pytest.mark.parametrize(
    ("record", "name"),
    [
        ({"messages": [U]}, "openai"),
        ({"messages": [U], "tools": []}, "openai"),
        ({"messages": [U, A, U], "source": "x"}, "openai"),
        ({"messages": [U, A], "answer": "4"}, "openai"),
        ({"messages": [U, A], "chosen": None, "label": "x", "kind": "x"}, "openai"),
        ({"messages": "x"}, "openai"),
        ({"messages": [U, A], "functions": []}, "openai"),
        ({"messages": [U, A], "system": {"os": "linux"}}, "openai"),
        ({"messages": [{"role": "system", "content": "x"}, U, A], "system": "prod"}, "openai"),
        ({"messages": [U, A], "system": "be brief"}, "anthropic"),
        ({"messages": [U, A], "system": [{"text": "be brief"}]}, "converse"),
        ({"messages": [U, {**A, "content": [{"type": "thinking", "thinking": "x"}]}]}, "anthropic"),
        ({"messages": [U, {**A, "content": [{"type": "thinking", "thinking": []}]}]}, "mistral"),
        ({"messages": [U, {**A, "content": [{"type": "image", "image": "a.png"}]}]}, "openai"),
    ],
)
def test_what_tells_them_apart(record: dict[str, Any], name: str) -> None:
    assert dialect(record) == name
