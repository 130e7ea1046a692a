"""Classes and their probabilities from a loaded classifier. Knows batches; not where the model came from."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch.nn import functional

from tunekit.data.wording import brief, listed, nearest
from tunekit.errors import InvalidError
from tunekit.training.models.classes import Classes
from tunekit.training.models.classifier import Classifier, text_ids
from tunekit.training.models.load import LoadedModel
from tunekit.training.plan.device import Device
from tunekit.training.probe.probed import ProbedModel
from tunekit.training.serving.numbers import require_numbers

_BATCH = 32


def generate(
    loaded: LoadedModel, classes: Classes, requests: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """The class of each request's text, in order: `{"text", "finish_reason", "usage"}`.

    The answer is the likeliest class; for multi-label data a JSON list of all that are likelier than not, sorted by
    name. Nothing is drawn, so sampling does not matter, and no token is written.

    Args:
        loaded: The classifier.
        classes: What it chooses from.
        requests: Each with `prompt`, the text as it is.

    Raises:
        InvalidError: A prompt is no plain text, is empty or is too long.
        ModelError: The model computes NaN.
    """
    started = time.perf_counter()
    texts = [_ids(loaded, request) for request in requests]
    logits = _logits(loaded, texts)
    seconds = (time.perf_counter() - started) / max(1, len(requests))
    return [
        {
            "text": classes.said(_chosen(row, classes)),
            "finish_reason": "stop",
            "usage": {"input_tokens": len(ids), "output_tokens": 0, "seconds": seconds},
        }
        for ids, row in zip(texts, logits, strict=True)
    ]


def score(
    loaded: LoadedModel, classes: Classes, requests: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Log-probabilities of each request's choices, in order: `{"log_probs", "tokens"}`.

    Of one class to a text they are those of the softmax over all classes; of several, each class's own, from a sigmoid.
    Every choice counts as one token.

    Raises:
        InvalidError: There is no choice, one is no class, or as `generate`.
    """
    wanted = [_places(classes, request["choices"]) for request in requests]
    logits = _logits(loaded, [_ids(loaded, request) for request in requests])
    return [
        {"log_probs": _log_probs(row, classes)[places].tolist(), "tokens": [1] * len(places)}
        for row, places in zip(logits, wanted, strict=True)
    ]


def _log_probs(logits: torch.Tensor, classes: Classes) -> torch.Tensor:
    return functional.logsigmoid(logits) if classes.multi_label else logits.log_softmax(dim=-1)


def _chosen(logits: torch.Tensor, classes: Classes) -> list[int]:
    if classes.multi_label:
        return [int(place) for place in (logits > 0).nonzero()[:, 0]]
    return [int(logits.argmax())]


def _places(classes: Classes, choices: Sequence[str]) -> list[int]:
    if not choices:
        raise InvalidError("there are no choices to score", hint="give at least one class")
    unknown = [choice for choice in choices if choice not in classes.names]
    if unknown:
        raise InvalidError(
            f"choice {brief(unknown[0])} is none of the classes that this model names",
            hint=nearest(unknown[0], classes.names) or f"its classes are {listed(classes.names)}",
        )
    return [classes.index(choice) for choice in choices]


def _ids(loaded: LoadedModel, request: Mapping[str, Any]) -> tuple[int, ...]:
    prompt = request["prompt"]
    if not isinstance(prompt, str) or request.get("tools"):
        raise InvalidError(
            "this model names the class of a text, and was asked with a chat or with tools",
            hint="give it the text itself as the prompt",
        )
    ids = text_ids(loaded.template, prompt, loaded.family)
    if len(ids) > loaded.max_length:
        raise InvalidError(
            f"a text of {len(ids)} tokens is longer than the {loaded.max_length} that this model reads",
            hint="shorten the text; nothing is cut silently",
        )
    return ids


@torch.inference_mode()
def _logits(loaded: LoadedModel, texts: Sequence[tuple[int, ...]]) -> list[torch.Tensor]:
    """Logits of each text, shape (classes,); those of similar length are computed together."""
    classifier = _classifier(loaded)
    order = sorted(range(len(texts)), key=lambda at: len(texts[at]))
    found: dict[int, torch.Tensor] = {}
    for start in range(0, len(order), _BATCH):
        batch = order[start : start + _BATCH]
        logits = classifier.logits([texts[at] for at in batch]).cpu()
        require_numbers(logits)
        found |= zip(batch, logits, strict=True)
    return [found[at] for at in range(len(texts))]


def _classifier(loaded: LoadedModel) -> Classifier | ProbedModel:
    model = loaded.model
    if isinstance(model, ProbedModel):
        return model
    device = Device(name=str(model.device), frozen_dtype=model.dtype, compute_dtype=None)
    return Classifier.of(model, device)
