"""The API reference shows every public name, each once."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import tunekit
from tunekit.evaluation import stats

REFERENCE = Path(__file__).resolve().parents[2] / "docs" / "reference"


def shown() -> Counter[str]:
    pages = [page.read_text(encoding="utf-8") for page in REFERENCE.glob("*.md")]
    return Counter(
        name for page in pages for name in re.findall(r"^::: tunekit\.([\w.]+)$", page, flags=re.MULTILINE)
    )


def test_every_public_name_is_shown() -> None:
    assert set(tunekit.__all__) - set(shown()) - {"__version__"} == set()


def test_every_public_statistic_is_shown() -> None:
    assert {f"evaluation.stats.{name}" for name in stats.__all__} - set(shown()) == set()


def test_nothing_is_shown_twice() -> None:
    assert [name for name, times in shown().items() if times > 1] == []
