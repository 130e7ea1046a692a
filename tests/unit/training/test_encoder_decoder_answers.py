"""What an encoder-decoder writes and how it scores choices: against transformers, one prompt at a time."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.unit.training.conftest import MakeRun, train
from tests.unit.training.tiny_bart import make_tiny_bart
from tunekit.errors import DataError, InvalidError
from tunekit.examples import CompletionExample, Message
from tunekit.spec import SFT, LoRA, Sampling
from tunekit.testing.tiny_models import make_tiny_t5
from tunekit.training.models import load
from tunekit.training.models.load import LoadedModel
from tunekit.training.serving.answering import cached_choices
from tunekit.training.serving.generate import generate, score

PROMPTS = ["a", "translate this: one two three", "b" * 30, "", "what is it?"]
KINDS = ("t5", "mt5", "bart")


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    directory = tmp_path_factory.mktemp("models")
    made = {kind: make_tiny_t5(directory / kind, kind=kind) for kind in ("t5", "mt5")}
    return {**made, "bart": make_tiny_bart(directory / "bart", tokenizer_of=made["t5"])}


@pytest.fixture
def adapter(make_run: MakeRun, models: dict[str, Path]) -> LoadedModel:
    """An adapter on a base that brings beams along."""
    run = make_run(model=models["bart"], method=SFT(adapter=LoRA(rank=4)), epochs=1)
    train(run)
    return load.load(run.artifact_path)


def greedy(loaded: LoadedModel, prompt: str, *, most: int) -> list[int]:
    """New tokens as transformers alone writes them, told of no beams."""
    from transformers import GenerationConfig

    model = loaded.model.get_base_model() if hasattr(loaded.model, "get_base_model") else loaded.model
    start = model.config.decoder_start_token_id
    model.generation_config = GenerationConfig(decoder_start_token_id=start, eos_token_id=1, pad_token_id=0)
    told = loaded.tokenizer(prompt, return_tensors="pt")
    ids: list[int] = model.generate(**told, max_new_tokens=most, do_sample=False)[0, 1:].tolist()
    return ids


def greedy_texts(loaded: LoadedModel, *, most: int) -> list[str]:
    written = [greedy(loaded, prompt, most=most) for prompt in PROMPTS]
    return [loaded.tokenizer.decode(ids, skip_special_tokens=True) for ids in written]


def asked(prompts: list[str]) -> list[dict[str, Any]]:
    return [{"prompt": prompt} for prompt in prompts]


@pytest.mark.parametrize("kind", KINDS)
def test_greedy_answers_are_those_of_transformers(models: dict[str, Path], kind: str) -> None:
    expected = greedy_texts(load.load(models[kind]), most=12)
    found = generate(load.load(models[kind]), asked(PROMPTS), Sampling(max_tokens=12))
    assert [answer["text"] for answer in found] == expected
    assert len(set(expected)) > 1, "the prompts must matter"
    assert found[0]["usage"]["input_tokens"] == 2


def test_an_adapter_answers_greedily_whatever_its_base_was_told(adapter: LoadedModel) -> None:
    found = generate(adapter, asked(PROMPTS), Sampling(max_tokens=12))
    assert [answer["text"] for answer in found] == greedy_texts(adapter, most=12)
    again = generate(adapter, asked(PROMPTS), Sampling(max_tokens=12))
    assert [answer["text"] for answer in again] == [answer["text"] for answer in found]


def test_draws_repeat_with_their_seed(models: dict[str, Path]) -> None:
    loaded = load.load(models["mt5"])
    texts = [
        [answer["text"] for answer in generate(loaded, asked(PROMPTS), sampling)]
        for sampling in (
            Sampling(max_tokens=8, temperature=1.0, seed=1),
            Sampling(max_tokens=8, temperature=1.0, seed=1),
            Sampling(max_tokens=8, temperature=1.0, seed=2),
        )
    ]
    assert texts[0] == texts[1] != texts[2]


def test_an_answer_ends_at_its_stop_token(models: dict[str, Path]) -> None:
    loaded = load.load(models["mt5"])
    (whole,) = generate(loaded, asked(["a"]), Sampling(max_tokens=12))
    assert (whole["finish_reason"], whole["usage"]["output_tokens"]) == ("length", 12)
    first, *_ = greedy(loaded, "a", most=1)
    stopping = dataclasses.replace(loaded, stop_ids=(first,))
    (cut,) = generate(stopping, asked(["a"]), Sampling(max_tokens=12))
    assert (cut["text"], cut["finish_reason"], cut["usage"]["output_tokens"]) == ("", "stop", 1)


@pytest.mark.parametrize("kind", KINDS)
def test_scores_are_sums_of_a_softmax_by_hand(models: dict[str, Path], kind: str) -> None:
    loaded, choices = load.load(models[kind]), ["yes", "no", "perhaps", "yes"]
    requests = [{"prompt": prompt, "choices": choices} for prompt in PROMPTS]
    for request, found in zip(requests, score(loaded, requests), strict=True):
        expected = [by_hand(loaded, str(request["prompt"]), choice) for choice in choices]
        assert found["log_probs"] == pytest.approx(expected, rel=1e-5)
        assert found["tokens"] == [4, 3, 8, 4]


def by_hand(loaded: LoadedModel, prompt: str, choice: str) -> float:
    told = loaded.tokenizer(prompt, return_tensors="pt")
    ids = loaded.tokenizer(text_target=choice)["input_ids"]
    begun = torch.tensor([[loaded.model.config.decoder_start_token_id, *ids[:-1]]])
    with torch.no_grad():
        logits = loaded.model(**told, decoder_input_ids=begun).logits[0]
    return float(logits.log_softmax(dim=-1)[range(len(ids)), ids].sum())


def test_many_choices_encode_their_prompt_once(models: dict[str, Path]) -> None:
    loaded = load.load(models["t5"])
    seen: list[int] = []
    loaded.model.get_encoder().register_forward_hook(
        lambda *told: seen.append(len(told[2].last_hidden_state))
    )
    score(loaded, [{"prompt": "a", "choices": [f"choice {n}" for n in range(20)]}])
    assert seen == [1]


def test_what_choices_look_at_is_computed_once(models: dict[str, Path]) -> None:
    loaded, read = load.load(models["t5"]), 0

    def count(module: Any, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        nonlocal read
        read += output.shape[0] * output.shape[1]

    loaded.model.decoder.block[0].layer[1].EncDecAttention.k.register_forward_hook(count)
    score(loaded, [{"prompt": "a" * 30, "choices": [f"choice {n}" for n in range(20)]}])
    assert read == len(loaded.tokenizer("a" * 30)["input_ids"])


def test_many_choices_are_scored_a_few_at_a_time(
    models: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cached_choices, "_LOGITS_TOGETHER", 260 * 12)
    loaded, choices, largest = load.load(models["bart"]), ["one", "one more", "two of these"], 0

    def watch(module: Any, inputs: Any, output: torch.Tensor) -> None:
        nonlocal largest
        largest = max(largest, output.shape[0] * output.shape[1])

    loaded.model.get_output_embeddings().register_forward_hook(watch)
    (found,) = score(loaded, [{"prompt": PROMPTS[1], "choices": choices}])
    assert largest <= 12
    assert found["log_probs"] == pytest.approx([by_hand(loaded, PROMPTS[1], it) for it in choices], rel=1e-5)


def test_one_user_message_is_its_text(models: dict[str, Path]) -> None:
    loaded = load.load(models["t5"])
    message = Message(role="user", content=PROMPTS[1])
    found = generate(loaded, [{"prompt": (message,)}, *asked(PROMPTS[1:2])], Sampling(max_tokens=6))
    assert found[0]["text"] == found[1]["text"]
    system = Message(role="system", content="Be brief.")
    with pytest.raises(DataError, match="the turns system, user, and the model has no chat template"):
        generate(loaded, [{"prompt": (system, message)}], Sampling(max_tokens=6))


class TestRoom:
    """Prompt and answer have 64 positions each in this BART."""

    def test_a_long_prompt_takes_nothing_from_the_answer(self, models: dict[str, Path]) -> None:
        loaded = dataclasses.replace(load.load(models["bart"]), stop_ids=())
        (answer,) = generate(loaded, asked(["a" * 63]), Sampling(max_tokens=100))
        assert answer["usage"]["input_tokens"] == answer["usage"]["output_tokens"] == 64

    def test_what_does_not_fit_is_refused(self, models: dict[str, Path]) -> None:
        loaded = load.load(models["bart"])
        with pytest.raises(InvalidError, match="prompt of 65 tokens"):
            generate(loaded, asked(["a" * 64]), Sampling(max_tokens=1))
        with pytest.raises(InvalidError, match="more than the model's context"):
            score(loaded, [{"prompt": "a", "choices": ["b" * 64]}])
        with pytest.raises(InvalidError, match="has no tokens"):
            score(loaded, [{"prompt": "a", "choices": [""]}])


def test_a_tuned_model_favours_what_it_learned(make_run: MakeRun, models: dict[str, Path]) -> None:
    rows = [
        CompletionExample(id=str(n), prompt=f"question {n % 2}", completion="yn"[n % 2]) for n in range(16)
    ]
    run = make_run(rows, model=models["t5"], method=SFT(adapter=LoRA(rank=8)), epochs=10)
    train(run)
    loaded = load.load(run.artifact_path)
    (answer,) = generate(loaded, asked(["question 0"]), Sampling(max_tokens=4))
    assert (answer["finish_reason"], answer["usage"]["output_tokens"]) == ("stop", 2)
    assert answer["text"] in ("y", "n")
    (found,) = score(loaded, [{"prompt": "question 0", "choices": ["y", "n", "zebra"]}])
    assert min(found["log_probs"][:2]) > found["log_probs"][2]
