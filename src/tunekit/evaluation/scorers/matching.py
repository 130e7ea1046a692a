"""Scorers of text that must match. Knows answer and reference; how texts match is `evaluation.metrics.matching`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, get_args

from tunekit.backends.base import Generation
from tunekit.data.wording import brief
from tunekit.errors import EvaluationError
from tunekit.evaluation.items import Item
from tunekit.evaluation.metrics import json_fields, matching, numeric
from tunekit.evaluation.metrics.json_fields import MISSING, Path
from tunekit.evaluation.metrics.matching import Normalise
from tunekit.evaluation.metrics.numeric import DecimalMark
from tunekit.evaluation.metrics.patterns import Pattern
from tunekit.evaluation.scorers.base import AnswerScorer, Config, Score, reference_of, settings_of
from tunekit.evaluation.scorers.columns import one_of


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
        one_of(self.normalise, get_args(Normalise), "normalise")

    def config(self) -> Config:
        """Type and normalisation."""
        return settings_of(self)

    def score(self, item: Item, answer: Generation) -> Score:
        """1 or 0; an item without a reference is an error."""
        return Score(value=float(self.matches(answer.text, reference_of(item))))

    def matches(self, answer: str, reference: str) -> bool:
        """Whether two texts count as the same."""
        return matching.exact_match(answer, reference, normalise=self.normalise) == 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Contains(AnswerScorer):
    """1 if the reference stands somewhere in the generated answer, after normalisation of both, else 0.

    Attributes:
        normalise: As `ExactMatch.normalise`.
        name: Column in the results.

    Examples:
        >>> from tunekit.evaluation.items import items_of
        >>> from tunekit.examples import CompletionExample
        >>> (item,) = items_of([CompletionExample(prompt="Capital of Styria?", completion="Graz")])
        >>> Contains().score(item, Generation(text="It is GRAZ.", finish_reason="stop")).value
        1.0
    """

    normalise: Normalise = "text"
    name: str = "contains"

    def __post_init__(self) -> None:
        one_of(self.normalise, get_args(Normalise), "normalise")

    def config(self) -> Config:
        """Type and normalisation."""
        return settings_of(self)

    def score(self, item: Item, answer: Generation) -> Score:
        """1 or 0; an item without a reference, or with an empty one, is an error."""
        return Score(value=matching.contains(answer.text, reference_of(item), normalise=self.normalise))


@dataclass(frozen=True, slots=True, kw_only=True)
class RegexMatch(AnswerScorer):
    r"""1 if a regular expression matches in the generated answer, else 0. Needs no reference.

    Attributes:
        pattern: In the syntax of Python's `re`. A match that takes over 2 s is an error of that item.
        whole: Whether it must match all of the answer.
        name: Column in the results.

    Raises:
        SpecError: It is no regular expression, or one that would take too much memory.

    Examples:
        >>> from tunekit.evaluation.items import items_of
        >>> from tunekit.examples import CompletionExample
        >>> (item,) = items_of([CompletionExample(prompt="Which ticket?", completion="AB-1234")])
        >>> RegexMatch(r"[A-Z]{2}-\d{4}").score(item, Generation(text="It is AB-9.", finish_reason="stop")).value
        0.0
    """

    pattern: str = field(kw_only=False)
    whole: bool = False
    name: str = "regex_match"
    _compiled: Pattern = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_compiled", Pattern(self.pattern))

    def config(self) -> Config:
        """Type, pattern and what it must match."""
        return settings_of(self)

    def score(self, item: Item, answer: Generation) -> Score:
        """1 or 0."""
        return Score(value=matching.pattern_match(answer.text, self._compiled, whole=self.whole))


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberMatch(AnswerScorer):
    r"""1 if the number that an answer comes to is that of the reference, else 0, as for gsm8k.

    It is the number after "####", in the answer and in the reference. Show the strict reading beside the lenient one:
    a tuned model often "wins" only by writing its answer where it is looked for.

    Attributes:
        strict: Whether an answer without "####" is wrong. Else its last number counts.
        absolute: Tolerance in units of the number.
        relative: Tolerance as a share of the reference: 0.01 is 1 %. The larger of the two counts.
        decimal: What divides whole from broken, "." or ",".
        name: Column in the results; "number_match" or "number_match_strict", unless told.

    Raises:
        SpecError: A tolerance is negative or not finite, or the decimal mark unknown.

    Examples:
        >>> from tunekit.evaluation.items import items_of
        >>> from tunekit.examples import CompletionExample
        >>> (item,) = items_of([CompletionExample(prompt="6 * 7?", completion="That is 6 * 7.\n#### 42")])
        >>> answer = Generation(text="It makes 42 apples.", finish_reason="stop")
        >>> NumberMatch().score(item, answer).value, NumberMatch(strict=True).score(item, answer).value
        (1.0, 0.0)
    """

    strict: bool = False
    absolute: float = 0.0
    relative: float = 0.0
    decimal: DecimalMark = "."
    name: str = ""

    def __post_init__(self) -> None:
        one_of(self.decimal, get_args(DecimalMark), "decimal")
        numeric.is_close(0, 0, absolute=self.absolute, relative=self.relative)  # refuses a wrong tolerance
        name = "number_match_strict" if self.strict else "number_match"
        object.__setattr__(self, "name", self.name or name)

    def config(self) -> Config:
        """Type, reading and tolerances."""
        return settings_of(self)

    def score(self, item: Item, answer: Generation) -> Score:
        """1 or 0, and the number found; a reference without a number is an error."""
        found = matching.number_match(
            answer.text,
            reference_of(item),
            absolute=self.absolute,
            relative=self.relative,
            decimal=self.decimal,
        )
        number = numeric.marked_number(answer.text, decimal=self.decimal) if self.strict else found.found
        return Score(
            value=found.strict if self.strict else found.lenient,
            choice="" if number is None else str(number),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class JsonMatch(AnswerScorer):
    """1 if the generated answer is JSON with the value of the reference, at one path or as a whole, else 0.

    Order of keys, white space and 1 against 1.0 do not count; types do. An answer that is no JSON is wrong; a reference
    that is none, or has nothing at the path, is an error of that item.

    Attributes:
        path: Where to look, in both, such as `"items[0].price"`; "" is the whole value.
        absolute: Tolerance of every number, in its units.
        relative: Tolerance as a share of the reference's number.
        name: Column in the results; "json_match", or with the path "json_match:items[0].price", unless told.

    Raises:
        SpecError: It is no path, or a tolerance is negative or not finite.

    Examples:
        >>> from tunekit.evaluation.items import items_of
        >>> from tunekit.examples import CompletionExample
        >>> (item,) = items_of([CompletionExample(prompt="Parse.", completion='{"city": "Graz", "price": 4}')])
        >>> answer = Generation(text='{"price": 4.0}', finish_reason="stop")
        >>> JsonMatch("price").score(item, answer).value, JsonMatch().score(item, answer).value
        (1.0, 0.0)
    """

    path: str = field(default="", kw_only=False)
    absolute: float = 0.0
    relative: float = 0.0
    name: str = ""

    def __post_init__(self) -> None:
        Path(self.path)  # refuses what is no path
        numeric.is_close(0, 0, absolute=self.absolute, relative=self.relative)
        object.__setattr__(self, "name", self.name or f"json_match{self.path and ':'}{self.path}")

    def config(self) -> Config:
        """Type, path and tolerances."""
        return settings_of(self)

    def score(self, item: Item, answer: Generation) -> Score:
        """1 or 0."""
        path, wanted = Path(self.path), self._wanted(item)
        found = json_fields.field_matches(
            answer.text, path, wanted, absolute=self.absolute, relative=self.relative
        )
        return Score(value=float(found))

    def _wanted(self, item: Item) -> Any:
        reference = reference_of(item)
        wanted = Path(self.path).value(json_fields.parse(reference))
        if wanted is MISSING:
            where = f"JSON with a value at {brief(self.path)}" if self.path else "JSON"
            raise EvaluationError(
                f"the reference {brief(reference)} of item {item.id!r} is no {where}",
                hint="mend the row, or use another scorer",
            )
        return wanted
