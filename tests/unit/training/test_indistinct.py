"""An end of answers that a model was never trained on is told before the first step, where it cannot be learned."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.unit.training.conftest import MakeRun, events, train
from tunekit.spec import SFT, FullWeights, LastLayers, LoRA
from tunekit.testing.tiny_models import make_tiny_llama
from tunekit.training.models import load
from tunekit.training.models.indistinct import equals_of

END = 3  # <|im_end|>
LORA = LoRA(rank=4)
MakeModel = Callable[..., Path]


@pytest.fixture
def with_equals(tmp_path: Path) -> MakeModel:
    """Makes a model whose head has almost the same row for the end of a turn and some bytes."""

    def make(count: int, **options: Any) -> Path:
        path = make_tiny_llama(tmp_path / f"equals-{count}", **options)
        model = load.load_base(path)
        weight = model.get_output_embeddings().weight
        for at in range(count):
            weight[100 + at] = weight[END] + 1e-3 * weight[at]
        model.save_pretrained(path)
        return path

    return make


def warned(make_run: MakeRun, model: Path, adapter: Any = LORA) -> list[str]:
    run = make_run(name=f"run-{adapter.type}", model=model, method=SFT(adapter=adapter), epochs=1)
    train(run)
    (preflight,) = events(run, "preflight")
    return [text for text in preflight.report["warnings"] if "never trained" in text]


def test_lora_is_told(make_run: MakeRun, with_equals: MakeModel) -> None:
    (warning,) = warned(make_run, with_equals(2))
    assert "'<|im_end|>'" in warning
    assert "from 2 other tokens" in warning
    assert "FullWeights()" in warning


def test_a_head_of_its_own_may_be_trained(make_run: MakeRun, with_equals: MakeModel) -> None:
    model = with_equals(1, tied=False)
    assert warned(make_run, model)
    assert not warned(make_run, model, LastLayers(layers=1))


@pytest.mark.parametrize("adapter", [FullWeights(), LoRA(rank=2, target_modules=("q_proj", "lm_head"))])
def test_what_trains_the_head_can_learn_it(make_run: MakeRun, with_equals: MakeModel, adapter: Any) -> None:
    assert not warned(make_run, with_equals(2, tied=False), adapter)


def test_a_token_like_no_other_is_fine(make_run: MakeRun, llama: Path) -> None:
    assert not warned(make_run, llama)


def test_rows_that_transformers_adds_are_alike(llama: Path) -> None:
    model = load.load_base(llama)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model.resize_token_embeddings(264)
    model.requires_grad_(False)
    assert equals_of(model, 262) == 3
    assert equals_of(model, END) == 0


def test_why_auto_became_a_chat_or_a_text_is_told(make_run: MakeRun, llama: Path, tmp_path: Path) -> None:
    said = {}
    for name, model in (("chat", llama), ("text", make_tiny_llama(tmp_path / "bare", chat_template=None))):
        run = make_run(model=model, name=f"run-{name}", epochs=1)
        train(run)
        report = events(run, "preflight")[0].report
        said[report["prompt_format"]] = report["auto"]["prompt_format"]
    assert said == {
        "chat": "chat: the tokenizer has a chat template",
        "text": "text: the tokenizer has no chat template, so a prompt is written as it is",
    }
