"""Functions of the host as scorers. Knows how they are called; not what they decide."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeAlias

from tunekit.backends.base import Generation
from tunekit.data.wording import brief
from tunekit.errors import SpecError
from tunekit.evaluation.items import Item
from tunekit.evaluation.metrics.table import CORPUS
from tunekit.evaluation.scorers.base import AnswerScorer, ChoiceScorer, Config, ScoreLike, Scorer

ScoreFunction: TypeAlias = Callable[[Item, str], ScoreLike | Awaitable[ScoreLike]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Custom(AnswerScorer):
    """A function of your own as a scorer: `function(item, answer_text)` returns a number, or raises.

    Attributes:
        function: Sync or async. A sync one runs in a thread of its own, one item at a time, and may block. An
            async one is awaited, several items at once.
        name: Column in the results.
        higher_is_better: Whether more is better.
        corpus: A metric of the whole test, by its name in `evaluation.metrics.table.CORPUS`, for a function that
            returns `Score(value=..., counts=...)`. Empty: the result is the mean.

    Raises:
        SpecError: There is no such metric.

    Examples:
        >>> Custom(function=lambda item, answer: len(answer) < 80, name="short").name
        'short'
    """

    function: ScoreFunction
    name: str
    higher_is_better: bool = True
    corpus: str = ""

    def __post_init__(self) -> None:
        if self.corpus and self.corpus not in CORPUS:
            raise SpecError(
                f"{brief(self.corpus)} is no metric of whole tests", hint=f"one of {', '.join(CORPUS)}"
            )

    def config(self) -> Config:
        """Type and the function's qualified name; what the function does inside is its author's to version."""
        return {
            "type": "Custom",
            "function": f"{getattr(self.function, '__module__', '')}.{_qualified_name(self.function)}",
            **({"corpus": self.corpus} if self.corpus else {}),
        }

    def score(self, item: Item, answer: Generation) -> ScoreLike | Awaitable[ScoreLike]:
        """What the function says."""
        return self.function(item, answer.text)


def as_scorer(scorer: Scorer | ScoreFunction) -> Scorer:
    """A scorer as it is; a plain function as `Custom`, named after it.

    Raises:
        SpecError: It is neither, or a function without a name of its own.
    """
    if isinstance(scorer, AnswerScorer | ChoiceScorer):
        return scorer
    if isinstance(scorer, type) or not callable(scorer):
        raise SpecError(
            f"{scorer!r} is not a scorer", hint="pass an instance, such as ExactMatch(), or a function"
        )
    name = getattr(scorer, "__name__", "")
    if not name.isidentifier():
        raise SpecError(
            f"{scorer!r} has no name", hint='wrap it: scorers.Custom(function=..., name="my_score")'
        )
    return Custom(function=scorer, name=name)


def is_awaited(scorer: Scorer) -> bool:
    """Whether a scorer is an `async def`, to be called on the event loop."""
    called = scorer.function if isinstance(scorer, Custom) else scorer.score
    # An instance with `async def __call__` is no coroutine function itself.
    return inspect.iscoroutinefunction(called) or inspect.iscoroutinefunction(type(called).__call__)


def _qualified_name(function: object) -> str:
    return getattr(function, "__qualname__", type(function).__qualname__)
