"""What makes an answer right. Knows one item and one answer; not models, test sets or statistics.

Two kinds of scorer, by what they look at: `AnswerScorer` reads the text that a model generated,
`ChoiceScorer` reads the log-probabilities that it gives to a fixed set of answers. A score is a finite number
and higher is better. Whatever a scorer raises becomes an error of that item, counted apart from wrong
answers.
"""

from __future__ import annotations

import inspect
import math
import string
import unicodedata
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from pydantic import JsonValue

from tunekit.backends.base import Generation, Scores
from tunekit.errors import EvaluationError, SpecError
from tunekit.evaluation.items import Item


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """What one answer is worth.

    Attributes:
        value: Finite; 1.0 for right and 0.0 for wrong where there is no more to say. Higher is better.
        choice: What the model picked, where the scorer decides that.
    """

    value: float
    choice: str = ""


ScoreLike: TypeAlias = Score | float
Config: TypeAlias = dict[str, JsonValue]


class _Scorer(ABC):
    """What every scorer has.

    Attributes:
        name: Its column in the results; unique within one evaluator.
    """

    name: str

    def config(self) -> Config:
        """Everything that changes a score, as JSON: two evaluations are compared only where this is equal.

        Here the class, and what a dataclass shows of itself. Override it in a class that keeps state otherwise.
        """
        cls = type(self)
        shown = repr(self) if hasattr(cls, "__dataclass_fields__") else ""
        return {"type": f"{cls.__module__}.{cls.__qualname__}", "settings": shown}


class AnswerScorer(_Scorer):
    """Scores generated text. Subclass it for state, or pass a plain function to the evaluator."""

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
ScoreFunction: TypeAlias = Callable[[Item, str], ScoreLike | Awaitable[ScoreLike]]
Normalise: TypeAlias = Literal["none", "whitespace", "text"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExactMatch(AnswerScorer):
    """1 if the generated answer equals the reference after normalisation, else 0.

    Attributes:
        normalise: "none" compares as it is. "whitespace" ignores white space at the ends and its kind and
            amount inside. "text" ignores also letter case, punctuation and compatibility forms (NFKC).
        name: Column in the results.

    Raises:
        EvaluationError: From `score`, when the item has no reference.

    Examples:
        >>> ExactMatch(normalise="text").matches("Delivery.", "delivery")
        True
        >>> ExactMatch().matches("Delivery.", "delivery")
        False
    """

    normalise: Normalise = "whitespace"
    name: str = "exact_match"

    def __post_init__(self) -> None:
        if self.normalise not in _NORMALISERS:
            raise SpecError(f"normalise is {self.normalise!r}", hint=f"one of {', '.join(_NORMALISERS)}")

    def config(self) -> Config:
        """Type and normalisation."""
        return {"type": "ExactMatch", "normalise": self.normalise}

    def score(self, item: Item, answer: Generation) -> Score:
        """1 or 0; an item without a reference is an error."""
        return Score(value=float(self.matches(answer.text, _reference(item))))

    def matches(self, answer: str, reference: str) -> bool:
        """Whether two texts count as the same."""
        normalise = _NORMALISERS[self.normalise]
        return normalise(answer) == normalise(reference)


@dataclass(frozen=True, slots=True, kw_only=True)
class Accuracy(ChoiceScorer):
    """1 if the reference is the likeliest of a fixed set of answers, else 0. Needs a backend that can `score`.

    Nothing is generated, so no answer can be off the list or cut short, and one pass over the prompt does.

    Attributes:
        choices: The candidate answers. Empty takes the distinct references of the test set; give them where
            the test set may lack a rare class, which would make the task easier than it is.
        by: What the likeliest is judged by. "total" is the log-probability of the whole answer with its end,
            which is what the model would say. "token" and "byte" divide it by the answer's length, for models
            that were not tuned to end an answer there.
        name: Column in the results.

    Examples:
        >>> Accuracy(choices=["no", "yes"]).pick(Scores(log_probs=(-2.0, -1.0), tokens=(2, 2)))
        'yes'
    """

    choices: Sequence[str] = ()
    by: Literal["total", "token", "byte"] = "total"
    name: str = "accuracy"

    def __post_init__(self) -> None:
        if self.by not in ("total", "token", "byte"):
            raise SpecError(f"by is {self.by!r}", hint="one of total, token, byte")
        if isinstance(self.choices, str) or len(set(self.choices)) != len(self.choices):
            raise SpecError(f"choices are {self.choices!r}", hint="pass a list of different answers")
        object.__setattr__(self, "choices", tuple(self.choices))

    def config(self) -> Config:
        """Type, choices and how the likeliest is judged."""
        return {"type": "Accuracy", "choices": list(self.choices), "by": self.by}

    def prepare(self, items: Sequence[Item]) -> Accuracy:
        """With the answers of this test set.

        Raises:
            SpecError: A reference is not among the choices; or there are none and the references are free text.
        """
        references = {_reference(item) for item in items}
        if self.choices:
            missing = sorted(references - set(self.choices))
            if missing:
                raise SpecError(
                    f"{missing[0]!r} is a reference of the test set but not among the choices", hint="add it"
                )
            return self
        if len(references) > max(20, len(items) // 2):
            raise SpecError(
                f"{len(references)} different references in {len(items)} items are not a few classes",
                hint="use ExactMatch for free text, or name the answers: Accuracy(choices=...)",
            )
        return Accuracy(choices=tuple(sorted(references)), by=self.by, name=self.name)

    def candidates(self, item: Item) -> tuple[str, ...]:
        """The choices, the same for every item."""
        return tuple(self.choices)

    def score(self, item: Item, scores: Scores) -> Score:
        """1 or 0, and the choice picked."""
        choice = self.pick(scores)
        return Score(value=float(choice == item.reference), choice=choice)

    def pick(self, scores: Scores) -> str:
        """The likeliest choice; the first of several equal ones.

        Raises:
            EvaluationError: A log-probability is not a number, or none is finite.
        """
        weights = [
            log_prob / self._length(choice, tokens)
            for choice, log_prob, tokens in zip(self.choices, scores.log_probs, scores.tokens, strict=True)
        ]
        best = max(weights)
        if any(map(math.isnan, weights)) or not math.isfinite(best):
            raise EvaluationError(
                f"log-probabilities {scores.log_probs!r} name no likeliest choice",
                hint="the model's weights may be damaged; ask it for one answer with tunekit.generate",
            )
        return self.choices[weights.index(best)]

    def _length(self, choice: str, tokens: int) -> int:
        lengths = {"total": 1, "token": tokens, "byte": len(choice.encode("utf-8", "surrogatepass"))}
        return max(1, lengths[self.by])


@dataclass(frozen=True, slots=True, kw_only=True)
class Custom(AnswerScorer):
    """A function of your own as a scorer: `function(item, answer_text)` returns a number, or raises.

    Attributes:
        function: Sync or async. A sync one runs in a thread of its own, one item at a time, and may block. An
            async one is awaited, several items at once.
        name: Column in the results.

    Examples:
        >>> Custom(function=lambda item, answer: len(answer) < 80, name="short").name
        'short'
    """

    function: ScoreFunction
    name: str

    def config(self) -> Config:
        """Type and the function's qualified name; what the function does inside is its author's to version."""
        return {
            "type": "Custom",
            "function": f"{getattr(self.function, '__module__', '')}.{_qualified_name(self.function)}",
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


def _reference(item: Item) -> str:
    if item.reference is None:
        raise EvaluationError(
            f"item {item.id!r} has no reference answer",
            hint="use a scorer that needs none, or another test set",
        )
    return item.reference


def _qualified_name(function: object) -> str:
    return getattr(function, "__qualname__", type(function).__qualname__)


def _one_space(text: str) -> str:
    return " ".join(unicodedata.normalize("NFC", text).split())


def _letters_only(text: str) -> str:
    folded = unicodedata.normalize("NFKC", text).casefold()
    return " ".join(folded.translate(_PUNCTUATION).split())


_PUNCTUATION = str.maketrans(dict.fromkeys(string.punctuation, " "))
_NORMALISERS: dict[str, Callable[[str], str]] = {"none": str, "whitespace": _one_space, "text": _letters_only}
