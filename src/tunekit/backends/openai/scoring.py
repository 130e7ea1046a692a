"""How likely a model finds answers that somebody else wrote. Knows the echo of /completions; draws no answer.

A chat completion gives log-probabilities of the tokens that the model drew, and of no others. The older endpoint can
echo a prompt with the log-probability of each of its tokens; of today's hosts vLLM does that. Others of the dialect
take the same request and answer without the echo, which would make every choice equally likely: that is an error here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import takewhile
from typing import Any

from tunekit.backends.base import ScoreRequest, Scores, all_answered
from tunekit.backends.openai import wire
from tunekit.backends.openai.questions import TEXT
from tunekit.backends.openai.side_by_side import outcome_of_each
from tunekit.backends.openai.transport import Call, Safety, Transport
from tunekit.errors import BackendError, SpecError

WHY_NOT = (
    "the host gives log-probabilities only of what the model itself drew, not of choices that it is shown"
)


async def score(
    transport: Transport, model: str, requests: Sequence[ScoreRequest], *, at_once: int
) -> list[Scores]:
    """Log-probabilities of each request's choices, in order, behind the same prompt.

    No end-of-answer token is weighed: it has no text, and texts are all that this endpoint takes.

    Raises:
        SpecError: A prompt is a chat, or has no text.
        BackendError: The host refused, or does not echo.
        PartialError: It did so for some of several.
        NotFoundError: There is no such model.
    """

    async def one(request: ScoreRequest) -> Scores:
        body = _body(model, request)
        call = Call(method="POST", path=TEXT, safety=Safety.REPEATABLE, body=body)
        return _scores((await transport.send(call)).json(), body["prompt"])

    return all_answered(await outcome_of_each(requests, one, at_once=at_once))


def _body(model: str, request: ScoreRequest) -> dict[str, Any]:
    prompt = request.prompt
    if not isinstance(prompt, str) or not prompt or request.tools:
        raise SpecError(
            "a choice is weighed there behind a plain text",
            hint="give a prompt that is a text and not empty, without tools: the host has no template to fill in",
        )
    # The prompt alone comes first: where its tokens end, those of a choice begin.
    texts = [prompt, *(prompt + choice for choice in request.choices)]
    return {"model": model, "prompt": texts, "max_tokens": 0, "echo": True, "logprobs": 1, "temperature": 0}


def _scores(body: Any, texts: Sequence[str]) -> Scores:
    echoes = [_echo(body, at, text) for at, text in enumerate(texts)]
    begins = [token for token, _ in echoes[0]]
    found = [_behind(begins, echo) for echo in echoes[1:]]
    return Scores(log_probs=tuple(map(sum, found)), tokens=tuple(map(len, found)))


def _behind(begins: Sequence[str], echo: Sequence[tuple[str, float | None]]) -> list[float]:
    """The log-probabilities behind the tokens of the prompt; a token that spans the border is the choice's."""
    pairs = zip(begins, (token for token, _ in echo), strict=False)
    shared = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
    found = [float(value) for _, value in echo[shared:] if value is not None]
    if not found or len(found) < len(echo) - shared:
        raise _not_echoed()
    return found


def _echo(body: Any, at: int, text: str) -> list[tuple[str, float | None]]:
    """The tokens of a text with what each is worth; of the first nobody can tell."""
    choice = _choice(body, at)
    told = wire.mapping(choice, "logprobs")
    tokens, values = wire.items(told, "tokens"), wire.items(told, "token_logprobs")
    is_whole = 0 < len(tokens) == len(values) and all(map(_is_value, values))
    if not is_whole or wire.text(choice, "text") != text:
        raise _not_echoed()
    return [(str(token), value) for token, value in zip(tokens, values, strict=True)]


def _is_value(value: Any) -> bool:
    return value is None or wire.is_number(value)


def _choice(body: Any, at: int) -> Mapping[str, Any]:
    choices = [item for item in wire.items(body, "choices") if isinstance(item, dict)]
    return next((item for place, item in enumerate(choices) if item.get("index", place) == at), {})


def _not_echoed() -> BackendError:
    return BackendError(
        "the host did not echo the text with the log-probability of each token",
        hint="choices cannot be weighed there; serve the model with vLLM, or let it generate and compare the answers",
    )
