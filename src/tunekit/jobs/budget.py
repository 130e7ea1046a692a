"""A job against its budget: before it is sent, while it runs and after. Knows prices, tokens and time; cancels nothing.

A budget is kept at three moments: a job that costs more for certain is not sent; one that turns out to cost more is
cancelled by whoever looks at it next (`refresh`); and what it came to is in every later snapshot. Nobody watches a
hosted job while no process looks at it, so the first of the three is the one to rely on.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from tunekit.backends.base import Backend, Snapshot, SubmitRequest
from tunekit.data.wording import brief
from tunekit.errors import PreflightError
from tunekit.events import JobState
from tunekit.records import RunRecord
from tunekit.spec import TuneSpec

if TYPE_CHECKING:
    from tunekit.data.advice.cost import CostEstimate, Price

_log = logging.getLogger(__name__)


async def check(backend: Backend, request: SubmitRequest) -> None:
    """Hold a job against its budget before anything is sent.

    Raises:
        PreflightError: It costs more for certain, or the budget could not be kept.
    """
    budget = request.spec.budget
    price = _price(backend, request.model, request.spec)
    problems = tuple(_cannot_keep(backend, request, price))
    if not problems and price is not None and budget.max_usd is not None:
        # Counting the tokens of a large dataset takes seconds, and the caller's loop must not stand still for it.
        problems = tuple(await asyncio.to_thread(_too_dear, backend, request, price))
    if problems:
        raise PreflightError(problems, backend=backend.name, hint=_HINT)


_HINT = (
    "raise the budget, name a price with Budget(usd_per_million_tokens=...), or train on fewer rows or epochs"
)


def reckoned(backend: Backend, record: RunRecord, seen: Snapshot, *, now: float) -> Snapshot:
    """The snapshot with what the job has cost so far, unless the backend says so itself or nobody knows."""
    if seen.cost_usd is not None:
        return seen
    return replace(seen, cost_usd=_cost(backend, record, seen, now))


def overrun(backend: Backend, record: RunRecord, seen: Snapshot, *, now: float) -> str:
    """Why the job has to stop now; empty if it may go on, has ended, or was told to stop before."""
    if seen.state.is_terminal or record.is_over_budget or not backend.capabilities.supports("cancel"):
        return ""
    spec = TuneSpec.model_validate(record.spec)
    usd, seconds = max(seen.cost_usd or 0.0, seen.projected_usd or 0.0), _seconds(record, seen, now)
    if spec.budget.max_usd is not None and usd > spec.budget.max_usd:
        return f"it costs ${usd:,.2f}, and budget.max_usd is {spec.budget.max_usd:g}"
    limit = None if _keeps(backend, "max_seconds") else spec.budget.max_seconds
    if limit is not None and seconds > limit:
        return f"it has run for {seconds:.0f} s, and budget.max_seconds is {limit:g}"
    return ""


def _keeps(backend: Backend, part: str) -> bool:
    """Whether a backend keeps this part of a budget by itself."""
    return part in backend.capabilities.spec_fields


def _price(backend: Backend, model: str, spec: TuneSpec) -> Price | None:
    from tunekit.data.advice.cost import Price

    asked = spec.budget.usd_per_million_tokens
    if asked is not None:
        return Price(usd_per_million_tokens=asked, as_of="", source="the caller")
    return backend.price(model, spec)


def _cannot_keep(backend: Backend, request: SubmitRequest, price: Price | None) -> Iterator[str]:
    budget, can_stop = request.spec.budget, backend.capabilities.supports("cancel")
    if budget.max_usd is not None and not _keeps(backend, "max_usd"):
        if price is None:
            yield f"budget.max_usd cannot be kept: the price of {brief(request.model)} is not known here"
        elif price.usd_per_million_tokens is None and not can_stop:
            yield "budget.max_usd cannot be kept: it is billed by time, and cannot be cancelled"
    if budget.max_seconds is not None and not can_stop and not _keeps(backend, "max_seconds"):
        yield "budget.max_seconds cannot be kept: a job there cannot be cancelled"


def _too_dear(backend: Backend, request: SubmitRequest, price: Price) -> Iterator[str]:
    limit, cost = request.spec.budget.max_usd, _estimate(backend, request, price)
    if limit is None or cost is None or cost.usd_low is None or cost.usd_high is None:
        return
    if cost.usd_low > limit:
        when = f" (as of {price.as_of})" if price.as_of else ""
        yield (
            f"{cost.trained_tokens:,} trained tokens at ${price.usd_per_million_tokens:g} per million{when} come to at"
            f" least ${cost.usd_low:,.2f}, and budget.max_usd is {limit:g}"
        )
    elif cost.usd_high > limit:
        _log.warning("the job may come to $%.2f, and budget.max_usd is %g", cost.usd_high, limit)


def _estimate(backend: Backend, request: SubmitRequest, price: Price) -> CostEstimate | None:
    """None where money does not follow from tokens, or a part of them may never be trained on."""
    from tunekit.data.advice.cost import estimate
    from tunekit.data.profiles.profile import NAMES

    rate, spec = price.usd_per_million_tokens, request.spec
    if not rate or spec.early_stopping is not None or spec.max_length is not None:
        return None
    rules = f"{backend.name}:{request.model}" if backend.name in NAMES else "base"
    return estimate(request.train, rules, epochs=spec.epochs, usd_per_million_tokens=rate)


def _cost(backend: Backend, record: RunRecord, seen: Snapshot, now: float) -> float | None:
    price = _price(backend, record.model, TuneSpec.model_validate(record.spec))
    if price is None:
        return None
    if price.usd_per_hour is not None:
        seconds = _seconds(record, seen, now)
        return seconds / 3600 * price.usd_per_hour if seconds else None
    trained = seen.usage.trained_tokens if seen.usage else 0
    rate = price.usd_per_million_tokens
    return trained * rate / 1e6 if trained and rate is not None else None


def _seconds(record: RunRecord, seen: Snapshot, now: float) -> float:
    """How long it has been running: what the backend says, or since it was first seen to run. 0 where nobody knows."""
    said = seen.usage.seconds if seen.usage else 0.0
    is_running = record.state is JobState.RUNNING and seen.state is JobState.RUNNING
    return max(said, now - record.updated_at if is_running else 0.0)
