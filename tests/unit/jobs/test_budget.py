"""A budget holds on every backend: nothing too dear is sent, and what turns out too dear or too slow is stopped."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any

import pytest

from tests.unit.jobs.conftest import submit
from tunekit import Budget, FineTuneJob, JobCancelledError, JobState, PreflightError, TuneSpec, Usage
from tunekit.backends import Snapshot
from tunekit.data.advice.cost import Price
from tunekit.data.dataset import Dataset
from tunekit.errors import BackendError
from tunekit.store import RunStore
from tunekit.testing import ScriptedBackend

BY_TOKENS = Price(usd_per_million_tokens=10.0, as_of="2026-11-22", source="a test")
BY_TIME = Price(usd_per_hour=100.0, as_of="2026-11-22", source="a test")
# 1,000 rows of about 100 tokens, three times: 3 dollars.
ROWS = Dataset.from_records([{"prompt": "word " * 98, "completion": f" {i}"} for i in range(1000)])


class Priced(ScriptedBackend):
    """A service with a price. What a look at a job finds beside its state is set by the test."""

    def __init__(self, price: Price | None = None, *, breaks: int = 0, **options: Any) -> None:
        super().__init__(**{"events_per_poll": 1, **options})
        self.tariff, self.found, self.breaks = price, dict[str, Any](), breaks
        self.refusal = BackendError("not now", retryable=True)

    def price(self, model: str, spec: TuneSpec) -> Price | None:
        return self.tariff

    async def snapshot(self, job_id: str) -> Snapshot:
        return replace(await super().snapshot(job_id), **self.found)

    async def cancel(self, job_id: str) -> None:
        self.breaks -= 1
        if self.breaks >= 0:
            raise self.refusal
        await super().cancel(job_id)


def spec(**budget: float) -> TuneSpec:
    return TuneSpec(budget=Budget(**budget))


def send(backend: ScriptedBackend, store: RunStore, **budget: float) -> FineTuneJob:
    return FineTuneJob.submit(ROWS, "scripted:base", spec(**budget), backend=backend, store=store)


# --- before -----------------------------------------------------------------------------------------


def test_what_costs_more_for_certain_is_not_sent(store: RunStore) -> None:
    backend = Priced(BY_TOKENS)
    with pytest.raises(PreflightError, match=r"at least \$[12]\.\d\d, and budget\.max_usd is 0\.5"):
        send(backend, store, max_usd=0.5)
    assert backend.counters.submits == 0 and store.list() == []


def test_what_may_cost_more_is_sent_with_a_warning(store: RunStore, caplog: pytest.LogCaptureFixture) -> None:
    backend = Priced(BY_TOKENS)
    with caplog.at_level(logging.WARNING, "tunekit"):
        send(backend, store, max_usd=3.0)  # the tokens are estimated, so up to a third more or less
    assert "may come to" in caplog.text and backend.counters.jobs == 1
    caplog.clear()
    send(backend, store, max_usd=300.0)
    assert not caplog.records and backend.counters.jobs == 2


def test_the_callers_price_counts_more_than_the_backends(store: RunStore) -> None:
    with pytest.raises(PreflightError, match=r"\$1000 per million come to"):
        send(Priced(BY_TOKENS), store, max_usd=10, usd_per_million_tokens=1000)
    backend = Priced()
    send(backend, store, max_usd=10, usd_per_million_tokens=1)
    assert backend.counters.jobs == 1


def test_a_budget_that_nobody_can_keep_is_no_budget(store: RunStore) -> None:
    with pytest.raises(PreflightError, match="the price of 'base' is not known here") as caught:
        send(Priced(), store, max_usd=1000)
    assert "usd_per_million_tokens" in caught.value.hint
    with pytest.raises(PreflightError, match="billed by time, and cannot be cancelled"):
        send(Priced(BY_TIME, cancellable=False), store, max_usd=1000)
    with pytest.raises(PreflightError, match=r"budget\.max_seconds cannot be kept"):
        send(Priced(cancellable=False), store, max_seconds=1000)


def test_a_backend_may_keep_a_budget_by_itself(store: RunStore) -> None:
    backend = Priced()
    kept = replace(backend.capabilities, spec_fields=frozenset({"max_usd", "max_seconds"}))
    backend.__dict__.update(capabilities=kept)
    job = send(backend, store, max_usd=1, max_seconds=1)
    backend.found = {"usage": Usage(seconds=1000.0)}
    assert job.wait().state is JobState.SUCCEEDED and backend.counters.cancels == 0


def test_without_a_budget_nothing_is_counted(store: RunStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tunekit.data.advice.cost.estimate", None)
    assert submit(Priced(BY_TOKENS), store).result()


# --- during -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("found", "says"),
    [
        ({"usage": Usage(trained_tokens=600_000)}, r"costs \$6\.00, and budget\.max_usd is 5"),
        ({"cost_usd": 5.01}, r"costs \$5\.01"),
        ({"cost_usd": 1.0, "projected_usd": 7.5}, r"costs \$7\.50"),
        ({"usage": Usage(seconds=3601.0)}, r"has run for 3601 s, and budget\.max_seconds is 3600"),
    ],
    ids=["spent", "as the service says", "projected", "time"],
)
def test_what_turns_out_too_dear_is_stopped_and_says_why(
    store: RunStore, found: dict[str, Any], says: str
) -> None:
    backend = Priced(BY_TOKENS, breaks=1)
    job = send(backend, store, max_usd=5.0, max_seconds=3600)
    backend.found = found
    with pytest.raises(JobCancelledError, match=says) as caught:
        job.result()
    assert "raise the budget" in caught.value.hint
    assert backend.counters.cancels == 1
    again = FineTuneJob.attach(job.ref, backend=backend, store=store)
    with pytest.raises(JobCancelledError, match=says):
        again.result()


def test_what_is_billed_by_time_is_stopped_by_time(store: RunStore) -> None:
    backend = Priced(BY_TIME, events_per_poll=0)
    running = {"state": JobState.RUNNING, "model": None}
    job = send(backend, store, max_usd=50)
    backend.found = running
    assert job.snapshot().cost_usd is None  # seen to run for the first time
    backend.clock.advance(1800.0)  # type: ignore[attr-defined]
    assert job.snapshot().cost_usd == pytest.approx(50.0)
    assert backend.counters.cancels == 0
    for _ in range(3):  # told once, however long it goes on
        backend.clock.advance(3600.0)  # type: ignore[attr-defined]
        job.snapshot()
    assert backend.counters.cancels == 1


def test_what_ended_in_time_stays_as_it_ended(store: RunStore) -> None:
    backend = Priced(BY_TOKENS, events_per_poll=0)
    backend.found = {"usage": Usage(trained_tokens=10_000_000, seconds=1e6)}
    job = send(backend, store, max_usd=5.0, max_seconds=10)
    assert job.result() and backend.counters.cancels == 0


def test_what_cannot_be_stopped_is_said_once_and_tried_again_at_every_look(store: RunStore) -> None:
    backend = Priced(BY_TOKENS, breaks=2)
    backend.refusal = BackendError("you may not cancel", backend="scripted")
    job = send(backend, store, max_usd=5.0)
    backend.found = {"cost_usd": 6.0}
    with pytest.raises(
        BackendError, match=r"over its budget \(it costs \$6\.00.*and goes on: you may not"
    ) as caught:
        job.result()
    assert "by hand" in caught.value.hint
    record = store.get(job.run_id)
    assert (
        record.error is not None
        and "does not cancel it" in record.error.message
        and not record.is_over_budget
    )
    assert job.snapshot().state is JobState.RUNNING, "the second refusal ends nothing"
    with pytest.raises(JobCancelledError, match="costs"):
        job.result()
    assert backend.counters.cancels == 1


def test_a_cancel_by_hand_has_no_such_reason(store: RunStore) -> None:
    job = send(Priced(BY_TOKENS), store, max_usd=5.0)
    job.cancel()
    with pytest.raises(JobCancelledError) as caught:
        job.result()
    assert "budget" not in str(caught.value)


# --- after ------------------------------------------------------------------------------------------


def test_what_it_came_to_is_in_every_later_look(store: RunStore) -> None:
    backend = Priced(BY_TOKENS, events_per_poll=0)
    backend.found = {"usage": Usage(trained_tokens=300_000)}
    job = submit(backend, store)
    assert job.wait().cost_usd == pytest.approx(3.0)
    backend.tariff = None
    assert job.snapshot().cost_usd is None
    backend.found |= {"cost_usd": 2.5}
    assert job.snapshot().cost_usd == 2.5
