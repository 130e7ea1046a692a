"""Answers as text and back, and the keys they are kept by. Knows requests and answers; not files or models."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from tunekit._canonical import canonical_json
from tunekit.backends.base import GenerateRequest, Generation, Prompt, ScoreRequest, Scores
from tunekit.events import Usage
from tunekit.examples import message_to_dict
from tunekit.spec import Sampling

Request: TypeAlias = GenerateRequest | ScoreRequest
Answer: TypeAlias = Generation | Scores


@dataclass(frozen=True, slots=True)
class Remembered:
    """An answer that was given before.

    Attributes:
        answer: The answer.
        asking_s: What it took of the model's time, in seconds.
        kept_at: Unix seconds.
    """

    answer: Answer
    asking_s: float
    kept_at: float


_LAYOUT = 1  # part of every key: count it up when a body, or what makes two questions equal, changes


def keys_of(model: Sequence[str], requests: Sequence[Request], sampling: Sampling | None) -> list[bytes]:
    """A key for each request: equal for what asks the same of the same model.

    A question that stands in a test twice is asked twice, and has two keys.

    Args:
        model: All that says who answers.
        requests: What is asked.
        sampling: How answers are drawn; None where choices are weighed.
    """
    drawn = None if sampling is None else sampling.model_dump(mode="json")
    same = canonical_json([_LAYOUT, *model, drawn])
    asked = [canonical_json(question(request)) for request in requests]
    seen: Counter[bytes] = Counter()
    keys = []
    for text in asked:
        digest = hashlib.sha256(len(same).to_bytes(8, "little") + same + text)
        digest.update(b"#%d" % seen[text])
        seen[text] += 1
        keys.append(digest.digest())
    return keys


def encoded(answer: object, *, asking_s: float) -> str | None:
    """An answer as JSON, with the time that it took the model in seconds; None for what is no answer."""
    if not isinstance(answer, Generation | Scores):
        return None
    return json.dumps({**_body(answer), "asking_s": asking_s})


def decoded(body: str, kept_at: float) -> Remembered | None:
    """What `encoded` was given; None for what is no such text."""
    try:
        found = json.loads(body)
        return Remembered(_answer(found), float(found["asking_s"]), kept_at)
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
        return None


def question(request: Request) -> list[Any]:
    """What is asked, as JSON can hold it."""
    tools = [dict(tool) for tool in request.tools]
    if isinstance(request, ScoreRequest):
        return ["score", _plain(request.prompt), tools, list(request.choices)]
    return ["generate", _plain(request.prompt), tools, request.seed, request.continues]


def _plain(prompt: Prompt) -> str | list[dict[str, Any]]:
    return prompt if isinstance(prompt, str) else [message_to_dict(turn) for turn in prompt]


def _body(answer: Answer) -> Mapping[str, Any]:
    if isinstance(answer, Scores):
        return {"log_probs": answer.log_probs, "tokens": answer.tokens}
    usage = answer.usage
    return {
        "text": answer.text,
        "finish_reason": answer.finish_reason,
        "usage": [usage.input_tokens, usage.output_tokens, usage.seconds],
        "note": answer.note,
    }


def _answer(found: Mapping[str, Any]) -> Answer:
    if "log_probs" in found:
        return Scores(
            log_probs=tuple(float(each) for each in found["log_probs"]),
            tokens=tuple(int(each) for each in found["tokens"]),
        )
    inputs, outputs, seconds = found["usage"]
    return Generation(
        text=str(found["text"]),
        finish_reason=str(found["finish_reason"]),
        usage=Usage(input_tokens=int(inputs), output_tokens=int(outputs), seconds=float(seconds)),
        note=str(found["note"]),
    )
