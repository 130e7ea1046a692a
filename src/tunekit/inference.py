"""One question to one model, on whatever backend it lives. Knows the seam; not evaluation, which asks thousands."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

from tunekit import _portal
from tunekit._settings import Settings
from tunekit.backends import registry
from tunekit.backends.base import Backend, GenerateRequest, Generation, Prompt
from tunekit.data.messages import conversation
from tunekit.errors import DataError, SpecError
from tunekit.examples import Message, message_to_dict
from tunekit.refs import ModelRef
from tunekit.spec import Sampling

Turns: TypeAlias = Iterable[Message | Mapping[str, Any]]
"""A chat as code writes it: our messages, or dictionaries in OpenAI's shape."""


def generate(
    model: str,
    prompt: str | Turns,
    *,
    sampling: Sampling | None = None,
    backend: Backend | None = None,
    settings: Settings | None = None,
) -> Generation:
    """Answer one prompt with a base or tuned model.

    Args:
        model: `"<backend>:<model>"`, or what `FineTuneJob.result()` returned.
        prompt: Plain text, or the messages of a chat up to the answer, as `Message` or as `{"role", "content"}`.
        sampling: How the answer is drawn; None is greedy.
        backend: A configured instance; None loads the backend by name.
        settings: Knobs of the host; None reads the environment.

    Returns:
        The answer, why it ended and what it consumed.

    Raises:
        SpecError: The prompt is not one, or the backend given goes by another name.
        NotFoundError: No such backend or model.
        UnsupportedError: The backend cannot generate.

    Examples:
        >>> from tunekit.testing import ScriptedBackend
        >>> generate("scripted:base", "2+2?", backend=ScriptedBackend(generate=lambda prompt: "4")).text
        '4'
    """
    coroutine = generate_async(model, prompt, sampling=sampling, backend=backend, settings=settings)
    return _portal.run(coroutine, instead="tunekit.generate_async")


async def generate_async(
    model: str,
    prompt: str | Turns,
    *,
    sampling: Sampling | None = None,
    backend: Backend | None = None,
    settings: Settings | None = None,
) -> Generation:
    """`generate` for code that runs on an event loop."""
    reference = ModelRef(model)
    serving = registry.serving(reference.backend, backend, settings)
    request = GenerateRequest(prompt=_prompt(prompt))
    answers = await serving.generate(reference.id, [request], sampling or Sampling())
    return answers[0]


def _prompt(prompt: str | Turns) -> Prompt:
    """The prompt as it crosses the seam, checked as carefully as a row of data."""
    if isinstance(prompt, str):
        return prompt
    if isinstance(prompt, (Mapping, bytes)) or not isinstance(prompt, Iterable):
        raise SpecError(
            f"the prompt is a {type(prompt).__name__}",
            hint='write a text, or a list of messages: [{"role": "user", "content": "..."}]',
        )
    turns: list[Any] = [message_to_dict(turn) if isinstance(turn, Message) else turn for turn in prompt]
    try:
        return conversation([dict(turn) if isinstance(turn, Mapping) else turn for turn in turns], "prompt")
    except DataError as error:
        raise SpecError(f"{error.field}: {error.message}", hint=error.hint or "see tunekit.Message") from None
