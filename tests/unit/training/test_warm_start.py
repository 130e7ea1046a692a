"""Runs that go on from an earlier artifact: what they begin with, what they keep, and what does not fit."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.unit.training.conftest import GoOn, MakeRun, artifact_bytes, events, losses, train
from tests.unit.training.judged import preferences
from tunekit.backends.local.warm_start import beginning_of
from tunekit.errors import ModelError, NotFoundError, RefError, SpecError
from tunekit.examples import LabelledExample
from tunekit.spec import DPO, SFT, Classify, FullWeights, LastLayers, LoRA, TuneSpec
from tunekit.testing.tiny_models import make_tiny_llama
from tunekit.training.models import load
from tunekit.training.run.rundir import RunDirectory
from tunekit.training.saving import parity
from tunekit.training.saving.artifacts import read_card

SFT_LORA = SFT(adapter=LoRA(rank=4))


@pytest.fixture
def first(make_run: MakeRun) -> RunDirectory:
    """A trained adapter of rank 4."""
    run = make_run(name="run-" + "a" * 20, epochs=1)
    train(run)
    return run


def first_loss(run: RunDirectory) -> float:
    """Of the rows in the order of seed 0, before anything of this run was learned."""
    return losses(run)[0]


class TestAdapters:
    def test_training_goes_on_where_the_adapter_is(self, first: RunDirectory, go_on: GoOn) -> None:
        again, fresh = go_on(first.path.name), go_on(None, name="fresh", method=SFT_LORA)
        for run in (again, fresh):
            train(run)
        assert first_loss(again) < first_loss(fresh)
        assert first_loss(fresh) == pytest.approx(losses(first)[0])
        config = json.loads((again.artifact_path / "adapter_config.json").read_text())
        assert config["r"] == 4, "rank and layers are those of the artifact, where the spec leaves them open"

    def test_the_rate_and_what_is_told_are_those_of_the_adapter_that_is_trained(
        self, first: RunDirectory, go_on: GoOn
    ) -> None:
        alike = go_on(None, name="alike", method=SFT_LORA, learning_rate="auto")
        again = go_on(first.path.name, learning_rate="auto")
        for run in (alike, again):
            train(run)
        (asked,), (found,) = (events(run, "preflight") for run in (alike, again))
        assert found.report["learning_rate"] == asked.report["learning_rate"]
        card = read_card(again.artifact_path)
        assert card.resolved["rank"] == 4
        assert card.spec.method == SFT(adapter=LoRA(rank=4, alpha=8))

    def test_with_a_rate_of_almost_nothing_it_is_the_earlier_adapter(
        self, first: RunDirectory, go_on: GoOn
    ) -> None:
        again = go_on(first.path.name, learning_rate=1e-12)
        train(again)
        before, after = (parity.logits(load.load(run.artifact_path)) for run in (first, again))
        torch.testing.assert_close(after, before, rtol=0, atol=1e-6)

    def test_lineage_is_recorded_nearest_first(self, first: RunDirectory, go_on: GoOn) -> None:
        second = go_on(first.path.name, name="run-" + "b" * 20)
        train(second)
        third = go_on(second.path.name, name="third")
        train(third)
        card = read_card(third.artifact_path)
        assert [parent.run_id for parent in card.parents] == [second.path.name, first.path.name]
        assert card.parents[0].fingerprint == third.plan().warm_start_fingerprint
        assert {parent.base_fingerprint for parent in card.parents} == {card.base_fingerprint}

    def test_resumed_is_uninterrupted_bit_for_bit(self, first: RunDirectory, go_on: GoOn) -> None:
        whole, parts = go_on(first.path.name, name="whole"), go_on(first.path.name, name="parts")
        train(whole)
        assert train(parts, stop_after=2) is None
        train(parts)
        assert artifact_bytes(parts) == artifact_bytes(whole)

    def test_dpo_on_top_of_sft_is_held_against_the_sft_model(self, first: RunDirectory, go_on: GoOn) -> None:
        run = go_on(first.path.name, preferences(8), method=DPO())
        train(run)
        assert first_loss(run) == pytest.approx(0.6931, abs=1e-4), "the reference is not what it begins with"

    def test_a_pissa_artifact_goes_on_as_the_plain_adapter_it_is(
        self, make_run: MakeRun, go_on: GoOn
    ) -> None:
        earlier = make_run(name="run-" + "c" * 20, epochs=1, method=SFT(adapter=LoRA(rank=2, init="pissa")))
        train(earlier)
        run = go_on(earlier.path.name)
        train(run)
        assert json.loads((run.artifact_path / "adapter_config.json").read_text())["r"] == 4


class TestWholeModels:
    def test_it_is_the_base_of_the_next_run(self, make_run: MakeRun, go_on: GoOn) -> None:
        earlier = make_run(name="run-" + "d" * 20, method=SFT(adapter=FullWeights()), epochs=1)
        train(earlier)
        run = go_on(earlier.path.name, method=SFT_LORA)
        assert run.plan().model == str(earlier.artifact_path)
        train(run)
        card = read_card(run.artifact_path)
        assert card.base_model == str(earlier.artifact_path)
        assert [parent.run_id for parent in card.parents] == [earlier.path.name]
        on_it = go_on(None, name="on it", target=earlier.path.name, method=SFT_LORA)
        train(on_it)
        assert artifact_bytes(on_it) == artifact_bytes(run)
        assert read_card(on_it.artifact_path).parents == card.parents

    @pytest.mark.parametrize("adapter", [FullWeights(), LastLayers(layers=1)])
    def test_an_adapter_is_no_beginning_for_other_weights(
        self, first: RunDirectory, go_on: GoOn, adapter: Any
    ) -> None:
        with pytest.raises(SpecError, match="other weights") as caught:
            go_on(first.path.name, method=SFT(adapter=adapter))
        assert "merge" in caught.value.hint


class TestRefusals:
    def test_another_base_is_named_with_both_fingerprints(
        self, first: RunDirectory, go_on: GoOn, tmp_path: Path
    ) -> None:
        other = make_tiny_llama(tmp_path / "other", seed=1)
        with pytest.raises(ModelError, match=r"sha256:\w+.*sha256:\w+"):
            go_on(first.path.name, target=other)

    @pytest.mark.parametrize(
        ("adapter", "field"),
        [
            (LoRA(rank=8), "rank"),
            (LoRA(alpha=3), "alpha"),
            (LoRA(dora=True), "dora"),
            (LoRA(init="pissa"), "init"),
            (LoRA(target_modules=("q_proj",)), "target_modules"),
        ],
    )
    def test_another_adapter_is_refused_by_its_field(
        self, first: RunDirectory, go_on: GoOn, adapter: LoRA, field: str
    ) -> None:
        with pytest.raises(SpecError, match=f"adapter.{field}"):
            go_on(first.path.name, method=SFT(adapter=adapter))

    def test_an_adapter_as_the_target_names_warm_start(self, first: RunDirectory, go_on: GoOn) -> None:
        with pytest.raises(ModelError) as caught:
            go_on(None, target=first.path.name)
        assert f"warm_start='local:{first.path.name}'" in caught.value.hint

    @pytest.mark.parametrize(
        ("earlier", "error"),
        [("run-" + "e" * 20, NotFoundError), ("/nowhere/at/all", NotFoundError), ("", RefError)],
    )
    def test_what_is_not_there(self, go_on: GoOn, earlier: str, error: type[Exception]) -> None:
        with pytest.raises(error):
            go_on(earlier)

    def test_a_base_model_is_no_artifact(self, go_on: GoOn, llama: Path) -> None:
        with pytest.raises(ModelError, match="not trained"):
            go_on(llama)

    def test_a_model_of_another_backend(self, llama: Path, tmp_path: Path) -> None:
        spec = TuneSpec(warm_start="openai:ft:acme")
        with pytest.raises(SpecError, match="another backend"):
            beginning_of(str(llama), spec, revision=None, runs=tmp_path, hashes={})

    def test_a_classifier_is_no_beginning_for_text(self, first: RunDirectory, go_on: GoOn) -> None:
        examples = [LabelledExample(id=str(n), text="x", label="ab"[n % 2]) for n in range(8)]
        with pytest.raises(SpecError, match="head"):
            go_on(first.path.name, examples, method=Classify(adapter=LoRA()))

    @pytest.mark.parametrize("what", ["changed", "gone"])
    def test_what_changed_since_the_submission_is_noticed(
        self, first: RunDirectory, go_on: GoOn, tmp_path: Path, what: str
    ) -> None:
        copy = Path(shutil.copytree(first.artifact_path, tmp_path / "copy"))
        run = go_on(copy)
        if what == "gone":
            shutil.rmtree(copy)
        else:
            weights = copy / "adapter_model.safetensors"
            weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")
        with pytest.raises(ModelError, match=r"changed since|is gone|not a tuned model"):
            train(run)
        assert events(run, "step") == []
