"""What a round would do and cost, and what its gate could tell. Knows estimates; writes nothing, asks no model."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

from pydantic import Field

from tunekit.backends.capabilities import wrong_kinds
from tunekit.data.dataset import Dataset
from tunekit.data.wording import listed
from tunekit.errors import SpecError, TunekitError
from tunekit.evaluation.comparison import Comparison
from tunekit.evaluation.records import Record
from tunekit.evaluation.report.numbers import number
from tunekit.retrain.rounds import given
from tunekit.retrain.rounds.fitness import errors_of, refuse_withdrawn
from tunekit.retrain.rounds.gated import guarded_items, not_enough
from tunekit.retrain.rounds.preparing import planned
from tunekit.retrain.rounds.promoting import in_use
from tunekit.retrain.rounds.queueing import standing
from tunekit.retrain.rounds.records import Amounts
from tunekit.retrain.rounds.terms import Terms

ASSUMED_DISAGREEMENT = 0.2
"""Share of items on which exactly one of two models is right, where no earlier round tells."""
_GAINS = (0.01, 0.02, 0.05, 0.1)
_log = logging.getLogger(__name__)


class Chance(Record):
    """How likely a model passes that is better by so much.

    Attributes:
        gain: True gain beyond what is in use.
        power: Chance that the gate lets it through.
        items_needed: Items of the test that would make it 80 %; None if no number would.
    """

    gain: float
    power: float
    items_needed: int | None


class RoundPlan(Record):
    """What a round would do, before anything is spent. Print it.

    Attributes:
        standing: Id of the round that stands for this request already; "" where it would be a new one.
        amounts: What it would train on.
        champion: The version that it would be measured against; None for the baseline.
        warm_start: What it would go on from; "" for the base model.
        errors: What is wrong with the data, so that a round would fail.
        usd: What training would cost, from and to; None where no price is known.
        trained_tokens: Tokens that would be trained on, over all epochs; None where they cannot be counted here.
        items: Items of the test.
        disagreement: Share of items on which exactly one of the two models is right, as the last round had it.
        is_disagreement_assumed: Whether there was no last round.
        chances: How likely the gate lets a gain through.
        notes: What else is worth knowing.
    """

    standing: str = ""
    amounts: Amounts
    champion: int | None = None
    warm_start: str = ""
    errors: tuple[str, ...] = ()
    usd: tuple[float, float] | None = None
    trained_tokens: int | None = None
    items: int
    disagreement: float
    is_disagreement_assumed: bool
    chances: tuple[Chance, ...] = Field(repr=False)
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        price = "no price is known" if self.usd is None else f"${self.usd[0]:,.2f} to ${self.usd[1]:,.2f}"
        assumed = ", assumed" if self.is_disagreement_assumed else ", as in the last round"
        lines = [
            f"round {self.standing} stands for this already" if self.standing else "a new round",
            f"data: {self.amounts}",
            f"from: {self.warm_start or 'the base model'}; against: {self.champion or 'the baseline'}",
            f"training: {price}" + (f", {self.trained_tokens:,} tokens" if self.trained_tokens else ""),
            f"test: {self.items:,} items; the two differ on {self.disagreement:.0%} of them{assumed}",
            *(self._said(each) for each in self.chances),
            *(f"error: {text}" for text in self.errors),
            *(f"note: {text}" for text in self.notes),
        ]
        return "\n".join(lines)

    @staticmethod
    def _said(chance: Chance) -> str:
        needed = f"; {chance.items_needed:,} items would make it 80 %" if chance.items_needed else ""
        return f"  a gain of {number(chance.gain, signed=True)} passes with {chance.power:.0%}{needed}"


def plan(terms: Terms, data: Dataset | None, *, task: str) -> RoundPlan:
    """What a round with these rows would do.

    Raises:
        DataError: Nothing is left to train on.
    """
    batches = terms.batches()
    if data is not None:
        refuse_withdrawn(given.rows("data", data), terms)
    if data is not None and not any(rows == data and name == task for _, name, rows in batches):
        batches.append((len(terms.rounds.batches(terms.pipeline)) + 1, task, data))
    champion = in_use(terms.registry, terms.pipeline, terms.alias)
    made = planned(terms, batches, champion)
    usd, tokens, notes = _cost(terms, made.composed.data)
    disagreement = _disagreement(terms)
    lacking = not_enough(terms.gate, made.composed, replaces=champion is not None)
    lacking = lacking and f"it ends before training: {lacking}"
    return RoundPlan(
        standing=standing(terms, data, task),
        amounts=made.composed.amounts,
        champion=champion.number if champion else None,
        warm_start=made.spec.warm_start or "",
        errors=tuple(_errors(terms, made.composed.data)),
        usd=usd,
        trained_tokens=tokens,
        items=len(terms.evaluator.items),
        disagreement=ASSUMED_DISAGREEMENT if disagreement is None else disagreement,
        is_disagreement_assumed=disagreement is None,
        chances=_chances(terms, ASSUMED_DISAGREEMENT if disagreement is None else disagreement),
        notes=tuple(filter(None, (*notes, made.note, *made.composed.notes, lacking, _unknown(terms)))),
    )


def _chances(terms: Terms, disagreement: float) -> tuple[Chance, ...]:
    items, found = len(terms.evaluator.items), []
    guarded = guarded_items(terms.gate, terms.evaluator, terms.tasks)
    for more in _GAINS:
        gain = terms.gate.min_gain + more
        power = terms.gate.plan(
            gain=gain, items=items, disagreement=min(1.0, max(disagreement, gain)), guarded_items=guarded
        )
        found.append(Chance(gain=gain, power=power.power, items_needed=power.items_needed))
    return tuple(found)


def _unknown(terms: Terms) -> str:
    rails = [rail.name for rail in terms.gate.guardrails if rail.margin is None]
    return f"the chances leave out {listed(rails)}: what a share of comes to is measured" if rails else ""


def _errors(terms: Terms, data: Dataset) -> Iterator[str]:
    """What the round would fail with."""
    if wrong := wrong_kinds(terms.spec, "the training data", data):
        yield wrong
    yield from (finding.message for finding in errors_of(data, terms))


def _cost(terms: Terms, data: Dataset) -> tuple[tuple[float, float] | None, int | None, tuple[str, ...]]:
    price = terms.spec.budget.usd_per_million_tokens
    try:
        found = data.estimate_cost(str(terms.target), epochs=terms.spec.epochs, usd_per_million_tokens=price)
    except SpecError as error:
        return None, None, (f"the cost is not known: {error.message}",)
    usd = None if found.usd_low is None or found.usd_high is None else (found.usd_low, found.usd_high)
    return usd, found.trained_tokens, tuple(found.notes)


def _disagreement(terms: Terms) -> float | None:
    """Of the latest round that was measured."""
    for each in terms.rounds.rounds(terms.pipeline, limit=20):
        path = Path(each.report) / "comparison.json"
        if not each.report or not path.is_file():
            continue
        try:
            metric = Comparison.from_json(path.read_bytes())[terms.gate.primary]
        except (TunekitError, OSError) as error:
            _log.info("the report of %s tells nothing: %s", each.round_id, error)
            continue
        return (metric.wins + metric.losses) / max(metric.delta.n, 1)
    return None
