"""Chats in the wild: public files in seven spellings, read by their content alone and written back to the letter."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tunekit.data.shapes.catalogue import shape, shapes
from tunekit.examples import ChatExample

pytestmark = pytest.mark.real


def rows(path: Path) -> list[dict[str, Any]]:
    text = path.read_text(encoding="utf-8")
    found: list[dict[str, Any]] = (
        json.loads(text) if path.suffix == ".json" else [json.loads(line) for line in text.splitlines()]
    )
    return found


def without_empty_tools(row: dict[str, Any]) -> dict[str, Any]:
    return {key: said for key, said in row.items() if (key, said) != ("tools", "[]")}


def with_loss_weights(row: dict[str, Any]) -> dict[str, Any]:
    weighed = [{**turn, "loss_weight": float(turn["role"] == "assistant")} for turn in row["messages"]]
    return without_empty_tools({**row, "messages": weighed})


def with_null_contents(row: dict[str, Any]) -> dict[str, Any]:
    return {**row, "messages": [{"content": None, **turn} for turn in row["messages"]]}


def as_it_is(row: dict[str, Any]) -> dict[str, Any]:
    return row


@pytest.mark.parametrize(
    ("file", "name", "count", "normal"),
    [
        ("azure_function_call/stock-train-hallucination.jsonl", "openai-functions", 96, as_it_is),
        ("azure_function_call/stock-train-token-reduction.jsonl", "openai-functions", 100, as_it_is),
        ("llama_factory_demos/glaive_toolcall_en_demo.json", "sharegpt", 300, without_empty_tools),
        ("llama_factory_demos/v1_sft_demo.jsonl", "typed-parts", 500, as_it_is),
        ("llama_factory_demos/reason_tool_use_demo_50.jsonl", "typed-parts", 50, with_loss_weights),
        ("llama_factory_demos/mllm_demo.json", "openai", 6, as_it_is),
        ("openai_cookbook/toy_chat_fine_tuning.jsonl", "openai", 5, as_it_is),
        ("openai_cookbook/drone_training.jsonl", "openai", 103, with_null_contents),
    ],
)
def test_rows_belong_to_one_shape_and_come_back(
    shared_data: Path, file: str, name: str, count: int, normal: Any
) -> None:
    found = rows(shared_data / file)
    assert len(found) == count
    for number, row in enumerate(found, start=1):
        assert [each.name for each in shapes() if each.recognises(row)] == [name]
        example = shape(name).read(row, f"{file}:{number}")
        assert isinstance(example, ChatExample)
        assert shape(name).write(example) == normal(row)


def test_calls_are_linked_to_their_results(shared_data: Path) -> None:
    found = rows(shared_data / "llama_factory_demos/glaive_toolcall_en_demo.json")
    chats = [shape("sharegpt").read(row, "") for row in found]
    turns = [turn for chat in chats if isinstance(chat, ChatExample) for turn in chat.messages]
    results = [turn for turn in turns if turn.role == "tool"]
    assert len(results) == sum(len(turn.tool_calls) for turn in turns) == 211
    assert all(turn.tool_call_id for turn in results)


def test_reasoning_and_parallel_calls(shared_data: Path) -> None:
    found = rows(shared_data / "llama_factory_demos/reason_tool_use_demo_50.jsonl")
    chats = [shape("typed-parts").read(row, "") for row in found]
    turns = [turn for chat in chats if isinstance(chat, ChatExample) for turn in chat.messages]
    assert sum(turn.reasoning is not None for turn in turns) == 112
    assert sum(len(turn.tool_calls) > 1 for turn in turns) == 12
    assert sum(len(turn.tool_calls) for turn in turns) == 68


def test_real_chats_go_through_other_shapes(shared_data: Path) -> None:
    found = rows(shared_data / "llama_factory_demos/glaive_toolcall_en_demo.json")
    for row in found:
        example = shape("sharegpt").read(row, "x")
        for name in ("openai", "anthropic", "converse", "gemini", "typed-parts", "openai-functions"):
            assert not isinstance(example, tuple)
            assert shape(name).read(shape(name).write(example), "x") == example
