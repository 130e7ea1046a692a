"""Real chats and tool calls against the targets: what is known to be odd in them is found, and nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.unit.data.checks.looking import look
from tunekit.data.checks.conversation import Conversations
from tunekit.data.checks.images import Images
from tunekit.data.checks.profile import TargetRules
from tunekit.data.checks.report import CheckReport
from tunekit.data.checks.special_tokens import SpecialTokens
from tunekit.data.checks.tools import Tools
from tunekit.data.shapes.catalogue import shape
from tunekit.examples import Example

pytestmark = pytest.mark.real

ALL = (Conversations, Tools, Images, SpecialTokens, TargetRules)


def read(path: Path, named: str) -> list[Example]:
    text = path.read_text(encoding="utf-8-sig")
    records = json.loads(text) if path.suffix == ".json" else [json.loads(line) for line in text.splitlines()]
    rows: list[Example] = []
    for number, record in enumerate(records, start=1):
        row = shape(named).read(record, f"{path.name}:{number}")
        rows += row if isinstance(row, tuple) else [row]
    return rows


def serious(report: CheckReport) -> dict[str, tuple[str, ...]]:
    """Errors and warnings, with their rows."""
    return {finding.code: finding.rows for finding in (*report.errors, *report.warnings)}


def test_tool_calls_of_openais_cookbook(shared_data: Path) -> None:
    rows = read(shared_data / "openai_cookbook" / "drone_training.jsonl", "openai")
    report = look(rows, *ALL, targets=("openai", "foundry", "together", "nebius"))
    assert len(rows) == 103
    # Each of its chats ends with a call, which Nebius does not want.
    assert serious(report) == {"target-end-call": tuple(row.id for row in rows)}
    assert [report.passes(target) for target in report.targets] == [True, True, True, False]


def test_a_row_without_a_user(shared_data: Path) -> None:
    rows = read(shared_data / "openai_cookbook" / "toy_chat_fine_tuning.jsonl", "openai")
    report = look(rows, *ALL, targets=("openai", "fireworks"))
    assert serious(report) == {"target-rows": (), "no-user-turn": ("toy_chat_fine_tuning.jsonl:4",)}
    assert report.passes("fireworks") and not report.passes("openai")


def test_arguments_that_do_not_fit_their_tool(shared_data: Path) -> None:
    rows = read(shared_data / "llama_factory_demos" / "glaive_toolcall_en_demo.json", "sharegpt")
    report = look(rows, *ALL, targets=("openai",))
    assert len(rows) == 300
    assert serious(report) == {"tool-arguments-schema": ("glaive_toolcall_en_demo.json:260",)}


def test_images_beside_the_messages(shared_data: Path) -> None:
    rows = read(shared_data / "llama_factory_demos" / "mllm_demo.json", "openai")
    report = look(rows, Images, targets=("openai",))
    assert report["target-images-beside"].rows == tuple(row.id for row in rows)
    assert "image-placeholder" not in report


def test_control_tokens_in_real_answers(shared_data: Path) -> None:
    rows = read(shared_data / "llama_factory_demos" / "kto_en_demo.json", "unpaired-messages")
    assert look(rows, SpecialTokens)["special-tokens"].facts["families"] == ["Llama 2 and Mistral", "Phi"]
