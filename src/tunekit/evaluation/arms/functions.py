"""Functions of the host, asked as a backend is. Knows how they are called; not what they are or what they cost.

A sync one runs in a thread of its own, one question at a time, and may block. An async one is awaited, several
questions at once. What one raises, and what is no text, is an error of that question.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, ClassVar, NoReturn, Protocol, TypeAlias, runtime_checkable

from tunekit.backends.base import (
    Backend,
    EventPage,
    GenerateRequest,
    Generation,
    Prompt,
    Snapshot,
    SubmitRequest,
    all_answered,
)
from tunekit.backends.capabilities import Capabilities
from tunekit.data.wording import brief, shown
from tunekit.errors import EvaluationError, SpecError, TunekitError, UnsupportedError
from tunekit.evaluation.running.own_thread import called_in_own_thread
from tunekit.examples import message_to_dict
from tunekit.spec import Sampling

AnswerFunction: TypeAlias = Callable[[Any], Any]
"""Takes a text, or a chat as dictionaries in OpenAI's shape; returns the answer: text, `Generation`, or awaitable."""


@runtime_checkable
class Answers(Protocol):
    """Anything with a method `generate` that is called as an `AnswerFunction` is."""

    def generate(self, prompt: Any, /) -> Any:
        """The answer to a prompt."""


NAME = "function"
_NO_TOOLS = "the function was not shown the tools of the question"


class FunctionBackend(Backend):
    """A function that answers prompts, as a backend whose only verb is `generate`.

    Args:
        function: Sync or async.
    """

    name: ClassVar[str] = NAME
    capabilities: ClassVar[Capabilities] = Capabilities(methods=frozenset(), verbs=frozenset({"generate"}))

    def __init__(self, function: AnswerFunction) -> None:
        self._function = function
        self._turn = asyncio.Lock()

    async def submit(self, request: SubmitRequest) -> str:
        """Not supported."""
        self._unsupported("submit")

    async def snapshot(self, job_id: str) -> Snapshot:
        """Not supported."""
        self._unsupported("snapshot")

    async def events(self, job_id: str, cursor: str | None) -> EventPage:
        """Not supported."""
        self._unsupported("events")

    async def generate(
        self, model: str, requests: Sequence[GenerateRequest], sampling: Sampling
    ) -> list[Generation]:
        """What the function says to each prompt. It samples as it likes."""
        if _is_awaited(self._function):
            found: Sequence[object] = [self._call(request) for request in requests]
        else:
            async with self._turn:
                found = await called_in_own_thread(self._call, requests, thread="tunekit-function")
        outcomes = await asyncio.gather(*(_settled(answer) for answer in found))
        return all_answered([_with_note(*pair) for pair in zip(requests, outcomes, strict=True)])

    def _call(self, request: GenerateRequest) -> object:
        try:
            return self._function(_plain(request.prompt))
        except (Exception, SystemExit) as error:
            return _failed(error)

    def _unsupported(self, verb: str) -> NoReturn:
        raise UnsupportedError(
            f"a function cannot {verb}",
            hint="score the text that it answers, for example with ExactMatch",
            backend=self.name,
        )


def function_of(model: object) -> AnswerFunction:
    """What is called to get an answer: the object itself, or its method `generate`.

    Raises:
        SpecError: It cannot be called: it is a class, a backend, or something else.
    """
    if isinstance(model, Backend):
        raise SpecError(
            f"{type(model).__name__} is a backend and not a model of it",
            hint=f'name the model, "{model.name}:...", and pass backend=',
        )
    if not isinstance(model, type):
        if isinstance(model, Answers):
            return model.generate
        if callable(model):
            return model
    raise SpecError(
        f"{brief(model)} is not a model",
        hint='pass "<backend>:<model>", a function of the prompt, or an object with a method generate',
    )


def name_of(model: object) -> str:
    """What a function calls itself, or the class of an object."""
    name = getattr(model, "__name__", type(model).__name__)
    return name if isinstance(name, str) and name.isprintable() and name.strip() else "function"


def _plain(prompt: Prompt) -> str | list[dict[str, Any]]:
    return prompt if isinstance(prompt, str) else [message_to_dict(turn) for turn in prompt]


def _is_awaited(function: object) -> bool:
    # An instance with `async def __call__` is no coroutine function itself.
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(type(function).__call__)


async def _settled(found: object) -> Generation | TunekitError:
    """An answer, or why there is none."""
    try:
        answer = await found if inspect.isawaitable(found) else found
    except (Exception, SystemExit) as error:
        return _failed(error)
    if isinstance(answer, TunekitError | Generation):
        return answer
    if isinstance(answer, str):
        return Generation(text=answer, finish_reason="stop")
    return EvaluationError(
        f"the function answered with {shown(answer)}: {brief(answer)}",
        hint="return the answer's text, or raise where there is none",
    )


def _failed(error: BaseException) -> EvaluationError:
    failure = EvaluationError(
        f"{type(error).__name__}: {error}",
        hint=getattr(error, "hint", "") or "the function under test raised it; try it on this prompt alone",
    )
    failure.__cause__ = error
    return failure


def _with_note(request: GenerateRequest, outcome: Generation | TunekitError) -> Generation | TunekitError:
    if not request.tools or isinstance(outcome, TunekitError):
        return outcome
    return replace(outcome, note=_NO_TOOLS)
