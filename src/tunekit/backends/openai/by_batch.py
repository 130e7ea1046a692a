"""Answers to many questions by way of batches. Knows waiting, and what is asked twice; not how a batch is read.

A batch that was handed in is paid for. So no error while it is waited for, or fetched, leads to asking it again; and
where it is given up on, the error names it, because its answers can be fetched later.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import TypeAlias, TypeVar

from tunekit.backends.base import GenerateRequest, Generation, all_answered
from tunekit.backends.openai.batches import MAX_QUESTIONS, Batch, Batches
from tunekit.data.wording import brief
from tunekit.errors import (
    BackendError,
    DeadlineError,
    NotFoundError,
    TunekitError,
    UnknownOutcomeError,
    UnsupportedError,
)
from tunekit.spec import Sampling

T = TypeVar("T")
Outcomes: TypeAlias = list[Generation | TunekitError]
OneByOne: TypeAlias = Callable[[Sequence[GenerateRequest]], Awaitable[Outcomes]]

POLL_INTERVAL_S = 30.0
LONGEST_WAIT_S = 25 * 3600.0
"""A batch has a day; the host has an hour more to say how it ended."""
PAUSES_S = (30.0, 60.0, 120.0, 240.0, 480.0, 960.0, 1710.0)
"""Between looks that fail: a host that says nothing of a batch for an hour will not say it soon."""
MOST_ASKED_AGAIN = 0.1
"""Share of a batch that is asked by itself where the batch has no answer; more is no rest but the whole, at twice the
price."""
_STOPPED = frozenset({"failed", "cancelled", "canceled"})
_log = logging.getLogger(__name__)


async def generate(
    batches: Batches,
    model: str,
    requests: Sequence[GenerateRequest],
    sampling: Sampling,
    *,
    instead: OneByOne,
) -> list[Generation]:
    """The answers to all of these; as long as it takes, which may be a day. Leaving it lets the batch go on.

    A few without an answer, for a reason that may pass, are asked again by themselves; their `note` says so.

    Args:
        batches: Those of the account.
        model: Whom to ask.
        requests: What to ask.
        sampling: How answers are drawn.
        instead: Asks what a batch did not answer.

    Raises:
        SpecError: The questions are of two kinds, or too large for a batch.
        UnsupportedError: The host gave up the batch as a whole, or somebody cancelled it, before any answer.
        NotFoundError: The host has no batches.
        PartialError: Some questions have no answer, or none has.
    """
    outcomes: Outcomes = []
    for start in range(0, len(requests), MAX_QUESTIONS):
        some = requests[start : start + MAX_QUESTIONS]
        try:
            batch_id = await batches.begin(model, some, sampling)
            _log.info("batch %s: %d questions were handed in", batch_id, len(some))
            outcomes += await _answered(batches, batch_id, some, instead)
        except TunekitError as error:
            # Anybody who is told that the call failed may ask all of it again; that each item failed, nobody does.
            if not outcomes and not isinstance(error, (BackendError, DeadlineError, UnknownOutcomeError)):
                raise
            return all_answered([*outcomes, *[error] * (len(requests) - start)])
    return all_answered(outcomes)


async def _answered(
    batches: Batches, batch_id: str, some: Sequence[GenerateRequest], instead: OneByOne
) -> Outcomes:
    try:
        batch = await _ended(batches, batch_id)
        found = await _borne(batches, batch_id, lambda: batches.answers_of(batch))
    except asyncio.CancelledError:
        _log.warning("batch %s goes on at the host: %s", batch_id, _how_to_fetch(batch_id))
        raise
    is_stopped = batch.status in _STOPPED
    if is_stopped and not any(isinstance(answer, Generation) for answer in found.values()):
        raise UnsupportedError(
            f"batch {brief(batch_id)} {batch.status}: {batch.reason or 'the host gives no reason'}",
            hint="nothing was asked at the full price; do that without batch_from, or hand in fewer at a time",
            details={"batch_id": batch_id},
        )
    outcomes: Outcomes = [found.get(at) or _missing(batch) for at in range(len(some))]
    return outcomes if is_stopped else await _with_rest(outcomes, batch_id, some, instead)


async def _with_rest(
    outcomes: Outcomes, batch_id: str, some: Sequence[GenerateRequest], instead: OneByOne
) -> Outcomes:
    """The same, with the few that may be answered now after all."""
    rest = [at for at, found in enumerate(outcomes) if isinstance(found, TunekitError) and found.retryable]
    if not 0 < len(rest) <= MOST_ASKED_AGAIN * len(some):
        return outcomes
    _log.warning("batch %s: %d of %d questions are asked again by themselves", batch_id, len(rest), len(some))
    try:
        again = await instead([some[at] for at in rest])
    except TunekitError as error:
        again = [error] * len(rest)
    note = f"asked outside batch {brief(batch_id)}, which did not answer, at the full price"
    for at, outcome in zip(rest, again, strict=True):
        outcomes[at] = replace(outcome, note=note) if isinstance(outcome, Generation) else outcome
    return outcomes


async def _ended(batches: Batches, batch_id: str) -> Batch:
    """The batch at its end.

    Raises:
        DeadlineError: It has none, or the host says nothing of it for an hour.
    """
    clock = batches.files.clock
    ends_s = clock.monotonic() + LONGEST_WAIT_S
    while not (batch := await _borne(batches, batch_id, lambda: batches.of(batch_id))).has_ended:
        if clock.monotonic() >= ends_s:
            raise DeadlineError(
                f"batch {brief(batch_id)} is {brief(batch.status)} after {LONGEST_WAIT_S / 3600:.0f} hours",
                hint=_how_to_fetch(batch_id),
                details={"batch_id": batch_id},
            )
        await clock.sleep(POLL_INTERVAL_S)
    return batch


async def _borne(batches: Batches, batch_id: str, look: Callable[[], Awaitable[T]]) -> T:
    """What a look gives: whatever is wrong with the host for the moment, the batch is there.

    Raises:
        DeadlineError: No look has given anything for an hour.
    """
    for pause_s in PAUSES_S:
        try:
            return await look()
        except (BackendError, DeadlineError, NotFoundError) as error:
            _log.warning("batch %s: %s; looking again in %.0f s", batch_id, error.message, pause_s)
        await batches.files.clock.sleep(pause_s)
    try:
        return await look()
    except (BackendError, DeadlineError, NotFoundError) as error:
        raise DeadlineError(
            f"the host says nothing of batch {brief(batch_id)} that can be read, for an hour: {error.message}",
            hint=_how_to_fetch(batch_id),
            details={**error.details, "batch_id": batch_id},
        ) from error


def _how_to_fetch(batch_id: str) -> str:
    return f"it is paid for: fetch its answers later, with backend.batches.answers({brief(batch_id)})"


def _missing(batch: Batch) -> BackendError:
    return BackendError(
        f"batch {brief(batch.id)} is {brief(batch.status)} and has no answer to it",
        hint="hand it in again, or ask it by itself",
        retryable=True,
        details={"batch_id": batch.id},
    )
