"""Rows of segments: what is learned and what is only read, without any template."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given

from tests.unit.data import strategies
from tests.unit.data.shapes.law import comes_back, is_normal, read, refusal
from tunekit.data.shapes.segments import SEGMENTS
from tunekit.examples import CompletionExample, Segment, SegmentsExample

READ = {"label": False, "text": "2+2="}
LEARNED = {"label": True, "text": "4</s>"}


@given(strategies.segments())
def test_every_example_comes_back(example: SegmentsExample) -> None:
    comes_back(SEGMENTS, example)


def test_rows_in_normal_form() -> None:
    is_normal(SEGMENTS, {"segments": [READ, LEARNED]})
    is_normal(SEGMENTS, {"segments": [LEARNED, {**READ, "text": ""}, LEARNED], "source": "x"})
    row = {"segments": [{"text": "2+2=", "label": False}, {"text": "4</s>", "label": True}]}
    assert read(SEGMENTS, row) == SegmentsExample(
        segments=(Segment(text="2+2=", learn=False), Segment(text="4</s>", learn=True))
    )


@pytest.mark.parametrize(
    ("segments", "said"),
    [
        ("x", "segments: expected a list, found text"),
        ([], "segments: the list is empty"),
        ([7], "segments[0]: expected a segment, found a number"),
        ([{**LEARNED, "label": 1}], "segments[0].label: expected true or false, found 1"),
        ([{**LEARNED, "text": None}], "segments[0].text: expected text, found null or nothing"),
        ([{**LEARNED, "weight": 2}], "segments[0].weight: a segment has the unknown key 'weight'"),
        ([READ, {**LEARNED, "text": " "}], "segments: no segment is learned"),
    ],
)
def test_what_is_wrong_is_said_with_its_field(segments: Any, said: str) -> None:
    assert refusal(lambda: SEGMENTS.read({"segments": segments}, "r")) == said


def test_other_kinds_are_not_written() -> None:
    said = refusal(lambda: SEGMENTS.write(CompletionExample(prompt="a", completion="b")))
    assert said == "the shape 'segments' holds segments examples, not 'completion'"
