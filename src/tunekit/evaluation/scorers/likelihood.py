"""Scorer of how likely a model finds the reference. Knows summed log-probabilities; generates nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from tunekit.backends.base import Scores
from tunekit.evaluation.items import Item
from tunekit.evaluation.metrics import likelihood
from tunekit.evaluation.metrics.table import CORPUS
from tunekit.evaluation.scorers.base import ChoiceScorer, Config, Score, reference_of, settings_of
from tunekit.evaluation.scorers.columns import named


@dataclass(frozen=True, kw_only=True)
class Perplexity(ChoiceScorer):
    """How surprised a model is by the reference answers, its end of an answer included. Lower is better.

    Needs a backend that can `score`.

    Attributes:
        metric: "byte_perplexity", which compares whatever the tokenizers are; "token_perplexity", which compares only
            models of one tokenizer; or "bits_per_byte", the logarithm of the first.
        name: Column in the results; that of the metric, unless told.

    Raises:
        SpecError: There is no such metric.

    Examples:
        >>> from tunekit.data.dataset import Dataset
        >>> from tunekit.evaluation.evaluator import Evaluator
        >>> from tunekit.testing import ScriptedBackend
        >>> test = Dataset.from_records([{"prompt": f"{n}", "completion": "yes!"} for n in range(100)])
        >>> backend = ScriptedBackend(score=lambda prompt, choice: -2.0)
        >>> found = Evaluator(test, scorers=[Perplexity()]).run("scripted:m", backend=backend)["byte_perplexity"]
        >>> round(found.value.estimate, 4), found.higher_is_better
        (1.6487, False)
    """

    metric: str = field(default="byte_perplexity", kw_only=False)
    name: str = ""
    corpus: str = field(init=False, repr=False)
    higher_is_better: bool = field(default=False, init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "corpus", named(self.metric, ("likelihood",)).name)
        object.__setattr__(self, "name", self.name or self.metric)

    def config(self) -> Config:
        """Type and metric."""
        return settings_of(self)

    def prepare(self, items: Sequence[Item]) -> Perplexity:
        """Itself.

        Raises:
            EvaluationError: An item has no reference, so that nothing could be asked of it.
        """
        for item in items:
            reference_of(item)
        return self

    def candidates(self, item: Item) -> tuple[str, ...]:
        """The reference alone."""
        return (reference_of(item),)

    def score(self, item: Item, scores: Scores) -> Score:
        """What it adds to the metric, and the metric of it alone; an empty reference is an error."""
        counts = likelihood.counts_of(scores.log_probs[0], scores.tokens[0], reference_of(item))
        return Score(
            value=CORPUS[self.corpus].compute(counts), counts=counts, log_probs=tuple(scores.log_probs)
        )
