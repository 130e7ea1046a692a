"""Scorers of what an answer looks like and costs, whether or not it is right. Knows one answer; no reference.

Models often gain by format alone, so show these beside whether answers are right.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

from tunekit.backends.base import Generation
from tunekit.errors import EvaluationError
from tunekit.evaluation.items import Item
from tunekit.evaluation.metrics import shape
from tunekit.evaluation.metrics.matching import Normalise
from tunekit.evaluation.metrics.shape import JsonType
from tunekit.evaluation.scorers.base import AnswerScorer, Config, Score, settings_of
from tunekit.evaluation.scorers.columns import distinct, one_of


@dataclass(frozen=True, kw_only=True)
class ValidJson(AnswerScorer):
    """1 if the answer is one JSON value with nothing around it, and has the fields asked for, else 0.

    Attributes:
        fields: Type by path, such as `{"name": "string", "items[0].price": "number"}`; "" is the whole value. Types
            are those of JSON Schema, and "any".
        name: Column in the results.

    Raises:
        SpecError: There is no such type, or a path is none.

    Examples:
        >>> from tunekit.evaluation.items import items_of
        >>> from tunekit.examples import CompletionExample
        >>> (item,) = items_of([CompletionExample(prompt="Parse.", completion="{}")])
        >>> answer = Generation(text='{"age": 36}', finish_reason="stop")
        >>> ValidJson().score(item, answer).value, ValidJson(fields={"name": "string"}).score(item, answer).value
        (1.0, 0.0)
    """

    fields: Mapping[str, JsonType] = field(default_factory=dict, hash=False)
    name: str = "valid_json"

    def __post_init__(self) -> None:
        shape.has_fields("null", self.fields)  # refuses a type or path that is none

    def config(self) -> Config:
        """Type and fields."""
        return settings_of(self)

    def score(self, item: Item, answer: Generation) -> Score:
        """1 or 0."""
        is_json = shape.is_json(answer.text)
        return Score(value=shape.has_fields(answer.text, self.fields) if is_json and self.fields else is_json)


@dataclass(frozen=True, kw_only=True)
class OneOf(AnswerScorer):
    """1 if the answer is one of some texts, after normalisation, else 0: whether a model keeps to the list.

    Attributes:
        choices: The texts.
        normalise: As `ExactMatch.normalise`.
        name: Column in the results.

    Raises:
        SpecError: The choices are one text or none, or one is there twice.

    Examples:
        >>> OneOf(["yes", "no"]).name
        'one_of'
    """

    choices: Sequence[str] = field(kw_only=False)
    normalise: Normalise = "whitespace"
    name: str = "one_of"

    def __post_init__(self) -> None:
        one_of(self.normalise, get_args(Normalise), "normalise")
        object.__setattr__(self, "choices", distinct(self.choices, "choices"))
        shape.is_one_of("", self.choices)  # refuses an empty list

    def config(self) -> Config:
        """Type, choices and normalisation."""
        return settings_of(self)

    def score(self, item: Item, answer: Generation) -> Score:
        """1 or 0."""
        return Score(value=shape.is_one_of(answer.text, self.choices, normalise=self.normalise))


@dataclass(frozen=True, kw_only=True)
class MaxLength(AnswerScorer):
    """1 if the answer has at most so many characters, else 0.

    Attributes:
        max_chars: How many.
        name: Column in the results.

    Raises:
        SpecError: It is negative.

    Examples:
        >>> MaxLength(280).name
        'max_length'
    """

    max_chars: int = field(kw_only=False)
    name: str = "max_length"

    def __post_init__(self) -> None:
        shape.is_within("", self.max_chars)

    def config(self) -> Config:
        """Type and limit."""
        return settings_of(self)

    def score(self, item: Item, answer: Generation) -> Score:
        """1 or 0."""
        return Score(value=shape.is_within(answer.text, self.max_chars))


@dataclass(frozen=True, kw_only=True)
class Length(AnswerScorer):
    """How long the answer is. Neither more nor less is better by itself; say which is, for the verdict.

    Attributes:
        unit: "chars" (code points of Unicode), "words" (parted by white space) or "tokens" (as the backend counts).
        higher_is_better: Whether longer is.
        name: Column in the results; such as "length_chars", unless told.

    Raises:
        SpecError: There is no such unit.

    Examples:
        >>> Length(unit="words").name, Length().higher_is_better
        ('length_words', False)
    """

    unit: Literal["chars", "words", "tokens"] = "chars"
    higher_is_better: bool = False
    name: str = ""

    def __post_init__(self) -> None:
        one_of(self.unit, ("chars", "words", "tokens"), "unit")
        object.__setattr__(self, "name", self.name or f"length_{self.unit}")

    def config(self) -> Config:
        """Type, unit and direction."""
        return settings_of(self)

    def score(self, item: Item, answer: Generation) -> Score:
        """Its length."""
        if self.unit != "tokens":
            length = shape.length_chars if self.unit == "chars" else shape.length_words
            return Score(value=length(answer.text))
        if answer.text and not answer.usage.output_tokens:
            raise EvaluationError("the backend counts no tokens", hint='measure unit="chars" or "words"')
        return Score(value=float(answer.usage.output_tokens))


@dataclass(frozen=True, kw_only=True)
class Refusal(AnswerScorer):
    """1 if the answer begins like a refusal in English, else 0. Lower is better. A heuristic by set phrases.

    It tells whether two models differ, and not how often one refuses: what it marks is nearly always a refusal, and
    one in other words or another language it does not mark.

    Attributes:
        name: Column in the results.

    Examples:
        >>> Refusal().higher_is_better
        False
    """

    name: str = "refusal"
    higher_is_better: bool = field(default=False, init=False, repr=False)

    def config(self) -> Config:
        """Type."""
        return settings_of(self)

    def score(self, item: Item, answer: Generation) -> Score:
        """1 or 0."""
        return Score(value=shape.looks_refused(answer.text))


@dataclass(frozen=True, kw_only=True)
class Latency(AnswerScorer):
    """Seconds that the call took which brought the answer, as the backend measured it. Lower is better.

    A call may answer a whole batch, and it took as long for each of its items: for times as a user sees them evaluate
    with `batch_size=1` and `concurrency=1`. An answer whose time nobody measured is an error of that item.

    Attributes:
        name: Column in the results.

    Examples:
        >>> Latency().name
        'latency_s'
    """

    name: str = "latency_s"
    higher_is_better: bool = field(default=False, init=False, repr=False)

    def config(self) -> Config:
        """Type."""
        return settings_of(self)

    def score(self, item: Item, answer: Generation) -> Score:
        """Its seconds."""
        if not answer.usage.seconds:
            raise EvaluationError(
                "the backend did not say how long the answer took", hint="leave out Latency for this backend"
            )
        return Score(value=answer.usage.seconds)
