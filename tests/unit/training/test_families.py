"""What sets families of models apart: shortcuts, lengths, heads, states. That each trains is in test_cells."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

from tests.unit.training.conftest import MakeRun, losses, train
from tests.unit.training.tiny_classifiers import labelled
from tests.unit.training.tiny_families import FAMILIES, SHAPE
from tunekit.errors import ModelError
from tunekit.spec import SFT, Classify, Method, Probe
from tunekit.training.models import load
from tunekit.training.models.attention import supports_end_to_end
from tunekit.training.models.language_model import head_selects_rows
from tunekit.training.serving.continuing import DecoderTexts

DECODERS = [family for family, made in FAMILIES.items() if made.kind == "decoder"]
END_TO_END = ("Llama", "Qwen2", "Qwen3", "Mistral", "GPT-2", "Phi", "Qwen3-MoE", "Mixtral")


@pytest.mark.parametrize("family", DECODERS)
def test_shortcuts_are_taken_only_where_they_are_exact(tmp_path: Path, family: str) -> None:
    """Which families take them is written down here, so that losing one is noticed."""
    model = load.load_base(FAMILIES[family].make(tmp_path / "base"))
    assert head_selects_rows(model)
    assert supports_end_to_end(model, longest=256) is (family in END_TO_END)


def test_what_transformers_has_no_head_for_is_said_before_anything_is_loaded(
    make_run: MakeRun, llama: Path, tmp_path: Path
) -> None:
    from transformers import AutoConfig, AutoModelForCausalLM

    path = Path(shutil.copytree(llama, tmp_path / "granite"))
    AutoModelForCausalLM.from_config(AutoConfig.for_model("granite", **SHAPE)).save_pretrained(path)
    with pytest.raises(ModelError, match="no head of classes for 'granite'") as caught:
        train(make_run(labelled(8), model=path, method=Classify()))
    assert "Probe" in caught.value.hint


@pytest.mark.parametrize("method", [SFT(), Classify(), Probe(folds=2)], ids=lambda method: method.type)
def test_a_tokenizer_of_another_model_is_noticed_before_the_first_step(
    make_run: MakeRun, llama: Path, tmp_path: Path, method: Method
) -> None:
    path = Path(shutil.copytree(llama, tmp_path / "mixed"))
    body = json.loads((path / "tokenizer.json").read_text())
    body["model"]["vocab"] = {token: at + 5_000 for token, at in body["model"]["vocab"].items()}
    (path / "tokenizer.json").write_text(json.dumps(body))
    run = make_run(None if method.type == "sft" else labelled(8), model=path, method=method)
    with pytest.raises(ModelError, match=r"with token 5\d{3}, and the model knows 260 tokens"):
        train(run)
    assert losses(run) == []


def test_roberta_reads_two_tokens_less_than_it_has_positions() -> None:
    from transformers import RobertaConfig, RobertaModel

    with torch.device("meta"):
        model = RobertaModel(RobertaConfig(num_hidden_layers=1, max_position_embeddings=514, pad_token_id=1))
    assert load.model_max_length(model) == 512


def test_linear_attention_keeps_the_states_of_the_texts_that_go_on(tmp_path: Path, llama: Path) -> None:
    from transformers import AutoConfig, AutoModelForCausalLM

    linear = {f"linear_{part}_head_dim": 8 for part in ("key", "value")}
    config = AutoConfig.for_model(
        "qwen3_next",
        **SHAPE,
        **linear,
        head_dim=8,
        num_experts=4,
        num_experts_per_tok=2,
        moe_intermediate_size=16,
        shared_expert_intermediate_size=16,
        linear_num_key_heads=2,
        linear_num_value_heads=4,
        layer_types=["linear_attention", "full_attention"],
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = AutoModelForCausalLM.from_config(config).eval()
    prompts, then = ([5, 6, 7], [8, 9, 10]), torch.tensor([11, 12])
    with torch.no_grad():
        both, alone = DecoderTexts(model, prompts), DecoderTexts(model, prompts[1:])
        both.append(then)
        both.keep(torch.tensor([1]))
        both.append(then[:1])
        alone.append(then[1:])
        alone.append(then[:1])
    torch.testing.assert_close(both.logits, alone.logits)
