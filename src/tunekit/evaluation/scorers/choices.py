"""Scorers of how a model weighs a fixed set of answers. Knows log-probabilities; generates nothing.

Nothing is generated, so no answer can be off the list or cut short, and one pass over the prompt does. A test whose
scorers name the same choices asks for them once.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, Self, TypeAlias

from tunekit.backends.base import Scores
from tunekit.errors import EvaluationError, SpecError
from tunekit.evaluation.items import Item
from tunekit.evaluation.metrics import calibration, classification, temperature
from tunekit.evaluation.metrics.counts import added
from tunekit.evaluation.metrics.table import CORPUS
from tunekit.evaluation.metrics.temperature import Temperature
from tunekit.evaluation.results import Evaluation, ItemResult
from tunekit.evaluation.scorers.base import ChoiceScorer, Config, Score, reference_of, settings_of
from tunekit.evaluation.scorers.columns import classes_of, distinct, named, one_of, resampled

By: TypeAlias = Literal["total", "token", "byte"]


@dataclass(frozen=True, kw_only=True)
class _Weighing(ChoiceScorer):
    """What scorers of a fixed set of answers share.

    Attributes:
        choices: The candidate answers. Empty takes the distinct references of the test set; give them where
            the test set may lack a rare class, which would make the task easier than it is.
        by: What the likeliest is judged by. "total" is the log-probability of the whole answer with its end,
            which is what the model would say. "token" and "byte" divide it by the answer's length, for models
            that were not tuned to end an answer there.
    """

    choices: Sequence[str] = ()
    by: By = "total"

    def __post_init__(self) -> None:
        one_of(self.by, ("total", "token", "byte"), "by")
        object.__setattr__(self, "choices", distinct(self.choices, "choices"))

    def config(self) -> Config:
        """Type, choices and all that changes a score."""
        return settings_of(self)

    def prepare(self, items: Sequence[Item]) -> Self:
        """With the answers of this test set.

        Raises:
            SpecError: A reference is not among the choices; or there are none and the references are free text.
        """
        found = classes_of(items, self.choices, field="choices", instead="ExactMatch")
        return replace(self, choices=found)

    def candidates(self, item: Item) -> tuple[str, ...]:
        """The choices, the same for every item."""
        return tuple(self.choices)

    def weights(self, scores: Scores) -> dict[str, float]:
        """What each choice is judged by: its log-probability, as it is or by its length.

        Raises:
            EvaluationError: A log-probability is not a number, or none is finite.
        """
        rows = zip(self.choices, scores.log_probs, scores.tokens, strict=True)
        weights = {choice: log_prob / self._length(choice, tokens) for choice, log_prob, tokens in rows}
        if any(map(math.isnan, weights.values())) or not math.isfinite(max(weights.values())):
            raise EvaluationError(
                f"log-probabilities {scores.log_probs!r} name no likeliest choice",
                hint="the model's weights may be damaged; ask it for one answer with tunekit.generate",
            )
        return weights

    def pick(self, scores: Scores) -> str:
        """The likeliest choice; the first of several equal ones. Raises as `weights`."""
        return _likeliest(self.weights(scores))

    def _length(self, choice: str, tokens: int) -> int:
        lengths = {"total": 1, "token": tokens, "byte": len(choice.encode("utf-8", "surrogatepass"))}
        return max(1, lengths[self.by])


@dataclass(frozen=True, kw_only=True)
class Accuracy(_Weighing):
    """1 if the reference is the likeliest of a fixed set of answers, else 0. Needs a backend that can `score`.

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

    name: str = "accuracy"

    def score(self, item: Item, scores: Scores) -> Score:
        """1 or 0, and the choice picked."""
        weights = self.weights(scores)
        choice = _likeliest(weights)
        return Score(value=float(choice == item.reference), choice=choice, log_probs=tuple(weights.values()))


@dataclass(frozen=True, kw_only=True)
class TopK(_Weighing):
    """1 if the reference is among the `k` likeliest of a fixed set of answers, else 0.

    Attributes:
        k: How many may be named. A choice that is as likely as the reference stands before it.
        choices: As `Accuracy.choices`.
        by: As `Accuracy.by`.
        name: Column in the results; `top_5_accuracy` for 5, unless told.

    Examples:
        >>> TopK(k=3).name
        'top_3_accuracy'
    """

    k: int = 5
    name: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.k < 1:
            raise SpecError(f"k is {self.k!r}", hint="a whole number, 1 or more; 5 is usual")
        object.__setattr__(self, "name", self.name or f"top_{self.k}_accuracy")

    def score(self, item: Item, scores: Scores) -> Score:
        """1 or 0, and the likeliest choice."""
        weights = self.weights(scores)
        value = classification.top_k_right(reference_of(item), weights, self.k)
        return Score(value=value, choice=_likeliest(weights), log_probs=tuple(weights.values()))


@dataclass(frozen=True, kw_only=True)
class ChoiceMetric(_Weighing):
    """A metric of classification or calibration, by how a model weighs a fixed set of answers.

    Attributes:
        metric: "balanced_accuracy", "f1_macro", "f1_micro", "f1_weighted" (and so "precision_..." and "recall_..."),
            "mcc", "kappa"; of the probabilities that the choices have among themselves "ece", "brier" and "log_loss",
            for which lower is better.
        choices: As `Accuracy.choices`.
        by: As `Accuracy.by`.
        temperature: What log-probabilities are divided by; see `fit_temperature`. It changes calibration only.
        bins: Of the calibration error.
        name: Column in the results; that of the metric, unless told.

    Raises:
        SpecError: There is no such metric, or a number is out of range.

    Examples:
        >>> ChoiceMetric("f1_macro").name, ChoiceMetric("ece", temperature=1.7).higher_is_better
        ('f1_macro', False)
    """

    metric: str = field(kw_only=False)
    temperature: float = 1.0
    bins: int = calibration.BINS
    name: str = ""
    corpus: str = field(init=False, repr=False)
    higher_is_better: bool = field(init=False, repr=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        known = named(self.metric, ("classification", "calibration"))
        calibration.softmax({"": 0.0}, self.temperature)  # refuses a temperature that is none
        if self.bins < 1:
            raise SpecError(f"bins is {self.bins!r}", hint="15 is usual")
        object.__setattr__(self, "name", self.name or self.metric)
        object.__setattr__(self, "corpus", resampled(known))
        object.__setattr__(self, "higher_is_better", known.higher_is_better)

    def score(self, item: Item, scores: Scores) -> Score:
        """What the item adds to the metric; by itself right or wrong, or how far off its probabilities are."""
        reference, weights = reference_of(item), self.weights(scores)
        choice = _likeliest(weights)
        if CORPUS[self.metric].counts == "classification":
            value = float(choice == reference)
            counts: Mapping[str, float] = classification.counts_of(reference, choice, self.choices)
        else:
            probabilities = calibration.softmax(weights, self.temperature)
            counts = calibration.counts_of(probabilities, reference, bins=self.bins)
            value = CORPUS[self.metric].compute(counts)
        return Score(value=value, choice=choice, counts=counts, log_probs=tuple(weights.values()))

    def warnings(self, results: Sequence[ItemResult]) -> Iterator[str]:
        """Of a calibration error, whether there are items enough for its bins."""
        if self.metric == "ece":
            counts = added(result.counts[self.name] for result in results if self.name in result.counts)
            few = calibration.calibration_warning(calibration.reliability(counts))
            if few is not None:
                yield few


def fit_temperature(dev: Evaluation, name: str) -> Temperature:
    """The temperature that makes a model's probabilities on a dev split mean what they say.

    Args:
        dev: Results on items other than those of the test.
        name: A scorer of weighed choices in it, such as "accuracy".

    Returns:
        The temperature for `ChoiceMetric(..., temperature=found.value)`, with what it rests on.

    Raises:
        NotFoundError: There is no such scorer.
        EvaluationError: It keeps no log-probabilities, or one of a right choice is minus infinity.

    Examples:
        >>> from tunekit.data.dataset import Dataset
        >>> from tunekit.evaluation.evaluator import Evaluator
        >>> from tunekit.testing import ScriptedBackend
        >>> dev = Dataset.from_records([{"prompt": f"{n}", "completion": "ab"[n % 3 == 0]} for n in range(120)])
        >>> sure = ScriptedBackend(score=lambda prompt, choice: -0.01 if choice == "a" else -4.6)
        >>> found = fit_temperature(Evaluator(dev, scorers=[Accuracy()]).run("scripted:m", backend=sure), "accuracy")
        >>> found.value > 1, found.log_loss_after < found.log_loss_before
        (True, True)
    """
    dev[name]  # names the scorers that there are
    choices = dev.provenance.scorers[name].get("choices")
    rows = [item for item in dev.items if name in item.log_probs and item.reference is not None]
    if not isinstance(choices, list) or not rows:
        raise EvaluationError(
            f"{name!r} keeps no log-probabilities of choices", hint="evaluate with Accuracy or ChoiceMetric"
        )
    log_probs = [dict(zip(map(str, choices), item.log_probs[name], strict=True)) for item in rows]
    return temperature.fit(log_probs, [item.reference or "" for item in rows])


def _likeliest(weights: Mapping[str, float]) -> str:
    """The first of several equal ones."""
    return max(weights, key=lambda choice: weights[choice])
