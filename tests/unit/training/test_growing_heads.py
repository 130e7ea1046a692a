"""A classifier that goes on from another and learns new classes: what it names stays as it was learned."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from tests.unit.training.conftest import Base, GoOn, MakeRun, artifact_bytes, events, train
from tests.unit.training.tiny_classifiers import FAMILIES, labelled
from tunekit.errors import ModelError
from tunekit.examples import Example, LabelledExample
from tunekit.spec import EWC, Classify, FullWeights, LoRA
from tunekit.training.models import load
from tunekit.training.models.classes import Census, Classes
from tunekit.training.run.rundir import RunDirectory
from tunekit.training.saving import parity
from tunekit.training.saving.artifacts import FISHER_NAME, read_card

STILL = {"epochs": 1, "learning_rate": 1e-12}
ADAPTER, WHOLE = Classify(adapter=LoRA(rank=2)), Classify(adapter=FullWeights())
GOING = Classify(adapter=LoRA())


def named(*names: str) -> list[Example]:
    """A dozen texts with these labels in turn."""
    return [
        LabelledExample(id=f"{n}", text=f"ask {n % 3} {names[n % len(names)]}", label=names[n % len(names)])
        for n in range(12)
    ]


@pytest.fixture(params=[ADAPTER, WHOLE], ids=["adapter", "whole"])
def method(request: pytest.FixtureRequest) -> Classify:
    found: Classify = request.param
    return found


def going_on(earlier: RunDirectory, base: Path, method: Classify) -> dict[str, Any]:
    """Target and method of a run that goes on."""
    whole = isinstance(method.adapter, FullWeights)
    return {"target": earlier.artifact_path if whole else base, "method": WHOLE if whole else GOING}


def learned(
    make_run: MakeRun, base: Path, examples: Sequence[Example], method: Classify, **fields: Any
) -> RunDirectory:
    run = make_run(examples, name="run-" + "a" * 20, model=base, method=method, epochs=1, **fields)
    train(run)
    return run


@pytest.mark.parametrize("family", FAMILIES)
def test_what_was_learned_stays_number_for_number(
    make_run: MakeRun, go_on: GoOn, base: Base, family: str, method: Classify
) -> None:
    first = learned(make_run, base(family), named("b", "d"), method)
    again = go_on(first.artifact_path, named("a", "c", "d"), **going_on(first, base(family), method), **STILL)
    train(again)
    assert read_card(again.artifact_path).labels == ("b", "d", "a", "c"), (
        "b has no rows, and is not forgotten"
    )
    before, after = (parity.logits(load.load(run.artifact_path)) for run in (first, again))
    torch.testing.assert_close(after[:, :2], before, rtol=0, atol=1e-6)
    assert after[:, 2:].abs().sum() > 0
    assert any("learns 2 new classes beside its 2" in event.message for event in events(again, "notice"))


def test_the_new_classes_are_learned_and_a_third_round_goes_on(
    make_run: MakeRun, go_on: GoOn, bert: Path, method: Classify
) -> None:
    first = learned(make_run, bert, named("b", "d"), method)
    second = go_on(first.artifact_path, named("a", "b", "d"), epochs=20, **going_on(first, bert, method))
    train(second)
    third = go_on(
        second.artifact_path, named("d", "e"), name="third", **going_on(second, bert, method), **STILL
    )
    train(third)
    assert read_card(third.artifact_path).labels == ("b", "d", "a", "e")
    model = load.load(third.artifact_path)
    logits = parity.logits(model)
    assert logits.shape[1] == 4
    with torch.no_grad():
        weights = model.model.get_submodule("classifier").state_dict() if method == WHOLE else {}
    assert all(len(value) == 4 for value in weights.values())


def test_growing_is_repeated_bit_for_bit_and_resumed(
    make_run: MakeRun, go_on: GoOn, bert: Path, method: Classify
) -> None:
    first = learned(make_run, bert, named("b", "d"), method)
    fields = {**going_on(first, bert, method), "checkpoint_every_steps": 2, "epochs": 2}
    whole, cut = (go_on(first.artifact_path, labelled(), name=name, **fields) for name in ("whole", "cut"))
    train(whole)
    train(cut, stop_after=3)
    train(cut)
    assert artifact_bytes(whole) == artifact_bytes(cut)


def test_weights_of_new_classes_mattered_for_nothing_before(
    make_run: MakeRun, go_on: GoOn, bert: Path
) -> None:
    first = learned(make_run, bert, named("b", "d"), ADAPTER, keep_fisher=True)
    held = go_on(
        first.artifact_path,
        named("a", "b"),
        target=bert,
        method=GOING,
        stay_near=EWC(strength=1e6),
        keep_fisher=True,
        epochs=4,
    )
    train(held)
    start, end = (load_file(run.artifact_path / "adapter_model.safetensors") for run in (first, held))
    (name,) = (name for name in end if name.endswith("classifier.weight"))
    fresh = go_on(first.artifact_path, named("a", "b"), name="still", target=bert, method=GOING, **STILL)
    train(fresh)
    begun = load_file(fresh.artifact_path / "adapter_model.safetensors")[name]
    moved = (end[name] - begun).abs().amax(dim=1)
    assert moved[2] > 5 * moved[:2].max(), "the row of 'a' is free, those of 'b' and 'd' are held"
    assert len(start[name]) == 2
    kept = load_file(held.artifact_path / FISHER_NAME)
    assert {len(value) for at, value in kept.items() if "classifier" in at} == {3}


def test_one_label_and_several_are_different_heads(make_run: MakeRun, go_on: GoOn, bert: Path) -> None:
    first = learned(make_run, bert, named("b", "d"), ADAPTER)
    lists = [
        LabelledExample(id=f"{n}", text=f"ask {n}", label=("b",) if n % 2 else ("b", "d")) for n in range(8)
    ]
    other = go_on(first.artifact_path, lists, target=bert, method=GOING)
    with pytest.raises(
        ModelError, match="names 2 classes, one to a text, and the data name 2 classes, any number"
    ):
        train(other)


def test_a_base_whose_head_names_some_of_the_classes_lends_it(make_run: MakeRun, bert: Path) -> None:
    first = learned(make_run, bert, named("refund", "billing"), WHOLE)
    plain = make_run(labelled(), name="plain", model=first.artifact_path, method=WHOLE, **STILL)
    train(plain)
    assert read_card(plain.artifact_path).labels == ("billing", "refund", "delivery")
    before, after = (parity.logits(load.load(run.artifact_path)) for run in (first, plain))
    torch.testing.assert_close(after[:, :2], before, rtol=0, atol=1e-6)
    other = make_run(named("refund", "late"), name="other", model=first.artifact_path, method=WHOLE, **STILL)
    train(other)
    assert read_card(other.artifact_path).labels == ("late", "refund"), "no row is of 'billing': a head anew"


class TestCensus:
    """The order of classes."""

    def test_an_earlier_head_keeps_its_order(self) -> None:
        earlier = Classes(names=("d", "b"))
        assert Census.of(named("a", "b", "d"), earlier).classes.names == ("d", "b", "a")
        assert Census.of(named("a", "b"), earlier).classes.names == ("a", "b")
        kept = Census.of(named("a"), earlier, keeps=True)
        assert kept.by_name == {"d": 0, "b": 0, "a": 12}
        assert kept.weights("balanced") == (1.0, 1.0, 1.0)

    def test_balanced_counts_the_classes_that_have_rows(self) -> None:
        kept = Census.of(named("a", "b", "b"), Classes(names=("z",)), keeps=True)
        assert kept.weights("balanced") == (1.0, 12 / (2 * 4), 12 / (2 * 8))
