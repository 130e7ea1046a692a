"""Token lengths of many rows: exact while they are few, a fair and repeatable sample when they are many."""

from __future__ import annotations

import pytest

from tunekit.data.tokens import TextCounter
from tunekit.data.tokens.statistics import TokenStatistics, TokenSummary
from tunekit.examples import CompletionExample

WORDS = TextCounter(name="words", tokens_of=lambda text: len(text.split()), prompt_format="text")


def row(words: int) -> CompletionExample:
    return CompletionExample(prompt="word " * words, completion="yes indeed")


def summary(lengths: list[int], **limits: int) -> TokenSummary:
    statistics = TokenStatistics(WORDS, **limits)
    for length in lengths:
        statistics.add(row(length))
    return statistics.summary()


def test_few_rows_are_all_counted() -> None:
    found = summary(list(range(100)))
    assert (found.rows, found.rows_counted, found.is_sample) == (100, 100, False)
    assert found.total == sum(range(100)) + 200
    assert found.learned == 200
    # Nearest rank: each is the length of some row.
    assert found.row == {"p50": 51, "p90": 91, "p99": 100, "max": 101}
    assert found.answer == {"p50": 2, "p90": 2, "p99": 2, "max": 2}
    assert found.how == "counted by words"


def test_many_rows_are_sampled_fairly() -> None:
    # A rhythm that every tenth row would fall for.
    lengths = [200 if number % 10 == 0 else 10 for number in range(20_000)]
    found = summary(lengths, max_rows=1_000)
    assert 250 <= found.rows_counted <= 1_000
    assert found.rows == 20_000
    assert found.total == pytest.approx(sum(lengths) + 40_000, rel=0.05)
    assert found.row["p50"] == 12
    assert found.row["max"] == 202
    assert f"sample of {found.rows_counted:,} rows" in found.how


def test_the_same_rows_give_the_same_sample() -> None:
    lengths = [number % 37 for number in range(3_000)]
    assert summary(lengths, max_rows=100) == summary(lengths, max_rows=100)


def test_long_rows_are_bounded_by_their_text_not_only_by_their_number() -> None:
    found = summary([1_000] * 200, max_chars=50_000)
    assert 1 <= found.rows_counted <= 10
    assert found.total == pytest.approx(200 * 1_002, rel=0.01)


def test_one_row_is_counted_however_long_it_is() -> None:
    found = summary([100_000], max_chars=10)
    assert (found.rows_counted, found.total) == (1, 100_002)
    found = summary([5, 5], max_rows=1)
    assert (found.rows_counted, found.total) == (1, 14)


def test_rows_that_were_counted_are_told_at_once() -> None:
    statistics = TokenStatistics(WORDS, max_rows=1)
    told = [statistics.add(row(3)) for _ in range(50)]
    first = told[0]
    assert first is not None and first.total == 5
    assert None in told


def test_no_rows_have_no_lengths() -> None:
    found = summary([])
    assert (found.rows, found.total, found.row) == (0, 0, {})
    assert found.to_dict()["rows"] == 0
