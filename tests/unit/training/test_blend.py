"""Mixed models say what their parts add up to, exactly at both ends; what does not belong together is refused."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.unit.training.conftest import Base, MakeRun, rows, train
from tests.unit.training.tiny_classifiers import labelled
from tunekit.backends.local.warm_start import beginning_of
from tunekit.data.dataset import Dataset
from tunekit.errors import ModelError, UnsupportedError
from tunekit.spec import SFT, Adapter, Classify, FullWeights, LoRA, Probe, TuneSpec
from tunekit.testing.tiny_models import make_tiny_llama
from tunekit.training.models import load
from tunekit.training.run.rundir import RunDirectory, RunPlan
from tunekit.training.saving import blend_weights, merge, parity
from tunekit.training.saving.artifacts import read_card
from tunekit.training.saving.blend import blend as mix_two
from tunekit.training.saving.blend import merge as mix_many
from tunekit.training.saving.mixture import MIXTURE_NAME, read_mixture

ADAPTERS: dict[str, Adapter] = {
    "lora": LoRA(rank=4),
    "rslora": LoRA(rank=3, rslora=True),
    "pissa": LoRA(rank=2, init="pissa"),
    "embeddings": LoRA(rank=2, target_modules=("q_proj", "embed_tokens")),
    "full": FullWeights(),
}
Trained = Callable[..., RunDirectory]


@pytest.fixture
def trained(make_run: MakeRun) -> Trained:
    def make(name: str, adapter: Adapter, **fields: Any) -> RunDirectory:
        examples = fields.pop("examples", None)
        run = make_run(examples, name=name, epochs=1, **{"method": SFT(adapter=adapter), **fields})
        train(run)
        return run

    return make


def part(path: Path) -> dict[str, str]:
    return {"model": f"local:{path.name}", "source": str(path)}


def blended(base: Path, tuned: RunDirectory | Path, alpha: float, runs: Path) -> Path:
    path = tuned if isinstance(tuned, Path) else tuned.artifact_path
    return runs / str(mix_two(part(base), part(path), alpha, str(runs))["run_id"]) / "artifact"


def merged(siblings: list[RunDirectory], shares: list[float], runs: Path) -> Path:
    done = mix_many([part(run.artifact_path) for run in siblings], shares, str(runs))
    return runs / str(done["run_id"]) / "artifact"


def logits(path: Path) -> torch.Tensor:
    return parity.logits(load.load(path))


def plain(path: Path) -> dict[str, torch.Tensor]:
    """The weights of a model, adapters added in, fp64."""
    model = merge.merged(load.load(path), dtype=torch.float32)
    return {name: value.double() for name, value in model.state_dict().items()}


@pytest.mark.parametrize("adapter", ADAPTERS.values(), ids=ADAPTERS)
class TestBlend:
    def test_both_ends_are_base_and_tuned_to_the_last_bit(
        self, trained: Trained, llama: Path, tmp_path: Path, adapter: Adapter
    ) -> None:
        run = trained("run", adapter)
        start, end = (blended(llama, run, alpha, tmp_path / "mixed") for alpha in (0.0, 1.0))
        assert torch.equal(logits(start), logits(llama))
        assert torch.equal(logits(end), logits(run.artifact_path))
        assert not torch.equal(logits(start), logits(end))

    @pytest.mark.parametrize("alpha", [0.3, 0.5])
    def test_between_them_every_weight_is_that_of_the_formula(
        self, trained: Trained, llama: Path, tmp_path: Path, adapter: Adapter, alpha: float
    ) -> None:
        run = trained("run", adapter)
        found = plain(blended(llama, run, alpha, tmp_path / "mixed"))
        base, tuned = plain(llama), plain(run.artifact_path)
        for name, value in found.items():
            start = base[name if name in base else "model.embed_tokens.weight"]
            torch.testing.assert_close(value, start + alpha * (tuned[name] - start), rtol=1e-5, atol=1e-7)

    def test_the_mean_of_siblings_is_the_mean_of_their_weights(
        self, trained: Trained, tmp_path: Path, adapter: Adapter
    ) -> None:
        shares = [0.5, 0.3, 0.2]
        siblings = [trained(f"run {seed}", adapter, seed=seed) for seed in range(3)]
        found = plain(merged(siblings, shares, tmp_path / "mixed"))
        parts = [plain(run.artifact_path) for run in siblings]
        for name, value in found.items():
            expected = sum(share * each[name] for share, each in zip(shares, parts, strict=True))
            torch.testing.assert_close(value, expected, rtol=1e-5, atol=1e-6)


def test_siblings_of_different_ranks_add_up(trained: Trained, tmp_path: Path) -> None:
    siblings = [trained("small", LoRA(rank=2)), trained("large", LoRA(rank=6, alpha=3.0))]
    path = merged(siblings, [0.25, 0.75], tmp_path / "mixed")
    assert json.loads((path / "adapter_config.json").read_text())["r"] == 8
    small, large = (plain(run.artifact_path) for run in siblings)
    for name, value in plain(path).items():
        torch.testing.assert_close(value, 0.25 * small[name] + 0.75 * large[name], rtol=1e-5, atol=1e-6)


def test_averaging_both_factors_would_be_something_else(trained: Trained, tmp_path: Path) -> None:
    """What a naive merge does: the test above must be able to tell."""
    siblings = [trained(f"run {seed}", LoRA(rank=4), seed=seed) for seed in range(2)]
    right = logits(merged(siblings, [0.5, 0.5], tmp_path / "mixed"))
    wrong = Path(shutil.copytree(siblings[0].artifact_path, tmp_path / "wrong"))
    tensors = [load_file(run.artifact_path / "adapter_model.safetensors") for run in siblings]
    mean = {name: (value + tensors[1][name]) / 2 for name, value in tensors[0].items()}
    save_file(mean, wrong / "adapter_model.safetensors", {"format": "pt"})
    (wrong / "tunekit.json").unlink()
    assert not torch.allclose(logits(wrong), right, atol=1e-3)


def test_between_an_adapter_and_what_it_goes_on_from(trained: Trained, llama: Path, tmp_path: Path) -> None:
    first = trained("run-" + "a" * 20, LoRA(rank=4))
    spec = TuneSpec(warm_start=f"local:{first.artifact_path}", epochs=1, batch_size=4, learning_rate=1e-2)
    begins = beginning_of(str(llama), spec, revision=None, runs=tmp_path, hashes={})
    plan = RunPlan(
        run_id="run-" + "b" * 20,
        key="k",
        model=begins.model,
        warm_start=begins.artifact,
        warm_start_fingerprint=begins.artifact_fingerprint,
        spec=begins.spec,
        python=sys.executable,
        threads=1,
        created_at=0.0,
    )
    second = RunDirectory.create(tmp_path / "runs", plan, Dataset(rows()), None)
    train(second)
    path = blended(first.artifact_path, second, 0.4, tmp_path / "mixed")
    before, after = plain(first.artifact_path), plain(second.artifact_path)
    for name, value in plain(path).items():
        torch.testing.assert_close(value, 0.6 * before[name] + 0.4 * after[name], rtol=1e-5, atol=1e-6)
    ends = [blended(first.artifact_path, second, alpha, tmp_path / "mixed") for alpha in (0.0, 1.0)]
    assert torch.equal(logits(ends[0]), logits(first.artifact_path))
    assert torch.equal(logits(ends[1]), logits(second.artifact_path))
    parents = [parent.run_id for parent in read_card(path).parents]
    assert parents == ["run-" + "b" * 20, "run-" + "a" * 20]


def test_a_model_in_several_files_stays_in_them(trained: Trained, llama: Path, tmp_path: Path) -> None:
    run = trained("run", FullWeights())
    card = (run.artifact_path / "tunekit.json").read_text()
    sharded = tmp_path / "sharded"
    shutil.copytree(run.artifact_path, sharded)
    (sharded / "model.safetensors").unlink()
    load.load_base(run.artifact_path).save_pretrained(sharded, max_shard_size="20KB")
    from tunekit.training.models.fingerprint import of_weight_files

    body = json.loads(card) | {"weights_sha256": of_weight_files(sharded)}
    (sharded / "tunekit.json").write_text(json.dumps(body))
    assert len(body["weights_sha256"]) > 2
    path = blended(llama, sharded, 0.5, tmp_path / "mixed")
    assert {item.name for item in path.glob("*.safetensors")} == set(body["weights_sha256"])
    assert torch.equal(logits(path), logits(blended(llama, run, 0.5, tmp_path / "mixed")))


def test_a_base_in_bf16_is_widened(trained: Trained, llama: Path, tmp_path: Path) -> None:
    base = tmp_path / "bf16"
    load.load_base(llama).to(torch.bfloat16).save_pretrained(base)
    load.load_tokenizer(llama).save_pretrained(base)
    run = trained("run", FullWeights(), model=base)
    path = blended(base, run, 0.0, tmp_path / "mixed")
    for value in load_file(path / "model.safetensors").values():
        assert value.dtype == torch.float32
    assert torch.equal(logits(path), logits(base))


def test_a_base_of_the_hub_is_read_from_its_cache(
    trained: Trained, llama: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is downloaded for a blend: training has put the base there."""
    from huggingface_hub import constants

    commit = "0" * 40
    repo = tmp_path / "hub" / "models--acme--tiny"
    shutil.copytree(llama, repo / "snapshots" / commit)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    run = trained("run", FullWeights())
    path = run.artifact_path / "tunekit.json"
    of_hub = {"base_model": "acme/tiny", "revision": commit, "base_fingerprint": f"commit:{commit}"}
    path.write_text(json.dumps(json.loads(path.read_text()) | of_hub))
    hub = {"model": "local:acme/tiny", "source": "acme/tiny"}
    done = mix_two(hub, part(run.artifact_path), 0.0, str(tmp_path / "mixed"))
    assert torch.equal(logits(tmp_path / "mixed" / done["run_id"] / "artifact"), logits(llama))
    shutil.rmtree(repo)
    with pytest.raises(ModelError, match="not on this machine") as caught:
        mix_two(hub, part(run.artifact_path), 0.5, str(tmp_path / "mixed"))
    assert "hf download acme/tiny" in caught.value.hint
    other = {"model": "local:acme/other", "source": "acme/other"}
    with pytest.raises(ModelError, match="was tuned from"):
        mix_two(other, part(run.artifact_path), 0.5, str(tmp_path / "mixed"))


class TestWhatIsPublished:
    def test_the_same_call_gives_the_same_model_once(
        self, trained: Trained, llama: Path, tmp_path: Path
    ) -> None:
        run, runs = trained("run", LoRA(rank=4)), str(tmp_path / "mixed")
        first = mix_two(part(llama), part(run.artifact_path), 0.5, runs)
        again = mix_two(part(llama), part(run.artifact_path), 0.5, runs)
        other = mix_two(part(llama), part(run.artifact_path), 0.25, runs)
        assert (first["run_id"], first["created"], again["created"]) == (again["run_id"], True, False)
        assert other["run_id"] != first["run_id"]

    def test_the_record_names_ingredients_and_files(
        self, trained: Trained, llama: Path, tmp_path: Path
    ) -> None:
        run = trained("run", LoRA(rank=4), keep_fisher=True)
        path = blended(llama, run, 0.25, tmp_path / "mixed")
        mixture = read_mixture(path)
        assert [each.weight for each in mixture.ingredients] == [0.25, 0.75]
        assert set(mixture.files) == {
            item.relative_to(path).as_posix() for item in path.rglob("*") if item.name != MIXTURE_NAME
        }
        card = read_card(path)
        assert card.metrics == {} and card.fisher_sha256 == "" and card.run_id == path.parent.name
        assert card.parents[0].run_id == "run"

    @pytest.mark.parametrize("name", ["adapter_model.safetensors", "adapter_config.json", "tokenizer.json"])
    def test_damage_is_noticed(self, trained: Trained, llama: Path, tmp_path: Path, name: str) -> None:
        run = trained("run", LoRA(rank=4))
        path = blended(llama, run, 0.5, tmp_path / "mixed")
        data = bytearray((path / name).read_bytes())
        data[-3] ^= 1
        (path / name).write_bytes(data)
        with pytest.raises(ModelError, match=name):
            read_mixture(path)
        with pytest.raises(ModelError, match=name):
            blended(llama, run, 0.5, tmp_path / "mixed")

    def test_a_record_that_is_none(self, trained: Trained, llama: Path, tmp_path: Path) -> None:
        run = trained("run", LoRA(rank=4))
        with pytest.raises(ModelError, match="not mixed"):
            read_mixture(run.artifact_path)
        path = blended(llama, run, 0.5, tmp_path / "mixed")
        (path / MIXTURE_NAME).write_text("{}")
        with pytest.raises(ModelError, match="damaged"):
            read_mixture(path)

    def test_a_run_goes_on_from_it(self, trained: Trained, llama: Path, tmp_path: Path) -> None:
        siblings = [trained(f"run {seed}", LoRA(rank=2), seed=seed) for seed in range(2)]
        path = merged(siblings, [0.5, 0.5], tmp_path / "mixed")
        spec = TuneSpec(warm_start=f"local:{path}")
        begins = beginning_of(str(llama), spec, revision=None, runs=tmp_path, hashes={})
        assert begins.spec.method == SFT(adapter=LoRA(rank=4, alpha=4))


class TestHeads:
    def test_siblings_mix_their_heads(self, trained: Trained, base: Base, tmp_path: Path) -> None:
        for adapter in (LoRA(rank=2), FullWeights()):
            siblings = [
                trained(f"{adapter.type} {seed}", adapter, **classifying(base, adapter), seed=seed)
                for seed in range(2)
            ]
            path = merged(siblings, [0.5, 0.5], tmp_path / "mixed")
            one, other = (plain(run.artifact_path) for run in siblings)
            for name, value in plain(path).items():
                torch.testing.assert_close(value, (one[name] + other[name]) / 2, rtol=1e-5, atol=1e-6)
            assert read_card(path).labels == read_card(siblings[0].artifact_path).labels

    @pytest.mark.parametrize("adapter", [LoRA(rank=2), FullWeights()], ids=["lora", "full"])
    def test_a_base_without_the_head_is_refused(
        self, trained: Trained, base: Base, tmp_path: Path, adapter: Adapter
    ) -> None:
        run = trained("run", adapter, **classifying(base, adapter))
        with pytest.raises(ModelError, match="nothing to mix its head with"):
            blended(base("bert"), run, 0.5, tmp_path / "mixed")
        assert list((tmp_path / "mixed").glob("*")) == []

    def test_an_adapter_on_a_classifier_is_blended_with_its_head(
        self, trained: Trained, base: Base, tmp_path: Path
    ) -> None:
        first = trained("first", FullWeights(), **classifying(base, FullWeights()))
        fields = {**classifying(base, LoRA(rank=2)), "model": first.artifact_path}
        second = trained("second", LoRA(rank=2), **fields)
        path = blended(first.artifact_path, second, 0.25, tmp_path / "mixed")
        before, after = plain(first.artifact_path), plain(second.artifact_path)
        for name, value in plain(path).items():
            torch.testing.assert_close(value, 0.75 * before[name] + 0.25 * after[name], rtol=1e-5, atol=1e-6)


def classifying(base: Base, adapter: Adapter) -> dict[str, Any]:
    return {"model": base("bert"), "method": Classify(adapter=adapter), "examples": labelled(12)}


class TestRefusals:
    def test_another_base(self, trained: Trained, tmp_path: Path) -> None:
        run, other = trained("run", LoRA(rank=4)), make_tiny_llama(tmp_path / "other", seed=1)
        with pytest.raises(ModelError, match="was tuned from"):
            blended(other, run, 0.5, tmp_path / "mixed")
        sibling = trained("sibling", LoRA(rank=4), model=other)
        with pytest.raises(ModelError, match="their base differs"):
            merged([run, sibling], [0.5, 0.5], tmp_path / "mixed")

    def test_another_kind_of_artifact(self, trained: Trained, tmp_path: Path) -> None:
        runs = [trained("one", LoRA(rank=4)), trained("two", FullWeights())]
        with pytest.raises(ModelError, match="their kind differs"):
            merged(runs, [0.5, 0.5], tmp_path / "mixed")

    def test_other_layers(self, trained: Trained, tmp_path: Path) -> None:
        runs = [trained("one", LoRA(rank=4)), trained("two", LoRA(rank=4, target_modules=("q_proj",)))]
        with pytest.raises(ModelError, match="same layers"):
            merged(runs, [0.5, 0.5], tmp_path / "mixed")

    def test_other_classes(self, trained: Trained, base: Base, tmp_path: Path) -> None:
        fields = classifying(base, LoRA(rank=2))
        others = [each.replace(label=f"new {each.label}") for each in fields["examples"]]
        runs = [
            trained("one", LoRA(rank=2), **fields),
            trained("two", LoRA(rank=2), **{**fields, "examples": others}),
        ]
        with pytest.raises(ModelError, match="their labels differs"):
            merged(runs, [0.5, 0.5], tmp_path / "mixed")

    @pytest.mark.parametrize(
        ("change", "match"),
        [({"chat_template_sha256": "x"}, "chat template"), ({"stop_token_ids": [1]}, "stop tokens")],
    )
    def test_another_way_of_asking(
        self, trained: Trained, tmp_path: Path, change: dict[str, Any], match: str
    ) -> None:
        runs = [trained(f"run {seed}", LoRA(rank=4), seed=seed) for seed in range(2)]
        path = runs[1].artifact_path / "tunekit.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | change))
        with pytest.raises(ModelError, match=match):
            merged(runs, [0.5, 0.5], tmp_path / "mixed")

    def test_another_vocabulary(self, trained: Trained, tmp_path: Path) -> None:
        runs = [trained(f"run {seed}", LoRA(rank=4), seed=seed) for seed in range(2)]
        path = runs[1].artifact_path / "tokenizer.json"
        body = json.loads(path.read_text())
        vocabulary = body["model"]["vocab"]
        one, other = list(vocabulary)[-2:]
        vocabulary[one], vocabulary[other] = vocabulary[other], vocabulary[one]
        path.write_text(json.dumps(body))
        with pytest.raises(ModelError, match="tokenizers number tokens differently"):
            merged(runs, [0.5, 0.5], tmp_path / "mixed")

    def test_dora_does_not_add_up(self, trained: Trained, llama: Path, tmp_path: Path) -> None:
        run = trained("run", LoRA(rank=4, dora=True))
        with pytest.raises(UnsupportedError, match="DoRA"):
            blended(llama, run, 0.5, tmp_path / "mixed")

    def test_a_probe_has_no_weights(self, make_run: MakeRun, base: Base, tmp_path: Path) -> None:
        run = make_run(labelled(12), name="probe", model=base("bert"), method=Probe(folds=2, layer=1))
        train(run)
        with pytest.raises(UnsupportedError, match="probe"):
            blended(base("bert"), run, 0.5, tmp_path / "mixed")

    def test_a_base_is_nothing_that_was_tuned(self, llama: Path, tmp_path: Path) -> None:
        with pytest.raises(ModelError, match="not tuned by tunekit"):
            blended(llama, llama, 0.5, tmp_path / "mixed")

    def test_weights_that_changed_since(self, trained: Trained, llama: Path, tmp_path: Path) -> None:
        run = trained("run", LoRA(rank=4))
        path = run.artifact_path / "adapter_model.safetensors"
        path.write_bytes(path.read_bytes()[:-1] + b"\x01")
        with pytest.raises(ModelError, match="changed since it was saved"):
            blended(llama, run, 0.5, tmp_path / "mixed")

    def test_tensors_that_do_not_go_together(self) -> None:
        weight = torch.ones(2, 2)
        with pytest.raises(ModelError, match="shapes"):
            list(blend_weights.mixed("w", [weight, torch.ones(2)], [0.5, 0.5]))
        with pytest.raises(ModelError, match="not finite"):
            list(blend_weights.mixed("w", [weight, weight * torch.inf], [0.5, 0.5]))
        with pytest.raises(ModelError, match="no weights"):
            list(blend_weights.mixed("w", [torch.tensor([1]), torch.tensor([2])], [0.5, 0.5]))
