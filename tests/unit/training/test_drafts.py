"""Text that grows by tokens: what comes in pieces is what comes whole, and stop strings are seen at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models
from transformers import PreTrainedTokenizerFast

from tunekit.training.models import load
from tunekit.training.serving.drafts import Draft, Ending
from tunekit.training.serving.sampling import draw_key
from tunekit.training.texts.reading import GrowingText, text_of


@pytest.fixture(scope="module")
def bytewise(llama: Path) -> Any:
    return load.load_tokenizer(llama)


@pytest.fixture(scope="module")
def pieces() -> Any:
    """As of Llama 2: words begin with a mark, other bytes have tokens of their own, the first space is dropped."""
    words = ["<unk>", "</s>", "▁", "▁the", "▁cat", "s", ".", "▁.", "é", "▁▁", "\n"]
    vocabulary = {word: at for at, word in enumerate([*words, *(f"<0x{byte:02X}>" for byte in range(256))])}
    backend = Tokenizer(models.BPE(vocab=vocabulary, merges=[], byte_fallback=True, unk_token="<unk>"))
    backend.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    return PreTrainedTokenizerFast(tokenizer_object=backend, eos_token="</s>", unk_token="<unk>")


def grown(tokenizer: Any, tokens: list[int]) -> str:
    growing = GrowingText(tokenizer)
    for token in tokens:
        before = growing.text
        growing.add(token)
        assert growing.text.startswith(before)
    growing.finish()
    return growing.text


@given(text=st.text(max_size=30))
@settings(max_examples=100, deadline=None)
def test_bytes_grow_to_the_text_that_they_are(bytewise: Any, text: str) -> None:
    tokens = bytewise(text, add_special_tokens=False)["input_ids"]
    assert grown(bytewise, tokens) == bytewise.decode(tokens, skip_special_tokens=True)


@given(
    words=st.lists(
        st.one_of(
            st.integers(1, 10).map(lambda n: [n]),
            st.sampled_from("é😀ß→a ").map(lambda c: [11 + b for b in c.encode()]),
        ),
        max_size=20,
    )
)
@settings(max_examples=150, deadline=None)
def test_words_and_single_bytes_grow_to_the_text_that_they_are(pieces: Any, words: list[list[int]]) -> None:
    tokens = [token for word in words for token in word]
    assert grown(pieces, tokens) == pieces.decode(tokens, skip_special_tokens=True)


def test_no_character_is_shown_before_it_is_whole(bytewise: Any) -> None:
    growing, shown = GrowingText(bytewise), []
    for token in bytewise("a😀b", add_special_tokens=False)["input_ids"]:
        growing.add(token)
        shown.append(growing.text)
    assert shown == ["a", "a", "a", "a", "a😀", "a😀b"]


@given(words=st.lists(st.integers(1, 10), min_size=1, max_size=8), cut=st.integers(1, 7))
@settings(max_examples=100, deadline=None)
def test_what_goes_on_with_a_text_keeps_its_space(pieces: Any, words: list[int], cut: int) -> None:
    before, behind = words[:cut], words[cut:]
    whole = text_of(pieces, words)
    assert text_of(pieces, before) + text_of(pieces, behind, before) == whole


def test_what_goes_on_behind_a_character_of_several_tokens(pieces: Any) -> None:
    emoji = [11 + byte for byte in "😀".encode()]
    assert text_of(pieces, [*emoji, 3], before=[3, *emoji, *emoji]) == "😀 the"


def test_a_character_that_was_shown_is_not_shown_again_as_bytes(pieces: Any) -> None:
    """This tokenizer takes bytes next to each other for one text, and all of them for none if one of them is wrong."""
    tokens = [*(11 + byte for byte in "é".encode()), 11 + 0xFF, 6]
    assert text_of(pieces, tokens) == "é\N{REPLACEMENT CHARACTER}."


def test_bytes_that_never_become_a_character_are_not_waited_for(bytewise: Any) -> None:
    lone = bytewise("é", add_special_tokens=False)["input_ids"][:1]
    growing = GrowingText(bytewise)
    for token in lone * 70:
        growing.add(token)
    assert growing.text


def draft(tokenizer: Any, *stops: str, limit: int = 99) -> Draft:
    ending = Ending(tokens=frozenset({1}), strings=stops)
    return Draft(prompt=[5], limit=limit, key=draw_key(0, [5]), ending=ending, growing=GrowingText(tokenizer))


def written(tokenizer: Any, text: str, *stops: str) -> tuple[str, str, int]:
    """Text, why it ended and tokens of a draft that is offered a text's tokens one by one."""
    made = draft(tokenizer, *stops, limit=len(text.encode()))
    for token in tokenizer(text, add_special_tokens=False)["input_ids"]:
        if made.finish_reason:
            break
        made.take(token)
    return made.text(tokenizer), made.finish_reason, len(made.tokens)


def test_a_draft_ends_with_the_token_that_completes_a_stop_string(bytewise: Any) -> None:
    assert written(bytewise, "one END two", "END") == ("one ", "stop", 7)
    assert written(bytewise, "one END two", "nothing", "e E") == ("on", "stop", 5)
    assert written(bytewise, "a😀b", "😀") == ("a", "stop", 5)
    assert written(bytewise, "ENEND", "END") == ("EN", "stop", 5)
    assert written(bytewise, "one EN", "END") == ("one EN", "length", 6)


def test_a_stop_token_is_counted_and_not_told(bytewise: Any) -> None:
    made = draft(bytewise)
    for token in (100, 1):
        made.take(token)
    assert (made.finish_reason, len(made.tokens)) == ("stop", 2)
    assert made.text(bytewise) == bytewise.decode([100])


@pytest.mark.parametrize(
    ("text", "held"), [("one", 0), ("one E", 1), ("one EN", 2), ("E\n", 2), ("one END", 0), ("", 0)]
)
def test_what_may_become_a_stop_string_is_held(text: str, held: int) -> None:
    assert Ending(tokens=frozenset(), strings=("END", "E\n\n")).held(text) == held
