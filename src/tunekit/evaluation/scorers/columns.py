"""What scorers by the name of a metric share: the metric itself, and the classes of a test set. Scores nothing."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from tunekit.data.wording import brief, listed
from tunekit.errors import SpecError
from tunekit.evaluation.items import Item
from tunekit.evaluation.metrics.table import CORPUS, CorpusMetric
from tunekit.evaluation.scorers.base import reference_of

_MOST_CLASSES = 20


def named(metric: str, counts: Collection[str]) -> CorpusMetric:
    """The metric of this name.

    Args:
        metric: Such as "f1_macro".
        counts: Whose counts the scorer makes.

    Raises:
        SpecError: There is none, or it is computed from other counts.
    """
    known = [each.name for each in CORPUS.values() if each.counts in counts]
    if metric not in known:
        raise SpecError(f"{brief(metric)} is no metric of this scorer", hint=f"one of {', '.join(known)}")
    return CORPUS[metric]


def resampled(metric: CorpusMetric) -> str:
    """The `corpus` of a scorer: its name, or nothing for a mean of what the items get alone."""
    return "" if metric.is_mean else metric.name


def distinct(values: Sequence[str], field: str) -> tuple[str, ...]:
    """The values.

    Raises:
        SpecError: They are one text, or one is there twice.
    """
    if isinstance(values, str) or len(set(values)) != len(values):
        raise SpecError(f"{field} are {values!r}", hint="pass a list of different answers")
    return tuple(values)


def classes_of(items: Sequence[Item], given: Sequence[str], *, field: str, instead: str) -> tuple[str, ...]:
    """The classes given, or else the different references of a test set.

    Args:
        items: The test.
        given: The classes; empty takes them from the items.
        field: What the scorer calls them.
        instead: What to use for answers that are no classes.

    Raises:
        SpecError: A reference is not among those given; or there are none and the references are free text.
        EvaluationError: An item has no reference.
    """
    references = {reference_of(item) for item in items}
    if given:
        missing = sorted(references - set(given))
        if missing:
            raise SpecError(
                f"{brief(missing[0])} is a reference of the test set but not among the {field}", hint="add it"
            )
        return tuple(given)
    if len(references) > max(_MOST_CLASSES, len(items) // 2):
        raise SpecError(
            f"{len(references)} different references in {len(items)} items are not a few classes",
            hint=f"use {instead} for free text, or name the classes: {field}=[...]",
        )
    return tuple(sorted(references))


def one_of(value: str, allowed: Sequence[str], field: str) -> None:
    """Refuse a word that is none of the known ones.

    Raises:
        SpecError: It is not.
    """
    if value not in allowed:
        raise SpecError(f"{field} is {value!r}", hint=f"one of {listed(allowed)}")
