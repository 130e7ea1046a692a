"""The transcripts in the docs are what the commands print today."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.real.transcripts import BLOCK, PAGE, ROOT, said

BLOCKS = BLOCK.findall(PAGE.read_text(encoding="utf-8"))


@pytest.mark.real
@pytest.mark.skipif(
    not (ROOT.parent / "shared" / "data").exists(), reason="needs the real data in ../shared/data"
)
@pytest.mark.parametrize(("command", "shown"), BLOCKS, ids=[command for command, _ in BLOCKS])
def test_transcript_is_true(command: str, shown: str, tmp_path: Path) -> None:
    assert said(command, tmp_path) == shown


def test_there_are_transcripts() -> None:
    assert len(BLOCKS) == 3
