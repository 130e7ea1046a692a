"""Runs that stay near their start: the pull is that of its formula, whatever a step is cut into."""

from __future__ import annotations

import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.unit.training.anchored import KILLED, distance, files, gradients, pulls, same_bytes
from tests.unit.training.conftest import GoOn, MakeRun, events, losses, rows, train
from tests.unit.training.judged import preferences
from tests.unit.training.tiny_classifiers import labelled
from tunekit.errors import JobFailedError, ModelError, SpecError
from tunekit.examples import CompletionExample
from tunekit.spec import DPO, EWC, KTO, SFT, Classify, FullWeights, L2ToStart, LoRA, Probe, TuneSpec
from tunekit.training.anchoring import fisher
from tunekit.training.anchoring.asked import copies
from tunekit.training.models.adapters import trainable_parameters
from tunekit.training.plan import memory
from tunekit.training.plan.device import choose_device
from tunekit.training.preparing import Prepared, prepare
from tunekit.training.ranks.group import ALONE
from tunekit.training.run.events_log import SilentLog
from tunekit.training.run.rundir import RunDirectory
from tunekit.training.run.stops import AtOnce
from tunekit.training.saving.artifacts import FISHER_NAME
from tunekit.training.steps import Training, add_gradients, take_step
from tunekit.training.texts.rows import Answers

LORA, FULL = SFT(adapter=LoRA(rank=4)), SFT(adapter=FullWeights())


@pytest.fixture(params=[LORA, FULL], ids=["lora", "full"])
def first(request: pytest.FixtureRequest, make_run: MakeRun) -> RunDirectory:
    """A trained model that knows which of its weights matter."""
    run = make_run(name="first", epochs=1, method=request.param, keep_fisher=True)
    train(run)
    return run


def going_on(first: RunDirectory) -> dict[str, Any]:
    """The method that goes on with an artifact, and from which base."""
    if first.plan().spec.method == FULL:
        return {"method": FULL, "target": first.artifact_path}
    return {"method": SFT()}


def prepared(run: RunDirectory) -> Training:
    at_once: AtOnce = nothing_around
    found = prepare(run, SilentLog(), lambda: None, lambda what: nothing_around(), at_once, ALONE)
    assert isinstance(found, Prepared)
    return found.training


def nothing_around() -> Any:
    from contextlib import nullcontext

    return nullcontext()


class TestThePull:
    @pytest.mark.parametrize("near", [L2ToStart(strength=0.7), EWC(strength=0.7)], ids=["l2", "ewc"])
    def test_its_gradient_is_that_of_the_formula(
        self, first: RunDirectory, go_on: GoOn, near: L2ToStart | EWC
    ) -> None:
        run = go_on(first.artifact_path, **going_on(first), stay_near=near)
        training = prepared(run)
        start = {name: value.detach().clone() for name, value in training.parameters.items()}
        with torch.no_grad():
            for value in training.parameters.values():
                value.add_(torch.randn_like(value) * 0.01)
        without = add_gradients(replace(training, pull=None), [0, 1, 2], 0, lambda: None)
        expected = gradients(training.parameters)
        formula = torch.zeros((), dtype=torch.float64)
        known = load_file(first.artifact_path / FISHER_NAME)
        mean = sum(float(value.double().sum()) for value in known.values())
        mean /= sum(value.numel() for value in known.values())
        leaves: dict[str, torch.Tensor] = {}
        for name, value in training.parameters.items():
            leaves[name] = value.detach().double().requires_grad_()
            matters = known[name].double() / mean if isinstance(near, EWC) else 1.0
            formula = formula + 0.7 / 2 * (matters * (leaves[name] - start[name].double()) ** 2).sum()
        formula.backward()
        found = add_gradients(training, [0, 1, 2], 0, lambda: None)
        assert found.loss == without.loss, "what is reported is the loss of the rows"
        assert found.pull == pytest.approx(float(formula.detach()), rel=1e-5)
        pulled = gradients(leaves)
        for name, gradient in gradients(training.parameters).items():
            torch.testing.assert_close(gradient, expected[name] + pulled[name].float(), rtol=1e-4, atol=1e-7)

    def test_a_harder_pull_ends_nearer_and_says_so_at_every_step(
        self, first: RunDirectory, go_on: GoOn
    ) -> None:
        found = []
        for near in (None, L2ToStart(strength=1.0), L2ToStart(strength=100.0), EWC(strength=100.0)):
            run = go_on(first.artifact_path, name=f"run {near}", **going_on(first), stay_near=near)
            train(run)
            found.append((distance(run, first), run))
        (free, plain), (some, weak), (hard, strong), (ewc, _) = found
        assert hard < some < free and ewc < free
        assert all("pull" not in event.metrics for event in events(plain, "step"))
        assert pulls(weak)[0] == 0.0 and all(pull > 0.0 for pull in pulls(weak)[1:])
        assert len(pulls(strong)) == 10

    def test_what_was_learned_before_is_forgotten_less(self, make_run: MakeRun, go_on: GoOn) -> None:
        """At the price of learning less of what is new: that is what the strength decides."""
        first = make_run(name="first", epochs=8, method=FULL, keep_fisher=True)
        train(first)
        other = [each.replace(completion="no") for each in rows() if isinstance(each, CompletionExample)]
        found = []
        for near in (None, L2ToStart(strength=10.0), EWC(strength=10.0)):
            run = go_on(
                first.artifact_path,
                other,
                name=f"run {near}",
                **going_on(first),
                stay_near=near,
                validation=rows(),
            )
            train(run)
            found.append((events(run, "evaluated")[-1].metrics["loss"], losses(run)[-1]))
        (old, new), *held = found
        for old_held, new_held in held:
            assert old_held < 0.9 * old and new_held > new

    @pytest.mark.parametrize("near", [L2ToStart(strength=0.0), EWC(strength=0.0)], ids=["l2", "ewc"])
    def test_no_strength_is_no_pull_bit_for_bit(
        self, make_run: MakeRun, go_on: GoOn, near: L2ToStart | EWC
    ) -> None:
        plain, none = make_run(name="plain"), make_run(name="none", stay_near=near)
        train(plain)
        train(none)
        assert files(none) == files(plain)
        assert losses(none) == losses(plain)

    @pytest.mark.parametrize("near", [L2ToStart(strength=5.0), EWC(strength=5.0)], ids=["l2", "ewc"])
    def test_resumed_is_uninterrupted_bit_for_bit(
        self, first: RunDirectory, go_on: GoOn, near: L2ToStart | EWC
    ) -> None:
        fields = {**going_on(first), "stay_near": near, "keep_fisher": True}
        whole, parts = (go_on(first.artifact_path, name=name, **fields) for name in ("whole", "parts"))
        train(whole)
        assert train(parts, stop_after=3) is None
        assert train(parts, stop_after=7) is None
        train(parts)
        assert same_bytes(parts, whole)
        assert pulls(parts) == pulls(whole)

    @pytest.mark.parametrize("moment", ["after a checkpoint", "while it measures what matters"])
    def test_killed_is_uninterrupted_bit_for_bit(self, make_run: MakeRun, go_on: GoOn, moment: str) -> None:
        earlier = make_run(name="earlier", epochs=1, keep_fisher=True)
        train(earlier)
        fields = {"stay_near": EWC(strength=5.0), "keep_fisher": True, "checkpoint_every_steps": 3}
        whole, killed = (go_on(earlier.artifact_path, name=name, **fields) for name in ("whole", "killed"))
        train(whole)
        done = subprocess.run([sys.executable, "-c", KILLED, str(killed.path), moment], check=False)
        assert done.returncode == -signal.SIGKILL
        assert len(events(killed, "step")) == (5 if moment == "after a checkpoint" else 10)
        train(killed)
        assert same_bytes(killed, whole)
        assert pulls(killed) == pulls(whole)

    def test_cut_into_single_rows_it_is_the_same(self, first: RunDirectory, go_on: GoOn) -> None:
        fields = {**going_on(first), "stay_near": EWC(strength=5.0)}
        whole = go_on(first.artifact_path, name="whole", micro_batch_size=4, **fields)
        cut = go_on(first.artifact_path, name="cut", micro_batch_size=1, **fields)
        for run in (whole, cut):
            train(run)
        assert losses(cut) == pytest.approx(losses(whole), rel=1e-4)
        assert pulls(cut) == pytest.approx(pulls(whole), rel=1e-3)

    def test_every_method_is_held(self, first: RunDirectory, go_on: GoOn) -> None:
        if first.plan().spec.method == FULL:
            return
        run = go_on(first.artifact_path, preferences(8), method=DPO(), stay_near=EWC())
        train(run)
        assert pulls(run)[-1] > 0.0

    def test_a_pull_that_is_no_number_is_named(self, make_run: MakeRun) -> None:
        training = prepared(make_run(stay_near=L2ToStart(strength=1e38)))
        with torch.no_grad():
            next(iter(training.parameters.values())).add_(1e10)
        before = {name: value.detach().clone() for name, value in training.parameters.items()}
        with pytest.raises(JobFailedError, match="gradient norm inf and pull") as caught:
            take_step(training, [0, 1], 0, lambda: None, nothing_around)
        assert "stay_near.strength" in caught.value.hint
        assert all(torch.equal(value, before[name]) for name, value in training.parameters.items())


class TestWhatMatters:
    def test_it_is_the_mean_square_of_each_rows_gradient(self, first: RunDirectory) -> None:
        """Recomputed from the published model, a row at a time."""
        from tunekit.training.models import load
        from tunekit.training.models.adapters import make_trainable

        known = load_file(first.artifact_path / FISHER_NAME)
        training = prepared(first)
        if first.plan().spec.method == FULL:
            model = load.load_base(first.artifact_path).requires_grad_(True)
        else:
            base = load.load_base(Path(first.plan().model))
            model = make_trainable(base, LoRA(rank=4), seed=0, start=first.artifact_path)
        model.eval()
        squares = {name: torch.zeros_like(value) for name, value in trainable_parameters(model).items()}
        for row in training.rows:
            assert isinstance(row, Answers)
            model.zero_grad()
            (answer,) = row.answers
            ids = torch.tensor([row.prompt + answer.ids])
            each = model(input_ids=ids).logits[0, :-1].log_softmax(-1).gather(-1, ids[0, 1:, None])[:, 0]
            weights = torch.tensor([0.0] * len(row.prompt) + list(answer.weights))[1:]
            (each * weights).sum().backward()
            for name, value in gradients(trainable_parameters(model)).items():
                squares[name] += value**2
        assert squares.keys() == known.keys()
        for name, square in squares.items():
            torch.testing.assert_close(known[name], square / len(training.rows), rtol=1e-3, atol=1e-6)

    def test_keeping_it_changes_nothing_else(self, make_run: MakeRun) -> None:
        plain, kept = make_run(name="plain"), make_run(name="kept", keep_fisher=True)
        train(plain)
        train(kept)
        assert (kept.artifact_path / FISHER_NAME).is_file()
        assert files(kept) == files(plain)
        (notice,) = [event for event in events(kept, "notice") if "matters" in event.message]
        assert notice.data["rows"] == 20

    def test_a_classifier_has_it_too_and_is_held(self, make_run: MakeRun, go_on: GoOn, base: Any) -> None:
        model, method = base("bert"), Classify(adapter=LoRA(rank=2))
        earlier = make_run(labelled(12), name="earlier", model=model, method=method, keep_fisher=True)
        train(earlier)
        assert any("classifier" in name for name in load_file(earlier.artifact_path / FISHER_NAME))
        run = go_on(
            earlier.artifact_path,
            labelled(12),
            target=model,
            method=Classify(adapter=LoRA()),
            stay_near=EWC(strength=10.0),
        )
        train(run)
        assert pulls(run)[-1] > 0.0

    def test_held_and_kept_adds_up(self, first: RunDirectory, go_on: GoOn) -> None:
        fields = {**going_on(first), "keep_fisher": True}
        held = go_on(first.artifact_path, name="held", stay_near=EWC(strength=1e-30), **fields)
        free = go_on(first.artifact_path, name="free", **fields)
        for run in (held, free):
            train(run)
        before, alone, both = (load_file(run.artifact_path / FISHER_NAME) for run in (first, free, held))
        for name, value in both.items():
            torch.testing.assert_close(value, before[name] + alone[name], rtol=1e-4, atol=1e-7)
        told = [
            [event for event in events(run, "notice") if "left out" in event.message] for run in (held, free)
        ]
        assert list(map(len, told)) == [0, 1], "who breaks the chain is told"

    def test_of_many_rows_as_many_are_drawn_by_the_seed(self) -> None:
        many: Any = list(range(5000))
        assert fisher.sampled(many, 1) == fisher.sampled(many, 1) == sorted(fisher.sampled(many, 1))
        assert fisher.sampled(many, 1) != fisher.sampled(many, 2)
        assert len(set(fisher.sampled(many, 1))) == fisher.MOST_ROWS
        assert fisher.sampled(many[:9], 1) == many[:9]


class TestRefusals:
    def test_a_base_says_nothing_of_what_matters(self, go_on: GoOn) -> None:
        with pytest.raises(SpecError, match="begins from a base") as caught:
            go_on(None, method=LORA, stay_near=EWC())
        assert "keep_fisher=True" in caught.value.hint

    def test_an_artifact_without_it(self, make_run: MakeRun, go_on: GoOn) -> None:
        earlier = make_run(name="earlier", epochs=1)
        train(earlier)
        with pytest.raises(SpecError, match="tuned without keep_fisher"):
            go_on(earlier.artifact_path, stay_near=EWC())

    @pytest.mark.parametrize("method", [DPO(), KTO(), SFT(adapter=LoRA(init="pissa"))])
    def test_no_fisher_of_what_has_none(self, go_on: GoOn, method: Any) -> None:
        with pytest.raises(SpecError, match="keep_fisher"):
            go_on(None, method=method, keep_fisher=True)

    @pytest.mark.parametrize("fields", [{"keep_fisher": True}, {"stay_near": L2ToStart()}])
    def test_a_probe_moves_nothing(self, go_on: GoOn, fields: dict[str, Any]) -> None:
        with pytest.raises(SpecError, match="probe"):
            go_on(None, labelled(12), method=Probe(), **fields)

    def test_an_adapter_on_a_whole_model_has_weights_of_its_own(self, make_run: MakeRun, go_on: GoOn) -> None:
        earlier = make_run(name="earlier", epochs=1, method=FULL, keep_fisher=True)
        train(earlier)
        with pytest.raises(SpecError, match="weights of its own"):
            go_on(earlier.artifact_path, target=earlier.artifact_path, method=LORA, stay_near=EWC())

    @pytest.mark.parametrize("damage", ["flipped", "zeros"])
    def test_damage_is_noticed_before_the_first_step(
        self, first: RunDirectory, go_on: GoOn, damage: str
    ) -> None:
        run = go_on(first.artifact_path, **going_on(first), stay_near=EWC())
        path = first.artifact_path / FISHER_NAME
        if damage == "flipped":
            path.write_bytes(path.read_bytes()[:-1] + b"\x01")
        else:
            save_file({name: torch.zeros_like(value) for name, value in load_file(path).items()}, path)
        with pytest.raises(ModelError, match="changed since"):
            train(run)
        assert events(run, "step") == []

    def test_weights_none_of_which_matters(self) -> None:
        weight = torch.ones(2, 2)
        with pytest.raises(ModelError, match="mean importance"):
            fisher.relative({"w": weight * 0.0}, {"w": weight})
        with pytest.raises(ModelError, match="'w'"):
            fisher.relative({"w": torch.ones(2)}, {"w": weight})


def test_the_copies_are_counted(make_run: MakeRun) -> None:
    assert [copies(TuneSpec(**fields)) for fields in ({}, {"stay_near": L2ToStart()})] == [0, 1]
    assert copies(TuneSpec(stay_near=EWC(), keep_fisher=True)) == 3
    assert copies(TuneSpec(stay_near=EWC(strength=0.0))) == 0
    training = prepared(make_run())
    device = choose_device(0)
    plain, held = (memory.estimate(training.model, device, pass_tokens=8, copies=count) for count in (0, 2))
    trained = sum(value.numel() for value in training.parameters.values())
    assert held.states - plain.states == 2 * 4 * trained
