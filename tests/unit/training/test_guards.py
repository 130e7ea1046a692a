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
from tunekit.training.models.load import load_tokenizer
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


@pytest.mark.parametrize("held_out", [0, 3])
@pytest.mark.parametrize("case", ["sft", "sigmoid", "kto", "classify"])
def test_a_last_update_that_breaks_the_model_is_not_published(
    make_run: MakeRun, case: str, held_out: int
) -> None:
    method, examples = CASES[case]
    fields = {"learning_rate": 1e20, "warmup_ratio": 0.0, "schedule": "constant"}
    run = make_run(
        examples[:4], method=method, epochs=1, batch_size=4, validation=examples[:held_out], **fields
    )
    for _ in range(2):  # whoever starts it again is told the same
        with pytest.raises(
            JobFailedError, match=r"after step 1, the last, .*learning rate was 1e\+20"
        ) as caught:
            train(run)
        assert "lower learning_rate" in str(caught.value.hint)
        assert caught.value.details["step"] == 1
    assert len(losses(run)) == 1 and not run.artifact_path.exists()


def test_a_validation_loss_that_is_no_number_at_the_end_is_a_failure(
    make_run: MakeRun, llama: Path, tmp_path: Path
) -> None:
    """The base cannot read one token, and only a validation row has it."""
    from safetensors.torch import load_file, save_file

    model = copy_model(llama, tmp_path / "blind")
    (token,) = load_tokenizer(model).encode("~", add_special_tokens=False)
    tensors = load_file(model / "model.safetensors")
    tensors["model.embed_tokens.weight"][token] = float("nan")
    save_file(tensors, model / "model.safetensors", metadata={"format": "pt"})
    method, examples = CASES["classify"]  # its head is apart: tied embeddings would make every logit nan
    strange = [LabelledExample(id="strange", text="ask ~", label="a")]
    run = make_run(examples, method=method, model=model, validation=strange, epochs=1)
    with pytest.raises(JobFailedError, match=r"after step 5, the last, the validation loss is nan"):
        train(run)
    assert len(losses(run)) == 5 and not run.artifact_path.exists()


def test_rows_that_weigh_nothing_are_an_error_with_their_names() -> None:
    row = Answers(id="idle", answers=(Tokens(ids=(1, 2), weights=(0.0, 0.0)),), weight=0.0)
    with pytest.raises(DataError, match=r"no weight at all: 'idle'"):
        weight_of([row, row])
    assert weight_of([row, Answers(id="heavy", answers=(), weight=0.5)]) == 0.5
