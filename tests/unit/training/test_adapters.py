"""Every kind of adapter on decoders and encoder-decoders: trained, resumed, loaded by plain transformers and PEFT."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.unit.training.conftest import MakeRun, artifact_bytes, events, losses, rows, train
from tunekit.errors import MissingExtraError, ModelError, SpecError, UnsupportedError
from tunekit.events import JobState
from tunekit.spec import SFT, Adapter, FullWeights, LastLayers, LoRA
from tunekit.testing.tiny_models import make_tiny_llama, make_tiny_t5
from tunekit.training.models import load, quantization
from tunekit.training.models.adapters import make_trainable, trainable_parameters
from tunekit.training.models.families import auto_class
from tunekit.training.models.pissa import tensors_beside_untouched
from tunekit.training.plan.device import Device
from tunekit.training.saving import parity
from tunekit.training.saving.artifacts import read_card

ADAPTERS: dict[str, Adapter] = {
    "lora": LoRA(rank=4),
    "rslora": LoRA(rank=4, rslora=True),
    "dora": LoRA(rank=4, dora=True),
    "pissa": LoRA(rank=4, init="pissa"),
    "pissa, rslora": LoRA(rank=4, init="pissa", rslora=True, alpha=6),
    "pissa, dora": LoRA(rank=4, init="pissa", dora=True),
    "last layers": LastLayers(layers=1),
    "full": FullWeights(),
}
EVERY_ADAPTER = pytest.mark.parametrize("adapter", ADAPTERS.values(), ids=ADAPTERS)
PISSA = pytest.mark.parametrize(
    "adapter",
    [value for name, value in ADAPTERS.items() if "pissa" in name],
    ids=lambda value: str(value.rslora),
)
CPU = Device(name="cpu", frozen_dtype=torch.float32, compute_dtype=None)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    directory = tmp_path_factory.mktemp("models")
    return {
        "llama": make_tiny_llama(directory / "llama"),
        "t5": make_tiny_t5(directory / "t5"),
        "mt5": make_tiny_t5(directory / "mt5", kind="mt5"),
    }


@pytest.fixture(scope="module")
def moe(tmp_path_factory: pytest.TempPathFactory, models: dict[str, Path]) -> Path:
    from transformers import Qwen3MoeConfig, Qwen3MoeForCausalLM

    path = tmp_path_factory.mktemp("models") / "moe"
    config = Qwen3MoeConfig(  # type: ignore[call-arg]
        vocab_size=260, hidden_size=32, intermediate_size=64, moe_intermediate_size=16, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, head_dim=8, num_experts=4, num_experts_per_tok=2,
        eos_token_id=1, pad_token_id=0, max_position_embeddings=256,
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        Qwen3MoeForCausalLM(config).save_pretrained(path)
    load.load_tokenizer(models["llama"]).save_pretrained(path)
    return path


def logits_of(model: Any, artifact: Path) -> torch.Tensor:
    """Another model's, of the text that exports are compared by."""
    return parity.logits(load.load(artifact), of=model)


def plainly_loaded(artifact: Path) -> Any:
    """As somebody without tunekit would load it."""
    card = read_card(artifact)
    if card.kind == "adapter":
        return parity.plain_adapter(card, artifact)
    return auto_class(load.load_config(artifact), "tokens").from_pretrained(artifact)


@EVERY_ADAPTER
@pytest.mark.parametrize("kind", ["llama", "t5"])
class TestEveryAdapter:
    def test_loss_falls_and_others_load_it_with_equal_logits(
        self, make_run: MakeRun, models: dict[str, Path], kind: str, adapter: Adapter
    ) -> None:
        run = make_run(model=models[kind], method=SFT(adapter=adapter), epochs=2)
        result = train(run)
        assert result is not None
        assert result.state is JobState.SUCCEEDED
        seen = losses(run)
        assert sum(seen[-3:]) < sum(seen[:3])
        ours = parity.logits(load.load(run.artifact_path))
        assert torch.equal(logits_of(plainly_loaded(run.artifact_path), run.artifact_path), ours)
        assert not torch.equal(parity.logits(load.load(models[kind])), ours), "nothing was learned"

    def test_resumed_is_uninterrupted_bit_for_bit(
        self, make_run: MakeRun, models: dict[str, Path], kind: str, adapter: Adapter
    ) -> None:
        few = {"model": models[kind], "method": SFT(adapter=adapter), "epochs": 1}
        whole, parts = (make_run(rows(8), name=name, **few) for name in ("whole", "parts"))
        train(whole)
        assert train(parts, stop_after=1) is None
        train(parts)
        assert losses(parts) == losses(whole)
        assert artifact_bytes(parts) == artifact_bytes(whole)


class TestPiSSA:
    """It takes over a part of the frozen weights, and is published as if it had not."""

    @PISSA
    @pytest.mark.parametrize("kind", ["llama", "mt5"])
    def test_begins_as_the_base_and_learns_other_directions_than_lora(
        self, models: dict[str, Path], kind: str, adapter: LoRA
    ) -> None:
        base = load.load(models[kind])
        expected = parity.logits(base)
        tuned = make_trainable(load.load_base(models[kind]), adapter, seed=0)
        torch.testing.assert_close(parity.logits(base, of=tuned), expected, rtol=1e-4, atol=1e-5)
        with tuned.disable_adapter():
            assert not torch.allclose(parity.logits(base, of=tuned), expected, atol=1e-3)

    @PISSA
    def test_what_is_saved_says_beside_the_base_what_was_trained(
        self, make_run: MakeRun, models: dict[str, Path], adapter: LoRA
    ) -> None:
        model = make_trainable(load.load_base(models["llama"]), adapter, seed=0)
        for value in trainable_parameters(model).values():
            value.data += 0.01 * torch.randn(value.shape, generator=torch.Generator().manual_seed(1))
        base = load.load(models["llama"])
        trained = parity.logits(base, of=model)
        run = make_run(model=models["llama"], method=SFT(adapter=adapter), epochs=1)
        train(run)
        config = json.loads((run.artifact_path / "adapter_config.json").read_text())
        assert (config["r"], config["init_lora_weights"]) == (8, True)
        # The same change put on the untouched base by hand.
        from peft import get_peft_model_state_dict

        tensors = tensors_beside_untouched(model, get_peft_model_state_dict(model))
        untouched = load.attach_adapter(load.load_base(models["llama"]), run.artifact_path)
        own = untouched.state_dict()
        for name, tensor in tensors.items():
            key = name.replace(".weight", ".default.weight")
            key = key if key in own else f"{name}.default.weight"
            own[key].copy_(tensor)
        torch.testing.assert_close(parity.logits(base, of=untouched), trained, rtol=1e-4, atol=2e-6)

    def test_a_rank_that_no_layer_has_is_refused(self, models: dict[str, Path]) -> None:
        with pytest.raises(ModelError, match="16 singular values"):
            make_trainable(load.load_base(models["llama"]), LoRA(rank=17, init="pissa"), seed=0)


class TestLastLayers:
    def test_of_a_decoder_with_tied_embeddings_only_the_last_block_and_the_norm_change(
        self, make_run: MakeRun, models: dict[str, Path]
    ) -> None:
        assert changed(make_run, models["llama"]) == {"model.layers.1", "model.norm.weight"}

    def test_of_an_encoder_decoder_only_the_end_of_the_decoder_changes(
        self, make_run: MakeRun, models: dict[str, Path]
    ) -> None:
        assert changed(make_run, models["t5"]) == {"decoder.block.1", "decoder.final_layer_norm.weight"}
        assert changed(make_run, models["mt5"], name="untied") == {
            "decoder.block.1",
            "decoder.final_layer_norm.weight",
            "lm_head.weight",
        }


def changed(make_run: MakeRun, model: Path, *, name: str = "run") -> set[str]:
    """Blocks, and weights outside of them, that training has changed."""
    run = make_run(name=name, model=model, method=SFT(adapter=LastLayers(layers=1)))
    train(run)
    before, after = (dict(load.load_base(path).named_parameters()) for path in (model, run.artifact_path))
    names = {key for key in before if not torch.equal(before[key], after[key])}
    return {".".join(key.split(".")[:3]) if ".1." in key else key for key in names}


class TestExperts:
    """`all-linear` on a mixture of experts: attention and the fused experts; neither the router nor the output head."""

    def test_what_all_linear_trains(self, moe: Path) -> None:
        told: list[str] = []
        model = make_trainable(load.load_base(moe), LoRA(rank=4), seed=0, warn=told.append)
        assert told == []
        trained = {name.split("layers.0.")[1] for name in trainable_parameters(model) if "layers.0." in name}
        parts = {name.partition(".lora_")[0] for name in trained}
        attention = {f"self_attn.{part}_proj" for part in "qkvo"}
        assert parts == {*attention, "mlp.experts", "mlp.experts.base_layer"}
        assert not any("lm_head" in name for name in trainable_parameters(model))

    def test_others_load_it_with_equal_logits(self, make_run: MakeRun, moe: Path) -> None:
        run = make_run(model=moe, epochs=1)
        train(run)
        ours = parity.logits(load.load(run.artifact_path))
        assert torch.equal(logits_of(plainly_loaded(run.artifact_path), run.artifact_path), ours)
        assert not torch.equal(parity.logits(load.load(moe)), ours)

    def test_its_router_is_trained_by_those_who_name_it(self, moe: Path) -> None:
        model = make_trainable(load.load_base(moe), LoRA(rank=4, target_modules=("gate",)), seed=0)
        assert {name.partition(".lora_")[0].split(".")[-1] for name in trainable_parameters(model)} == {
            "gate"
        }

    def test_parts_of_fused_experts_are_named_as_they_were(self, moe: Path) -> None:
        names = ("gate_proj", "up_proj", "down_proj")
        model = make_trainable(load.load_base(moe), LoRA(rank=4, target_modules=names), seed=0)
        assert all("mlp.experts" in name for name in trainable_parameters(model))

    @pytest.mark.parametrize(
        "adapter", [LoRA(rank=4, dora=True), LoRA(rank=4, dropout=0.1), LoRA(rank=4, init="pissa")]
    )
    def test_what_experts_do_not_take_is_said(self, moe: Path, adapter: LoRA) -> None:
        with pytest.raises(ModelError, match="experts") as caught:
            make_trainable(load.load_base(moe), adapter, seed=0)
        assert "q_proj" in caught.value.hint


class TestTargets:
    """Layers by name."""

    @pytest.mark.parametrize(
        ("names", "message", "hint"),
        [
            (("q_prj",), "names 'q_prj'", "did you mean 'q_proj'?"),
            (("q_proj", "k_prj"), "names 'k_prj'", "did you mean 'k_proj'?"),
            (("",), "names ''", "its layers are"),
            (("model",), "LoRA cannot be put on", "name layers that the model has"),
        ],
    )
    def test_a_name_that_no_layer_has_is_refused(
        self, models: dict[str, Path], names: tuple[str, ...], message: str, hint: str
    ) -> None:
        with pytest.raises(ModelError, match=message) as caught:
            make_trainable(load.load_base(models["llama"]), LoRA(rank=4, target_modules=names), seed=0)
        assert hint in caught.value.hint

    def test_before_the_first_step(self, make_run: MakeRun) -> None:
        run = make_run(method=SFT(adapter=LoRA(rank=4, target_modules=("q_proj", "typo"))))
        with pytest.raises(ModelError, match="names 'typo'"):
            train(run)
        assert events(run, "step") == []

    def test_a_rank_above_every_dimension_is_only_a_waste(self, make_run: MakeRun) -> None:
        run = make_run(rows(8), method=SFT(adapter=LoRA(rank=128)), epochs=1)
        train(run)
        ours = parity.logits(load.load(run.artifact_path))
        assert torch.equal(logits_of(plainly_loaded(run.artifact_path), run.artifact_path), ours)


class TestQuantised:
    """Needs a GPU and bitsandbytes; here are neither, and that is said before step one."""

    def test_on_a_cpu_it_fails_before_the_first_step(self, make_run: MakeRun) -> None:
        run = make_run(method=SFT(adapter=LoRA(rank=4, quantization="nf4")))
        with pytest.raises(UnsupportedError, match="CUDA"):
            train(run)
        assert events(run, "step") == []

    def test_without_bitsandbytes_the_extra_is_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(quantization, "find_spec", lambda name: None)
        gpu = Device(name="cuda:0", frozen_dtype=torch.bfloat16, compute_dtype=torch.bfloat16)
        with pytest.raises(MissingExtraError, match="bitsandbytes"):
            quantization.loading_options(LoRA(quantization="nf4"), gpu)

    def test_pissa_and_four_bits_do_not_go_together(self) -> None:
        with pytest.raises(SpecError, match="pissa"):
            quantization.loading_options(LoRA(quantization="nf4", init="pissa"), CPU)

    def test_what_transformers_is_told(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(quantization, "find_spec", lambda name: object())
        gpu = Device(name="cuda:0", frozen_dtype=torch.bfloat16, compute_dtype=torch.bfloat16)
        options = quantization.loading_options(LoRA(quantization="nf4"), gpu)
        config = options["quantization_config"]
        assert (config.bnb_4bit_quant_type, config.bnb_4bit_compute_dtype) == ("nf4", torch.bfloat16)
        assert options["device_map"] == {"": "cuda:0"}


def test_adapters_do_not_resize_the_vocabulary(make_run: MakeRun, models: dict[str, Path]) -> None:
    run = make_run(model=models["llama"], epochs=1)
    train(run)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(load.load(run.artifact_path).tokenizer) == len(load.load_tokenizer(models["llama"]))
