"""What stands in public data: damage that is really there is found, and good data are quiet. Counted by hand once.

HTML entities, C1 quotes, phone numbers and the banana loop are among the quirks that each LICENSE.txt states.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import tunekit as tk
from tests.unit.data.checks.looking import look
from tunekit.data.checks.answer_shape import AnswerShape
from tunekit.data.checks.answers import Answers
from tunekit.data.checks.base import Check, CheckContext
from tunekit.data.checks.characters import Characters
from tunekit.data.checks.languages import Languages
from tunekit.data.checks.privacy import Privacy
from tunekit.data.fixes import catalogue

pytestmark = pytest.mark.real

CHECKS: tuple[type[Check], ...] = (Answers, AnswerShape, Characters, Privacy, Languages)
SMS: dict[str, Any] = {"input": "v2", "target": "v1", "encoding": "cp1252"}
BANKING: dict[str, Any] = {"input": "text", "target": "category"}


def counts(rows: tk.Dataset) -> dict[str, int]:
    return {finding.code: len(finding.rows) for finding in look(rows, *CHECKS).findings}


@pytest.mark.parametrize(
    ("file", "options", "found"),
    [
        ("sms_spam/spam.csv", SMS, {"html-entities": 308, "line-ends": 2, "personal-data": 381}),
        ("sms_spam_tsv/sms.tsv", {}, {"mojibake": 35, "html-entities": 309, "personal-data": 382}),
        ("banking77/train.csv", BANKING, {"odd-spaces": 2}),
        ("openai_cookbook/toy_chat_fine_tuning.jsonl", {}, {"repetitive-answers": 1}),
        ("llama_factory_demos/identity.json", {}, {"placeholder-answers": 85, "mixed-languages": 0}),
        ("gsm8k/train.jsonl", {}, {"invisible-characters": 1, "odd-spaces": 4, "line-ends": 1}),
        ("bom_faq_csv/Amazon_SageMaker_FAQs.csv", {}, {"odd-spaces": 41, "line-ends": 28}),
    ],
)
def test_what_is_wrong_is_found(
    file: str, options: dict[str, Any], found: dict[str, int], shared_data: Path
) -> None:
    assert counts(tk.Dataset.load(shared_data / file, **options)) == found


@pytest.mark.parametrize(
    ("file", "options"),
    [
        ("banking77/test.csv", BANKING),
        ("clinc150/data_full.json", {}),
        ("human_eval/HumanEval.jsonl.gz", {}),
        ("korean_chatbot/ChatbotData.csv", {"input": "Q", "target": "A"}),
        ("mlx_lora/wwdc25_train.jsonl", {}),
        ("openai_cookbook/drone_training.jsonl", {}),
        ("openai_cookbook/dbpedia_samples.jsonl", {}),
    ],
)
def test_good_data_are_quiet(file: str, options: dict[str, Any], shared_data: Path) -> None:
    assert counts(tk.Dataset.load(shared_data / file, **options)) == {}


@pytest.mark.parametrize(
    "file",
    [
        "sms_spam_tsv/sms.tsv",
        "llama_factory_demos/dpo_en_demo.json",
        "llama_factory_demos/kto_en_demo.json",
        "llama_factory_demos/c4_demo.jsonl",
        "gpteacher_alpaca/toolformer-similarity-0.6-dataset.json",
    ],
)
def test_a_finding_of_real_data_is_gone_after_its_fix(file: str, shared_data: Path) -> None:
    context = CheckContext()
    rows = tuple(tk.Dataset.load(shared_data / file))
    known = {fix.name: fix for fix in catalogue.builtin()}
    for finding in look(rows, *CHECKS).findings:
        if finding.fix:
            fix = known[finding.fix.name](context)
            fix.prepare(rows)
            mended = [row for row in map(fix.apply, rows) if row is not None]
            assert finding.code not in {left.code for left in look(mended, *CHECKS).findings}


def test_code_is_not_touched_by_what_runs_unasked(shared_data: Path) -> None:
    rows = tk.Dataset.load(shared_data / "human_eval/HumanEval.jsonl.gz")
    for cls in catalogue.builtin():
        if cls.safety == "lossless" and cls.__module__.endswith("characters"):
            assert all(cls(CheckContext()).apply(row) is row for row in rows)
