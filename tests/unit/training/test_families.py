"""Other families of models: the same loop, the same promises."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.unit.training.conftest import MakeRun, losses, train
from tests.unit.training.tiny_bart import make_tiny_bart
from tests.unit.training.tiny_classifiers import labelled
from tunekit.errors import ModelError
from tunekit.events import JobState
from tunekit.spec import SFT, Adapter, Classify, FullWeights, LastLayers, LoRA, Method, Probe
from tunekit.testing.tiny_models import make_tiny_bert, make_tiny_t5
from tunekit.training.models import load
from tunekit.training.models.attention import supports_end_to_end
from tunekit.training.models.families import Head, auto_class
from tunekit.training.models.language_model import head_selects_rows
from tunekit.training.saving import parity
from tunekit.training.saving.artifacts import read_card
from tunekit.training.serving.continuing import DecoderTexts

SHAPE = {
    "vocab_size": 260,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 256,
    "bos_token_id": None,
    "eos_token_id": 1,
    "pad_token_id": 0,
}
BERT_SHAPE = {name: value for name, value in SHAPE.items() if "token" not in name} | {
    "vocab_size": 261,
    "num_key_value_heads": 4,
    "pad_token_id": 0,
}
FAMILIES: dict[str, dict[str, Any]] = {
    "qwen3": {**SHAPE, "head_dim": 8},
    "mistral": {**SHAPE, "sliding_window": None},
    "gemma2": {**SHAPE, "head_dim": 8, "sliding_window": 16},
    "gpt2": {
        "vocab_size": 260,
        "n_embd": 32,
        "n_layer": 2,
        "n_head": 4,
        "n_positions": 256,
        "eos_token_id": 1,
    },
    "qwen3_moe": {
        **SHAPE,
        "head_dim": 8,
        "num_experts": 4,
        "num_experts_per_tok": 2,
        "moe_intermediate_size": 32,
    },
    "mixtral": {**SHAPE, "num_local_experts": 4},
    "qwen2": SHAPE,
    "phi": {**SHAPE, "num_key_value_heads": 4},
    "gemma3_text": {**SHAPE, "head_dim": 8, "sliding_window": 16},
    "mistral, sliding": {**SHAPE, "sliding_window": 8},
}
END_TO_END = ("qwen3", "mistral", "gpt2", "qwen3_moe", "mixtral", "qwen2", "phi")
ENCODERS: dict[str, dict[str, Any]] = {
    # Two positions stand before the first.
    "roberta": {**BERT_SHAPE, "max_position_embeddings": 130, "pad_token_id": 1},
    "deberta-v2": {
        **BERT_SHAPE,
        "relative_attention": True,
        "pos_att_type": ["p2c", "c2p"],
        "position_buckets": 32,
        "norm_rel_ebd": "layer_norm",
        "share_att_key": True,
    },
    "modernbert": {**BERT_SHAPE, "local_attention": 8, "global_attn_every_n_layers": 2},
    "albert": {**BERT_SHAPE, "embedding_size": 16},  # one block for all layers
}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory, llama: Path) -> dict[str, Path]:
    from transformers import AutoConfig, AutoModelForCausalLM

    made = {}
    for family, shape in FAMILIES.items():
        path = Path(shutil.copytree(llama, tmp_path_factory.mktemp("families") / family))
        torch.manual_seed(0)
        model = AutoModelForCausalLM.from_config(AutoConfig.for_model(family.partition(",")[0], **shape))
        model.generation_config.eos_token_id = 1
        model.save_pretrained(path)
        made[family] = path
    return made


def plainly_loaded(artifact: Path) -> Any:
    """As somebody without tunekit would load it."""
    card = read_card(artifact)
    if card.kind == "adapter":
        return parity.plain_adapter(card, artifact)
    head: Head = "classes" if card.labels else "tokens"
    return auto_class(load.load_config(artifact), head).from_pretrained(artifact)


@pytest.mark.parametrize("adapter", [LoRA(rank=4), FullWeights()], ids=["lora", "full"])
@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_trains_and_its_artifact_loads(
    make_run: MakeRun, models: dict[str, Path], family: str, adapter: LoRA | FullWeights
) -> None:
    run = make_run(model=models[family], method=SFT(adapter=adapter), epochs=4)
    result = train(run)
    assert result is not None
    assert result.state is JobState.SUCCEEDED
    seen = losses(run)
    assert sum(seen[-3:]) < sum(seen[:3])
    loaded = load.load(run.artifact_path)
    assert torch.equal(parity.logits(loaded, of=plainly_loaded(run.artifact_path)), parity.logits(loaded))
    ids = torch.tensor([[2, 88, 86, 72]])
    with torch.no_grad():
        tuned, base = (model.model(input_ids=ids).logits for model in (loaded, load.load(models[family])))
    assert not torch.equal(tuned, base)


@pytest.mark.parametrize("family", FAMILIES)
def test_shortcuts_are_taken_only_where_they_are_exact(models: dict[str, Path], family: str) -> None:
    """Which families take them is written down here, so that losing one is noticed."""
    model = load.load_base(models[family])
    assert head_selects_rows(model)
    assert supports_end_to_end(model, longest=256) is (family in END_TO_END)


def make_classifier(family: str, directory: Path) -> Path:
    """A base that can be given a head of classes."""
    from transformers import AutoConfig, AutoModel

    if family in ("t5", "mt5"):
        return make_tiny_t5(directory, kind="mt5" if family == "mt5" else "t5")
    if family == "bart":
        return make_tiny_bart(directory, tokenizer_of=make_tiny_t5(directory.with_name("t5")))
    make_tiny_bert(directory)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        AutoModel.from_config(AutoConfig.for_model(family, **ENCODERS[family])).save_pretrained(directory)
    return directory


@pytest.mark.parametrize(
    "adapter", [LoRA(rank=4), LastLayers(layers=1), FullWeights()], ids=["lora", "last", "full"]
)
@pytest.mark.parametrize("family", [*ENCODERS, "t5", "mt5", "bart"])
def test_a_family_classifies_and_others_load_it(
    make_run: MakeRun, tmp_path: Path, family: str, adapter: Adapter
) -> None:
    base = make_classifier(family, tmp_path / "base")
    run = make_run(labelled(8), model=base, method=Classify(adapter=adapter), epochs=1)
    result = train(run)
    assert result is not None
    assert result.state is JobState.SUCCEEDED
    loaded = load.load(run.artifact_path)
    ours = parity.logits(loaded)
    assert ours.shape[-1] == 3
    assert torch.equal(parity.logits(loaded, of=plainly_loaded(run.artifact_path)), ours)


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
