"""Answers and scores from a loaded model. Knows requests and what is told of their answers; no family, and no files.

Prompts become tokens in `render` and `pairs`, the same code that training used, so serving cannot drift from training.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Mapping, Sequence
from typing import Any

import torch

from tunekit.errors import InvalidError
from tunekit.spec import Sampling
from tunekit.training.models.load import LoadedModel
from tunekit.training.serving import predict
from tunekit.training.serving.answering.base import Answering
from tunekit.training.serving.answering.decoder import DecoderAnswering
from tunekit.training.serving.answering.encoder_decoder import EncoderDecoderAnswering
from tunekit.training.serving.drafts import Draft, Ending
from tunekit.training.serving.numbers import require_numbers
from tunekit.training.serving.sampling import draw_key
from tunekit.training.serving.writing import batches, write
from tunekit.training.texts.reading import GrowingText


def generate(
    loaded: LoadedModel, requests: Sequence[Mapping[str, Any]], sampling: Sampling
) -> list[dict[str, Any]]:
    """One answer per request, in order: `{"text", "finish_reason", "usage"}`.

    An answer follows from the model, its prompt, the sampling and the seed, whatever is asked beside it. A classifier
    answers with the class, or for multi-label data with a JSON list of classes; see `predict`.

    Args:
        loaded: Model, tokenizer and how prompts are written for it.
        requests: Each with `prompt` (text or messages), optional `tools`, and optional `seed` before the sampling's.
        sampling: How answers are drawn.

    Raises:
        InvalidError: A prompt leaves no room for an answer.
        ModelError: The model computes NaN.
    """
    if loaded.classes is not None:
        return predict.generate(loaded, loaded.classes, requests)
    answering, ending = _answering(loaded), _ending(loaded, sampling)
    drafts = [_draft(answering, request, sampling, ending) for request in requests]
    for batch in batches(drafts):
        started = time.perf_counter()
        for _ in write(answering, batch, sampling):
            pass
        for draft in batch:
            draft.seconds = (time.perf_counter() - started) / len(batch)
    return [_answer(loaded, draft) for draft in drafts]


def stream(
    loaded: LoadedModel, request: Mapping[str, Any], sampling: Sampling
) -> Generator[str, None, dict[str, Any]]:
    """Pieces of an answer's text, one per token, as they are written; it returns what `generate` returns.

    A piece may be empty: a token may hold only part of a character, and what may become a stop string is held back.
    Closing the generator ends the computation. Raises what `generate` raises.
    """
    if loaded.classes is not None:
        (predicted,) = predict.generate(loaded, loaded.classes, [request])
        yield predicted["text"]
        return predicted
    answering, started, sent = _answering(loaded), time.perf_counter(), 0
    draft = _draft(answering, request, sampling, _ending(loaded, sampling))
    draft.growing = growing = GrowingText(loaded.tokenizer, draft.before)
    for _ in write(answering, [draft], sampling):
        if draft.finish_reason:
            break
        ready = len(growing.text) - draft.ending.held(growing.text)
        yield growing.text[sent:ready]
        sent = max(sent, ready)
    draft.seconds = time.perf_counter() - started
    answer = _answer(loaded, draft)
    yield answer["text"][sent:]
    return answer


def score(loaded: LoadedModel, requests: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Log-probabilities of each request's choices, in order: `{"log_probs", "tokens"}`.

    A choice counts with its end-of-turn token, so that "a" is not favoured over "ab". The prompt is computed once and
    shared by its choices. A classifier takes names of classes only; see `predict`.

    Raises:
        InvalidError: There is no choice, an empty one, or one that does not fit the model's context.
        ModelError: The model computes NaN.
    """
    if loaded.classes is not None:
        return predict.score(loaded, loaded.classes, requests)
    answering = _answering(loaded)
    return [_score(answering, request) for request in requests]


def _answering(loaded: LoadedModel) -> Answering:
    return EncoderDecoderAnswering(loaded) if loaded.family == "encoder-decoder" else DecoderAnswering(loaded)


def _draft(answering: Answering, request: Mapping[str, Any], sampling: Sampling, ending: Ending) -> Draft:
    prompt = answering.prompt_ids(request)
    before, seed = answering.continued(request, prompt), request.get("seed")
    return Draft(
        prompt=prompt,
        limit=min(sampling.max_tokens, answering.room(len(prompt))),
        key=draw_key(sampling.seed if seed is None else seed, prompt),
        ending=ending,
        before=before,
        growing=GrowingText(answering.loaded.tokenizer, before) if sampling.stop else None,
    )


def _ending(loaded: LoadedModel, sampling: Sampling) -> Ending:
    # A special token has no text in an answer, so asked for as a stop string it is found as a token.
    known = loaded.tokenizer.added_tokens_decoder.items()
    special = {token for token, said in known if said.special and said.content in sampling.stop}
    return Ending(
        tokens=frozenset(special.union(loaded.stop_ids)),
        strings=tuple(stop for stop in sampling.stop if stop),
    )


def _answer(loaded: LoadedModel, draft: Draft) -> dict[str, Any]:
    return {
        "text": draft.text(loaded.tokenizer),
        "finish_reason": draft.finish_reason,
        "usage": {
            "input_tokens": len(draft.prompt),
            "output_tokens": len(draft.tokens),
            "seconds": draft.seconds,
        },
    }


@torch.inference_mode()
def _score(answering: Answering, request: Mapping[str, Any]) -> dict[str, Any]:
    prompt = answering.prompt_ids(request)
    choices = [answering.choice_ids(request, choice, prompt) for choice in request["choices"]]
    if not choices:
        raise InvalidError("there are no choices to score", hint="give at least one")
    log_probs = answering.log_probs(prompt, choices)
    require_numbers(torch.tensor(log_probs).clamp(min=0.0))  # minus infinity is a choice that cannot be
    return {
        "log_probs": log_probs,
        "tokens": [len(choice) for choice in choices],
    }
