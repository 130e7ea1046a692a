"""Separators, stop sequences and classes in real data: what their authors put there, and nothing accidental."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import tunekit as tk

pytestmark = pytest.mark.real

MARKS = {"no-separator", "missing-separator", "separator-inside", "no-stop", "missing-stop", "stop-inside"}


def codes(data: tk.Dataset) -> set[str]:
    return {finding.code for finding in data.check(target="base")}


def test_pairs_of_the_gpt_3_era(shared_data: Path) -> None:
    data = tk.Dataset.load(shared_data / "nerre_prompt_completion/train.jsonl")
    hints = data.hints(target="base")
    assert (hints.task, hints.separator, hints.stop) == ("generation", "\n\n###\n\n", ("\n\nEND",))
    assert not (MARKS | {"no-leading-space"}) & codes(data)
    assert data.fix("add-separator", "add-stop", "add-leading-space", target="base") == data


def test_questions_do_not_end_in_a_separator(shared_data: Path) -> None:
    data = tk.Dataset.load(shared_data / "mlx_lora/wwdc25_train.jsonl")
    assert {"no-separator", "no-stop"} <= codes(data)
    mended = data.fix("add-separator", "add-stop", target="base")
    assert not MARKS & codes(mended)
    assert mended.fix("add-separator", "add-stop", target="base") == mended
    hints = mended.hints(target="base")
    assert hints.separator and hints.stop
    assert not any(hints.separator in row.prompt or hints.stop[0] in row.completion for row in data)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("file", "options", "classes", "positive"),
    [
        ("sms_spam/spam.csv", {"input": "v2", "target": "v1"}, 2, "spam"),
        ("ajgt_xlsx/AJGT.xlsx", {"input": "Feed", "target": "Sentiment"}, 2, "Positive"),
        ("banking77/train.csv", {"input": "text", "target": "category"}, 77, ""),
    ],
)
def test_classes(shared_data: Path, file: str, options: dict[str, Any], classes: int, positive: str) -> None:
    data = tk.Dataset.load(shared_data / file, **options)
    hints = data.hints(target="base")
    assert (hints.task, len(hints.classes), hints.positive_class) == ("classification", classes, positive)
    assert hints.stop == ()  # "am" of ham and spam, "tive" of positive and negative are none
    assert dict(hints.classes) == dict(data.targets())
    train, test = data.split(test=hints.test or 0.2, seed=1)
    assert len(train) + len(test) == len(data)


def test_letters_that_are_the_answer_keep_their_case(shared_data: Path) -> None:
    data = tk.Dataset.load(shared_data / "korean_chatbot/ChatbotData.csv", input="Q", target="A")
    names = ("lower-case-prompts", "lower-case-completions")
    changed = {row for fix in data.preview_fix(*names, target="base").fixes for row in fix.changed}
    assert len(changed) < 30  # a few texts are in capitals; the SNS and A/S of the others stay
    assert data.fix(target="base").targets() == data.targets()
