"""The step of a round that costs money. Knows how a job is handed in once, found again and waited for; no metrics."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from tunekit.backends.base import Snapshot
from tunekit.data.dataset import Dataset
from tunekit.errors import BudgetError, ConflictError, TunekitError
from tunekit.jobs import outcome
from tunekit.jobs.job import FineTuneJob
from tunekit.refs import Target
from tunekit.retrain.rounds.records import Round, RoundState
from tunekit.spec import TuneSpec

if TYPE_CHECKING:
    from tunekit.retrain.rounds.driving import Driver

_LATEST = 1000  # jobs of the store that are looked through


async def train(driver: Driver, round_: Round) -> Round:
    """Hand the job in, unless it is, and wait for its model.

    Raises:
        JobFailedError: Training failed.
        JobCancelledError: Training was cancelled.
        BudgetError: The time of the budget is over; the job is cancelled.
        TunekitError: Nobody knows how the job stands; it goes on when the round does.
    """
    job = await _job(driver, round_)
    ended: list[Snapshot] = []

    async def wait() -> None:
        ended.append(await job.wait_async(on_event=driver.tell))

    try:
        if not round_.job:
            round_ = await driver.move(round_, RoundState.TRAINING, reason=f"job {job.ref}", job=str(job.ref))
        await driver.within(round_, wait())
    except (BudgetError, ConflictError):  # no time is left, or somebody stopped the round
        await _stop(job)
        raise
    try:
        model = outcome.model_of(job.ref, ended[0])
    except TunekitError:
        if ended[0].cost_usd is not None:
            cost = ended[0].cost_usd
            await driver.move(round_, RoundState.TRAINING, reason="ended without a model", cost_usd=cost)
        raise
    return await driver.move(
        round_, RoundState.EVALUATING, reason=f"trained {model}", model=model, cost_usd=ended[0].cost_usd
    )


async def stop_cancelled(driver: Driver) -> None:
    """Stop the jobs of rounds that were cancelled while nobody was there to do so.

    Raises:
        TunekitError: A job cannot be looked at, or cancelled; it is tried again when the pipeline is worked on next.
    """
    terms = driver.terms
    cancelled = await asyncio.to_thread(
        terms.rounds.rounds, terms.pipeline, alias=terms.alias, states=(RoundState.CANCELLED,)
    )
    for round_ in cancelled:
        if round_.job_stopped:
            continue
        job = await _known(driver, round_)
        if job is not None and not (await job.snapshot_async()).state.is_terminal:
            await _stop(job)
        await driver.move(round_, RoundState.CANCELLED, reason="no job of it runs", job_stopped=True)


async def _known(driver: Driver, round_: Round) -> FineTuneJob | None:
    """The job of a round, if it was handed in."""
    if round_.job:
        return await _job(driver, round_)
    if not round_.train:
        return None
    data = await asyncio.to_thread(driver.terms.files.read, round_.train)
    return await _handed_in(driver, round_, data)


async def _job(driver: Driver, round_: Round) -> FineTuneJob:
    terms = driver.terms
    if round_.job:
        return await FineTuneJob.attach_async(
            round_.job, backend=terms.backend, store=terms.runs, settings=terms.settings
        )
    data = await asyncio.to_thread(terms.files.read, round_.train)
    begun = await _handed_in(driver, round_, data)
    if begun is not None and begun.record is not None and begun.record.job_id:
        return begun
    # A job that was not sent yet is sent by its key: attached to, it would be given up for never having been sent.
    return await FineTuneJob.submit_async(
        data,
        Target(round_.target),
        TuneSpec.model_validate(round_.recipe),
        validation=terms.validation,
        backend=terms.backend,
        store=terms.runs,
        settings=terms.settings,
    )


async def _handed_in(driver: Driver, round_: Round, data: Dataset) -> FineTuneJob | None:
    """The job of this round, where a process handed it in and was killed before it wrote that down.

    Handing it in again would find it, too, but for one that has failed since: that would be followed by a new one, and
    a round has one job.
    """
    terms = driver.terms
    jobs = await FineTuneJob.list_async(
        backend=terms.backend or terms.target.backend,
        limit=_LATEST,
        store=terms.runs,
        settings=terms.settings,
    )
    others = {each.job for each in await asyncio.to_thread(terms.rounds.rounds, terms.pipeline)}
    for job in jobs:
        found = job.record
        if (
            found is not None
            and str(job.ref) not in others
            and found.created_at >= round_.created_at
            and found.train_fingerprint == data.fingerprint()
            and found.model == Target(round_.target).id
            and found.spec == round_.recipe
        ):
            return job
    return None


async def _stop(job: FineTuneJob) -> None:
    try:
        await job.cancel_async()
    except TunekitError as error:
        raise error.__class__(
            f"job {job.ref} could not be cancelled: {error.message}", hint=error.hint
        ) from error
