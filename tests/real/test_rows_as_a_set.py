"""Duplicates, contradictions, classes and leaks in public data: the counts that each LICENSE.txt states, and more."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import tunekit as tk
from tests.unit.data.checks.looking import look
from tunekit.data.checks.classes import Classes
from tunekit.data.checks.duplicates import Disagreements, Duplicates
from tunekit.data.checks.leakage import Leakage
from tunekit.data.checks.lengths import Lengths
from tunekit.data.checks.near_duplicates import NearDuplicates
from tunekit.data.similarity.normalise import normalise
from tunekit.data.similarity.shingles import jaccard, shingles
from tunekit.data.views import answer_text, input_text

pytestmark = pytest.mark.real

Load = Callable[..., tk.Dataset]
SMS: dict[str, Any] = {"input": "v2", "target": "v1", "encoding": "cp1252"}
BANKING: dict[str, Any] = {"input": "text", "target": "category"}


@pytest.fixture
def load(shared_data: Path) -> Load:
    return lambda file, **options: tk.Dataset.load(shared_data / file, **options)


@pytest.mark.parametrize(
    ("file", "options", "copies"),
    [
        ("sms_spam/spam.csv", SMS, 403),
        ("mlx_lora/wwdc25_train.jsonl", {}, 437),
        ("korean_chatbot/ChatbotData.csv", {"input": "Q", "target": "A"}, 73),
        ("banking77/train.csv", BANKING, 0),
        ("llama_factory_demos/alpaca_en_demo.json", {}, 14),
        ("llama_factory_demos/alpaca_zh_demo.json", {}, 8),
        ("llama_factory_demos/glaive_toolcall_en_demo.json", {}, 35),
    ],
)
def test_copies(load: Load, file: str, options: dict[str, Any], copies: int) -> None:
    data = load(file, **options)
    report = look(data, Duplicates)
    found = report["duplicate-rows"].rows if "duplicate-rows" in report else ()
    assert len(found) == len(set(found)) == copies
    kept = data.fix("drop-duplicates")
    assert len(kept) == len(data) - copies
    assert "duplicate-rows" not in look(kept, Duplicates)


def test_questions_with_different_answers(load: Load) -> None:
    korean = look(load("korean_chatbot/ChatbotData.csv", input="Q", target="A"), Disagreements)
    assert korean["different-answers"].facts["inputs"] == 85
    few_prompts = look(load("mlx_lora/wwdc25_train.jsonl"), Disagreements)
    assert few_prompts["different-answers"].facts["distinct_inputs"] == 271


def test_a_forgotten_column_shows_as_contradictions(load: Load) -> None:
    # SNLI judges pairs of sentences; with the first alone, every label contradicts another.
    data = load("openai_cookbook/snli_1.0_train_2k.csv", input="sentence1", target="gold_label")
    conflict = look(data, Disagreements)["conflicting-labels"]
    assert conflict.facts["inputs"] == conflict.facts["distinct_inputs"] == 539
    assert look(data, Classes)["rare-classes"].facts["classes"] == {"-": 3}


def test_spam_is_imbalanced_and_intents_are_not(load: Load) -> None:
    assert look(load("sms_spam/spam.csv", **SMS), Classes)["class-imbalance"].facts["share"] == 0.8659
    assert not look(load("banking77/train.csv", **BANKING), Classes).findings


def test_the_answer_of_26_000_characters(load: Load) -> None:
    found = look(load("openai_cookbook/toy_chat_fine_tuning.jsonl"), Lengths)["long-rows"]
    assert found.rows == ("toy_chat_fine_tuning.jsonl:5",)


@pytest.mark.parametrize(
    ("train", "test", "options", "rows", "theirs", "to_the_letter"),
    [
        ("mlx_lora/wwdc25_train.jsonl", "mlx_lora/wwdc25_valid.jsonl", {}, 162, 48, 48),
        ("banking77/train.csv", "banking77/test.csv", BANKING, 11, 11, 6),
    ],
)
def test_leaks(
    load: Load, train: str, test: str, options: dict[str, Any], rows: int, theirs: int, to_the_letter: int
) -> None:
    data, held_out = load(train, **options), load(test, **options)
    finding = look(data, Leakage, against=(("test", held_out),))["leaked-questions"]
    facts = finding.facts["sets"]["test"]
    assert len(finding.rows) == facts["rows"] == rows
    assert (facts["their_rows"], facts["to_the_letter"], facts["of"]) == (
        theirs,
        to_the_letter,
        len(held_out),
    )
    clean = data.fix("drop-leaked", "drop-nearly-leaked", against={"test": held_out})
    assert not look(clean, Leakage, against=(("test", held_out),)).findings


def test_grade_school_maths_leaks_passages_only(load: Load) -> None:
    columns = {"input": "question", "target": "answer"}
    held_out = load("gsm8k/test.jsonl", **columns)
    report = look(load("gsm8k/train.jsonl", **columns), Leakage, against=(("test", held_out),))
    assert [found.code for found in report] == ["leaked-passages"]
    assert len(report["leaked-passages"].rows) == 8


@pytest.mark.parametrize(
    ("file", "options"),
    [
        ("llama_factory_demos/c4_demo.jsonl", {}),  # web pages of up to 37,000 characters
        ("gsm8k/test.jsonl", {"input": "question", "target": "answer"}),
        ("korean_chatbot/ChatbotData.csv", {"input": "Q", "target": "A"}),
    ],
)
def test_texts_that_have_nothing_in_common_share_few_shingles(
    load: Load, file: str, options: dict[str, Any]
) -> None:
    draw = random.Random(1)
    rows = [shingles(normalise(f"{input_text(row)} {answer_text(row)}")) for row in load(file, **options)]
    shared = sorted(jaccard(*draw.sample(rows, 2)) for _ in range(2_000))
    assert shared[-1] < 0.5 and shared[1_980] < 0.3  # near duplicates share 0.8


def test_near_duplicates_of_intents_are_paraphrases_of_one_letter(load: Load) -> None:
    report = look(load("banking77/train.csv", **BANKING), NearDuplicates)
    assert 150 < len(report["near-duplicates"].rows) < 250
    assert "near-duplicates-unchecked" not in report
