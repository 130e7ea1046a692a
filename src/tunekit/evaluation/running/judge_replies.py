"""A judge's reply, asked for once. Knows models, chats and what is kept; not what is judged."""

from __future__ import annotations

from typing import cast

from tunekit._clock import SystemClock
from tunekit.backends import registry
from tunekit.backends.base import Backend, GenerateRequest, Generation
from tunekit.evaluation.running.keeping import Keeping, kept_for_judges
from tunekit.inference import Turns, as_prompt
from tunekit.refs import ModelRef
from tunekit.spec import Sampling


async def reply_of(
    model: str,
    messages: Turns,
    *,
    sampling: Sampling,
    backend: Backend | None,
    keeping: Keeping | None = None,
) -> Generation:
    """What a judge says, or has said to the same before.

    Args:
        model: A reference.
        messages: The chat that it is shown.
        sampling: How its reply is drawn.
        backend: A configured instance; None loads the backend by name.
        keeping: What is kept in this evaluation; None takes that of the evaluation that this is called in.

    Raises:
        TunekitError: The backend cannot be loaded, or what it raises.
    """
    keeping = keeping or kept_for_judges()
    reference = ModelRef(model)
    serving = registry.serving(reference.backend, backend, None)
    request = GenerateRequest(prompt=as_prompt(messages))
    if keeping is None:
        return (await serving.generate(reference.id, [request], sampling))[0]
    kept = await keeping.of(serving, reference)
    (key,), known = await kept.known([request], sampling)
    if key in known:
        return cast("Generation", known[key].answer)
    clock = SystemClock()
    started = clock.monotonic()
    (answer,) = await serving.generate(reference.id, [request], sampling)
    kept.keep([key], [answer], asking_s=clock.monotonic() - started)
    return answer
