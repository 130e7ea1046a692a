"""The page of record shapes has every shape that there is, and its examples are what it says of them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import tunekit as tk
from tunekit.data.shapes.catalogue import shape, shapes

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "shapes.md"
TEXT = PAGE.read_text(encoding="utf-8")
_HEADING = re.compile(r"^### `([a-z-]+)` \{ #([a-z-]+) \}$", re.MULTILINE)
_BLOCK = re.compile(r'^```json(?: title="([a-z ]+)")?\n(.*?)^```', re.MULTILINE | re.DOTALL)
_ROW = re.compile(r"^\| \[`([a-z-]+)`\]\(#([a-z-]+)\) \| ([a-z ]+) \|", re.MULTILINE)
_METHOD = re.compile(r"^\| `(to_[a-z]+)\(", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Block:
    """One example of a shape; `title` is "" for a row in normal form, "also read" or "written"."""

    shape: str
    title: str
    record: Any


def blocks() -> Iterator[Block]:
    parts = _HEADING.split(TEXT)[1:]
    for name, _, body in zip(parts[::3], parts[1::3], parts[2::3], strict=True):
        for title, record in _BLOCK.findall(body):
            yield Block(shape=name, title=title, record=json.loads(record))


BLOCKS = list(blocks())
WRITTEN = {block.shape: block.record for block in BLOCKS if block.title == "written"}


def named(block: Block) -> str:
    return f"{block.shape}{' ' * bool(block.title)}{block.title}-{BLOCKS.index(block)}"


def test_every_shape_has_an_example_and_stands_in_the_table() -> None:
    names = {shape.name for shape in shapes()}
    headings = _HEADING.findall(TEXT)
    assert {block.shape for block in BLOCKS if not block.title} == names
    assert [name for name, _ in headings] == [name for name, _, _ in _ROW.findall(TEXT)]
    assert all(name == anchor for name, anchor in (*headings, *(row[:2] for row in _ROW.findall(TEXT))))


def test_the_table_says_what_each_shape_becomes() -> None:
    for name, _, becomes in _ROW.findall(TEXT):
        kinds = shape(name).kinds
        said = {kind for kind in kinds if re.search(rf"\b{kind}s?\b", becomes)}
        assert said == kinds or becomes == "any kind", name


@pytest.mark.parametrize("block", [block for block in BLOCKS if block.title != "written"], ids=named)
def test_an_example_is_recognised_as_its_shape(block: Block) -> None:
    data = tk.Dataset.from_records([block.record])
    assert data.source["shape"] == block.shape
    assert data.kinds <= shape(block.shape).kinds
    assert not data.skipped


@pytest.mark.parametrize("block", [block for block in BLOCKS if not block.title], ids=named)
def test_an_example_comes_back_as_it_stands(block: Block) -> None:
    data = tk.Dataset.from_records([block.record])
    written = list(data.to_records(block.shape))
    assert written == [WRITTEN.get(block.shape, block.record)]
    assert tk.Dataset.from_records(written, shape=block.shape) == data


@pytest.mark.parametrize("block", [block for block in BLOCKS if block.title == "also read"], ids=named)
def test_another_spelling_means_what_the_example_before_it_means(block: Block) -> None:
    before = BLOCKS[BLOCKS.index(block) - 1]
    assert before.shape == block.shape and not before.title
    assert tk.Dataset.from_records([block.record]) == tk.Dataset.from_records([before.record])


def test_every_conversion_is_in_the_table() -> None:
    methods = {name for name in dir(tk.Dataset) if name.startswith("to_")} - {"to_records"}
    assert set(_METHOD.findall(TEXT)) == methods
