"""What a scorer is. Knows one item and one answer; not models, test sets or statistics.

Two kinds of scorer, by what they look at: `AnswerScorer` reads the text that a model generated,
`ChoiceScorer` reads the log-probabilities that it gives to a fixed set of answers. A score is a finite number.
Whatever a scorer raises becomes an error of that item, counted apart from wrong answers.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, TypeAlias

from pydantic import JsonValue

from tunekit.backends.base import Generation, Scores
from tunekit.errors import EvaluationError
from tunekit.evaluation.items import Item
from tunekit.evaluation.results import ItemResult


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """What one answer is worth.

    Attributes:
        value: Finite; 1.0 for right and 0.0 for wrong where there is no more to say.
        choice: What the model picked, where the scorer decides that.
        counts: What this answer adds to a metric of the whole test, for a scorer that names one as its `corpus`.
        log_probs: Log-probability (nats) of each candidate, for a scorer that weighed some.
    """

    value: float
    choice: str = ""
    counts: Mapping[str, float] = field(default_factory=dict)
    log_probs: tuple[float, ...] = ()


ScoreLike: TypeAlias = Score | float
Config: TypeAlias = dict[str, JsonValue]


class _Scorer(ABC):
    """What every scorer has.

    Attributes:
        name: Its column in the results; unique within one evaluator.
        corpus: A metric of the whole test, by its name in `evaluation.metrics.table.CORPUS`, computed from the sum of
            the items' `counts`. Empty: the result is the mean of the items' values.
        higher_is_better: False for what is worse the more of it there is. Of a corpus metric the table knows it.
    """

    name: str
    corpus: str = ""
    higher_is_better: bool = True

    def config(self) -> Config:
        """Everything that changes a score, as JSON: two evaluations are compared only where this is equal.

        Here the class, and what a dataclass shows of itself. Override it in a class that keeps state otherwise.
        """
        cls = type(self)
        shown = repr(self) if hasattr(cls, "__dataclass_fields__") else ""
        return {"type": f"{cls.__module__}.{cls.__qualname__}", "settings": shown}

    def warnings(self, results: Sequence[ItemResult]) -> Iterator[str]:
        """What to know before believing this column, seen what came of the items. Nothing, unless overridden."""
        return iter(())


class AnswerScorer(_Scorer):
    """Scores generated text. Subclass it for state, or pass a plain function to the evaluator."""

    def prepare(self, items: Sequence[Item]) -> AnswerScorer:
        """This scorer, fitted to a test set (for example to its classes). Called once per evaluator."""
        return self

    @abstractmethod
    def score(self, item: Item, answer: Generation) -> ScoreLike | Awaitable[ScoreLike]:
        """What this answer is worth, or raise to say "cannot be scored".

        A plain method runs in a thread of its own, one item at a time: it may block, for example to ask another
        model. An `async def` is awaited on the event loop, several items at once, and must not block.
        """


class ChoiceScorer(_Scorer):
    """Scores the log-probabilities of candidate answers."""

    def prepare(self, items: Sequence[Item]) -> ChoiceScorer:
        """This scorer, fitted to a test set (for example to its classes). Called once per evaluator."""
        return self

    @abstractmethod
    def candidates(self, item: Item) -> tuple[str, ...]:
        """The candidate answers of one item."""

    @abstractmethod
    def score(self, item: Item, scores: Scores) -> ScoreLike | Awaitable[ScoreLike]:
        """What the model's probabilities are worth, in the order of `candidates`."""


Scorer: TypeAlias = AnswerScorer | ChoiceScorer


def reference_of(item: Item) -> str:
    """The expected answer.

    Raises:
        EvaluationError: The item has none.
    """
    if item.reference is None:
        raise EvaluationError(
            f"item {item.id!r} has no reference answer",
            hint="use a scorer that needs none, or another test set",
        )
    return item.reference


def settings_of(scorer: Any) -> Config:
    """The configuration of a ready scorer, which is a dataclass: its type and all that it was given but its name."""
    given = {each.name: getattr(scorer, each.name) for each in fields(scorer) if each.init}
    del given["name"]
    return {"type": type(scorer).__name__, **{name: _plain(value) for name, value in given.items()}}


def _plain(value: Any) -> Any:
    """As JSON reads it back, so that a stored configuration equals the one of the scorer."""
    if isinstance(value, Mapping):
        return {str(name): _plain(each) for name, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, tuple | list) else value
