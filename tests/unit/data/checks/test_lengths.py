"""Lengths: exact percentiles, the old tool's long rows, and rows that stand out."""

from __future__ import annotations

import tunekit as tk
from tests.unit.data.checks.looking import assistant, chat, look, user
from tunekit.data.checks.lengths import Lengths
from tunekit.examples import CompletionExample, Example, LabelledExample


def sized(*sizes: tuple[int, int]) -> tk.Dataset:
    rows = [CompletionExample(prompt="p" * read, completion="c" * said) for read, said in sizes]
    return tk.Dataset(row.replace(id=f"a.csv:{number}") for number, row in enumerate(rows, start=1))


def test_percentiles_are_lengths_of_rows() -> None:
    finding = sized(*[(n, 2 * n) for n in range(1, 101)]).check()["lengths"]
    assert finding.severity == "info"
    assert finding.facts["input"] == {"p50": 50, "p90": 90, "p99": 99, "max": 100, "mean": 50.5}
    assert finding.facts["answer"] == {"p50": 100, "p90": 180, "p99": 198, "max": 200, "mean": 101.0}


def test_one_row_is_its_own_percentile() -> None:
    facts = look(sized((3, 0)), Lengths)["lengths"].facts
    assert facts["input"] == {"p50": 3, "p90": 3, "p99": 3, "max": 3, "mean": 3.0}
    assert not look([], Lengths).findings


def test_the_right_long_rows_go_even_after_others_went() -> None:
    # fine_tunes.prepare_data dropped rows by their old positions: the long ones stayed, short ones were lost.
    data = sized((5, 5), (5, 5), (6_000, 4_001), (7, 7), (6_000, 4_000), (9_999, 500))
    assert data.check()["long-rows"].rows == ("a.csv:3", "a.csv:6")
    fixed = data.fix("drop-long", "drop-duplicates")
    assert [row.id for row in fixed] == ["a.csv:1", "a.csv:4", "a.csv:5"]
    assert "long-rows" not in fixed.check()


def test_raw_text_may_be_of_any_length() -> None:
    data = sized((0, 50_000), (0, 10))
    report = data.check()
    assert "long-rows" not in report
    assert "inputs" not in report["lengths"].message
    assert data.fix("drop-long") == data


def test_every_kind_has_lengths() -> None:
    rows: list[Example] = [chat(user("12345"), assistant("123")), LabelledExample(text="12345", label="abc")]
    facts = look(rows, Lengths)["lengths"].facts
    assert (facts["input"]["max"], facts["answer"]["max"]) == (5, 3)


def test_rows_far_longer_than_the_others_stand_out() -> None:
    usual = [(50 + n % 40, 100 + n % 70) for n in range(200)]
    finding = look(sized(*usual, (50, 8_000)), Lengths)["length-outliers"]
    assert finding.rows == ("a.csv:201",)
    assert finding.places[0].evidence == "8,050 characters"
    assert "length-outliers" not in look(sized(*usual, (50, 400)), Lengths)
    assert "length-outliers" not in look(sized(*usual[:50], (50, 8_000)), Lengths)  # too few to tell
