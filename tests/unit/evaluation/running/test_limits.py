"""How fast and for how much a host is asked: its limits are kept, and no more is spent than may be."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from tests.unit.evaluation.running.asked import Counting, numbers
from tunekit._clock import SystemClock
from tunekit.backends.base import GenerateRequest, Generation
from tunekit.errors import BackendError, BudgetError, SpecError
from tunekit.evaluation.arms.arm import Arm
from tunekit.evaluation.arms.costs import CallPrice
from tunekit.evaluation.evaluator import Evaluator
from tunekit.evaluation.running.runner import Progress
from tunekit.events import Usage
from tunekit.spec import Sampling

TEST = numbers(60)
MODEL = "scripted:base"


class Timed(Counting):
    """Notes when it was asked, on its own clock."""

    def __init__(self, *, tokens: int = 10, **options: Any) -> None:
        super().__init__(**options)
        self.asked_at: list[float] = []
        self._tokens = tokens

    async def generate(
        self, model: str, requests: Sequence[GenerateRequest], sampling: Sampling
    ) -> list[Generation]:
        self.asked_at += [self.clock.monotonic()] * len(requests)
        await asyncio.sleep(0)
        usage = Usage(input_tokens=self._tokens - 1, output_tokens=1)
        return [Generation(text="1", finish_reason="stop", usage=usage) for _ in requests]


def test_requests_are_spread_over_the_minute() -> None:
    host = Timed()
    Evaluator(TEST, requests_per_minute=20, concurrency=1, cache=False).run(MODEL, backend=host)
    assert host.asked_at == pytest.approx([3.0 * at for at in range(60)])


def test_a_batch_counts_as_its_requests() -> None:
    host = Timed()
    host.answers_apart = 0
    Evaluator(TEST, requests_per_minute=20, batch_size=10, concurrency=1, cache=False).run(
        MODEL, backend=host
    )
    assert host.asked_at == pytest.approx([30.0 * (at // 10) for at in range(60)])


def test_tokens_are_spread_over_the_minute() -> None:
    host = Timed(tokens=100)
    Evaluator(TEST, tokens_per_minute=1_000, concurrency=1, cache=False).run(MODEL, backend=host)
    assert host.asked_at == pytest.approx([6.0 * at for at in range(60)])


def test_evaluations_of_one_evaluator_share_the_limit() -> None:
    """In real time, where calls run beside each other: never faster than may be."""
    host = Timed(clock=SystemClock())
    evaluator = Evaluator(TEST, requests_per_minute=12_000, cache=False)

    async def together() -> None:
        await asyncio.gather(*(evaluator.run_async(MODEL, backend=host) for _ in range(3)))

    asyncio.run(together())
    assert len(host.asked_at) == 180 and host.asked_at[-1] - host.asked_at[0] >= 178 * 0.005


@pytest.mark.parametrize("name", ["requests_per_minute", "tokens_per_minute", "max_usd"])
@pytest.mark.parametrize("value", [0, -1, float("nan"), float("inf"), True, "1"])
def test_a_limit_that_is_none_is_refused(name: str, value: Any) -> None:
    with pytest.raises(SpecError, match=name):
        Evaluator(TEST, **{name: value})


# --- money --------------------------------------------------------------------------------------------

PRICE = CallPrice(usd_per_million_input_tokens=1.0, usd_per_million_output_tokens=4.0)
USD_EACH = (7 * 1.0 + 3 * 4.0) / 1e6  # what `Counting` says that an answer takes


def test_it_stops_before_more_is_spent_and_goes_on_where_it_was() -> None:
    host = Counting(version="1")
    arm = Arm(model=MODEL, price=PRICE)
    worst = (1_100 + 128 * 4) / 1e6
    with pytest.raises(BudgetError, match="the next call may cost") as caught:
        Evaluator(TEST, max_usd=worst + 20 * USD_EACH).run(arm, backend=host)
    answered = host.answered.total()
    assert 10 < answered <= 25 and answered * USD_EACH < worst + 20 * USD_EACH
    assert "raise max_usd" in caught.value.hint
    seen: list[Progress] = []
    found = Evaluator(TEST, max_usd=1.0).run(arm, backend=host, on_progress=seen.append)
    assert found.reused == answered and host.answered.total() == 60
    assert seen[-1].spent_usd == pytest.approx((60 - answered) * USD_EACH)


def test_calls_wait_for_what_others_may_cost() -> None:
    """With money for one worst case at a time, all are asked, one after the other."""
    host = Counting()
    worst = (1_100 + 128 * 4) / 1e6
    Evaluator(TEST, max_usd=worst + 60 * USD_EACH, concurrency=8).run(
        Arm(model=MODEL, price=PRICE), backend=host
    )
    assert host.answered.total() == 60


def test_what_is_not_counted_costs_its_worst_case() -> None:
    class Silent(Counting):
        def _answer(self, prompt: str) -> Generation:
            super()._answer(prompt)
            return Generation(text="1", finish_reason="stop")

    worst = (1_100 + 128 * 4) / 1e6
    with pytest.raises(BudgetError):
        Evaluator(TEST, max_usd=10.5 * worst).run(Arm(model=MODEL, price=PRICE), backend=(host := Silent()))
    assert 10 <= host.answered.total() <= 11


def test_calls_that_fail_cost_what_they_may_have() -> None:
    class Failing(Counting):
        def _answer(self, prompt: str) -> Generation:
            answer = super()._answer(prompt)
            if self.answered.total() % 2:
                return answer
            raise BackendError("the connection broke", retryable=True)

    worst = (1_100 + 128 * 4) / 1e6
    with pytest.raises(BudgetError):
        Evaluator(TEST, max_usd=5.5 * worst).run(Arm(model=MODEL, price=PRICE), backend=(host := Failing()))
    assert host.answered.total() <= 13


def test_a_limit_needs_a_price() -> None:
    with pytest.raises(SpecError, match="nobody has said what a call of 'scripted:base' costs"):
        Evaluator(TEST, max_usd=1.0).run(MODEL, backend=(host := Counting()))
    assert not host.answered
    assert Evaluator(TEST, max_usd=1.0).run(Arm(model=MODEL, price=CallPrice()), backend=host).metrics


def test_hours_of_a_machine_are_money() -> None:
    host = Timed()
    arm = Arm(model=MODEL, price=CallPrice(usd_per_hour=60.0))
    with pytest.raises(BudgetError):
        Evaluator(TEST, requests_per_minute=1, max_usd=5.0, cache=False).run(arm, backend=host)
    assert 3 <= len(host.asked_at) <= 10
