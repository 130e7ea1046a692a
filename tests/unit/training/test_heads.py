"""Heads that a base has already, heads that begin anew, and which weights the last layers are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.unit.training.conftest import MakeRun, artifact_bytes, events, losses, train
from tests.unit.training.tiny_classifiers import CLASSES, FAMILIES, labelled, make_classifier_base
from tunekit.errors import ModelError
from tunekit.examples import LabelledExample
from tunekit.spec import SFT, Classify, LastLayers, LoRA
from tunekit.testing.tiny_models import make_tiny_bert, make_tiny_llama, make_tiny_t5
from tunekit.training.models import heads, load
from tunekit.training.models.adapters import make_trainable, trainable_parameters
from tunekit.training.models.classes import Classes
from tunekit.training.models.classifier import text_ids
from tunekit.training.models.families import family_of
from tunekit.training.texts.template import Template

THREE = Classes(names=CLASSES)
LAST_OF = {
    "bert": {"bert.encoder.layer.1", "bert.pooler", "classifier"},
    "ernie": {"ernie.encoder.layer.1", "ernie.pooler", "classifier"},
    "roberta": {"roberta.encoder.layer.1", "classifier"},
    "distilbert": {"distilbert.transformer.layer.1", "pre_classifier", "classifier"},
    "llama": {"model.layers.1", "model.norm", "score"},
    "qwen3": {"model.layers.1", "model.norm", "score"},
    "gpt2": {"transformer.h.1", "transformer.ln_f", "score"},
    "t5": {"transformer.decoder.block.1", "transformer.decoder.final_layer_norm", "classification_head"},
}


@pytest.fixture
def with_head(bert: Path, tmp_path: Path) -> Path:
    """A base that somebody has trained for our three classes."""
    return saved_with_head(bert, tmp_path / "with-head", THREE)


def saved_with_head(base: Path, directory: Path, classes: Classes) -> Path:
    tokenizer = load.load_tokenizer(base)
    load.load_classifier(base, tokenizer, classes, seed=9)[0].save_pretrained(directory)
    tokenizer.save_pretrained(directory)
    return directory


def head_of(source: Path, classes: Classes, *, seed: int = 0) -> tuple[torch.Tensor, str]:
    model, told = load.load_classifier(source, load.load_tokenizer(source), classes, seed=seed)
    return model.classifier.weight.detach(), told


class TestBeginning:
    """What a head begins with."""

    def test_a_new_one_follows_from_the_seed_alone(self, bert: Path) -> None:
        torch.manual_seed(1)
        first, told = head_of(bert, THREE, seed=5)
        torch.manual_seed(2)
        before = torch.random.get_rng_state()
        assert torch.equal(head_of(bert, THREE, seed=5)[0], first)
        assert not torch.equal(head_of(bert, THREE, seed=6)[0], first)
        assert told == ""
        assert first.std() == pytest.approx(0.02, rel=0.3), "BERT's initializer_range"
        assert before.shape == torch.random.get_rng_state().shape

    def test_one_for_the_same_classes_is_kept(self, with_head: Path) -> None:
        kept, told = head_of(with_head, THREE, seed=1)
        assert torch.equal(kept, head_of(with_head, THREE, seed=2)[0])
        assert told == "the base has a head for these 3 classes already; training goes on with it"

    @pytest.mark.parametrize(
        "classes",
        [
            Classes(names=("billing", "delivery", "other")),
            Classes(names=("billing", "delivery")),
            Classes(names=CLASSES, multi_label=True),
        ],
        ids=["other names", "another number", "several to a text"],
    )
    def test_one_for_other_classes_is_replaced(self, with_head: Path, bert: Path, classes: Classes) -> None:
        found, told = head_of(with_head, classes, seed=5)
        assert "head for 'billing', 'delivery', 'refund' is replaced by a new one" in told
        assert torch.equal(found, head_of(bert, classes, seed=5)[0])

    def test_the_run_says_so(self, make_run: MakeRun, with_head: Path) -> None:
        run = make_run(labelled(), model=with_head, method=Classify(), epochs=1)
        train(run)
        assert any("training goes on with it" in event.message for event in events(run, "notice"))

    def test_a_pooler_that_masked_language_models_lack_is_new_and_trained(
        self, make_run: MakeRun, bert: Path, tmp_path: Path
    ) -> None:
        from transformers import BertConfig, BertForMaskedLM

        base = tmp_path / "masked"
        BertForMaskedLM(BertConfig.from_pretrained(bert)).save_pretrained(base)
        load.load_tokenizer(bert).save_pretrained(base)
        first, again = (
            make_run(labelled(), name=name, model=base, method=Classify(adapter=LoRA(rank=2)), epochs=1)
            for name in ("a", "b")
        )
        train(first)
        train(again)
        assert artifact_bytes(first) == artifact_bytes(again)
        pooler = load.load(first.artifact_path).model.get_base_model().bert.pooler
        assert pooler.modules_to_save["default"].dense.weight.abs().sum() > 0

    def test_other_weights_may_not_be_missing(self, bert: Path, tmp_path: Path) -> None:
        from safetensors.torch import load_file, save_file

        base = saved_with_head(bert, tmp_path / "damaged", THREE)
        weights = load_file(base / "model.safetensors")
        del weights["bert.encoder.layer.1.output.dense.weight"]
        save_file(weights, base / "model.safetensors", {"format": "pt"})
        with pytest.raises(
            ModelError, match=r"lacks weights for \['bert\.encoder\.layer\.1\.output\.dense\.weight'\]"
        ):
            head_of(base, THREE)

    def test_nothing_to_pad_with(self, tmp_path: Path) -> None:
        base = make_tiny_llama(tmp_path / "llama")
        config, tokenizer = load.load_config(base), load.load_tokenizer(base)
        config.pad_token_id = tokenizer.pad_token = tokenizer.eos_token = None
        with pytest.raises(ModelError, match="names a token to pad"):
            heads.describe(config, THREE, tokenizer=tokenizer)
        tokenizer.eos_token = "<|endoftext|>"
        heads.describe(config, THREE, tokenizer=tokenizer)
        assert config.pad_token_id == tokenizer.eos_token_id


@pytest.mark.parametrize(
    ("make", "ids"),
    [(make_tiny_bert, [2, 1]), (make_tiny_llama, []), (make_tiny_t5, [1])],
    ids=["bert", "llama", "t5"],
)
def test_a_text_is_read_with_the_special_tokens_of_its_tokenizer_and_no_others(
    make: Any, ids: list[int], tmp_path: Path
) -> None:
    base = make(tmp_path / "model")
    template = Template.of(load.load_tokenizer(base))
    family = family_of(load.load_config(base))
    special = set(template.tokenizer.all_special_ids)
    typed = "a [SEP] </s> <|im_end|> [PAD] b"
    found = text_ids(template, typed, family)
    assert [token for token in found if token in special] == ids
    assert template.tokenizer.decode([token for token in found if token not in special]) == typed


def test_positions_of_roberta_begin_behind_its_padding(tmp_path: Path) -> None:
    base = make_classifier_base("roberta", tmp_path / "roberta")
    model, _ = load.load_classifier(base, load.load_tokenizer(base), THREE)
    assert load.model_max_length(model) == 127, "128 positions, and padding is id 0"
    ids = torch.full((1, 127), 5)
    model(input_ids=ids, attention_mask=torch.ones_like(ids))
    with pytest.raises((IndexError, RuntimeError)):
        model(input_ids=torch.full((1, 128), 5), attention_mask=torch.ones((1, 128)))


class TestLastLayers:
    """Which weights they are, family by family, and that nothing else moves."""

    @pytest.mark.parametrize("family", FAMILIES)
    def test_of_a_classifier(self, tmp_path: Path, family: str) -> None:
        base = make_classifier_base(family, tmp_path / family)
        model, _ = load.load_classifier(base, load.load_tokenizer(base), THREE)
        trained = set(trainable_parameters(make_trainable(model, LastLayers(layers=1), seed=0)))
        parts = LAST_OF[family]
        expected = {
            name for name, _ in model.named_parameters() if name.startswith(tuple(f"{p}." for p in parts))
        }
        assert trained == expected
        assert all(any(name.startswith(f"{part}.") for name in trained) for part in parts)

    @pytest.mark.parametrize(
        ("make", "parts"),
        [
            (lambda path: make_tiny_llama(path, tied=False), {"model.layers.1.", "model.norm.", "lm_head."}),
            (make_tiny_llama, {"model.layers.1.", "model.norm."}),
            (make_tiny_t5, {"decoder.block.1.", "decoder.final_layer_norm."}),
        ],
        ids=["llama", "llama with a tied head", "t5"],
    )
    def test_of_a_language_model(self, make_run: MakeRun, tmp_path: Path, make: Any, parts: set[str]) -> None:
        base = make(tmp_path / "base")
        run = make_run(model=base, method=SFT(adapter=LastLayers(layers=1)), epochs=4)
        train(run)
        seen = losses(run)
        assert sum(seen[-3:]) < sum(seen[:3])
        before, after = (load.load(source).model.state_dict() for source in (base, run.artifact_path))
        moved = {name for name in before if not torch.equal(before[name], after[name])}
        assert moved == {name for name in before if name.startswith(tuple(parts))}

    def test_more_than_there_are(self, bert: Path) -> None:
        model, _ = load.load_classifier(bert, load.load_tokenizer(bert), THREE)
        with pytest.raises(ModelError, match="has 2 layers, so its last 3 cannot") as caught:
            make_trainable(model, LastLayers(layers=3), seed=0)
        assert "layers=2" in str(caught.value.hint)


def test_a_text_of_its_own_class_is_told_from_the_others(make_run: MakeRun, bert: Path) -> None:
    """A class whose name is a number, and one that is empty, are names like any other."""
    rows = [
        LabelledExample(id=str(n), text="zz" if n % 2 else "oo", label=("", "7")[n % 2]) for n in range(12)
    ]
    run = make_run(rows, model=bert, method=Classify(), epochs=2)
    train(run)
    found = load.load(run.artifact_path)
    assert found.classes == Classes(names=("", "7"))
