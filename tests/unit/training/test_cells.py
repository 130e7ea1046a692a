"""The table of methods and families in docs/guides/train.md: every cell trains, or says why not before it begins."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from tests.unit.training.conftest import MakeRun, losses, train
from tunekit.errors import ModelError
from tunekit.events import JobState
from tunekit.examples import (
    CompletionExample,
    Example,
    LabelledExample,
    Message,
    PreferenceExample,
    PromptExample,
    UnpairedExample,
)
from tunekit.spec import DPO, KTO, RFT, SFT, Classify, Method, Probe
from tunekit.testing.tiny_models import make_tiny_bert, make_tiny_llama, make_tiny_t5

PAGE = Path(__file__).resolve().parents[3] / "docs" / "guides" / "train.md"
FAMILIES: dict[str, Callable[..., Path]] = {
    "decoder": make_tiny_llama,
    "encoder-decoder": make_tiny_t5,
    "encoder": make_tiny_bert,
}
GRADER = {
    "type": "string_check",
    "operation": "like",
    "input": "{{sample.output_text}}",
    "reference": "{{item.answer}}",
}
METHODS: dict[str, Method] = {
    "SFT": SFT(),
    "DPO": DPO(),
    "KTO": KTO(),
    "RFT": RFT(grader=GRADER, group_size=2, max_tokens=4),
    "Classify": Classify(),
    "Probe": Probe(folds=2),
}


def cells() -> list[tuple[str, str, bool]]:
    """Method, family and whether it can be done, as the page says."""
    lines = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("|")]
    head, _, *rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    families = head[2:]
    found = []
    for name, _, *can in rows:
        for family, word in zip(families, can, strict=True):
            assert word in ("yes", "no")
            found.append((re.sub("`", "", name), family, word == "yes"))
    return found


def examples(method: str) -> Sequence[Example]:
    asked = [f"ask {'more ' * (n % 3)}{n}" for n in range(12)]
    turns = [(Message(role="user", content=text),) for text in asked]
    rows: dict[str, list[Example]] = {
        "SFT": [CompletionExample(prompt=text, completion="yes") for text in asked],
        "DPO": [PreferenceExample(messages=turn, chosen="yes", rejected="no, never") for turn in turns],
        "KTO": [
            UnpairedExample(messages=turn, completion="yes", desirable=n % 2 == 0)
            for n, turn in enumerate(turns)
        ],
        "RFT": [PromptExample(messages=turn, reference={"answer": "e"}) for turn in turns],
        "Classify": [LabelledExample(text=text, label="ab"[n % 2]) for n, text in enumerate(asked)],
        "Probe": [LabelledExample(text=text, label="ab"[n % 2]) for n, text in enumerate(asked)],
    }
    return [row.replace(id=f"row-{n}") for n, row in enumerate(rows[method])]


def test_the_page_knows_every_method_and_family() -> None:
    assert {(method, family) for method, family, _ in cells()} == {
        (method, family) for method in METHODS for family in FAMILIES
    }


@pytest.mark.parametrize(("method", "family", "can"), cells())
def test_a_cell_is_what_the_page_says(
    make_run: MakeRun, tmp_path: Path, method: str, family: str, can: bool
) -> None:
    model = FAMILIES[family](tmp_path / "model")
    run = make_run(examples(method), model=model, method=METHODS[method], epochs=1)
    if not can:
        with pytest.raises(ModelError, match="encoder, which writes no text") as caught:
            train(run)
        assert "Classify" in (caught.value.hint or "")
        assert losses(run) == []
        return
    result = train(run)
    assert result is not None
    assert result.state is JobState.SUCCEEDED
    assert run.artifact_path.is_dir()
