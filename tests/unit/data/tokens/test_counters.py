"""Tokens of rows: real BPE with a vocabulary made here, and what happens where the target's own is not at hand."""

from __future__ import annotations

import hashlib
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tiktoken
from hypothesis import given, settings
from hypothesis import strategies as st
from tiktoken import registry

from tests.unit.data import strategies
from tunekit.data.profiles import profile_of
from tunekit.data.tokens import counters
from tunekit.data.tokens.counters import TextCounter, counter_for, encoded_tokens
from tunekit.data.tokens.estimate import estimated_tokens
from tunekit.examples import (
    ChatExample,
    CompletionExample,
    Example,
    LabelledExample,
    Message,
    PreferenceExample,
    PromptExample,
    Segment,
    SegmentsExample,
    ToolCall,
    UnpairedExample,
)

TINY = tiktoken.Encoding(
    name="tiny",
    pat_str=r" ?[a-z]+| ?[^a-z]",
    mergeable_ranks={
        **{bytes([byte]): byte for byte in range(256)},
        **{
            merge: 256 + rank
            for rank, merge in enumerate(
                (b" p", b"ar", b" par", b"ce", b"cel", b" parcel", b"la", b"te", b"late")
            )
        },
    },
    special_tokens={"<|endoftext|>": 1000},
)


def by_tiny(text: str) -> int:
    return encoded_tokens(text, TINY.encode_ordinary)


def counter(tokens_of: Callable[[str], int] = by_tiny, **more: Any) -> TextCounter:
    return TextCounter(name="tiny", tokens_of=tokens_of, **more)


WORDS = counter(lambda text: len(text.split()))


def test_texts_are_counted_by_the_encoding() -> None:
    assert TINY.encode_ordinary("my parcel") == [109, 121, 261]
    assert by_tiny("my parcel late") == len(TINY.encode_ordinary("my parcel late")) == 5


def test_a_control_token_in_a_text_is_only_text() -> None:
    # tiktoken's `encode` raises for it, and a count of 1 would be wrong too.
    assert by_tiny("<|endoftext|>") == len(TINY.encode_ordinary("<|endoftext|>")) > 1


def test_a_very_long_text_is_counted_in_slices() -> None:
    text = " parcel" * 40_000
    assert by_tiny(text) == pytest.approx(40_000, rel=0.001)
    assert by_tiny(" " * 1_000_000) == 1_000_000


USER = Message(role="user", content="where is it")
ANSWER = Message(role="assistant", content="on its way")
TOOL = {"type": "function", "function": {"name": "look_up"}}


@pytest.mark.parametrize(
    ("example", "total", "learned", "longest"),
    [
        # 3 around each message and 3 to open the answer, as OpenAI's cookbook counts.
        (ChatExample(messages=(USER, ANSWER)), 3 + 3 + 3 + 3 + 3, 3, 15),
        (ChatExample(messages=(USER, ANSWER.replace(weight=0.0))), 15, 0, 15),
        (ChatExample(messages=(USER.replace(name="ann"), ANSWER)), 17, 3, 17),
        (CompletionExample(prompt="where is it", completion="on its way"), 15, 3, 15),
        (CompletionExample(prompt="", completion="on its way"), 6, 3, 6),
        (LabelledExample(text="where is it", label=("late", "lost")), 14, 2, 14),
        (
            SegmentsExample(segments=(Segment(text="a b", learn=False), Segment(text="c", learn=True))),
            3,
            1,
            3,
        ),
        (PromptExample(messages=(USER,), reference={"answer": "a b c"}), 9, 0, 9),
        # A preference reads the conversation twice; the longer answer decides whether it fits.
        (PreferenceExample(messages=(USER,), chosen="a", rejected="a b c d"), 23, 1, 13),
        (PreferenceExample(messages=(USER,), chosen=(ANSWER,), rejected="a"), 25, 6, 15),
        (UnpairedExample(messages=(USER,), completion="a b", desirable=False), 11, 2, 11),
        (ChatExample(messages=(USER, ANSWER), tools=(TOOL,)), 20, 3, 20),
        (
            ChatExample(
                messages=(
                    USER,
                    Message(
                        role="assistant",
                        reasoning="it is late",
                        tool_calls=(ToolCall(id="1", name="look_up", arguments='{"order": 7}'),),
                    ),
                )
            ),
            9 + 3 + 3 + 1 + 2,
            6,
            18,
        ),
    ],
)
def test_rows_of_every_kind(example: Example, total: int, learned: int, longest: int) -> None:
    assert WORDS(example) == (total, learned, longest)


def test_plain_text_has_nothing_around_it() -> None:
    plain = counter(lambda text: len(text.split()), prompt_format="text")
    assert plain(CompletionExample(prompt="where is it", completion="on its way")) == (6, 3, 6)
    assert plain(ChatExample(messages=(USER, ANSWER))) == WORDS(ChatExample(messages=(USER, ANSWER)))


@settings(max_examples=100, deadline=None)
@given(strategies.example(), st.sampled_from(["tiny", "estimate"]))
def test_the_bound_is_never_below_the_count(example: Example, how: str) -> None:
    counts = counter(by_tiny if how == "tiny" else estimated_tokens)
    assert 0 <= counts(example).longest <= counts.at_most(example)


# --- where the vocabulary is ----------------------------------------------------------------------


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty cache, nothing loaded, and a network that must not be touched."""

    def refuse(*args: object) -> None:
        raise AssertionError(f"the network was touched: {args}")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    for name in counters._VOCABULARIES:
        monkeypatch.delitem(registry.ENCODINGS, name, raising=False)
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path))
    return tmp_path


def test_without_the_vocabulary_there_is_an_estimate_and_an_instruction(offline: Path) -> None:
    counts = counter_for(profile_of("openai:gpt-4.1-mini-2025-04-14"))
    assert counts.is_estimate
    assert counts.name == "estimate of o200k_base"
    assert "tiktoken.get_encoding('o200k_base')" in counts.says
    row = CompletionExample(
        prompt="Where is my parcel?", completion="It is on its way and should arrive today."
    )
    assert counts(row).total == pytest.approx(15 + 9, abs=4)


def test_a_damaged_vocabulary_is_left_alone(offline: Path) -> None:
    # tiktoken would delete it and fetch another.
    path = counters.cache_path("o200k_base")
    assert path is not None and path.parent == offline
    path.write_bytes(b"IQ== 0\n")
    assert counter_for(profile_of("openai")).is_estimate
    assert path.read_bytes() == b"IQ== 0\n"


def test_no_cache_at_all_means_an_estimate(offline: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", "")
    assert counters.cache_path("o200k_base") is None
    assert counter_for().is_estimate


def test_the_cache_is_where_tiktoken_looks(offline: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = "https://openaipublic.blob.core.windows.net/encodings/cl100k_base.tiktoken"
    name = hashlib.sha1(source.encode()).hexdigest()
    assert counters.cache_path("cl100k_base") == offline / name
    monkeypatch.setenv("DATA_GYM_CACHE_DIR", str(offline / "second"))
    assert counters.cache_path("cl100k_base") == offline / name
    monkeypatch.delenv("TIKTOKEN_CACHE_DIR")
    assert counters.cache_path("cl100k_base") == offline / "second" / name
    monkeypatch.delenv("DATA_GYM_CACHE_DIR")
    path = counters.cache_path("cl100k_base")
    assert path is not None and path.parent.name == "data-gym-cache"


def test_a_whole_vocabulary_in_the_cache_is_used(offline: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # A made-up encoding stands for a real one: its file is whole by its own hash, and tiktoken has its constructor.
    path = counters.cache_path("p50k_base")
    assert path is not None
    path.write_bytes(b"vocabulary")
    whole = hashlib.sha256(b"vocabulary").hexdigest()
    monkeypatch.setitem(counters._VOCABULARIES, "p50k_base", ("p50k_base", whole))
    monkeypatch.setattr(tiktoken, "get_encoding", {"p50k_base": TINY}.__getitem__)
    assert counters.is_available("p50k_base")
    assert counters._by_tiktoken("p50k_base", "chat").tokens_of("my parcel") == 3


def test_what_the_host_has_loaded_is_used(offline: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(registry.ENCODINGS, "o200k_base", TINY)
    counts = counter_for(profile_of("openai"))
    assert not counts.is_estimate
    assert counts.name == "o200k_base"
    assert counts.tokens_of("my parcel") == 3


def test_a_target_whose_tokenizer_is_not_known_is_estimated(offline: Path) -> None:
    for target, says in (("together", "is not known here"), ("local:a/b", "when it is trained")):
        counts = counter_for(profile_of(target))
        assert counts.is_estimate and counts.name == "estimate" and says in counts.says


def test_the_estimate_is_never_above_the_bytes() -> None:
    assert estimated_tokens("") == 0
    assert estimated_tokens(" ") == 1
    assert estimated_tokens("𓀀" * 3) <= 12
    assert estimated_tokens("\ud800") <= 3


REAL = [
    ("o200k_base", "The parcel was sent on Monday and should be with you tomorrow at the latest.", 16),
    ("o200k_base", "def add(a: int, b: int) -> int:\n    return a + b\n", 20),
    ("o200k_base", "Посылка отправлена в понедельник и должна прибыть завтра.", 15),
    ("cl100k_base", "The parcel was sent on Monday and should be with you tomorrow at the latest.", 16),
]


@pytest.mark.parametrize(("encoding", "text", "expected"), REAL)
def test_real_vocabularies_where_they_are_cached(encoding: str, text: str, expected: int) -> None:
    if not counters.is_available(encoding):
        pytest.skip(f"{encoding} is not in tiktoken's cache: {counters.cache_path(encoding)}")
    count = len(tiktoken.get_encoding(encoding).encode_ordinary(text))
    assert count == pytest.approx(expected, abs=3)
    assert estimated_tokens(text, encoding) == pytest.approx(count, rel=0.45)  # one short text
