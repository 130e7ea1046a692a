"""Answers and scores from a loaded model. Knows batches and caches; not where the model came from or who asks.

Prompts become tokens in `render`, the same code that training used, so serving cannot drift from training.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch

from tunekit.errors import InvalidError
from tunekit.spec import Sampling
from tunekit.training import render
from tunekit.training.load import LoadedModel

_BATCH = 16
_CHOICES_AT_ONCE = 64


def generate(
    loaded: LoadedModel, requests: Sequence[Mapping[str, Any]], sampling: Sampling
) -> list[dict[str, Any]]:
    """One answer per request, in order: `{"text", "finish_reason", "usage"}`.

    Args:
        loaded: Model, tokenizer and how prompts are written for it.
        requests: Each with `prompt` (text or messages) and optional `tools`.
        sampling: How answers are drawn. With a temperature, equal requests and seed give equal answers.

    Raises:
        InvalidError: A prompt leaves no room for an answer.
    """
    prompts = [_prompt_ids(loaded, request) for request in requests]
    answers: list[dict[str, Any]] = [{} for _ in requests]
    for batch in _batches(prompts, room=loaded.max_length - sampling.max_tokens):
        for index, answer in zip(batch, _answer(loaded, [prompts[i] for i in batch], sampling), strict=True):
            answers[index] = answer
    return answers


def score(loaded: LoadedModel, requests: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Log-probabilities of each request's choices, in order: `{"log_probs", "tokens"}`.

    A choice counts with its end-of-turn token, so that "a" is not favoured over "ab". The prompt is computed once and
    its key/value cache shared by all of its choices.

    Raises:
        InvalidError: There is no choice, an empty one, or one that does not fit the model's context.
    """
    return [_score(loaded, request) for request in requests]


def _prompt_ids(loaded: LoadedModel, request: Mapping[str, Any]) -> list[int]:
    ids = render.render_prompt(
        loaded.template, request["prompt"], loaded.prompt_format, tools=request.get("tools", ())
    )
    if not ids:
        raise InvalidError("the prompt is empty", hint="give the model at least one token to start from")
    if len(ids) >= loaded.max_length:
        raise InvalidError(
            f"a prompt of {len(ids)} tokens leaves no room for an answer in a context of {loaded.max_length}",
            hint="shorten the prompt; nothing is cut silently",
        )
    return ids


def _batches(prompts: Sequence[Sequence[int]], *, room: int) -> Iterator[list[int]]:
    """Indices in batches of similar length, so that little is spent on padding.

    A prompt longer than `room` leaves less than the answer may take. It goes alone, or all beside it would be cut too.
    """
    order = sorted(range(len(prompts)), key=lambda index: len(prompts[index]))
    fitting = [index for index in order if len(prompts[index]) <= room]
    for start in range(0, len(fitting), _BATCH):
        yield fitting[start : start + _BATCH]
    for index in order[len(fitting) :]:
        yield [index]


@torch.inference_mode()
def _answer(loaded: LoadedModel, prompts: list[list[int]], sampling: Sampling) -> list[dict[str, Any]]:
    started = time.perf_counter()
    ids, mask = _left_padded(prompts, pad=loaded.stop_ids[0] if loaded.stop_ids else 0)
    device = loaded.model.device
    # This process serves nobody else, so seeding its generator touches no host.
    torch.manual_seed(sampling.seed)
    output = loaded.model.generate(
        input_ids=ids.to(device),
        attention_mask=mask.to(device),
        generation_config=_generation_config(loaded, sampling, longest=ids.shape[1]),
    )
    seconds = (time.perf_counter() - started) / len(prompts)
    return [
        _finish(loaded, sampling, prompt, row[ids.shape[1] :].tolist(), seconds)
        for prompt, row in zip(prompts, output, strict=True)
    ]


def _left_padded(prompts: list[list[int]], *, pad: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Ids and attention mask, both (batch, longest): answers begin where all prompts end."""
    longest = max(map(len, prompts))
    ids = torch.tensor([[pad] * (longest - len(prompt)) + prompt for prompt in prompts])
    mask = torch.tensor([[0] * (longest - len(prompt)) + [1] * len(prompt) for prompt in prompts])
    return ids, mask


def _generation_config(loaded: LoadedModel, sampling: Sampling, *, longest: int) -> Any:
    from transformers import GenerationConfig

    # What the config leaves open, transformers fills from the model's own; Sampling alone decides here.
    loaded.model.generation_config = GenerationConfig()
    drawn: dict[str, Any] = {"do_sample": False}
    if sampling.temperature > 0:
        drawn = {"do_sample": True, "temperature": sampling.temperature, "top_p": sampling.top_p, "top_k": 0}
    return GenerationConfig(
        max_new_tokens=min(sampling.max_tokens, loaded.max_length - longest),
        eos_token_id=list(loaded.stop_ids) or None,
        pad_token_id=loaded.stop_ids[0] if loaded.stop_ids else 0,
        **drawn,
    )


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
def _score(loaded: LoadedModel, request: Mapping[str, Any]) -> dict[str, Any]:
    prompt = _prompt_ids(loaded, request)
    choices = [_choice_ids(loaded, request, choice, prompt) for choice in request["choices"]]
    if not choices:
        raise InvalidError("there are no choices to score", hint="give at least one")
    device = loaded.model.device
    log_probs: list[float] = []
    for start in range(0, len(choices), _CHOICES_AT_ONCE):
        part = choices[start : start + _CHOICES_AT_ONCE]
        first = loaded.model(
            input_ids=torch.tensor([prompt], device=device), use_cache=True, logits_to_keep=1
        )
        cache = first.past_key_values
        cache.batch_repeat_interleave(len(part))
        log_probs += _choice_log_probs(loaded, first.logits[0, -1], cache, part)
    return {"log_probs": log_probs, "tokens": [len(choice) for choice in choices]}


def _choice_ids(loaded: LoadedModel, request: Mapping[str, Any], choice: str, prompt: list[int]) -> list[int]:
    ids = render.render_answer(
        loaded.template,
        choice,
        request["prompt"],
        loaded.prompt_format,
        tools=request.get("tools", ()),
        prompt_ids=prompt,
    )
    if not choice or not ids:
        raise InvalidError(f"choice {choice!r} has no tokens", hint="leave empty choices out")
    if len(prompt) + len(ids) > loaded.max_length:
        raise InvalidError(
            f"prompt and choice {choice[:40]!r} take {len(prompt) + len(ids)} tokens, more than the model's context"
            f" of {loaded.max_length}",
            hint="shorten the prompt; nothing is cut silently",
        )
    return ids


def _choice_log_probs(
    loaded: LoadedModel, next_logits: torch.Tensor, cache: Any, choices: list[list[int]]
) -> list[float]:
    """Summed log-probability (nats) of each choice after the cached prompt.

    Args:
        loaded: The model.
        next_logits: Logits behind the prompt's last token, shape (vocabulary,).
        cache: The prompt's key/value cache, repeated once per choice.
        choices: Token ids of each choice.
    """
    longest = max(map(len, choices))
    device = next_logits.device
    # Right padding needs no mask: with causal attention no real token looks at what follows it.
    ids = torch.tensor([choice + [0] * (longest - len(choice)) for choice in choices], device=device)
    logits = next_logits.expand(len(choices), 1, -1)
    if longest > 1:
        rest = loaded.model(input_ids=ids[:, :-1], past_key_values=cache, use_cache=True).logits
        logits = torch.cat([logits, rest], dim=1)
    picked = logits.float().log_softmax(dim=-1).gather(-1, ids[..., None])[..., 0]
    real = torch.arange(longest, device=device) < torch.tensor(
        [[len(choice)] for choice in choices], device=device
    )
    return picked.masked_fill(~real, 0.0).sum(dim=1).tolist()
