"""Normalised texts: what falls away, what stays apart, and passages of thirteen words."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunekit.data.similarity.normalise import PASSAGE_WORDS, normalise, passages

RUN = "to be or not to be that is the question whether it is"
WORDS = [*RUN.split(), "nobler", "in", "the", "mind"]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Where is it?", "where is it"),
        ("a\tb\n c\u00a0d", "a b c d"),
        ("Stra\u00dfe", "STRASSE"),
        ("\uff37\uff48\uff59\uff1f", "why"),  # full width
        ("\u201cyes\u201d, he said.", '"yes" he said'),
        ("cafe\u0301", "caf\u00e9"),
        ("\u7d42\u308f\u3063\u305f\u3002", "\u7d42\u308f\u3063\u305f"),
    ],
)
def test_what_falls_away(one: str, other: str) -> None:
    assert normalise(one) == normalise(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("-5", "5"),
        ("3.5", "35"),
        ("5%", "5"),
        ("a+b", "a-b"),
        ("now here", "nowhere"),
        (":)", ":("),
        ("C#", "C"),
    ],
)
def test_what_stays_apart(one: str, other: str) -> None:
    assert normalise(one) != normalise(other)


@given(st.text(max_size=200))
def test_normalising_is_stable_but_for_letters_that_fold_twice(text: str) -> None:
    once = normalise(text)
    assert "\n" not in once and "\f" not in once and once == once.strip()
    assert normalise(normalise(once)) == normalise(once)


@pytest.mark.parametrize("accents", ["\u0301\u0327", "\uff9e\u0323", "\u0344\u0323"])
def test_a_run_of_accents_takes_no_quadratic_time(accents: str) -> None:
    # As they are, `unicodedata` would sort them for minutes, and the test would be stopped.
    assert normalise("a" + accents * 200_000)


@given(
    st.text("ae\u0301\u0327\u0323\u0344\uff9e\uff76.\ufb01\u1e9b\u00b4 ", max_size=400), st.integers(0, 300)
)
def test_how_a_letter_is_written_does_not_count_wherever_it_stands(text: str, before: int) -> None:
    text = "x" * before + text + "\u0323\u0301" * 40 + "e\u0301"
    assert normalise(text) == normalise(unicodedata.normalize("NFC", text))
    assert normalise(text) == normalise(unicodedata.normalize("NFKD", text))


def test_passages_are_runs_of_thirteen_words_wherever_they_stand() -> None:
    (key,) = passages(RUN)
    assert key in set(passages(f"he said {RUN} and left"))
    assert not set(passages(" ".join(reversed(WORDS)))) & set(passages(" ".join(WORDS)))
    assert list(passages(" ".join(WORDS[: PASSAGE_WORDS - 1]))) == []
    assert len(list(passages(" ".join(WORDS)))) == len(WORDS) - PASSAGE_WORDS + 1


def test_ideographs_are_words() -> None:
    assert len(list(passages("\u6211" * 6 + "\u4f60" * 8))) == 2
