"""One question to one model: which backend is asked, and what a prompt may be."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import pytest

from tunekit import (
    Message,
    Sampling,
    SpecError,
    UnsupportedError,
    embed,
    embed_async,
    generate,
    generate_async,
    score,
)
from tunekit.backends import Backend, GenerateRequest, Generation, Prompt, register
from tunekit.inference import stream
from tunekit.testing import ScriptedBackend

TEXT = {"role": "user", "content": "2+2?"}
TURN = Message(role="user", content="2+2?")


class Listener:
    """Answers every prompt, and remembers it."""

    def __init__(self) -> None:
        self.heard: list[Prompt] = []
        self.backend = ScriptedBackend(generate=self._answer)

    def _answer(self, prompt: Prompt) -> str:
        self.heard.append(prompt)
        return "4"


def heard(prompt: Any) -> Prompt:
    """The prompt as it reached the backend."""
    listener = Listener()
    assert generate("scripted:base", prompt, backend=listener.backend).text == "4"
    return listener.heard[0]


def test_backend_of_another_name_is_refused_and_not_asked() -> None:
    listener = Listener()
    with pytest.raises(SpecError, match=r"'scripted'.*'local' was asked for") as caught:
        generate("local:x", "2+2?", backend=listener.backend)
    assert "backend=" in caught.value.hint
    assert listener.heard == []


@pytest.fixture
def installed() -> Iterator[None]:
    def make(**options: Any) -> Backend:
        return ScriptedBackend(generate=lambda prompt: "installed", name="acme", **options)

    unregister = register("acme", make)
    yield
    unregister()


async def test_without_one_the_installed_backend_is_asked(installed: None) -> None:
    assert (await generate_async("acme:base", "2+2?")).text == "installed"


@pytest.mark.parametrize(
    "prompt",
    [[TURN], (TURN,), [TEXT], [MappingProxyType(TEXT)], iter([TEXT]), [{**TEXT, "name": None}]],
    ids=["messages", "tuple", "dict", "mapping", "iterator", "null"],
)
def test_chats_of_either_kind_arrive_as_messages(prompt: Any) -> None:
    assert heard(prompt) == (TURN,)


def test_text_stays_text_and_kinds_of_message_may_be_mixed() -> None:
    call = {"id": "c", "type": "function", "function": {"name": "add", "arguments": "{}"}}
    assert heard("2+2?") == "2+2?"
    chat = heard(
        [Message(role="system", content="Be brief."), TEXT, {"role": "assistant", "tool_calls": [call]}]
    )
    assert [turn.role for turn in chat if isinstance(turn, Message)] == ["system", "user", "assistant"]
    assert isinstance(chat[2], Message) and chat[2].tool_calls[0].name == "add"


@pytest.mark.parametrize(
    ("prompt", "where"),
    [
        (TEXT, "dict"),
        (None, "NoneType"),
        (7, "int"),
        (b"2+2?", "bytes"),
        ([], "prompt: the list of messages is empty"),
        ([{"content": "x"}], "prompt[0]: a message has no role"),
        ([TEXT, {"role": "robot", "content": "x"}], "prompt[1].role: unknown role"),
        ([{"role": "user"}], "prompt[0].content: a message has no content"),
        ([{"role": "user", "content": 3}], "prompt[0].content: expected text"),
        ([{**TEXT, "colour": "red"}], "prompt[0].colour: a message has the unknown key"),
        (["2+2?"], "prompt[0]: expected a message object"),
        ([Message(role="user")], "prompt[0].content: a message has no content"),
    ],
)
def test_prompt_that_is_none_is_named(prompt: Any, where: str) -> None:
    backend = ScriptedBackend(generate=lambda given: "never")
    with pytest.raises(SpecError) as caught:
        generate("scripted:base", prompt, backend=backend)
    assert where in caught.value.message
    assert caught.value.hint


def test_mapping_is_read_and_not_kept() -> None:
    turn = dict(TEXT)
    prompt = heard([turn])
    turn["content"] = "changed"
    assert prompt == (TURN,)
    assert not any(isinstance(item, Mapping) for item in prompt)


class Speaker(ScriptedBackend):
    """Answers word by word."""

    closed = False

    async def stream(
        self, model: str, request: GenerateRequest, sampling: Sampling
    ) -> AsyncIterator[str | Generation]:
        words = ["in ", "three ", "words"]
        try:
            for word in words:
                yield word
            yield Generation(text="".join(words), finish_reason="stop")
        finally:
            self.closed = True


class TestStream:
    """Pieces of one answer, for both kinds of code."""

    def test_pieces_come_one_by_one_and_then_the_answer(self) -> None:
        pieces = stream("scripted:base", "2+2?", backend=Speaker())
        assert next(pieces) == "in "
        before = pieces.answer
        assert list(pieces) == ["three ", "words"]
        after = pieces.answer
        assert before is None
        assert after is not None
        assert after.text == "in three words"
        assert list(pieces) == []

    async def test_async_code_reads_the_same(self) -> None:
        async with stream("scripted:base", "2+2?", backend=Speaker()) as pieces:
            assert [piece async for piece in pieces] == ["in ", "three ", "words"]

    def test_leaving_early_ends_it(self) -> None:
        backend = Speaker()
        with stream("scripted:base", "2+2?", backend=backend) as pieces:
            next(pieces)
        assert backend.closed
        assert list(pieces) == []

    async def test_a_backend_that_only_generates_gives_one_piece(self) -> None:
        backend = ScriptedBackend(generate=lambda prompt: "4")
        pieces = stream("scripted:base", [TURN], backend=backend)
        assert [piece async for piece in pieces] == ["4"]
        assert pieces.answer == Generation(text="4", finish_reason="stop")

    def test_what_cannot_be_asked_is_an_error(self) -> None:
        with pytest.raises(UnsupportedError, match="generate"):
            next(stream("scripted:base", "2+2?", backend=ScriptedBackend()))
        with pytest.raises(SpecError, match="prompt"):
            stream("scripted:base", b"2+2?", backend=Speaker())  # type: ignore[arg-type]  # the test is that it is


def test_answers_are_weighed_and_what_is_no_list_of_them_is_refused() -> None:
    backend = ScriptedBackend(score=lambda prompt, choice: -float(len(choice)))
    found = score("scripted:base", [TEXT], ["yes", "no"], backend=backend)
    assert found.log_probs == (-3.0, -2.0)
    for choices in ("yes", [], ["yes", 1]):
        with pytest.raises(SpecError, match="choices"):
            score("scripted:base", "Yes or no?", choices, backend=backend)  # type: ignore[arg-type]


def test_vectors_come_in_the_order_of_the_texts() -> None:
    class Measuring(ScriptedBackend):
        async def embed(self, model: str, texts: Sequence[str]) -> list[list[float]]:
            return [[float(len(text))] for text in texts]

    assert asyncio.run(embed_async("scripted:base", ["abc", "a"], backend=Measuring())) == [[3.0], [1.0]]
    with pytest.raises(SpecError, match="texts"):
        embed("scripted:base", "abc", backend=Measuring())
