"""One question to one model, on whatever backend it lives: its answer, how it weighs given ones, or vectors.

Knows the seam; not evaluation, which asks thousands.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Self, TypeAlias

from tunekit import _portal
from tunekit._settings import Settings
from tunekit.backends import registry
from tunekit.backends.base import Backend, GenerateRequest, Generation, Prompt, ScoreRequest, Scores
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
    request = GenerateRequest(prompt=as_prompt(prompt))
    answers = await serving.generate(reference.id, [request], sampling or Sampling())
    return answers[0]


def score(
    model: str,
    prompt: str | Turns,
    choices: Sequence[str],
    *,
    backend: Backend | None = None,
    settings: Settings | None = None,
) -> Scores:
    """How likely a model finds each of some answers: a choice among labels, without one that is none of them.

    Args:
        model: As for `generate`.
        prompt: As for `generate`.
        choices: The answers.
        backend: As for `generate`.
        settings: As for `generate`.

    Returns:
        The log-probability of each choice, in nats, and its length in tokens.

    Raises:
        SpecError: The prompt or the choices are none, or the backend given goes by another name.
        NotFoundError: No such backend or model.
        UnsupportedError: The backend cannot weigh answers.

    Examples:
        >>> from tunekit.testing import ScriptedBackend
        >>> weigh = ScriptedBackend(score=lambda prompt, choice: -float(len(choice)))
        >>> score("scripted:base", "Yes or no?", ["yes", "no"], backend=weigh).log_probs
        (-3.0, -2.0)
    """
    coroutine = score_async(model, prompt, choices, backend=backend, settings=settings)
    return _portal.run(coroutine, instead="tunekit.score_async")


async def score_async(
    model: str,
    prompt: str | Turns,
    choices: Sequence[str],
    *,
    backend: Backend | None = None,
    settings: Settings | None = None,
) -> Scores:
    """`score` for code that runs on an event loop."""
    reference = ModelRef(model)
    serving = registry.serving(reference.backend, backend, settings)
    request = ScoreRequest(prompt=as_prompt(prompt), choices=_texts(choices, "choices"))
    scores = await serving.score(reference.id, [request])
    return scores[0]


def embed(
    model: str,
    texts: Sequence[str],
    *,
    backend: Backend | None = None,
    settings: Settings | None = None,
) -> list[list[float]]:
    """A vector for each text: what a model, base or tuned, makes of it before any head.

    Args:
        model: As for `generate`.
        texts: The texts.
        backend: As for `generate`.
        settings: As for `generate`.

    Returns:
        One vector per text, in order, all of one length.

    Raises:
        SpecError: The texts are none, or the backend given goes by another name.
        NotFoundError: No such backend or model.
        UnsupportedError: The backend makes no vectors.

    Examples:
        >>> from tunekit.testing import ScriptedBackend
        >>> embed("scripted:base", ["a text"], backend=ScriptedBackend())
        Traceback (most recent call last):
        tunekit.errors.UnsupportedError: backend 'scripted' cannot embed
          hint: see Backend.capabilities for what it does
    """
    coroutine = embed_async(model, texts, backend=backend, settings=settings)
    return _portal.run(coroutine, instead="tunekit.embed_async")


async def embed_async(
    model: str,
    texts: Sequence[str],
    *,
    backend: Backend | None = None,
    settings: Settings | None = None,
) -> list[list[float]]:
    """`embed` for code that runs on an event loop."""
    reference = ModelRef(model)
    serving = registry.serving(reference.backend, backend, settings)
    return await serving.embed(reference.id, _texts(texts, "texts"))


def stream(
    model: str,
    prompt: str | Turns,
    *,
    sampling: Sampling | None = None,
    backend: Backend | None = None,
    settings: Settings | None = None,
) -> AnswerStream:
    """Answer one prompt piece by piece, as the answer is written.

    The pieces together are the text that `generate` answers. A backend that cannot write piece by piece gives one.

    Args:
        model: As for `generate`.
        prompt: As for `generate`.
        sampling: As for `generate`.
        backend: As for `generate`.
        settings: As for `generate`.

    Returns:
        The answer's text, for `for` and `async for`; nothing is asked before the first piece is.

    Raises:
        SpecError: The prompt is not one, or the backend given goes by another name.
        NotFoundError: No such backend; while iterating, no such model.
        UnsupportedError: While iterating: the backend cannot generate.

    Examples:
        >>> from tunekit.testing import ScriptedBackend
        >>> "".join(stream("scripted:base", "2+2?", backend=ScriptedBackend(generate=lambda prompt: "4")))
        '4'
    """
    reference = ModelRef(model)
    serving = registry.serving(reference.backend, backend, settings)
    request = GenerateRequest(prompt=as_prompt(prompt))
    return AnswerStream(serving.stream(reference.id, request, sampling or Sampling()))


class AnswerStream(Iterator[str], AsyncIterator[str]):
    """Pieces of an answer's text as they are written; it is what `stream` returns.

    Use it with `for` or `async for`, and one reader at a time. Leave it early with `close`, or by the end of a `with`
    block, and the computation ends.

    Args:
        pieces: As `Backend.stream` gives them.

    Examples:
        >>> from tunekit.testing import ScriptedBackend
        >>> with stream("scripted:base", "2+2?", backend=ScriptedBackend(generate=lambda prompt: "4")) as pieces:
        ...     print("".join(pieces), pieces.answer.finish_reason)
        4 stop
    """

    def __init__(self, pieces: AsyncIterator[str | Generation]) -> None:
        self._pieces = pieces
        self._answer: Generation | None = None

    @property
    def answer(self) -> Generation | None:
        """The whole answer, why it ended and what it consumed; None until all pieces are read."""
        return self._answer

    def __iter__(self) -> Self:
        return self

    def __aiter__(self) -> Self:
        return self

    def __next__(self) -> str:
        piece = _portal.run(self._next(), instead="async for")
        if piece is None:
            raise StopIteration
        return piece

    async def __anext__(self) -> str:
        piece = await self._next()
        if piece is None:
            raise StopAsyncIteration
        return piece

    def close(self) -> None:
        """End the computation, if it has not ended."""
        _portal.run(self.aclose(), instead="AnswerStream.aclose")

    async def aclose(self) -> None:
        """`close` for code that runs on an event loop."""
        if isinstance(self._pieces, AsyncGenerator):
            await self._pieces.aclose()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def _next(self) -> str | None:
        """The next piece, or None at the end."""
        async for piece in self._pieces:
            if isinstance(piece, str):
                return piece
            self._answer = piece
        return None


def _texts(values: Sequence[str], name: str) -> tuple[str, ...]:
    if isinstance(values, (str, bytes)) or not all(isinstance(value, str) for value in values):
        raise SpecError(f"{name} is not a list of texts", hint=f"write {name} as a list of str")
    if not values:
        raise SpecError(f"{name} is empty", hint="give at least one text")
    return tuple(values)


def as_prompt(prompt: str | Turns) -> Prompt:
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
