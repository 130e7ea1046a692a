"""What triggers look at, gathered. Knows where each fact is kept; not what follows from it."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

from tunekit.data import arguments
from tunekit.data.dataset import Dataset
from tunekit.errors import DataError, TunekitError
from tunekit.evaluation.comparison import Comparison, MetricComparison
from tunekit.retrain.registry.records import ModelVersion
from tunekit.retrain.rounds import given
from tunekit.retrain.rounds.composing import composed
from tunekit.retrain.rounds.preparing import learned
from tunekit.retrain.rounds.promoting import in_use
from tunekit.retrain.rounds.terms import Terms
from tunekit.retrain.rounds.triggers import Situation, Trigger

_log = logging.getLogger(__name__)


def reasons(
    terms: Terms, triggers: Sequence[Trigger], data: Dataset | None, measured: Mapping[str, float]
) -> tuple[str, ...]:
    """What each trigger says that has something to say; see `Retrainer.due`."""
    if not triggers:
        return ()
    for name, value in arguments.mapping("measured", measured, such_as='{"exact_match": 0.81}').items():
        arguments.finite(f"measured[{name!r}]", value)
    seen = _situation(terms, data, measured)
    return tuple(said for trigger in triggers if (said := trigger.reason(seen)))


def _situation(terms: Terms, data: Dataset | None, measured: Mapping[str, float]) -> Situation:
    champion = in_use(terms.registry, terms.pipeline, terms.alias)
    then = _then(champion)
    rounds = terms.rounds.rounds(terms.pipeline, alias=terms.alias, limit=1)
    batches = terms.batches()
    if data is not None and len(given.rows("data", data)):
        batches.append((len(terms.rounds.batches(terms.pipeline)) + 1, "", data))
    try:
        known = learned(champion) if champion is not None else frozenset[int]()
        made = composed(batches, learned=known, history="all", tests=(), seed=0)
        new_rows, before, recent = made.amounts.new, made.before, made.now
    except DataError:  # there are no rows at all
        new_rows, before, recent = 0, {}, {}
    return Situation(
        now=terms.clock.now(),
        last=rounds[0].created_at if rounds else None,
        new_rows=new_rows,
        before=before,
        recent=recent,
        scores={
            name: (metric.b.value.estimate, measured[name])
            for name, metric in then.items()
            if name in measured
        },
        lower_is_better=frozenset(name for name, metric in then.items() if not metric.higher_is_better),
        base_ends=champion.base_ends if champion is not None else None,
    )


def _then(champion: ModelVersion | None) -> Mapping[str, MetricComparison]:
    """What the model in use scored when it was promoted."""
    if champion is None or not champion.evaluation:
        return {}
    try:
        found = Comparison.from_json((Path(champion.evaluation) / "comparison.json").read_bytes())
    except (OSError, TunekitError) as error:
        _log.warning("what %s scored then is not known: %s", champion.ref, error)
        return {}
    return found.metrics
