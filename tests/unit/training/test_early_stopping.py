"""Early stopping: when it stops, which weights are published, and that no kill changes either."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.unit.training.conftest import MakeRun, artifact_bytes, events, losses, rows, train
from tests.unit.training.judged import preferences
from tunekit.errors import SpecError
from tunekit.events import JobState
from tunekit.examples import CompletionExample
from tunekit.spec import DPO, EarlyStopping, LoRA
from tunekit.training import loop
from tunekit.training.plan.early_stopping import Best, is_over, judged
from tunekit.training.run.rundir import RunDirectory, RunResult

OTHERWISE = [  # what is learned from the training rows helps with these at first, and then makes them worse
    CompletionExample(id=f"other-{n}", prompt=f"ask {n % 4}", completion=f"answer {(n + 1) % 4}")
    for n in range(4)
]
FIELDS = {"epochs": 10, "evaluate_every_steps": 3, "learning_rate": 3e-2, "validation": OTHERWISE}
PATIENT = EarlyStopping(patience=3)


def held_out(run: RunDirectory) -> dict[int, float]:
    return {event.step: event.metrics["loss"] for event in events(run, "evaluated")}


def finished(run: RunDirectory) -> RunResult:
    result = train(run)
    assert result is not None and result.state is JobState.SUCCEEDED
    return result


@pytest.fixture(scope="module")
def kept() -> dict[str, RunDirectory]:
    return {}


@pytest.fixture
def stopped(make_run: MakeRun, kept: dict[str, RunDirectory]) -> RunDirectory:
    """A run that nothing interrupted; made once."""
    if "stopped" not in kept:
        run = make_run(name="stopped", early_stopping=PATIENT, **FIELDS)
        finished(run)
        kept["stopped"] = run
    return kept["stopped"]


def best_step(run: RunDirectory) -> int:
    seen = held_out(run)
    return min(seen, key=lambda step: seen[step])


def test_it_stops_and_publishes_the_best_weights(make_run: MakeRun, stopped: RunDirectory) -> None:
    seen, best = held_out(stopped), best_step(stopped)
    assert max(seen) == best + 3 * 3, "three evaluations after the best one"
    assert len(losses(stopped)) == max(seen) < 50, "it must stop early, and train no further"
    (notice,) = [event for event in events(stopped, "notice") if "early stopping" in event.message]
    assert notice.data["best_step"] == best
    # The same training without early stopping, cut off at the best step, leaves the very same weights.
    plain = make_run(name="plain", checkpoint_every_steps=best, **FIELDS)
    assert train(plain, stop_after=best) is None
    weights = plain.checkpoints_path / f"{best:08d}" / "trainable.safetensors"
    last = stopped.checkpoints_path / f"{max(seen):08d}" / "trainable.safetensors"
    artifact = numbers(stopped.artifact_path / "adapter_model.safetensors")
    assert artifact == numbers(weights) != numbers(last)


def numbers(path: Path) -> list[float]:
    """All numbers in a file of tensors; PEFT's names and ours differ by a part that does not change their order."""
    from safetensors.torch import load_file

    tensors = {name.replace(".default", ""): value for name, value in load_file(path).items()}
    return [number for name in sorted(tensors) for number in tensors[name].flatten().tolist()]


def test_the_result_tells_of_the_weights_that_are_published(make_run: MakeRun) -> None:
    run = make_run(early_stopping=PATIENT, **FIELDS)
    result, seen = finished(run), held_out(run)
    assert result.metrics["best_step"] == best_step(run)
    assert result.metrics["validation_loss"] == min(seen.values())
    assert result.metrics["steps"] == max(seen)


@pytest.mark.parametrize("after_the_best", [-1, 0, 4])
def test_interrupted_anywhere_it_ends_the_same(
    make_run: MakeRun, stopped: RunDirectory, after_the_best: int
) -> None:
    run = make_run(early_stopping=PATIENT, **FIELDS)
    assert train(run, stop_after=best_step(stopped) + after_the_best) is None
    assert finished(run).metrics["best_step"] == best_step(stopped)
    assert artifact_bytes(run) == artifact_bytes(stopped)
    assert held_out(run) == held_out(stopped)


def test_killed_before_the_artifact_is_published(make_run: MakeRun, stopped: RunDirectory) -> None:
    run = make_run(early_stopping=PATIENT, **FIELDS)
    finished(run)
    shutil.rmtree(run.artifact_path)
    finished(run)
    assert artifact_bytes(run) == artifact_bytes(stopped)
    assert losses(run) == losses(stopped), "no step is repeated"


def test_without_the_checkpoint_of_the_best_step_the_run_begins_again(
    make_run: MakeRun, stopped: RunDirectory
) -> None:
    best = best_step(stopped)
    run = make_run(early_stopping=PATIENT, **FIELDS)
    assert train(run, stop_after=best + 5) is None
    weights = run.checkpoints_path / f"{best:08d}" / "trainable.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    assert train(run) is None, "it leaves, to be started again"
    assert any("begins again" in event.message for event in events(run, "notice"))
    finished(run)
    assert artifact_bytes(run) == artifact_bytes(stopped)


def test_patience_that_is_never_used_up_still_publishes_the_best(make_run: MakeRun) -> None:
    run = make_run(early_stopping=EarlyStopping(patience=99), **{**FIELDS, "epochs": 6})
    result = finished(run)
    assert len(losses(run)) == 30
    assert result.metrics["best_step"] == best_step(run) < 30


NOT_BETTER = "training has not made the base better on the validation rows"
OPPOSITE = {  # whoever learns the training pairs gets the held-out ones wrong
    "method": DPO(adapter=LoRA(rank=4)),
    "validation": [pair.replace(chosen=pair.rejected, rejected=pair.chosen) for pair in preferences(6)],
    "early_stopping": EarlyStopping(patience=2),
    "epochs": 4,
}


def test_a_base_that_training_only_makes_worse_is_named_and_the_best_step_still_published(
    make_run: MakeRun,
) -> None:
    run = make_run(preferences(), **OPPOSITE)
    result, seen = finished(run), held_out(run)
    assert min(seen, key=lambda step: seen[step]) == 0, "the base must be the best"
    (told,) = [event for event in events(run, "notice") if NOT_BETTER in event.message]
    assert told.level == "warning"
    assert told.data == {
        "best_step": result.metrics["best_step"],
        "loss": pytest.approx(result.metrics["validation_loss"]),
        "untrained_loss": pytest.approx(seen[0]),
    }
    assert run.artifact_path.exists()


def test_the_base_is_remembered_by_a_resumed_run_and_not_evaluated_again(
    make_run: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run(preferences(), **OPPOSITE)
    assert train(run, stop_after=1) is None
    asked: list[int] = []
    real = loop.evaluate

    def evaluate(*arguments: Any) -> dict[str, float]:
        asked.append(len(losses(run)))
        return real(*arguments)

    monkeypatch.setattr(loop, "evaluate", evaluate)
    finished(run)
    assert asked[0] > 0, "each behind a step"
    assert sum(NOT_BETTER in event.message for event in events(run, "notice")) == 1


def test_a_base_that_was_worse_is_not_spoken_of(stopped: RunDirectory) -> None:
    assert best_step(stopped) > 0
    assert not any(NOT_BETTER in event.message for event in events(stopped, "notice"))


def test_a_metric_that_the_method_does_not_report(make_run: MakeRun) -> None:
    run = make_run(early_stopping=EarlyStopping(metric="accuracy"), **FIELDS)
    with pytest.raises(SpecError, match="'accuracy', which is not reported") as caught:
        train(run)
    assert caught.value.details["metrics"] == ["loss"]
    assert losses(run) == [], "at the evaluation before the first step"


@pytest.mark.parametrize("metric", ["f1", "divergence"])
def test_a_metric_that_no_method_reports_fails_before_the_first_step(make_run: MakeRun, metric: str) -> None:
    run = make_run(early_stopping=EarlyStopping(metric=metric), **FIELDS)
    with pytest.raises(SpecError, match="no method reports"):
        train(run)
    assert losses(run) == []


def test_without_validation_rows_it_fails_before_the_weights_are_loaded(make_run: MakeRun) -> None:
    with pytest.raises(SpecError, match="there is none"):
        train(make_run(rows(), early_stopping=PATIENT))


def test_a_metric_of_which_more_is_better() -> None:
    rule = EarlyStopping(metric="accuracy", patience=2, min_improvement=0.1)
    best: Best | None = None
    for step, accuracy in enumerate([0.5, 0.55, 0.65, 0.7], start=1):
        best = judged(rule, best, step, {"accuracy": accuracy, "loss": 1.0})
    assert best is not None
    assert (best.step, best.value, best.waited) == (3, 0.65, 1)
    assert not is_over(rule, best)
    assert is_over(rule, judged(rule, best, 5, {"accuracy": 0.6}))


def test_what_is_not_finite_is_no_improvement() -> None:
    rule = EarlyStopping()
    assert judged(rule, None, 1, {"loss": float("nan")}) is None
    first = judged(rule, None, 1, {"loss": 1.0})
    after = judged(rule, first, 2, {"loss": float("nan")})
    assert after is not None and (after.step, after.waited) == (1, 1)


def test_a_metric_that_says_nothing_about_which_model_is_better() -> None:
    with pytest.raises(SpecError, match="does not say which model is better"):
        judged(EarlyStopping(metric="divergence"), None, 1, {"divergence": 0.1, "loss": 1.0})
