"""A key that a host sends back is taken out of its body, however that is cut and whatever escapes are in it."""

from __future__ import annotations

import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunekit.backends.openai.masking import Mask
from tunekit.backends.openai.secret import Secret

KEYS = ['sk-canary-5f2a9c"7/e\\1b', "sksksksk-1234", "eyJ0eXAi.OiJKV1Qi_LCJ" * 40]
noise = st.text(st.characters(codec="utf-8"), max_size=40)


def through(body: bytes, key: str, cuts: list[int]) -> bytes:
    mask, found = Mask(Secret(key)), b""
    places = sorted({min(cut, len(body)) for cut in cuts} | {0, len(body)})
    for start, end in itertools.pairwise(places):
        found += mask.feed(body[start:end])
    return found + mask.end()


def written(key: str, escaped: list[bool]) -> str:
    """The key in a JSON text, some of its characters as escapes."""
    flags = escaped or [False]
    return "".join(
        f"\\u{ord(character):04x}" if flags[at % len(flags)] else json.dumps(character)[1:-1]
        for at, character in enumerate(key)
    )


@given(
    st.sampled_from(KEYS), noise, noise, st.lists(st.booleans(), max_size=5), st.lists(st.integers(0, 400))
)
def test_no_way_to_write_it_in_json_and_no_cut_shows_it(
    key: str, before: str, after: str, escaped: list[bool], cuts: list[int]
) -> None:
    body = f'{{"a": {json.dumps(before)}, "b": "{written(key, escaped)}", "c": {json.dumps(after)}}}'
    assert json.loads(body)["b"] == key
    found = json.loads(through(body.encode(), key, cuts))
    assert found == {"a": before, "b": "[key]", "c": after}


@given(st.sampled_from(KEYS), st.binary(max_size=300), st.lists(st.integers(0, 300)))
def test_what_does_not_hold_it_stays_as_it_is(key: str, body: bytes, cuts: list[int]) -> None:
    assert through(body, key, cuts) == body
    assert through(body + b"\\" + key[:8].encode(), key, cuts) == body + b"\\" + key[:8].encode()


def test_a_whole_line_is_not_held_back() -> None:
    mask = Mask(Secret(KEYS[0]))
    assert mask.feed(b'data: {"a": "sk-can\\u0061\n') == b'data: {"a": "sk-can\\u0061\n'
    assert mask.feed(b"sk-canary") == b"" and mask.end() == b"sk-canary"


@pytest.mark.parametrize("placeholder", ["none", "EMPTY", "not-needed", "sk-no-key-required", "lm-studio"])
def test_words_that_an_answer_may_hold_are_no_key(placeholder: str) -> None:
    text = f"the key is {placeholder}"
    assert through(text.encode(), placeholder, [14]) == text.encode()
    assert Secret(placeholder).masked(text) == text


def test_a_part_of_an_address_is_masked_too() -> None:
    assert Secret("k+/=12345678").masked("/?k=k%2B%2F%3D12345678") == "/?k=[key]"
