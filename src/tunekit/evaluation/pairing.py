"""The items that two models could both be scored on. Knows stored results of items; no statistics, no verdict."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, TypeAlias

from tunekit.data.wording import brief
from tunekit.errors import EvaluationError
from tunekit.evaluation.measuring import clusters_of, corpus_metric, counts_of, is_binary
from tunekit.evaluation.metrics.counts import Counts, added
from tunekit.evaluation.metrics.table import CorpusMetric
from tunekit.evaluation.results import Evaluation, ItemResult

Pair: TypeAlias = tuple[ItemResult, ItemResult]


@dataclass(frozen=True)
class Pairs:
    """The results of two models on the same items, by one scorer.

    Attributes:
        name: Of the scorer.
        corpus: The metric of the whole test that the scorer computes; None where it is the mean of the scores.
        higher_is_better: Whether a higher score is better.
        rows: Both results of each item, in the order of the test.
    """

    name: str
    corpus: CorpusMetric | None
    higher_is_better: bool
    rows: tuple[Pair, ...]

    @property
    def n(self) -> int:
        """How many they are."""
        return len(self.rows)

    @cached_property
    def a(self) -> tuple[float, ...]:
        """The first model's scores."""
        return tuple(mine.scores[self.name] for mine, _ in self.rows)

    @cached_property
    def b(self) -> tuple[float, ...]:
        """The second model's scores."""
        return tuple(other.scores[self.name] for _, other in self.rows)

    @cached_property
    def differences(self) -> tuple[float, ...]:
        """Of each item, the second score minus the first."""
        return tuple(new - old for old, new in zip(self.a, self.b, strict=True))

    @property
    def binary(self) -> bool:
        """Whether all scores are 0 or 1."""
        return is_binary(self.a) and is_binary(self.b)

    @property
    def counts(self) -> tuple[list[Counts], list[Counts]]:
        """Of each model, what each item adds to the metric of the whole test."""
        enough = self.corpus.enough if self.corpus else dict
        first, second = ([enough(counts_of(self.name, row[side])) for row in self.rows] for side in (0, 1))
        return first, second

    @cached_property
    def clusters(self) -> tuple[Hashable, ...] | None:
        """The group of each item; None where no two items are of one group. An item without is a group of its own."""
        return clusters_of([mine for mine, _ in self.rows])

    @property
    def fixed(self) -> tuple[str, ...]:
        """Ids of the items on which the second model does better."""
        return self._ids_where(1)

    @property
    def broken(self) -> tuple[str, ...]:
        """Ids of the items on which the first model does better."""
        return self._ids_where(-1)

    def value(self, side: Literal[0, 1]) -> float:
        """The result of one model over these items.

        Raises:
            EvaluationError: The metric is undefined on them.
        """
        if self.corpus is not None:
            return self.corpus.compute(added(self.counts[side]))
        scores = (self.a, self.b)[side]
        return math.fsum(scores) / len(scores)

    def _ids_where(self, sign: int) -> tuple[str, ...]:
        wanted = sign if self.higher_is_better else -sign
        return tuple(
            mine.id
            for (mine, _), gap in zip(self.rows, self.differences, strict=True)
            if (gap > 0) - (gap < 0) == wanted
        )


def pair(name: str, a: Evaluation, b: Evaluation) -> Pairs:
    """The items that both models could be scored on.

    Raises:
        EvaluationError: There is none; the two do not agree on what the scorer computes, or on which group an item
            belongs to.
    """
    others = _scored(name, b)
    rows = tuple(_alike(mine, others[mine.id]) for mine in _scored(name, a).values() if mine.id in others)
    if not rows:
        raise EvaluationError(
            f"no item could be scored by {name!r} for both {a.model} and {b.model}",
            hint="look at `errors` of the items in either evaluation",
        )
    return Pairs(name, _corpus(name, a, b), a[name].higher_is_better, rows)


def only(name: str, a: Evaluation, b: Evaluation) -> tuple[str, ...]:
    """Ids of the items that `a` could be scored on and `b` not."""
    others = _scored(name, b)
    return tuple(item for item in _scored(name, a) if item not in others)


def _scored(name: str, evaluation: Evaluation) -> Mapping[str, ItemResult]:
    return {item.id: item for item in evaluation.items if name in item.scores}


def _alike(mine: ItemResult, other: ItemResult) -> Pair:
    """Both results in the group that either names: groups change no score, so that one may not know them."""
    if mine.cluster == other.cluster:
        return mine, other
    if mine.cluster is not None and other.cluster is not None:
        raise EvaluationError(
            f"item {mine.id!r} is in group {brief(mine.cluster)} here and {brief(other.cluster)} there",
            hint="evaluate both with the same clusters=",
        )
    group = {"cluster": other.cluster if mine.cluster is None else mine.cluster}
    return mine.model_copy(update=group), other.model_copy(update=group)


def _corpus(name: str, a: Evaluation, b: Evaluation) -> CorpusMetric | None:
    kinds = [
        (metric.kind == "corpus", metric.corpus, metric.higher_is_better) for metric in (a[name], b[name])
    ]
    if kinds[0] != kinds[1]:
        raise EvaluationError(
            f"{name!r} is not the same in both: {_said(kinds[0])} against {_said(kinds[1])}",
            hint="evaluate both with one Evaluator",
        )
    is_corpus, corpus, _ = kinds[0]
    return corpus_metric(name, corpus or name) if is_corpus else None


def _said(kind: tuple[bool, str, bool]) -> str:
    is_corpus, corpus, higher_is_better = kind
    what = f"the {corpus} of the test" if is_corpus else "a mean"
    return f"{what}, {'higher' if higher_is_better else 'lower'} is better"
