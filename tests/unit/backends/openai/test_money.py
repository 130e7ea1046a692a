"""A budget at hosts of the dialect: estimated before, watched meanwhile, reckoned afterwards."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.backends.openai.backends import backend_of
from tests.unit.backends.openai.test_backend import GRADER, PROMPTS
from tests.wire.fine_tuning import training
from tests.wire.inprocess import InProcess
from tests.wire.service import Service
from tunekit import RFT, Budget, FineTuneJob, JobCancelledError, JobState, PreflightError, TuneSpec
from tunekit.backends.openai.backend import OpenAIBackend
from tunekit.data.dataset import Dataset
from tunekit.store.memory import MemoryStore
from tunekit.testing import FakeClock

PRICED = "openai:gpt-4o-2024-08-06"  # $25 per million trained tokens
ROWS = Dataset.from_records(
    [{"prompt": "word " * 98, "completion": f" {row}"} for row in range(100)]
).to_chat()
RUNNING = {"status": "running"}


def send(
    backend: OpenAIBackend, target: str = PRICED, spec: TuneSpec | None = None, **budget: Any
) -> FineTuneJob:
    spec = (spec or TuneSpec(epochs=3)).model_copy(update={"budget": Budget(**budget)})
    train, validation = (PROMPTS, PROMPTS) if spec.method.type == "rft" else (ROWS, None)
    return FineTuneJob.submit(
        train, target, spec, validation=validation, backend=backend, store=MemoryStore()
    )


def test_estimate_is_a_range_that_holds_what_is_billed(transport: InProcess, service: Service) -> None:
    cost = ROWS.estimate_cost(PRICED, epochs=3)
    assert cost.usd_low is not None and cost.usd is not None and cost.usd_high is not None
    assert 0 < cost.usd_low <= cost.usd <= cost.usd_high and cost.price and cost.price.as_of
    service.bill = cost.trained_tokens
    seen = send(backend_of(transport)).wait()
    assert seen.usage is not None and seen.usage.trained_tokens == cost.trained_tokens
    assert seen.cost_usd == pytest.approx(cost.usd)


def test_what_costs_more_for_certain_is_not_even_uploaded(transport: InProcess) -> None:
    with pytest.raises(PreflightError, match=r"at \$25 per million \(as of 2024-08-20\) come to at least"):
        send(backend_of(transport), max_usd=0.1)
    assert transport.calls == []


def test_price_that_nobody_knows_is_no_price(transport: InProcess, service: Service) -> None:
    with pytest.raises(PreflightError, match=r"the price of 'gpt-4\.1' is not known here") as caught:
        send(backend_of(transport), "openai:gpt-4.1", max_usd=100)
    assert "usd_per_million_tokens" in caught.value.hint
    assert transport.calls == []
    job = send(backend_of(transport), "openai:gpt-4.1", max_usd=100, usd_per_million_tokens=5)
    assert job.wait().cost_usd == pytest.approx(1234 * 5 / 1e6)


def test_job_that_turns_out_dearer_is_cancelled_there(transport: InProcess, service: Service) -> None:
    service.reveal = 1
    service.script = lambda: [RUNNING, {"trained_tokens": 600_000}, *training(steps=50)]
    job = send(backend_of(transport), max_usd=5)
    with pytest.raises(JobCancelledError, match=r"it costs \$15\.00, and budget\.max_usd is 5"):
        job.result()
    assert [item.body["status"] for item in service.jobs.values()] == ["cancelled"]


def test_job_that_takes_longer_is_cancelled_there(transport: InProcess, service: Service) -> None:
    service.reveal = 1
    service.script = lambda: [RUNNING] * 10_000
    with pytest.raises(JobCancelledError, match=r"budget\.max_seconds is 600"):
        send(backend_of(transport), max_seconds=600).result()


def test_what_is_billed_by_the_hour_is_watched_by_the_clock(transport: InProcess, service: Service) -> None:
    service.reveal = 1
    service.described = None
    service.script = lambda: [RUNNING] * 10_000
    backend = backend_of(transport, host="foundry", base_url="https://acme.openai.azure.com/openai/v1")
    spec = TuneSpec(method=RFT(grader=GRADER), options={"trainingType": "Standard"})
    job = send(backend, "openai:o4-mini", spec, max_usd=50)  # $100 an hour
    assert job.snapshot().state is JobState.RUNNING
    assert isinstance(backend.clock, FakeClock)
    backend.clock.advance(1200.0)
    assert 30 < (job.snapshot().cost_usd or 0) < 40
    backend.clock.advance(900.0)
    with pytest.raises(JobCancelledError, match=r"budget\.max_usd is 50"):
        job.result()


@pytest.mark.parametrize("nonsense", [-5, 1e300, "many", float("nan"), True, [7]])
def test_nonsense_is_no_usage_and_costs_nothing(
    transport: InProcess, service: Service, nonsense: Any
) -> None:
    service.described = None
    service.bill = nonsense
    seen = send(backend_of(transport), max_usd=5).wait()
    assert (seen.state, seen.usage, seen.cost_usd) == (JobState.SUCCEEDED, None, None)
