"""What was asked for, and what comes next. Knows requests, keys and the one round at work; not what is done in it."""

from __future__ import annotations

from tunekit._canonical import fingerprint
from tunekit.data import arguments
from tunekit.data.dataset import Dataset
from tunekit.errors import ConflictError, DataError
from tunekit.retrain.rounds import given
from tunekit.retrain.rounds.fitness import refuse_batch, refuse_withdrawn
from tunekit.retrain.rounds.moving import Mover
from tunekit.retrain.rounds.records import Batch, Round, RoundState
from tunekit.retrain.rounds.terms import Terms


def requested(terms: Terms, data: Dataset | None, *, task: str, key: str, trigger: str, by: str) -> Round:
    """The round of a request: a new one, or the one that stands for it.

    The rows are on the disk, and the batch in the store, before the round is: a round has its data, whatever happens.

    Raises:
        ConflictError: The key was used for another request.
        SpecError: An argument is of another type.
        DataError: There are no rows, a check finds an error in them, or they were withdrawn: nothing is handed in.
    """
    for name, text in {"task": task, "key": key, "trigger": trigger, "by": by}.items():
        arguments.instance(name, text, str, such_as="a text")
    if data is not None:
        given.rows("data", data)
        _refuse_other_use(terms, key, terms.request(f"{task}/{data.fingerprint()}"))
    position, what = _handed_in(terms, data, task)
    request = terms.request(what)
    now = terms.clock.now()
    draft = Round(
        round_id=f"round-{fingerprint([terms.pipeline, terms.alias, key or request])[:20]}",
        pipeline=terms.pipeline,
        alias=terms.alias,
        key=key or request,
        request=request,
        trigger=trigger,
        requested_by=by,
        terms=terms.policy,
        target=str(terms.target),
        recipe=terms.spec.model_dump(mode="json"),
        position=position,
        created_at=now,
        updated_at=now,
    )
    return terms.rounds.request(draft)[0]


def standing(terms: Terms, data: Dataset | None, task: str) -> str:
    """Id of the round that a request without a key would give; "" where it would be a new one."""
    what = f"{task}/{data.fingerprint()}" if data is not None else _everything(terms)[1]
    request = terms.request(what)
    found = terms.rounds.rounds(terms.pipeline, key=request, limit=1)
    return next((each.round_id for each in found if not each.state.may_be_asked_again), "")


def next_round(mover: Mover, terms: Terms) -> Round | None:
    """What to work on: the round that was begun, else the latest request, which then stands for all before it.

    Raises:
        ConflictError: That was asked for by other terms.
    """
    at_work = [state for state in RoundState if state.is_at_work]
    open_ = terms.rounds.rounds(terms.pipeline, alias=terms.alias, states=at_work)
    begun = [each for each in open_ if each.state is not RoundState.REQUESTED]
    if begun:
        return _on_these(terms, begun[-1])
    if not open_:
        return None
    _on_these(terms, open_[0])
    latest, *before = open_
    for each in before:
        mover.move(
            each,
            RoundState.COALESCED,
            reason=f"{latest.round_id} was asked for before it had begun, and has its data",
            coalesced_into=latest.round_id,
        )
    return latest


def _on_these(terms: Terms, round_: Round) -> Round:
    """What one gate was asked for is not promoted by another."""
    if round_.terms not in ("", terms.policy):
        raise ConflictError(
            f"round {round_.round_id!r} is {round_.state}, and was asked for with another recipe, gate or approval",
            hint="run the program that asked for it, or stop it with Rounds.cancel and ask again",
        )
    return round_


def _refuse_other_use(terms: Terms, key: str, request: str) -> None:
    """Rows of a request that will be refused are not handed in; `RoundStore.request` looks once more."""
    for known in terms.rounds.rounds(terms.pipeline, key=key, limit=1) if key else ():
        if known.request != request:
            raise ConflictError(
                f"key {key!r} was used for another request, of round {known.round_id!r}",
                hint="use a new key for a new request, or none: then equal requests are one",
            )


def _handed_in(terms: Terms, data: Dataset | None, task: str) -> tuple[int, str]:
    """Position of the last batch, and what the request is known by."""
    if data is None:
        last, what = _everything(terms)
        if not last:
            raise DataError(f"pipeline {terms.pipeline!r} has no rows yet", hint="hand some in: run(data)")
        return last, what
    if not len(data):
        raise DataError(
            "there are no rows in what was handed in", hint="hand in at least one, or None for what there is"
        )
    refuse_withdrawn(data, terms)
    refuse_batch(data, terms)
    prints = terms.files.write(data)
    terms.rounds.add_batch(
        Batch(
            pipeline=terms.pipeline,
            position=1,
            fingerprint=prints,
            rows=len(data),
            task=task,
            added_at=terms.clock.now(),
        )
    )
    return len(terms.rounds.batches(terms.pipeline)), f"{task}/{prints}"


def _everything(terms: Terms) -> tuple[int, str]:
    """Position of the last batch, and what a request for all there is is known by."""
    batches = terms.rounds.batches(terms.pipeline)
    out = [str(batch.position) for batch in batches if batch.withdrawn_at is not None]
    return len(batches), f"everything up to {len(batches)}" + (f" without {', '.join(out)}" if out else "")
