"""Stored evaluations for tests of comparisons. Knows the records; asks no model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tunekit.evaluation.measuring import metric_of
from tunekit.evaluation.metrics import classification
from tunekit.evaluation.results import Evaluation, ItemResult, Provenance
from tunekit.refs import ModelRef
from tunekit.spec import Sampling

if TYPE_CHECKING:
    from pydantic import JsonValue


def stored(
    model: str,
    items: Sequence[ItemResult],
    *,
    name: str = "score",
    corpus: str = "",
    higher_is_better: bool = True,
    config: dict[str, JsonValue] | None = None,
) -> Evaluation:
    """An evaluation of one scorer with these results of items."""
    return Evaluation(
        model=ModelRef(f"table:{model}"),
        provenance=Provenance(
            test_fingerprint="f",
            n_items=len(items),
            sampling=Sampling(),
            scorers={name: {"type": "t", **(config or {})}},
        ),
        metrics={name: metric_of(items, name, corpus=corpus, higher_is_better=higher_is_better)},
        items=tuple(items),
        seconds=1.0,
        created_at=0.0,
        tunekit_version="0",
    )


def scored(
    values: Sequence[float],
    *,
    clusters: Sequence[str | None] | None = None,
    slices: Sequence[dict[str, str]] | None = None,
) -> list[ItemResult]:
    """Items with these scores, and their groups and slices where there are some."""
    return [
        ItemResult(
            id=f"#{at}",
            scores={"score": value},
            cluster=clusters[at] if clusters else None,
            slices=slices[at] if slices else {},
        )
        for at, value in enumerate(values)
    ]


def classified(
    references: Sequence[str], predictions: Sequence[str], name: str = "score"
) -> list[ItemResult]:
    """Items of a classification, with what every metric of its classes is computed from."""
    return [
        ItemResult(
            id=f"#{at}",
            reference=reference,
            scores={name: float(reference == prediction)},
            counts={name: classification.counts_of(reference, prediction)},
            choices={name: prediction},
        )
        for at, (reference, prediction) in enumerate(zip(references, predictions, strict=True))
    ]
