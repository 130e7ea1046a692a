"""Scorers of generated text that names a class, or several. Knows labels; how a metric is computed is `metrics`.

An answer that is none of the classes, in whatever words, is off the list: a wrong answer, and no error.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from tunekit.backends.base import Generation
from tunekit.errors import SpecError
from tunekit.evaluation.items import Item
from tunekit.evaluation.metrics import classification, json_fields, multilabel
from tunekit.evaluation.metrics.matching import Normalise, normalised
from tunekit.evaluation.metrics.table import CORPUS
from tunekit.evaluation.results import ItemResult
from tunekit.evaluation.scorers.base import AnswerScorer, Config, Score, reference_of, settings_of
from tunekit.evaluation.scorers.columns import classes_of, distinct, named, resampled

_MUCH_OFF_LIST = 0.02


@dataclass(frozen=True, kw_only=True)
class LabelMetric(AnswerScorer):
    """A metric of classification, by the class that the generated answer names.

    The prediction is the class that the answer equals after normalisation; an answer that equals none is off the list.
    To have a model weigh the classes instead of writing one, see `ChoiceMetric`.

    Attributes:
        metric: "accuracy", "balanced_accuracy", "f1_macro", "f1_micro", "f1_weighted" (and so "precision_..." and
            "recall_..."), "mcc", "kappa".
        labels: The classes. Empty takes the distinct references of the test set.
        normalise: As `ExactMatch.normalise`.
        name: Column in the results; that of the metric, unless told.

    Raises:
        SpecError: There is no such metric, or two labels are the same after normalisation.

    Examples:
        >>> from tunekit.data.dataset import Dataset
        >>> from tunekit.evaluation.evaluator import Evaluator
        >>> from tunekit.testing import ScriptedBackend
        >>> test = Dataset.from_records([{"prompt": f"{n}", "completion": "ab"[n % 4 == 0]} for n in range(200)])
        >>> always = ScriptedBackend(generate=lambda prompt: "A.")
        >>> evaluator = Evaluator(test, scorers=[LabelMetric("accuracy"), LabelMetric("f1_macro")])
        >>> found = evaluator.run("scripted:m", backend=always)
        >>> found["accuracy"].value.estimate, round(found["f1_macro"].value.estimate, 3)
        (0.75, 0.429)
    """

    metric: str = field(kw_only=False)
    labels: Sequence[str] = ()
    normalise: Normalise = "text"
    name: str = ""
    corpus: str = field(init=False, repr=False)
    higher_is_better: bool = field(init=False, repr=False)
    _by_text: Mapping[str, str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        known = named(self.metric, ("classification",))
        object.__setattr__(self, "labels", distinct(self.labels, "labels"))
        object.__setattr__(self, "name", self.name or self.metric)
        object.__setattr__(self, "corpus", resampled(known))
        object.__setattr__(self, "higher_is_better", known.higher_is_better)
        object.__setattr__(self, "_by_text", _by_text(self.labels, self.normalise))

    def config(self) -> Config:
        """Type, metric, labels and normalisation."""
        return settings_of(self)

    def prepare(self, items: Sequence[Item]) -> LabelMetric:
        """With the classes of this test set.

        Raises:
            SpecError: A reference is not among the labels; or there are none and the references are free text.
        """
        return replace(self, labels=classes_of(items, self.labels, field="labels", instead="ExactMatch"))

    def score(self, item: Item, answer: Generation) -> Score:
        """What the item adds to the metric, and the class that the answer names; by itself right or wrong."""
        reference = reference_of(item)
        prediction = self._by_text.get(normalised(answer.text, self.normalise))
        return Score(
            value=float(prediction == reference),
            choice=prediction or "",
            counts=classification.counts_of(reference, prediction, self.labels),
        )

    def warnings(self, results: Sequence[ItemResult]) -> Iterator[str]:
        """How many answers were off the list."""
        scored = [result for result in results if self.name in result.scores]
        off = sum(self.name not in result.choices for result in scored)
        if off > _MUCH_OFF_LIST * len(scored):
            yield f"{off} of {len(scored)} answers are none of the {len(self.labels)} labels, and count as wrong"


@dataclass(frozen=True, kw_only=True)
class MultiLabelMetric(AnswerScorer):
    """A metric of answers that name any number of classes.

    Reference and answer are JSON lists of texts, which is how a labelled test set with several classes to a row is
    asked, or texts with a separator. A text that is no list names the one class that it is.

    Attributes:
        metric: "subset_accuracy", "hamming_loss" (lower is better), "jaccard_samples", or "multilabel_" with
            "f1", "precision" or "recall" and "_micro", "_macro", "_weighted" or "_samples".
        labels: The classes. Empty takes those of all references of the test set.
        separator: What parts classes where they are no JSON list, such as ","; empty for JSON only.
        normalise: As `ExactMatch.normalise`; of each class.
        name: Column in the results; that of the metric, unless told.

    Raises:
        SpecError: There is no such metric, or two labels are the same after normalisation.

    Examples:
        >>> from tunekit.evaluation.items import items_of
        >>> from tunekit.examples import LabelledExample
        >>> items = items_of([LabelledExample(text="It is late and dear", label=("delivery", "price"))])
        >>> scorer = MultiLabelMetric("jaccard_samples").prepare(items)
        >>> scorer.score(items[0], Generation(text='["price"]', finish_reason="stop")).value
        0.5
    """

    metric: str = field(kw_only=False)
    labels: Sequence[str] = ()
    separator: str = ""
    normalise: Normalise = "text"
    name: str = ""
    corpus: str = field(init=False, repr=False)
    higher_is_better: bool = field(init=False, repr=False)
    _by_text: Mapping[str, str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        known = named(self.metric, ("multilabel",))
        object.__setattr__(self, "labels", distinct(self.labels, "labels"))
        object.__setattr__(self, "name", self.name or self.metric)
        object.__setattr__(self, "corpus", resampled(known))
        object.__setattr__(self, "higher_is_better", known.higher_is_better)
        object.__setattr__(self, "_by_text", _by_text(self.labels, self.normalise))

    def config(self) -> Config:
        """Type, metric, labels and how they are read."""
        return settings_of(self)

    def prepare(self, items: Sequence[Item]) -> MultiLabelMetric:
        """With the classes of this test set."""
        if self.labels:
            return self
        found = {label for item in items for label in self._parts(reference_of(item))}
        return replace(self, labels=tuple(sorted(found)))

    def score(self, item: Item, answer: Generation) -> Score:
        """What the item adds to the metric; by itself how near its set of classes is to the right one."""
        references = {self._label(part) for part in self._parts(reference_of(item))}
        predictions = {self._label(part) for part in self._parts(answer.text)}
        counts = multilabel.counts_of(references, predictions, self.labels)
        alone = CORPUS[self.metric if self.metric in _OF_ONE_ITEM else "multilabel_f1_samples"]
        exact = alone.higher_is_better and references == predictions
        return Score(value=1.0 if exact and not self._is_mean else alone.compute(counts), counts=counts)

    @property
    def _is_mean(self) -> bool:
        return CORPUS[self.metric].is_mean

    def _label(self, part: str) -> str:
        return self._by_text.get(normalised(part, self.normalise), part)

    def _parts(self, text: str) -> list[str]:
        found = json_fields.parse(text)
        if isinstance(found, list) and all(isinstance(part, str) for part in found):
            return found
        parts = text.split(self.separator) if self.separator else [text]
        return [part.strip() for part in parts if part.strip()]


_OF_ONE_ITEM = {each.name for each in CORPUS.values() if each.counts == "multilabel" and each.is_mean} | {
    "hamming_loss"
}
"""What a single item has by itself; of the others it gets the F1 of its own classes."""


def _by_text(labels: Sequence[str], how: Normalise) -> dict[str, str]:
    found: dict[str, str] = {}
    for label in labels:
        text = normalised(label, how)
        if found.setdefault(text, label) != label:
            raise SpecError(
                f"the labels {found[text]!r} and {label!r} are the same when normalised by {how!r}",
                hint='pass normalise="whitespace" or "none"',
            )
    return found
