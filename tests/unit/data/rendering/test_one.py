"""Everything that is said about data of one row: "1 row", never "1 rows". Knows what renders; not what it means."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tunekit import Dataset, TunekitError
from tunekit.cli import main
from tunekit.data.wording import counted

ONE = re.compile(r"(?<!1 of )(?<![\w.,:-])1 (?:trained |different )?(?!is|has|was)[a-z]*[a-rt-z]s\b")
RECORDS: list[Any] = [
    {"prompt": "Hi?", "completion": "Yes"},
    {"text": "Win!", "label": "spam"},
    {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Yes"}]},
    {"prompt": "", "completion": "a\u200b"},
    {"prompt": "Hi?", "completion": "N/A"},
    {"prompt": "Hi?", "chosen": "Yes", "rejected": "No"},
    {"messages": [{"role": "user", "content": "Hi"}], "answer": "7"},
]


def said(record: Any, tmp_path: Path) -> Iterator[str]:
    """All texts that the library makes of one row."""
    data = Dataset.from_records([record, {"prompt": 5}], on_error="skip")
    for report in (data.check(), data.check(["openai:gpt-4.1-mini-2025-04-14", "base"], against=data)):
        yield str(report)
        yield report.to_html()
    yield str(data.hints())
    yield str(data.estimate_cost("openai", epochs=1, batch_size=1))
    yield str(data.preview_fix())
    yield str(data.fix("drop-leaked", "lossless", against=data).fixes)
    yield repr(data)
    yield str(data.write(tmp_path / "out.jsonl"))
    for wrong in (data.split, data.folds, lambda: data.split(test=3), lambda: data.shots(3)):
        with pytest.raises(TunekitError) as caught:
            wrong()
        yield str(caught.value)


@pytest.mark.parametrize("record", RECORDS)
def test_one_is_one(record: Any, tmp_path: Path) -> None:
    for text in said(record, tmp_path):
        assert not ONE.search(text), text


def test_the_command_counts_one_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "one.jsonl"
    path.write_text('{"text": "Win!", "label": "spam"}\n')
    assert main(["prepare", str(path), "-q", "--target", "openai"]) in (0, 3)
    text = capsys.readouterr().out
    assert "1 row" in text
    assert not ONE.search(text), text


def test_nouns_that_end_in_s() -> None:
    assert [counted(n, "class") for n in (0, 1, 1000)] == ["0 classes", "1 class", "1,000 classes"]
