"""The learning-rate range test: it leaves no trace, chooses a sane rate, and chooses once."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import pytest
import torch

from tests.unit.training.conftest import MakeRun, events, losses, train
from tunekit.spec import SFT, FullWeights, LoRA, TuneSpec
from tunekit.training.plan.range_test import LOWEST, STEPS, Sweep, sweep
from tunekit.training.preparing import Prepared, prepare
from tunekit.training.run.events_log import EventLog
from tunekit.training.run.rundir import RunDirectory
from tunekit.training.run.stops import Stop, Stopped
from tunekit.training.steps import Training, add_gradients, update

DROPOUT = SFT(adapter=LoRA(rank=4, dropout=0.2))
FULL = SFT(adapter=FullWeights())


def ready(run: RunDirectory) -> Training:
    with EventLog(run) as log:
        prepared = prepare(run, log, lambda: None, lambda what: nullcontext(), nullcontext)
    assert isinstance(prepared, Prepared)
    return prepared.training


@pytest.mark.parametrize("method", [DROPOUT, FULL], ids=["lora with dropout", "full"])
def test_it_leaves_no_trace(make_run: MakeRun, method: SFT) -> None:
    training = ready(make_run(method=method))
    torch.manual_seed(5)
    before = snapshot(training)
    found = sweep(training)
    assert len(found.rates) > STEPS // 2, "it must have trained"
    assert_same(snapshot(training), before)


def test_it_leaves_no_trace_when_it_is_left(make_run: MakeRun) -> None:
    training = ready(make_run(method=FULL))
    before, asked = snapshot(training), iter(range(40))
    with pytest.raises(Stopped):
        sweep(training, stop=lambda: None if next(asked, None) is not None else Stop.PAUSED)
    assert_same(snapshot(training), before)


def snapshot(training: Training) -> dict[str, Any]:
    return {
        "generator": torch.get_rng_state(),
        "optimizer": repr(training.optimizer.state_dict()),
        "gradients": [value.grad for value in training.parameters.values()],
        **{name: value.detach().clone() for name, value in training.model.state_dict().items()},
    }


def assert_same(after: dict[str, Any], before: dict[str, Any]) -> None:
    assert after.keys() == before.keys()
    for name, value in before.items():
        same = torch.equal(value, after[name]) if isinstance(value, torch.Tensor) else value == after[name]
        assert same, name


@pytest.mark.parametrize("method", [SFT(adapter=LoRA(rank=4)), FULL], ids=["lora", "full"])
def test_the_rate_is_within_a_factor_of_ten_of_the_best_of_a_grid(make_run: MakeRun, method: SFT) -> None:
    training = ready(make_run(method=method))
    chosen = sweep(training).best()
    grid = {rate: loss_after(training, rate) for rate in (1e-4, 1e-3, 1e-2, 1e-1, 1.0)}
    best = min(grid, key=lambda rate: grid[rate])
    assert best / 10 <= chosen <= best * 10
    assert loss_after(training, chosen) < grid[1e-4]


def loss_after(training: Training, rate: float, *, steps: int = 15) -> float:
    weights = {name: value.detach().clone() for name, value in training.parameters.items()}
    training = replace(training, optimizer=torch.optim.AdamW(training.parameters.values(), lr=rate))
    everything = range(len(training.rows))
    for step in range(steps):
        update(training, add_gradients(training, everything, step, lambda: None))
    loss = add_gradients(training, everything, steps, lambda: None).loss
    with torch.no_grad():
        for name, value in training.parameters.items():
            value.copy_(weights[name])
    return loss


def test_a_loss_that_is_not_finite_ends_it(make_run: MakeRun, monkeypatch: pytest.MonkeyPatch) -> None:
    training = ready(make_run(method=FULL))
    taken = iter(range(1000))

    def breaking(self: Any, cut: Any) -> Any:
        loss = real(self, cut)
        return replace(loss, total=loss.total * float("nan")) if next(taken) >= 30 else loss

    real = type(training.learner).loss
    monkeypatch.setattr(type(training.learner), "loss", breaking)
    found = sweep(training)
    assert len(found.rates) == 30 - 5, "five batches are looked at before the first step"
    assert LOWEST <= found.best() <= found.rates[-1] * 1.01, "to three digits"


@pytest.mark.parametrize(
    ("losses", "best"),
    [
        ((1.0, 1.0, 1.0, 1.0), 1e-6),
        ((1.0, 2.0, 3.0, 4.0), 1e-6),
        ((1.0, 0.9, 0.1, 9.0), 1e-5),
        ((1.0,), 1e-6),
        ((1.0, 0.1, 0.1, 3.0), 1e-6),
        ((1.0, 1.0, 1.0, 0.1), 1e-4),
    ],
)
def test_the_steepest_fall_wins(losses: tuple[float, ...], best: float) -> None:
    rates = (1e-6, 1e-5, 1e-4, 1e-3)[: len(losses)]
    assert Sweep(key="", rates=rates, losses=losses).best() == best


def test_it_is_the_rate_behind_which_the_loss_has_fallen() -> None:
    """A made-up model that one rate cures: its loss is 0 from the next batch on."""
    cure, losses, cured = 5, [], False
    for at in range(10):
        losses.append(0.0 if cured else 1.0)
        cured = cured or at == cure
    rates = tuple(10.0 ** (at - 9) for at in range(10))
    assert Sweep(key="", rates=rates, losses=tuple(losses)).best() == rates[cure]


def test_a_run_chooses_once_and_says_so(make_run: MakeRun, monkeypatch: pytest.MonkeyPatch) -> None:
    run = make_run(learning_rate="range-test")
    assert train(run, stop_after=4) is None
    chosen = Sweep.model_validate_json(run.range_test_path.read_bytes()).best()
    (report,) = [event.report for event in events(run, "preflight")]
    assert report["learning_rate"] == chosen
    assert "arXiv 1506.01186" in report["auto"]["learning_rate"]
    with monkeypatch.context() as patched:
        patched.setattr("tunekit.training.plan.range_test.sweep", None)
        train(run)
    fixed = make_run(name="fixed", learning_rate=chosen)
    train(fixed)
    assert losses(run) == losses(fixed), "the test itself must not matter"


def test_a_damaged_file_is_noticed_and_the_test_done_again(make_run: MakeRun) -> None:
    run = make_run(learning_rate="range-test")
    assert train(run, stop_after=4) is None
    kept = run.range_test_path.read_bytes()
    run.range_test_path.write_bytes(kept[: len(kept) // 2])
    train(run)
    assert run.range_test_path.read_bytes() == kept
    notices = [event.message for event in events(run, "notice")]
    assert any("range test is done again" in message for message in notices)
    assert any("resumed from the checkpoint of step 4" in message for message in notices)


def test_a_spec_with_it_survives_json() -> None:
    spec = TuneSpec(learning_rate="range-test")
    assert TuneSpec.from_json(spec.model_dump_json()) == spec
    assert spec.fingerprint() != TuneSpec().fingerprint()
