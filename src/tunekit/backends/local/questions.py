"""What the worker is asked and what it answers, as JSON has it. Knows the seam's types; not the pipe, and no model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tunekit.backends.base import GenerateRequest, Generation, Prompt, ScoreRequest, Scores
from tunekit.events import Usage
from tunekit.examples import message_to_dict


def question(request: GenerateRequest) -> dict[str, Any]:
    """A prompt to be answered."""
    tools = [dict(tool) for tool in request.tools]
    asked = {"prompt": _prompt(request.prompt), "tools": tools, "seed": request.seed}
    return {**asked, "continues": True} if request.continues else asked


def generation(answer: Mapping[str, Any]) -> Generation:
    """Its answer."""
    return Generation(
        text=answer["text"], finish_reason=answer["finish_reason"], usage=Usage(**answer["usage"])
    )


def weighing(request: ScoreRequest) -> dict[str, Any]:
    """A prompt with choices to be weighed."""
    tools = [dict(tool) for tool in request.tools]
    return {"prompt": _prompt(request.prompt), "choices": list(request.choices), "tools": tools}


def scores(answer: Mapping[str, Any]) -> Scores:
    """Their weights."""
    return Scores(log_probs=tuple(answer["log_probs"]), tokens=tuple(answer["tokens"]))


def _prompt(prompt: Prompt) -> str | list[dict[str, Any]]:
    return prompt if isinstance(prompt, str) else [message_to_dict(message) for message in prompt]
