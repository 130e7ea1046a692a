"""Capitals in plain-text prompts and completions: told, lowered by name only, never in labels, codes and formulas."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tunekit.data.checks import run as checks
from tunekit.data.checks.base import CheckContext
from tunekit.data.checks.text_case import TextCase
from tunekit.data.findings import Finding
from tunekit.data.fixes import run as fixes
from tunekit.examples import CompletionExample

TEXT = CheckContext(prompt_format="text")


def pairs(*rows: tuple[str, str]) -> list[CompletionExample]:
    return [
        CompletionExample(id=f"a.csv:{line}", prompt=prompt, completion=completion)
        for line, (prompt, completion) in enumerate(rows, start=2)
    ]


def check(rows: Sequence[CompletionExample], context: CheckContext = TEXT) -> dict[str, Finding]:
    return {finding.code: finding for finding in checks.run(rows, [TextCase], context)[-1]}


def fix(rows: Sequence[CompletionExample], *names: str) -> list[CompletionExample]:
    mended, _ = fixes.run(rows, names, TEXT)
    assert fixes.run(mended, names, TEXT)[0] == mended  # twice is once
    return [row for row in mended if isinstance(row, CompletionExample)]


def test_capitals_are_no_matter_of_chats() -> None:
    assert check(pairs(("WHERE IS MY PARCEL?", "ON ITS WAY.")), CheckContext()) == {}


def test_capitals_are_told_and_lowered_by_name_only() -> None:
    rows = pairs(("WHERE IS MY PARCEL?", "ON ITS WAY."), ("Where is it?", "There."))
    found = check(rows)
    assert {code: finding.rows for code, finding in found.items()} == {
        "upper-case-prompts": ("a.csv:2",),
        "upper-case-completions": ("a.csv:2",),
    }
    assert fixes.run(rows, (), TEXT)[0] == tuple(rows)
    lowered = fix(rows, "lower-case-prompts")
    assert (lowered[0].prompt, lowered[0].completion) == ("where is my parcel?", "ON ITS WAY.")
    assert "upper-case-prompts" not in check(lowered)
    assert fix(rows, "lower-case-completions")[0].completion == "on its way."


@pytest.mark.parametrize(
    "text",
    [
        "YES",
        "NO",
        "CC(=O)Oc1ccccc1C(=O)O",
        "C1=CC=CC=C1 CC(C)O [Na+]",
        "NEW YORK",
        "US",
        "AB-1234 CD-9",
        "THE PARCEL IS late TODAY",
        "ΑΒΓ",
        "短い",
    ],
)
def test_labels_codes_and_formulas_are_not_called_capitals(text: str) -> None:
    assert check(pairs((text, text))) == {}
    assert fix(pairs((text, text)), "lower-case-prompts", "lower-case-completions") == pairs((text, text))
