"""Our own rows, texts with labels, pairs and raw text: what each refuses to read or to write."""

from __future__ import annotations

from typing import Any

import pytest

from tunekit.data.shapes.catalogue import shape as named
from tunekit.data.shapes.choose import choose
from tunekit.errors import DataError
from tunekit.examples import CompletionExample, LabelledExample

U, A = {"role": "user", "content": "hi"}, {"role": "assistant", "content": "yo"}


@pytest.mark.parametrize(
    ("shape", "row", "message"),
    [
        ("pairs", ["a"], "expected a pair, found a list"),
        ("pairs", {"a": 1}, "expected a pair, found an object"),
        ("pairs", [" ", "b"], "column 1: empty text"),
        ("pairs", ["a", ""], "column 2: empty text"),
        ("labelled", {"text": "a", "label": [None]}, "label: expected a list of texts"),
        ("labelled", {"text": "a", "label": ["b", ""]}, "label: empty text"),
        ("labelled", {"text": "a"}, "no key 'label'; the keys are 'text'"),
        ("tunekit", {"kind": "cat"}, "kind: unknown kind 'cat'"),
        (
            "tunekit",
            {"kind": "labelled", "text": "a", "label": "b", "x": 1},
            "x: unknown key 'x' in a 'labelled' row",
        ),
        ("tunekit", {"kind": "chat", "messages": [U, A], "id": 3}, "id: expected text, found a number"),
        (
            "tunekit",
            {"kind": "chat", "messages": [U, A], "meta": []},
            "meta: expected an object, found a list",
        ),
        (
            "tunekit",
            {"kind": "unpaired", "messages": [U], "completion": "a", "desirable": 1},
            "desirable: expected true or false, found a number",
        ),
        (
            "tunekit",
            {"kind": "preference", "messages": [U], "chosen": [{**A, "weight": 0}], "rejected": "b"},
            "chosen: every assistant turn is empty or has weight 0",
        ),
        ("tunekit", {"kind": "segments", "segments": []}, "segments: the list is empty"),
        (
            "tunekit",
            {"kind": "segments", "segments": [{"text": "a"}]},
            "segments[0]: expected a segment, found an object",
        ),
        (
            "tunekit",
            {"kind": "segments", "segments": [{"text": "a", "learn": 1}]},
            "segments[0].learn: expected true or false, found a number",
        ),
        (
            "tunekit",
            {"kind": "segments", "segments": [{"text": "a", "learn": False}]},
            "segments: no segment is learned",
        ),
        ("openai", "a", "expected an object, found text"),
    ],
)
def test_what_a_named_shape_refuses(shape: str, row: Any, message: str) -> None:
    with pytest.raises(DataError) as caught:
        choose([{"text": "a"}], shape=shape).read(row, "r:1")
    assert str(caught.value).startswith(message)
    assert caught.value.hint


def test_what_flat_shapes_cannot_write() -> None:
    with pytest.raises(DataError, match="meta: a pair has no place for meta columns"):
        named("pairs").write(LabelledExample(text="a", label="b", meta={"c": 1}))
    with pytest.raises(DataError, match="prompt: the row has a prompt, and raw text is all learned"):
        named("text").write(CompletionExample(prompt="a", completion="b"))
