"""Scores of choices: what the whole text computed alone says, however choices are cut into passes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.unit.training import decoders
from tunekit.errors import InvalidError
from tunekit.training.models import load
from tunekit.training.models.load import LoadedModel
from tunekit.training.serving.answering import cached_choices, choice_tree
from tunekit.training.serving.answering.decoder import DecoderAnswering
from tunekit.training.serving.generate import score

PROMPTS = ["a", "where is my card? it was due on monday", "b" * 40]
CHOICES = ["card arrival", "card", "card arrival", "cash", "z" * 30, "top up by cash or cheque", "é"]


@pytest.fixture(scope="module", params=["plain", "gpt2", "sliding", "bloom"])
def loaded(request: pytest.FixtureRequest, llama: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    path = tmp_path_factory.mktemp("models") / "model"
    if request.param == "gpt2":
        return load.load(decoders.make_gpt2(path, tokenizer_of=llama))
    if request.param == "bloom":
        return load.load(decoders.make_bloom(path, tokenizer_of=llama))
    window = 8 if request.param == "sliding" else None
    return load.load(decoders.make_sliding(path, tokenizer_of=llama, window=window))


@torch.no_grad()
def whole_text(loaded: LoadedModel, prompt: str, choice: str) -> float:
    """Prompt and choice in one pass, without a cache."""
    answering, request = DecoderAnswering(loaded), {"prompt": prompt}
    before = answering.prompt_ids(request)
    after = answering.choice_ids(request, choice, before)
    logits = loaded.model(input_ids=torch.tensor([before + after]), use_cache=False).logits[0]
    log_probs = logits[len(before) - 1 : -1].double().log_softmax(-1)
    return float(log_probs[range(len(after)), after].sum())


def check(loaded: LoadedModel, choices: list[str]) -> None:
    requests = [{"prompt": prompt, "choices": choices} for prompt in PROMPTS]
    for found, prompt in zip(score(loaded, requests), PROMPTS, strict=True):
        expected = [whole_text(loaded, prompt, choice) for choice in choices]
        assert found["log_probs"] == pytest.approx(expected, rel=1e-5, abs=1e-4)
        assert found["tokens"] == [len(choice.encode()) + 1 for choice in choices]


@pytest.mark.parametrize(
    "choices",
    [CHOICES, CHOICES[:3], ["card"], ["card", "card"], [f"class {n}" for n in range(77)]],
    ids=["different", "with one beginning", "one", "twice the same", "77"],
)
def test_scores_are_those_of_the_whole_text(loaded: LoadedModel, choices: list[str]) -> None:
    check(loaded, choices)


@pytest.mark.parametrize(("logits", "tokens"), [(260 * 5, 1 << 15), (1 << 26, 60), (260, 1)])
def test_little_memory_changes_passes_and_no_score(
    loaded: LoadedModel, monkeypatch: pytest.MonkeyPatch, logits: int, tokens: int
) -> None:
    monkeypatch.setattr(cached_choices, "_LOGITS_TOGETHER", logits)
    monkeypatch.setattr(choice_tree, "_LOGITS", logits)
    monkeypatch.setattr(cached_choices, "_TOKENS_TOGETHER", tokens)
    monkeypatch.setattr(choice_tree, "_TOKENS", tokens)
    largest = 0

    def watch(module: Any, inputs: Any, output: torch.Tensor) -> None:
        nonlocal largest
        largest = max(largest, output.shape[0] * output.shape[1])

    handle = loaded.model.get_output_embeddings().register_forward_hook(watch)
    score(loaded, [{"prompt": PROMPTS[0], "choices": CHOICES}])
    handle.remove()
    assert largest <= max(len(CHOICES) if tokens > 60 else 1, logits // 260)
    check(loaded, CHOICES)


def test_the_prompt_is_computed_once_for_all_passes(
    loaded: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cached_choices, "_TOKENS_TOGETHER", 200)
    monkeypatch.setattr(choice_tree, "_TOKENS", 200)
    read: list[int] = []
    handle = loaded.model.get_input_embeddings().register_forward_hook(
        lambda module, inputs, output: read.append(output.shape[0] * output.shape[1])
    )
    score(loaded, [{"prompt": "p" * 100, "choices": [f"{n} of many" for n in range(20)]}])
    handle.remove()
    assert len(read) > 10
    assert [tokens for tokens in read if tokens >= 100] == read[:1]


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_choices_are_read_with_the_prompt_and_common_beginnings_once(
    loaded: LoadedModel, request: pytest.FixtureRequest, attention: str
) -> None:
    if request.node.callspec.params["loaded"] not in ("plain", "gpt2"):
        pytest.skip("its layers heed more than masks and positions")
    answering, prompt, choices = DecoderAnswering(loaded), "b" * 40, ["card one", "card two", "cash"]
    read: list[int] = []
    loaded.model.set_attn_implementation(attention)
    handle = loaded.model.get_input_embeddings().register_forward_hook(
        lambda module, inputs, output: read.append(output.shape[0] * output.shape[1])
    )
    check(loaded, choices)
    read.clear()
    score(loaded, [{"prompt": prompt, "choices": choices}])
    handle.remove()
    loaded.model.set_attn_implementation("sdpa")
    assert read[-1] == len(answering.prompt_ids({"prompt": prompt})) + len("card one" + "two" + "sh")


@pytest.mark.parametrize(
    ("choices", "problem"), [([], "no choices"), ([""], "no tokens"), (["x" * 2048], "context")]
)
def test_what_cannot_be_scored_is_refused(loaded: LoadedModel, choices: list[str], problem: str) -> None:
    with pytest.raises(InvalidError, match=problem):
        score(loaded, [{"prompt": "a", "choices": choices}])
