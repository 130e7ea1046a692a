"""One question to one model, on whatever backend it lives. Knows the seam; not evaluation, which asks thousands."""

from __future__ import annotations

from collections.abc import Iterable

from tunekit import _portal
from tunekit._settings import Settings
from tunekit.backends import registry
from tunekit.backends.base import Backend, GenerateRequest, Generation
from tunekit.examples import Message
from tunekit.refs import ModelRef
from tunekit.spec import Sampling


def generate(
    model: str,
    prompt: str | Iterable[Message],
    *,
    sampling: Sampling | None = None,
    backend: Backend | None = None,
    settings: Settings | None = None,
) -> Generation:
    """Answer one prompt with a base or tuned model.

    Args:
        model: `"<backend>:<model>"`, or what `FineTuneJob.result()` returned.
        prompt: Plain text, or the messages of a chat up to the answer.
        sampling: How the answer is drawn; None is greedy.
        backend: A configured instance; None loads the backend by name.
        settings: Knobs of the host; None reads the environment.

    Returns:
        The answer, why it ended and what it consumed.

    Raises:
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
    prompt: str | Iterable[Message],
    *,
    sampling: Sampling | None = None,
    backend: Backend | None = None,
    settings: Settings | None = None,
) -> Generation:
    """`generate` for code that runs on an event loop."""
    reference = ModelRef(model)
    serving = backend or registry.shared(reference.backend, settings=settings)
    request = GenerateRequest(prompt=prompt if isinstance(prompt, str) else tuple(prompt))
    answers = await serving.generate(reference.id, [request], sampling or Sampling())
    return answers[0]
