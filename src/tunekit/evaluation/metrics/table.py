"""Every metric that is a function of summed counts, by name. Knows their direction and range; takes no counts itself.

A stored evaluation holds the counts of each item and a name of this table; that is all it takes to compute the metric
again for any of its items, so to compare two evaluations by resampling. Nothing here needs an extra.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from types import MappingProxyType, ModuleType
from typing import Final, Literal

from tunekit.evaluation.metrics import bleu, calibration, classification, likelihood, multilabel
from tunekit.evaluation.metrics.counts import Counts

CountsOf = Literal["classification", "multilabel", "calibration", "bleu", "chrf", "chrf++", "likelihood"]
"""Whose counts a metric reads: `counts_of` of the module of that name; `bleu.bleu_counts`, `bleu.chrf_counts` and
`bleu.chrf_plus_counts`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CorpusMetric:
    """A metric of a whole test.

    Attributes:
        name: Its key in `CORPUS`.
        compute: From summed counts to the number; raises `EvaluationError` for the counts of nothing.
        counts: Whose counts it reads. Metrics of the same counts share them.
        higher_is_better: Whether more is better.
        low: The least that it can be.
        high: The most; infinity where there is no most.
        is_mean: Whether it is the mean of its values for each item alone. Then those are better stored as scores, whose
            mean has an interval without resampling.
        enough: From the counts of an item to fewer from which `compute` gives the same: what to resample.
    """

    name: str
    compute: Callable[[Counts], float]
    counts: CountsOf
    higher_is_better: bool = True
    low: float = 0.0
    high: float = 1.0
    is_mean: bool = False
    enough: Callable[[Counts], Counts] = dict


def _averages(
    prefix: str, counts: CountsOf, module: ModuleType, averages: Sequence[str]
) -> Iterator[CorpusMetric]:
    for part in ("precision", "recall", "f1"):
        for average in averages:
            compute = partial(getattr(module, part), average=average)
            name = f"{prefix}{part}_{average}"
            yield CorpusMetric(name=name, compute=compute, counts=counts, is_mean=average == "samples")


_METRICS: Final = (
    CorpusMetric(name="accuracy", compute=classification.accuracy, counts="classification", is_mean=True),
    CorpusMetric(name="balanced_accuracy", compute=classification.balanced_accuracy, counts="classification"),
    *_averages("", "classification", classification, ("micro", "macro", "weighted")),
    CorpusMetric(name="mcc", compute=classification.matthews, counts="classification", low=-1.0),
    CorpusMetric(name="kappa", compute=classification.kappa, counts="classification", low=-1.0),
    CorpusMetric(
        name="subset_accuracy", compute=multilabel.subset_accuracy, counts="multilabel", is_mean=True
    ),
    CorpusMetric(
        name="hamming_loss", compute=multilabel.hamming_loss, counts="multilabel", higher_is_better=False
    ),
    CorpusMetric(name="jaccard_samples", compute=multilabel.jaccard, counts="multilabel", is_mean=True),
    *_averages("multilabel_", "multilabel", multilabel, ("micro", "macro", "weighted", "samples")),
    CorpusMetric(
        name="ece",
        compute=calibration.expected_calibration_error,
        counts="calibration",
        higher_is_better=False,
    ),
    CorpusMetric(
        name="brier",
        compute=calibration.brier_score,
        counts="calibration",
        higher_is_better=False,
        high=2.0,
        is_mean=True,
    ),
    CorpusMetric(
        name="log_loss",
        compute=calibration.log_loss,
        counts="calibration",
        higher_is_better=False,
        high=calibration.MOST_NATS,
        is_mean=True,
    ),
    CorpusMetric(name="bleu", compute=bleu.bleu, counts="bleu", high=100.0),
    CorpusMetric(name="chrf", compute=bleu.chrf, counts="chrf", high=100.0),
    CorpusMetric(name="chrf++", compute=bleu.chrf_plus, counts="chrf++", high=100.0),
    CorpusMetric(
        name="token_perplexity",
        compute=likelihood.token_perplexity,
        counts="likelihood",
        higher_is_better=False,
        low=1.0,
        high=math.inf,
    ),
    CorpusMetric(
        name="byte_perplexity",
        compute=likelihood.byte_perplexity,
        counts="likelihood",
        higher_is_better=False,
        low=1.0,
        high=math.inf,
    ),
    CorpusMetric(
        name="bits_per_byte",
        compute=likelihood.bits_per_byte,
        counts="likelihood",
        higher_is_better=False,
        high=math.inf,
    ),
)

_ENOUGH: Final[Mapping[CountsOf, Callable[[Counts], Counts]]] = {"classification": classification.margins_of}

CORPUS: Final[Mapping[str, CorpusMetric]] = MappingProxyType(
    {metric.name: replace(metric, enough=_ENOUGH.get(metric.counts, dict)) for metric in _METRICS}
)
"""Every corpus metric by name. What gives one item a score (matches, ROUGE, edit distance) is a mean, and not here."""
