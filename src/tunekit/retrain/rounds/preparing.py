"""First steps of a round: what it goes on from, and trains on. Knows batches and the model in use; no jobs."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tunekit.backends import registry as backends
from tunekit.data.dataset import Dataset
from tunekit.errors import BackendError, DataError, ModelError, NotFoundError, UnsupportedError
from tunekit.retrain.registry.records import ModelVersion
from tunekit.retrain.rounds.composing import Composed, composed
from tunekit.retrain.rounds.fitness import refuse_training_data
from tunekit.retrain.rounds.gated import not_enough
from tunekit.retrain.rounds.promoting import in_use
from tunekit.retrain.rounds.records import Round, RoundState
from tunekit.retrain.rounds.terms import Terms
from tunekit.spec import Sampling, TuneSpec

if TYPE_CHECKING:
    from tunekit.retrain.rounds.driving import Driver

_log = logging.getLogger(__name__)
LEARNED = "batches"
"""The fact of a version that names the last batch that it has learned from."""


async def begin(driver: Driver, round_: Round) -> Round:
    """Note which model the round is about to replace, and the rows that are there by now."""
    terms = driver.terms
    champion = await asyncio.to_thread(in_use, terms.registry, terms.pipeline, terms.alias)
    number = champion.number if champion else None
    # Requests that came at the same moment may be in another order than their rows.
    last = max(round_.position, len(await asyncio.to_thread(terms.rounds.batches, terms.pipeline)))
    return await driver.move(round_, RoundState.PREPARING, champion=number, position=last)


async def prepare(driver: Driver, round_: Round) -> Round:
    """Put the training data together, check them, and keep them.

    Raises:
        DataError: Nothing is left to train on, a check finds an error, or nothing is new to go on with.
        NotFoundError: The model in use answers no more, so nothing could be compared with it.
    """
    await _require_champion(driver, round_)
    made = await asyncio.to_thread(_prepared, driver.terms, round_)
    facts = {
        "note": "; ".join(
            filter(None, (made.note, *made.composed.notes, _blind(driver.terms, made, round_)))
        ),
        "amounts": made.composed.amounts,
        "label_drift": made.composed.drift,
        "train": made.fingerprint,
        "recipe": made.spec.model_dump(mode="json"),
    }
    lacking = not_enough(driver.terms.gate, made.composed, replaces=round_.champion is not None)
    if lacking:
        return await driver.move(round_, RoundState.REJECTED, reason=lacking, **facts)
    return await driver.move(round_, RoundState.TRAINING, reason=str(made.composed.amounts), **facts)


async def _require_champion(driver: Driver, round_: Round) -> None:
    """Look for the model in use, or ask it for one token: that it is gone is better known before training is paid."""
    terms = driver.terms
    champion = await asyncio.to_thread(_version, terms, round_.champion)
    if champion is None:
        return
    serving = backends.serving(champion.model.backend, terms.backend, terms.settings)
    question = terms.evaluator.items[0].generate_request()
    try:
        if (await serving.version(champion.model.id)).seen:
            return
        await serving.generate(champion.model.id, [question], Sampling(max_tokens=1))
    except (NotFoundError, ModelError) as error:
        raise NotFoundError(
            f"{champion.ref}, which is in use, answers no more: {error.message}",
            hint="promote a version that does, or roll back; nothing was spent",
        ) from error
    except (UnsupportedError, BackendError) as error:  # it only weighs answers, or is away for the moment
        _log.info("whether %s answers is not known: %s", champion.ref, error.message)


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """What a round is about to hand in.

    Attributes:
        composed: The training data.
        spec: The recipe, with what it goes on from.
        note: What is worth knowing; "" for nothing.
        fingerprint: Of the data; "" where they were not kept.
    """

    composed: Composed
    spec: TuneSpec
    note: str
    fingerprint: str = ""


def planned(
    terms: Terms, batches: Sequence[tuple[int, str, Dataset]], champion: ModelVersion | None
) -> Prepared:
    """What a round of these batches would hand in. Writes nothing.

    Args:
        terms: Of the retrainer.
        batches: Position, task and rows of each, in order.
        champion: The version in use.
    """
    warm, note = _warm_start(terms, champion)
    made = composed(
        batches,
        learned=learned(champion) if champion is not None else frozenset(),
        history=terms.history,
        tests=[evaluator.items for evaluator in (terms.evaluator, *terms.tasks.values())],
        seed=terms.spec.seed,
    )
    budget = terms.spec.budget.model_copy(
        update={
            name: min((limit for limit in (mine, whole) if limit is not None), default=None)
            for name, mine, whole in (
                ("max_usd", terms.spec.budget.max_usd, terms.budget.max_usd),
                ("max_seconds", terms.spec.budget.max_seconds, terms.budget.max_seconds),
            )
        }
    )
    changes = {"warm_start": warm, "budget": budget} if warm else {"budget": budget}
    return Prepared(composed=made, spec=terms.spec.model_copy(update=changes), note=note)


def _prepared(terms: Terms, round_: Round) -> Prepared:
    champion = _version(terms, round_.champion)
    made = planned(terms, terms.batches(round_.position), champion)
    refuse_training_data(made.composed.data, terms)
    _refuse_repetition(made, champion)
    fingerprint = terms.files.write(made.composed.data)
    return Prepared(composed=made.composed, spec=made.spec, note=made.note, fingerprint=fingerprint)


def _blind(terms: Terms, made: Prepared, round_: Round) -> str:
    """What the gate is to look at, and these rows do not say."""
    if terms.gate.max_label_drift is None or round_.champion is None or made.composed.drift is not None:
        return ""
    return "the rows have no single label, so the gate does not see how far their labels have moved"


def _refuse_repetition(made: Prepared, champion: ModelVersion | None) -> None:
    """From the base, the same data and recipe are the same job, and cost nothing; going on, each time is a new one."""
    if champion is not None and made.spec.warm_start and not made.composed.amounts.new:
        raise DataError(
            f"no row is new since {champion.ref}, and a round that goes on from it would learn the old ones once more",
            hint="hand in new rows",
        )


def _version(terms: Terms, number: int | None) -> ModelVersion | None:
    return None if number is None else terms.registry.version(f"{terms.pipeline}@{number}")


def _warm_start(terms: Terms, champion: ModelVersion | None) -> tuple[str | None, str]:
    """What a round goes on from, and what to say where that is not what was asked for."""
    if terms.start == "base" or champion is None:
        return None, ""
    if champion.model.backend != terms.target.backend or not learned(champion):
        return None, f"{champion.ref} was not trained by this pipeline: started from the base model"
    return str(champion.model), ""


def learned(version: ModelVersion) -> frozenset[int]:
    """Positions of the batches that a version has learned from; none of one that somebody else registered."""
    last = version.facts.get(LEARNED)
    return frozenset(range(1, last + 1)) if isinstance(last, int) else frozenset()
