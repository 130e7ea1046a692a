"""Features: every family, layer and pooling against plain transformers, end to end against one by one."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.unit.training.conftest import Base, MakeRun, train
from tests.unit.training.tiny_classifiers import FAMILIES, labelled
from tunekit.errors import ModelError, SpecError
from tunekit.spec import SFT, FullWeights
from tunekit.training.models import load
from tunekit.training.models.classifier import text_ids
from tunekit.training.models.families import family_of
from tunekit.training.plan.device import Device
from tunekit.training.probe.features import Features, layers_of, pooling_of
from tunekit.training.serving import sentence_files
from tunekit.training.serving.embed import Embedder
from tunekit.training.texts.template import Template

CPU = Device(name="cpu", frozen_dtype=torch.float32, compute_dtype=None)
DECODERS = ("llama", "qwen3", "gpt2")
# RoBERTa counts its positions from behind the padding token and T5 has its own attention: both are padded.
PADDED = ("roberta", "t5")
TEXTS = [example.text for example in labelled(8)]  # type: ignore[union-attr]
CELLS = [
    pytest.param(family, layer, pooling, id=f"{family}-{layer}-{pooling}")
    for family in FAMILIES
    for layer in (0, 1, -1)
    for pooling in ("mean", "cls", "last")
    if not (pooling == "cls" and family in DECODERS)
]


def features_of(path: Path, **options: Any) -> Features:
    return Features.of(load.load_base(path, head="none"), CPU, longest=64, **options)


def ids_of(path: Path) -> list[tuple[int, ...]]:
    template, family = Template.of(load.load_tokenizer(path)), family_of(load.load_config(path))
    return [text_ids(template, text, family) for text in TEXTS]


def by_hand(path: Path, ids: tuple[int, ...], layer: int, pooling: str) -> torch.Tensor:
    """One text alone through plain transformers."""
    from transformers import AutoModel, T5EncoderModel

    made = T5EncoderModel if path.name == "t5" else AutoModel
    model = made.from_pretrained(path).eval()
    with torch.no_grad():
        told = model(input_ids=torch.tensor([ids]), output_hidden_states=True)
    states: torch.Tensor = told.hidden_states[layer][0]
    return states.mean(dim=0) if pooling == "mean" else states[0 if pooling == "cls" else -1]


@pytest.mark.parametrize(("family", "layer", "pooling"), CELLS)
def test_vectors_are_those_of_plain_transformers(base: Base, family: str, layer: int, pooling: Any) -> None:
    features, ids = features_of(base(family), layer=layer, pooling=pooling), ids_of(base(family))
    found = features(ids)
    assert found.shape == (len(ids), 1, features.width)
    assert features.end_to_end == (family not in PADDED)
    for at in (0, 3):
        torch.testing.assert_close(
            found[at, 0], by_hand(base(family), ids[at], layer, pooling), rtol=0, atol=2e-6
        )
    assert (found[0] - found[1]).abs().max() > 1e-4 or (layer, pooling) in ((0, "cls"), (0, "last")), "alike"


@pytest.mark.parametrize("family", FAMILIES)
def test_texts_beside_each_other_do_not_see_each_other(base: Base, family: str) -> None:
    features, ids = features_of(base(family), layer="auto"), ids_of(base(family))
    assert len({len(text) for text in ids}) > 1
    together, alone = features(ids), torch.cat([features([text]) for text in ids])
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-6)


@pytest.mark.parametrize("family", [family for family in FAMILIES if family not in PADDED])
def test_end_to_end_is_padded(base: Base, family: str) -> None:
    from dataclasses import replace

    packed, ids = features_of(base(family), layer="auto", pooling="mean"), ids_of(base(family))
    model = load.load_base(base(family), head="none")
    padded = replace(packed, model=model, body=model, end_to_end=False)
    torch.testing.assert_close(packed(ids), padded(ids), rtol=0, atol=1e-6)


@pytest.mark.parametrize("family", ["bert", "roberta", "llama"])
def test_a_model_is_taken_twice(base: Base, family: str) -> None:
    """A probe's frozen model also makes vectors for users. Its attention was switched by then."""
    model, ids = load.load_base(base(family), head="none"), ids_of(base(family))
    first, second = (Features.of(model, CPU, longest=64) for _ in range(2))
    assert first.end_to_end == second.end_to_end
    assert torch.equal(first(ids), second(ids))


def test_only_the_layers_asked_for(base: Base) -> None:
    ids = ids_of(base("bert"))
    assert features_of(base("bert"), layer="auto").layers == (1, 2)
    several, last = features_of(base("bert"), layer="auto")(ids), features_of(base("bert"), layer=-1)(ids)
    assert several.shape[1] == 2
    assert torch.equal(several[:, 1:], last)


def test_auto_layers() -> None:
    assert [layers_of("auto", depth=depth) for depth in (1, 2, 6, 12, 32)] == [
        (1,),
        (1, 2),
        (3, 5, 6),
        (6, 9, 12),
        (16, 24, 32),
    ]


@pytest.mark.parametrize("layer", [7, -8])
def test_layer_that_is_not_there(layer: int) -> None:
    with pytest.raises(SpecError, match=r"layers are 0 .* to 6") as caught:
        layers_of(layer, depth=6)
    assert caught.value.hint


def test_pooling_that_says_nothing() -> None:
    with pytest.raises(SpecError, match="nothing of the text but its first token"):
        pooling_of("cls", "decoder")
    assert pooling_of("auto", "encoder-decoder") == "mean"


def test_encoder_without_a_pooler_has_states_all_the_same(base: Base, tmp_path: Path) -> None:
    from transformers import BertConfig, BertForMaskedLM

    torch.manual_seed(0)
    shutil.copytree(base("bert"), tmp_path / "masked")
    BertForMaskedLM(BertConfig.from_pretrained(base("bert"))).save_pretrained(tmp_path / "masked")
    assert features_of(tmp_path / "masked").width == 32


# --- vectors for users ----------------------------------------------------------------------------------


def with_sentence_files(path: Path, directory: Path, *modules: str, **pooling: Any) -> Path:
    shutil.copytree(path, directory)
    prefix = "sentence_transformers.models"
    listed = [
        {"path": f"{at}_{kind}" if at else "", "type": f"{prefix}.{kind}"} for at, kind in enumerate(modules)
    ]
    (directory / "modules.json").write_text(json.dumps(listed))
    (directory / "1_Pooling").mkdir()
    (directory / "1_Pooling" / "config.json").write_text(
        json.dumps({"word_embedding_dimension": 32, **pooling})
    )
    return directory


def embedded(path: Path, texts: list[str] = TEXTS) -> torch.Tensor:
    embedder = Embedder.of(load.load(path, head="none"), str(path))
    return torch.tensor(embedder([{"prompt": text} for text in texts]))


@pytest.mark.parametrize(
    "switches",
    [{"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}, {"pooling_mode": "cls"}],
    ids=["switches", "name"],
)
def test_embedding_follows_the_files_of_sentence_transformers(
    base: Base, tmp_path: Path, switches: Any
) -> None:
    path = with_sentence_files(
        base("bert"), tmp_path / "st", "Transformer", "Pooling", "Normalize", **switches
    )
    expected = torch.stack([by_hand(path, ids, -1, "cls") for ids in ids_of(path)])
    expected /= expected.norm(dim=1, keepdim=True)
    torch.testing.assert_close(embedded(path), expected, rtol=0, atol=2e-6)


@pytest.mark.parametrize(("family", "pooling"), [("bert", "mean"), ("llama", "last"), ("t5", "mean")])
def test_embedding_without_such_files(base: Base, family: str, pooling: str) -> None:
    expected = [by_hand(base(family), ids, -1, pooling) for ids in ids_of(base(family))]
    torch.testing.assert_close(embedded(base(family)), torch.stack(expected), rtol=0, atol=2e-6)


@pytest.mark.parametrize(
    ("modules", "pooling", "said"),
    [
        (("Transformer", "Pooling", "Dense"), {"pooling_mode": "mean"}, "Dense"),
        (("Transformer", "Pooling"), {"pooling_mode_max_tokens": True}, "max_tokens"),
    ],
)
def test_embedding_that_would_be_another(
    base: Base, tmp_path: Path, modules: tuple[str, ...], pooling: Any, said: str
) -> None:
    path = with_sentence_files(base("bert"), tmp_path / "st", *modules, **pooling)
    with pytest.raises(ModelError, match=said):
        embedded(path)


def test_the_default_prompt_stands_before_every_text(base: Base, tmp_path: Path) -> None:
    path = with_sentence_files(base("bert"), tmp_path / "st", "Transformer", "Pooling", pooling_mode="mean")
    settings = path / "config_sentence_transformers.json"
    settings.write_text('{"prompts": {"query": "query: "}, "default_prompt_name": null}')
    torch.testing.assert_close(embedded(path), embedded(base("bert")), rtol=0, atol=2e-6)
    settings.write_text('{"prompts": {"query": "query: "}, "default_prompt_name": "query"}')
    expected = embedded(base("bert"), [f"query: {text}" for text in TEXTS])
    torch.testing.assert_close(embedded(path), expected, rtol=0, atol=2e-6)
    pooling = path / "1_Pooling" / "config.json"
    pooling.write_text('{"pooling_mode": "mean", "include_prompt": false}')
    with pytest.raises(ModelError, match="pooling without the prompt"):
        embedded(path)


def test_a_whole_tuned_model_without_its_base(make_run: MakeRun, base: Base, tmp_path: Path) -> None:
    path = with_sentence_files(base("llama"), tmp_path / "st", "Transformer", "Pooling", pooling_mode="mean")
    run = make_run(model=path, method=SFT(adapter=FullWeights()), epochs=1)
    train(run)
    with_base = embedded(run.artifact_path)
    path.rename(tmp_path / "elsewhere")
    with pytest.raises(ModelError, match="makes vectors is said by the files of its base"):
        embedded(run.artifact_path)
    for name in ("modules.json", "1_Pooling"):
        (tmp_path / "elsewhere" / name).rename(run.artifact_path / name)
    assert torch.equal(embedded(run.artifact_path), with_base)


def test_a_model_of_nan_makes_no_vectors(base: Base) -> None:
    loaded = load.load(base("bert"), head="none")
    next(loaded.model.parameters()).data.fill_(float("nan"))
    with pytest.raises(ModelError, match="NaN"):
        Embedder.of(loaded, str(base("bert")))([{"prompt": "a"}])


def test_damaged_sentence_files(base: Base, tmp_path: Path) -> None:
    path = with_sentence_files(base("bert"), tmp_path / "st", "Transformer", "Pooling", pooling_mode="mean")
    (path / "modules.json").write_text('[{"type": "x.Pooling", "path": "../../elsewhere"}]')
    with pytest.raises(ModelError, match="outside the model's directory"):
        sentence_files.read(path)
    (path / "modules.json").write_text("[")
    with pytest.raises(ModelError, match="sentence-transformers files"):
        sentence_files.read(path)
