"""What keeps a broken step from the weights, for every method: numbers that are not finite, rows that weigh nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.training.conftest import MakeRun, losses, rows, train
from tests.unit.training.judged import judgements, preferences
from tests.unit.training.test_loop import copy_model
from tunekit.errors import DataError, JobFailedError
from tunekit.examples import Example, LabelledExample
from tunekit.spec import DPO, KTO, SFT, Classify, LoRA, Method
from tunekit.training.steps import weight_of
from tunekit.training.texts.rows import Answers, Tokens

ADAPTER = LoRA(rank=4)
CASES: dict[str, tuple[Method, list[Example]]] = {
    "sft": (SFT(adapter=ADAPTER), rows()),
    **{
        name: (DPO(adapter=ADAPTER, loss=name), [*preferences()])
        for name in ("sigmoid", "ipo", "orpo", "simpo")
    },
    "kto": (KTO(adapter=ADAPTER), [*judgements()]),
    "classify": (
        Classify(adapter=ADAPTER),
        [LabelledExample(id=f"row-{n}", text=f"ask {n}", label="ab"[n % 2]) for n in range(20)],
    ),
}


@pytest.fixture
def broken(llama: Path, tmp_path: Path) -> Path:
    from safetensors.torch import load_file, save_file

    model = copy_model(llama, tmp_path / "broken")
    tensors = load_file(model / "model.safetensors")
    tensors["model.norm.weight"][0] = float("nan")
    save_file(tensors, model / "model.safetensors", metadata={"format": "pt"})
    return model


@pytest.mark.parametrize("case", CASES)
def test_a_loss_that_is_not_finite_names_the_rows_of_the_step(
    make_run: MakeRun, broken: Path, case: str
) -> None:
    method, examples = CASES[case]
    run = make_run(examples, method=method, model=broken)
    with pytest.raises(JobFailedError, match=r"loss nan .*row-\d+") as caught:
        train(run)
    assert set(caught.value.details["rows"]) <= {example.id for example in examples}
    assert len(caught.value.details["rows"]) == 4, "those of the step, and no others"
    assert losses(run) == [] and not run.artifact_path.exists()


def test_rows_that_weigh_nothing_are_an_error_with_their_names() -> None:
    row = Answers(id="idle", answers=(Tokens(ids=(1, 2), weights=(0.0, 0.0)),), weight=0.0)
    with pytest.raises(DataError, match=r"no weight at all: 'idle'"):
        weight_of([row, row])
    assert weight_of([row, Answers(id="heavy", answers=(), weight=0.5)]) == 0.5
