"""From the last step to the artifact: what could go wrong there goes wrong before the first step instead."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.unit.training.conftest import MakeRun, events, losses, rows, train
from tunekit.errors import DataError, JobFailedError, ModelError
from tunekit.events import JobState
from tunekit.examples import ChatExample, CompletionExample, Message
from tunekit.spec import SFT, Budget, FullWeights, LoRA
from tunekit.training import loop
from tunekit.training.models import load
from tunekit.training.objectives.sft import SupervisedLearner
from tunekit.training.plan import recipe
from tunekit.training.saving.artifacts import read_card

ADAPTERS = {"lora": SFT(adapter=LoRA(rank=4)), "full": SFT(adapter=FullWeights())}


@pytest.fixture
def model(llama: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(llama, tmp_path / "model"))


@pytest.mark.parametrize("adapter", ADAPTERS)
def test_sampling_defaults_of_the_base_are_not_passed_on(
    make_run: MakeRun, model: Path, adapter: str
) -> None:
    """transformers loads a temperature without do_sample and refuses to save it: found after the last step, before."""
    path = model / "generation_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "temperature": 0.6, "top_p": 0.9}))
    run = make_run(model=model, method=ADAPTERS[adapter], epochs=1)
    result = train(run)
    assert result is not None
    assert result.state is JobState.SUCCEEDED
    saved = json.loads((run.artifact_path / "generation_config.json").read_text())
    assert sorted(saved["eos_token_id"]) == [1, 3]
    assert saved["pad_token_id"] == 0
    assert not {"temperature", "top_p"} & saved.keys()
    load.load(run.artifact_path)


def test_what_cannot_be_saved_fails_before_the_first_step(
    make_run: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformers import PreTrainedTokenizerFast

    def refuse(self: Any, directory: Any, **options: Any) -> None:
        raise ValueError("cannot be serialised")

    monkeypatch.setattr(PreTrainedTokenizerFast, "save_pretrained", refuse)
    run = make_run()
    with pytest.raises(ModelError, match="could not be saved: cannot be serialised"):
        train(run)
    assert losses(run) == []
    assert not list(run.path.glob(".partial-*"))


def test_what_a_killed_publisher_left_is_swept_away(make_run: MakeRun) -> None:
    run = make_run(epochs=1)
    (run.path / ".partial-artifact-1-ab").mkdir()
    (run.path / ".partial-rehearsal").mkdir()
    train(run)
    assert not list(run.path.glob(".partial-*"))


def test_a_budget_that_is_used_up_by_the_last_step_has_bought_a_model(make_run: MakeRun) -> None:
    run = make_run(epochs=0.2, budget=Budget(max_seconds=1e-6))
    result = train(run)
    assert len(losses(run)) == 1
    assert result is not None
    assert result.state is JobState.SUCCEEDED
    with pytest.raises(JobFailedError, match="max_seconds"):
        train(make_run(name="two steps", epochs=0.4, budget=Budget(max_seconds=1e-6)))


def test_a_limit_on_training_rows_is_none_on_serving(make_run: MakeRun) -> None:
    run = make_run(epochs=1, max_length=100)
    train(run)
    assert read_card(run.artifact_path).max_length == 256
    (report,) = [event.report for event in events(run, "preflight")]
    assert report["max_length"] == 100


def test_a_rule_told_in_other_words_keeps_the_checkpoints(
    make_run: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run(batch_size="auto", epochs=2)
    train(run, stop_after=4)
    resolve = recipe.resolve

    def reworded(*arguments: Any) -> recipe.Recipe:
        found = resolve(*arguments)
        assert found.sources
        return dataclasses.replace(found, sources=dict.fromkeys(found.sources, "for a reason"))

    monkeypatch.setattr("tunekit.training.preparing.resolve", reworded)
    train(run)
    told = [event.message for event in events(run, "notice")]
    assert "resumed from the checkpoint of step 4" in told


class TestValidation:
    """Held-out rows during training."""

    def test_a_loss_that_is_not_finite_is_told_and_left_out(
        self, make_run: MakeRun, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        found = iter([{"loss": 3.0}, {"loss": float("nan")}, {"loss": 2.0}])
        monkeypatch.setattr(loop, "evaluate", lambda training, stop: next(found))
        run = make_run(validation=rows(3))
        result = train(run)
        assert result is not None
        assert result.state is JobState.SUCCEEDED
        assert result.metrics["validation_loss"] == 2.0
        assert [event.step for event in events(run, "evaluated")] == [0, 10]
        warnings = [event.message for event in events(run, "notice") if event.level == "warning"]
        assert [message for message in warnings if "validation loss after step 5 is nan" in message]

    def test_its_rows_are_counted_and_called_by_name(self, make_run: MakeRun) -> None:
        quiet = ChatExample(id="quiet", messages=(Message(role="user", content="hello?"),))
        run = make_run(validation=[*rows(3), quiet], epochs=1)
        train(run)
        (report,) = [event.report for event in events(run, "preflight")]
        assert (report["validation_rows"], report["validation_rows_without_target"]) == (3, 1)
        assert (report["rows"], report["rows_without_target"]) == (20, 0)
        assert any("1 validation rows" in item and "'quiet'" in item for item in report["warnings"])

    @pytest.mark.parametrize(
        ("row", "message"),
        [
            (
                CompletionExample(id="big", prompt="x" * 500, completion="y"),
                "1 of 1 validation rows are longer",
            ),
            (
                ChatExample(id="quiet", messages=(Message(role="user", content="a"),)),
                "none of 1 validation rows",
            ),
        ],
    )
    def test_what_is_wrong_with_it_is_said_of_it(self, make_run: MakeRun, row: Any, message: str) -> None:
        with pytest.raises(DataError, match=message):
            train(make_run(validation=[row]))

    def test_passes_are_as_small_as_was_asked_for(
        self, make_run: MakeRun, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        seen: list[int] = []
        loss = SupervisedLearner.loss

        def note(learner: SupervisedLearner, rows: Any) -> Any:
            seen.append(len(rows))
            return loss(learner, rows)

        monkeypatch.setattr(SupervisedLearner, "loss", note)
        train(make_run(validation=rows(9), epochs=1, micro_batch_size=2))
        assert max(seen) == 2
