"""Answers and scores from a loaded model. Knows batches and sampling; no family, nor where the model came from.

Prompts become tokens in `render` and `pairs`, the same code that training used, so serving cannot drift from training.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch

from tunekit.errors import InvalidError
from tunekit.spec import Sampling
from tunekit.training import predict
from tunekit.training.answering.base import Answering
from tunekit.training.answering.decoder import DecoderAnswering
from tunekit.training.answering.encoder_decoder import EncoderDecoderAnswering
from tunekit.training.load import LoadedModel

_BATCH = 16
_CHOICES_AT_ONCE = 64


def generate(
    loaded: LoadedModel, requests: Sequence[Mapping[str, Any]], sampling: Sampling
) -> list[dict[str, Any]]:
    """One answer per request, in order: `{"text", "finish_reason", "usage"}`.

    A classifier answers with the class, or for multi-label data with a JSON list of classes; see `predict`.

    Args:
        loaded: Model, tokenizer and how prompts are written for it.
        requests: Each with `prompt` (text or messages) and optional `tools`.
        sampling: How answers are drawn. With a temperature, equal requests and seed give equal answers.

    Raises:
        InvalidError: A prompt leaves no room for an answer.
    """
    if loaded.classes is not None:
        return predict.generate(loaded, loaded.classes, requests)
    answering = _answering(loaded)
    prompts = [answering.prompt_ids(request) for request in requests]
    answers: list[dict[str, Any]] = [{} for _ in requests]
    for batch in _batches([answering.room(len(ids)) >= sampling.max_tokens for ids in prompts], prompts):
        for index, answer in zip(
            batch, _answer(answering, [prompts[i] for i in batch], sampling), strict=True
        ):
            answers[index] = answer
    return answers


def score(loaded: LoadedModel, requests: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Log-probabilities of each request's choices, in order: `{"log_probs", "tokens"}`.

    A choice counts with its end-of-turn token, so that "a" is not favoured over "ab". The prompt is computed once and
    shared by its choices. A classifier takes names of classes only; see `predict`.

    Raises:
        InvalidError: There is no choice, an empty one, or one that does not fit the model's context.
    """
    if loaded.classes is not None:
        return predict.score(loaded, loaded.classes, requests)
    answering = _answering(loaded)
    return [_score(answering, request) for request in requests]


def _answering(loaded: LoadedModel) -> Answering:
    return EncoderDecoderAnswering(loaded) if loaded.family == "encoder-decoder" else DecoderAnswering(loaded)


def _batches(has_room: Sequence[bool], prompts: Sequence[Sequence[int]]) -> Iterator[list[int]]:
    """Indices in batches of similar length, so that little is spent on padding.

    A prompt that leaves less room than the answer may take goes alone, or all beside it would be cut too.
    """
    order = sorted(range(len(prompts)), key=lambda index: len(prompts[index]))
    fitting = [index for index in order if has_room[index]]
    for start in range(0, len(fitting), _BATCH):
        yield fitting[start : start + _BATCH]
    for index in order:
        if not has_room[index]:
            yield [index]


@torch.inference_mode()
def _answer(answering: Answering, prompts: list[list[int]], sampling: Sampling) -> list[dict[str, Any]]:
    started = time.perf_counter()
    room = answering.room(max(map(len, prompts)))
    # This process serves nobody else, so seeding its generator touches no host.
    torch.manual_seed(sampling.seed)
    written = answering.written(prompts, _generation_config(answering.loaded, sampling, room=room))
    seconds = (time.perf_counter() - started) / len(prompts)
    return [
        _finish(answering.loaded, sampling, prompt, row.tolist(), seconds)
        for prompt, row in zip(prompts, written, strict=True)
    ]


def _generation_config(loaded: LoadedModel, sampling: Sampling, *, room: int) -> Any:
    from transformers import GenerationConfig

    _forget_own_sampling(loaded.model)
    drawn: dict[str, Any] = {"do_sample": False}
    if sampling.temperature > 0:
        drawn = {"do_sample": True, "temperature": sampling.temperature, "top_p": sampling.top_p, "top_k": 0}
    return GenerationConfig(
        max_new_tokens=min(sampling.max_tokens, room),
        eos_token_id=list(loaded.stop_ids) or None,
        pad_token_id=loaded.stop_ids[0] if loaded.stop_ids else 0,
        **drawn,
    )


def _forget_own_sampling(model: Any) -> None:
    """What a config leaves open, transformers fills from the model's own. `Sampling` alone decides here."""
    from transformers import GenerationConfig

    # PEFT hands its own attribute on to decoders and to nothing else, so it is set where it is read.
    bare = model.get_base_model() if hasattr(model, "get_base_model") else model
    start = getattr(bare.generation_config, "decoder_start_token_id", None)
    bare.generation_config = GenerationConfig(decoder_start_token_id=start)


def _finish(
    loaded: LoadedModel, sampling: Sampling, prompt: list[int], new: list[int], seconds: float
) -> dict[str, Any]:
    end = next((at for at, token in enumerate(new) if token in loaded.stop_ids), None)
    text = loaded.tokenizer.decode(new[:end], skip_special_tokens=True)
    cut = min((at for stop in sampling.stop if (at := text.find(stop)) >= 0), default=None)
    return {
        "text": text[:cut],
        "finish_reason": "length" if end is None and cut is None else "stop",
        "usage": {
            "input_tokens": len(prompt),
            "output_tokens": len(new) if end is None else end + 1,
            "seconds": seconds,
        },
    }


@torch.inference_mode()
def _score(answering: Answering, request: Mapping[str, Any]) -> dict[str, Any]:
    prompt = answering.prompt_ids(request)
    choices = [answering.choice_ids(request, choice, prompt) for choice in request["choices"]]
    if not choices:
        raise InvalidError("there are no choices to score", hint="give at least one")
    log_probs: list[float] = []
    for start in range(0, len(choices), _CHOICES_AT_ONCE):
        log_probs += answering.log_probs(prompt, choices[start : start + _CHOICES_AT_ONCE])
    return {"log_probs": log_probs, "tokens": [len(choice) for choice in choices]}
