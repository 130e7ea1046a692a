"""Turns the corpus files into what one training job reads, and measures their length. Knows files and tokens.

Every row becomes raw text: a chat is written out by the chat template, control tokens included. So the model learns
from the words of both sides and not only from the answers, which is what a base model is for.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nano import corpus
from nano.rows import dice
from nano.tokenizer import CONTEXT

TRAIN_FILE = "train.jsonl"


def texts(cache: Path) -> Iterator[str]:
    """What the tokenizer is trained on: every row once."""
    return (content for _, content in _by_source(cache))


def tokens_by_source(cache: Path, tokenizer: Any) -> dict[str, int]:
    """Tokens of each source, each row counted once and without control tokens."""
    counts: dict[str, int] = {}
    for name, content in _by_source(cache):
        counts[name] = counts.get(name, 0) + len(tokenizer(content, verbose=False)["input_ids"])
    return counts


def write_training_rows(cache: Path, tokenizer: Any, token_budget: int, seed: int = 0) -> dict[str, int]:
    """Write `train.jsonl`: a shuffled mix of chats and prose, as many rows as the budget holds.

    Returns:
        Its `rows` and `tokens`, the `available` tokens, and how many rows were `too_long` for the context.
    """
    rendered = [render(row, tokenizer) for row in _rows(cache / corpus.CHAT_FILE, cache / corpus.TEXT_FILE)]
    dice("mix", seed).shuffle(rendered)
    sizes = {"rows": 0, "tokens": 0, "available": 0, "too_long": 0}
    with (cache / TRAIN_FILE).open("w", encoding="utf-8") as file:
        for text in rendered:
            length = len(tokenizer(text, verbose=False)["input_ids"]) + (
                not text.endswith(tokenizer.eos_token)
            )
            if length > CONTEXT:
                sizes["too_long"] += 1
                continue
            sizes["available"] += length
            if sizes["tokens"] + length <= token_budget:
                sizes["rows"] += 1
                sizes["tokens"] += length
                file.write(json.dumps({"prompt": "", "completion": text}, ensure_ascii=False) + "\n")
    return sizes


def render(row: dict[str, Any], tokenizer: Any) -> str:
    """A row as the text that the model reads, without the stop token that training adds to raw text."""
    if "messages" in row:
        return str(tokenizer.apply_chat_template(row["messages"], tokenize=False))
    return str(row["completion"])


def held_out(cache: Path, limit: int, seed: int = 0) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """At most `limit` held-out chats and prose rows each."""
    parts = []
    for name in (corpus.CHAT_FILE, corpus.TEXT_FILE):
        rows = list(_rows(cache / f"heldout_{name}"))
        dice(name, seed).shuffle(rows)
        parts.append(rows[:limit])
    return parts[0], parts[1]


def _by_source(cache: Path) -> Iterator[tuple[str, str]]:
    with (cache / "by_source.jsonl").open(encoding="utf-8") as file:
        for line in file:
            name, content = json.loads(line)
            yield name, content


def _rows(*paths: Path) -> Iterator[dict[str, Any]]:
    for path in paths:
        with path.open(encoding="utf-8") as file:
            yield from map(json.loads, file)
