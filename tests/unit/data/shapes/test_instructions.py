"""Alpaca and its kin, Self-Instruct's instances, prompts with completions: turns or texts, and what comes back."""

from __future__ import annotations

from typing import Any

import pytest

from tunekit.data.shapes.catalogue import recognised, shape
from tunekit.errors import DataError
from tunekit.examples import ChatExample, CompletionExample, Example, Message

ALPACA, INSTANCES, PROMPTS = shape("alpaca"), shape("instances"), shape("prompt-completion")
U, A = {"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}
USER, BOT = Message(role="user", content="q"), Message(role="assistant", content="a")


def refusal(form: Any, record: Any) -> str:
    with pytest.raises(DataError) as caught:
        form.read(record, "") if isinstance(record, dict) else form.write(record)
    assert caught.value.hint
    return str(caught.value).partition("\n")[0]


# --- alpaca -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("record", "prompt", "meta"),
    [
        ({"instruction": "q", "output": "a"}, "q", {}),
        ({"instruction": "q", "input": "", "output": "a"}, "q", {}),
        ({"instruction": "q", "input": None, "output": "a"}, "q", {}),
        ({"instruction": "q", "input": "x", "output": "a"}, "q\n\nx", {"input": "x"}),
        ({"instruction": "q", "context": "x", "response": "a", "n": 1}, "q\n\nx", {"input": "x", "n": 1}),
        ({"instruction": "q", "input": "", "output": "a", "example_input": "e"}, "q", {"example_input": "e"}),
    ],
)
def test_an_instruction_and_its_input_are_the_prompt(
    record: dict[str, Any], prompt: str, meta: dict[str, Any]
) -> None:
    assert recognised(record) is ALPACA
    found = ALPACA.read(record, "r:1")
    assert found == CompletionExample(prompt=prompt, completion="a")
    assert isinstance(found, CompletionExample) and found.meta == meta


def test_system_and_history_make_it_a_chat() -> None:
    record = {
        "instruction": "q",
        "input": "x",
        "output": "a",
        "system": "s",
        "history": [["first", "one"], ["second", "two"]],
    }
    found = ALPACA.read(record, "r:1")
    assert isinstance(found, ChatExample)
    said = [(turn.role, turn.content) for turn in found.messages]
    assert said == [
        *(("system", "s"), ("user", "first"), ("assistant", "one"), ("user", "second"), ("assistant", "two")),
        *(("user", "q\n\nx"), ("assistant", "a")),
    ]
    assert ALPACA.write(found) == record
    empty = {"instruction": "q", "input": "", "output": "a", "system": "", "history": []}
    assert ALPACA.read(empty, "") == ChatExample(messages=(USER, BOT))
    assert ALPACA.write(ChatExample(messages=(USER, BOT))) == empty


def test_an_input_is_written_apart_only_while_it_still_is_the_end_of_the_prompt() -> None:
    found = ALPACA.read({"instruction": "q", "input": "x", "output": "a"}, "")
    assert isinstance(found, CompletionExample)
    mended = found.replace(prompt="q\n\nX")
    assert ALPACA.write(mended) == {"instruction": "q\n\nX", "input": "", "output": "a"}


@pytest.mark.parametrize(
    ("record", "said"),
    [
        ({"instruction": "q", "output": " "}, "output: empty text"),
        ({"instruction": "q"}, "no key 'output'; the keys are 'instruction'"),
        ({"instruction": None, "output": "a"}, "instruction: expected text, found null or nothing"),
        ({"instruction": "q", "input": {}, "output": "a"}, "input: expected text, found an object"),
        (
            {"instruction": "q", "output": "a", "history": "x"},
            "history: expected a list of pairs, found text",
        ),
        (
            {"instruction": "q", "output": "a", "history": [["x", 1, 2]]},
            "history[0]: expected a pair, found a list",
        ),
        (
            {"instruction": "q", "output": "a", "history": [["x", None]]},
            "history[0][1]: expected text, found null",
        ),
        (
            ChatExample(messages=(USER, BOT), tools=({},)),
            "messages: alpaca cannot hold this chat: its turns have more",
        ),
        (
            ChatExample(messages=(USER, USER, BOT)),
            "messages: alpaca cannot hold this chat: user and assistant do not",
        ),
        (
            ChatExample(messages=(Message(role="system", content=""), USER, BOT)),
            "messages: alpaca cannot hold this chat: its system turn is empty",
        ),
        (
            ChatExample(messages=(USER, BOT.replace(weight=0.5))),
            "messages: alpaca cannot hold this chat: its turns have more than texts",
        ),
    ],
)
def test_what_alpaca_refuses(record: dict[str, Any] | Example, said: str) -> None:
    assert refusal(ALPACA, record).startswith(said)


# --- instances ----------------------------------------------------------------------------------------


def test_one_record_is_several_examples() -> None:
    record = {
        "id": "seed_0",
        "instruction": "Classify.",
        "is_classification": True,
        "instances": [{"input": "x", "output": "a"}, {"input": "", "output": "b", "source": "s"}],
    }
    found = INSTANCES.read(record, "seed.jsonl:1")
    assert found == (
        CompletionExample(prompt="Classify.\n\nx", completion="a"),
        CompletionExample(prompt="Classify.", completion="b"),
    )
    assert isinstance(found, tuple)
    assert [(row.id, row.meta) for row in found] == [
        ("seed.jsonl:1.1", {"input": "x", "id": "seed_0", "is_classification": True}),
        ("seed.jsonl:1.2", {"id": "seed_0", "is_classification": True, "source": "s"}),
    ]


@pytest.mark.parametrize(
    ("instances", "said"),
    [
        ([], "instances: the list is empty"),
        ({}, "instances: expected a list, found an object"),
        ([{"output": "a"}, "b"], "instances[1]: expected an instance, found text"),
        ([{"output": "a"}, {"input": "b"}], "instances[1]: expected an instance, found an object"),
        ([{"output": ""}], "instances[0].output: empty text"),
        ([{"input": [], "output": "a"}], "instances[0].input: expected text, found a list"),
    ],
)
def test_what_instances_refuse(instances: Any, said: str) -> None:
    assert refusal(INSTANCES, {"instruction": "q", "instances": instances}) == said


# --- prompts and completions --------------------------------------------------------------------------


@pytest.mark.parametrize("prompt", ["prompt", "Prompt", " PROMPT ", "prompt\u00a0"])
@pytest.mark.parametrize("completion", ["completion", " completion", "Completion"])
def test_keys_in_any_case_with_stray_spaces(prompt: str, completion: str) -> None:
    record = {prompt: "q", completion: " a ", "n": 1}
    assert recognised(record) is PROMPTS
    found = PROMPTS.read(record, "")
    assert found == CompletionExample(prompt="q", completion=" a ")
    assert isinstance(found, CompletionExample) and found.meta == {"n": 1}


def test_the_exact_key_wins() -> None:
    found = PROMPTS.read({"prompt": "q", "Prompt": "other", "completion": "a"}, "")
    assert found == CompletionExample(prompt="q", completion="a")
    assert isinstance(found, CompletionExample) and found.meta == {"Prompt": "other"}


def test_messages_are_a_chat_of_which_the_completion_is_learned() -> None:
    record = {"prompt": [U, A, U], "completion": [A], "tools": [{"type": "function"}], "n": 1}
    found = PROMPTS.read(record, "")
    assert isinstance(found, ChatExample)
    assert found == ChatExample(
        messages=(USER, BOT.replace(weight=0.0), USER, BOT), tools=({"type": "function"},)
    )
    assert PROMPTS.write(found) == record
    mixed = PROMPTS.read({"prompt": "q", "completion": [A]}, "")
    assert mixed == PROMPTS.read({"prompt": [U], "completion": "a"}, "") == ChatExample(messages=(USER, BOT))


@pytest.mark.parametrize(
    ("record", "said"),
    [
        ({"prompt": "q", "completion": ""}, "completion: empty text"),
        ({"prompt": "q", "completion": None}, "completion: empty text"),
        ({"prompt": [U], "completion": [{"role": "assistant", "content": ""}]}, "completion: empty text"),
        ({"prompt": [U], "completion": [U]}, "completion: no assistant turn, so nothing to learn"),
        ({"prompt": [{"role": "x"}], "completion": "a"}, "prompt[0].role: unknown role 'x'"),
        ({"prompt": 1, "completion": {}}, "completion: expected text, found an object"),
        (ChatExample(messages=(USER, BOT.replace(weight=0.0))), "messages: no turn is learned"),
    ],
)
def test_what_prompts_and_completions_refuse(record: dict[str, Any] | Example, said: str) -> None:
    assert refusal(PROMPTS, record) == said


def test_numbers_are_written_as_json_writes_them() -> None:
    found = PROMPTS.read({"prompt": 7, "completion": 4.0}, "")
    assert found == CompletionExample(prompt="7", completion="4")
