"""May it replace the model in use? Reasons, levels, data, and what 2,000 rounds with equal models come to."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from statistics import NormalDist
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.evaluation.stored import scored, stored
from tunekit.errors import DataError, NotFoundError, SpecError
from tunekit.evaluation.compare import compare_evaluations
from tunekit.evaluation.comparison import Comparison
from tunekit.evaluation.leakage import Leak, Leakage
from tunekit.evaluation.results import ItemResult
from tunekit.retrain.gate import Decision, Gate, Guardrail, label_drift


def compared(
    wins: int, losses: int, n: int = 400, *, slices: Sequence[dict[str, str]] | None = None, **leak: Any
) -> Comparison:
    """Right and wrong answers: the new model wins the first items and loses the next; of the rest both get most."""
    old = [0.0] * wins + [1.0] * losses + [float(at % 5 > 0) for at in range(n - wins - losses)]
    new = [1.0] * wins + [0.0] * losses + old[wins + losses :]
    a, b = (stored(name, scored(values, slices=slices)) for name, values in (("old", old), ("new", new)))
    return compare_evaluations(a, b.model_copy(update=leak))


def test_a_gain_that_is_shown_is_promoted() -> None:
    found = Gate(primary="score", min_gain=0.02).decide(compared(60, 10))
    assert found.verdict == "promote" and found.passes and found["score"].outcome == "passed"
    assert found["score"].delta is not None and found["score"].delta.low > 0.02
    assert Decision.from_json(found.to_json()) == found
    assert str(found).startswith("PROMOTE\npassed  score: +0.125 [")


def test_a_gain_that_may_be_luck_is_not_and_says_how_many_items_would_tell() -> None:
    found = Gate(primary="score").decide(compared(20, 12))
    assert found.verdict == "inconclusive" and not found.passes
    needed = found.items_needed
    assert needed is not None and 1200 < needed < 3000
    # With that many, and the same shares, it is shown as often as not, and more.
    times = needed / 400
    more = compared(round(20 * times), round(12 * times), needed)
    assert Gate(primary="score").decide(more).verdict == "promote"


def test_a_gain_that_is_ruled_out_is_rejected() -> None:
    assert Gate(primary="score").decide(compared(10, 40)).verdict == "reject"
    assert Gate(primary="score", min_gain=0.3).decide(compared(60, 10)).verdict == "reject"


def test_a_loss_on_an_earlier_task_or_a_slice_stops_a_gain() -> None:
    slices = [{"language": "de" if at < 380 else "fr"} for at in range(400)]
    gain = compared(60, 10, slices=slices)
    rails = (
        Guardrail(of="score", margin=0.05, task="last year"),
        Guardrail(of="score", margin=0.3, column="language", value="fr"),
    )
    gate = Gate(primary="score", guardrails=rails)
    assert gate.decide(gain, tasks={"last year": compared(20, 20, 2000)}).verdict == "promote"
    lost = gate.decide(gain, tasks={"last year": compared(10, 300, 2000)})
    assert lost.verdict == "reject" and lost["score of last year"].outcome == "failed"
    unclear = gate.decide(gain, tasks={"last year": compared(5, 6, 60)})
    assert unclear.verdict == "inconclusive" and unclear["score of last year"].outcome == "unclear"
    assert unclear.items_needed is not None and unclear.items_needed > 60
    few = Gate(primary="score", guardrails=(rails[1].model_copy(update={"margin": 0.01}),)).decide(gain)
    assert few["score on language=fr"].outcome == "unclear"


def test_where_less_is_better_a_loss_is_more() -> None:
    def seconds(values: list[float], name: str) -> Any:
        return stored(name, scored(values), higher_is_better=False)

    base = [1.0 + at % 7 / 10 for at in range(200)]
    slower = compare_evaluations(
        seconds(base, "a"), seconds([value + 0.3 + at % 3 / 100 for at, value in enumerate(base)], "b")
    )
    faster = compare_evaluations(
        seconds([value + 0.3 + at % 3 / 100 for at, value in enumerate(base)], "a"), seconds(base, "b")
    )
    assert Gate(primary="score").decide(slower).verdict == "reject"
    assert Gate(primary="score").decide(faster).verdict == "promote"


def test_what_answers_cost_may_grow_by_so_much() -> None:
    def taking(seconds: float, name: str, right: float) -> Any:
        items = [
            ItemResult(
                id=f"#{at}", scores={"score": float(at / 200 < right)}, seconds=seconds * (1 + at % 5 / 50)
            )
            for at in range(200)
        ]
        return stored(name, items)

    gate = Gate(primary="score", guardrails=(Guardrail(of="seconds per item", ratio=0.1),))
    for slower, verdict in ((1.05, "promote"), (1.5, "reject"), (0.5, "promote")):
        found = gate.decide(compare_evaluations(taking(1.0, "a", 0.5), taking(slower, "b", 0.8)))
        assert found.verdict == verdict
    with pytest.raises(NotFoundError, match="tokens per item"):
        Gate(primary="score", guardrails=(Guardrail(of="input tokens per item", ratio=0.1),)).decide(
            compare_evaluations(taking(1.0, "a", 0.5), taking(1.0, "b", 0.8))
        )


def test_data_that_are_not_fit_stop_everything() -> None:
    leakage = Leakage(n_items=400, n_rows=10, leaks=(Leak(item="#1", row="r", how="question"),))
    leaky = compared(60, 10, leakage=leakage)
    assert Gate(primary="score").decide(leaky)["leakage"].outcome == "failed"
    assert Gate(primary="score", max_leaked=1).decide(leaky).verdict == "promote"
    gate = Gate(primary="score", min_new_rows=100, max_label_drift=0.2)
    good = compared(60, 10)
    assert gate.decide(good, new_rows=100, label_drift=0.2).verdict == "promote"
    assert gate.decide(good, new_rows=99, label_drift=0.0)["new data"].outcome == "failed"
    assert gate.decide(good, new_rows=100, label_drift=0.3)["label drift"].outcome == "failed"
    for missing in ({"new_rows": 100}, {"label_drift": 0.1}):
        with pytest.raises(SpecError):
            gate.decide(good, **missing)


def test_items_that_nobody_could_score_leave_it_open() -> None:
    items = [ItemResult(id=f"#{at}", scores={"score": 1.0}) for at in range(90)]
    failed = [ItemResult(id=f"#{at}", errors={"score": "timeout"}) for at in range(90, 100)]
    worse = stored("a", scored([float(at % 2) for at in range(100)]))
    found = Gate(primary="score").decide(compare_evaluations(worse, stored("b", [*items, *failed])))
    assert found.verdict == "inconclusive" and found["errors of the model new"].outcome == "unclear"


def test_what_is_not_there_is_named() -> None:
    good = compared(60, 10)
    for gate, said in (
        (Gate(primary="f1"), "f1"),
        (Gate(primary="score", guardrails=(Guardrail(of="score", margin=0.1, task="old"),)), "old"),
        (
            Gate(primary="score", guardrails=(Guardrail(of="score", margin=0.1, column="x", value="y"),)),
            "sliced",
        ),
        (Gate(primary="score", guardrails=(Guardrail(of="speed", margin=0.1),)), "speed"),
        (Gate(primary="score", guardrails=(Guardrail(of="calibration", margin=0.1),)), "score"),
    ):
        with pytest.raises(NotFoundError, match=said):
            gate.decide(good)
    for limits in ({}, {"margin": 0.1, "ratio": 0.1}, {"margin": 0.0}):
        with pytest.raises(SpecError):
            Guardrail(of="score", **limits)


# --- how labels move ----------------------------------------------------------------------------------

counts = st.dictionaries(st.sampled_from("abcdef"), st.integers(1, 1000), min_size=1)


@given(counts, counts)
def test_drift_is_none_for_the_same_shares_and_alike_both_ways(
    before: dict[str, int], now: dict[str, int]
) -> None:
    assert label_drift(before, {label: 7 * count for label, count in before.items()}) == pytest.approx(0.0)
    assert label_drift(before, now) == pytest.approx(label_drift(now, before))
    assert 0.0 <= label_drift(before, now) < math.inf


def test_drift_of_nothing_is_refused() -> None:
    with pytest.raises(DataError):
        label_drift({}, {"a": 1})


# --- many rounds --------------------------------------------------------------------------------------

N, DISAGREEMENT = 300, 0.2
RAILS = tuple(Guardrail(of="score", margin=0.08, task=f"task {at}") for at in range(2))


def drawn(rng: random.Random, gain: float) -> Comparison:
    """Two models on items of their own: they disagree on so many, and the new one wins so many more."""
    old, new = [], []
    for _ in range(N):
        toss = rng.random()
        wins, losses = (DISAGREEMENT + gain) / 2, (DISAGREEMENT - gain) / 2
        right = float(rng.random() < 0.7)
        mine, other = (0.0, 1.0) if toss < wins else (1.0, 0.0) if toss < wins + losses else (right, right)
        old.append(mine)
        new.append(other)
    return compare_evaluations(stored("a", scored(old)), stored("b", scored(new)))


def promoted(rounds: int, gain: float, gate: Gate, losses: Sequence[float] = (0.0, 0.0)) -> int:
    rng = random.Random(5)
    found = 0
    for _ in range(rounds):
        tasks = {rail.task: drawn(rng, -loss) for rail, loss in zip(gate.guardrails, losses, strict=False)}
        found += gate.decide(drawn(rng, gain), tasks=tasks).passes
    return found


def most(rounds: int, share: float) -> float:
    """More than this would be seen once in 3,000 such simulations."""
    return rounds * share + NormalDist().inv_cdf(1 - 1 / 3000) * math.sqrt(rounds * share * (1 - share))


SIZES = [150, pytest.param(2_000, marks=[pytest.mark.soak, pytest.mark.timeout(3600)])]


@pytest.mark.parametrize("rounds", SIZES)
def test_equal_models_are_hardly_ever_promoted(rounds: int) -> None:
    gate = Gate(primary="score")
    assert promoted(rounds, 0.0, gate) <= most(rounds, gate.alpha)
    guarded = Gate(primary="score", guardrails=RAILS)
    # A gain that is sure, and one task that has lost just the margin.
    assert promoted(rounds, 0.19, guarded, losses=(0.08, 0.0)) <= most(rounds, guarded.alpha)


@pytest.mark.parametrize("rounds", SIZES)
@pytest.mark.parametrize("rails", [(), RAILS], ids=["alone", "two guardrails"])
def test_the_power_is_what_was_planned(rounds: int, rails: tuple[Guardrail, ...]) -> None:
    gate = Gate(primary="score", guardrails=rails)
    plan = gate.plan(gain=0.08, items=N, disagreement=DISAGREEMENT)
    seen = promoted(rounds, 0.08, gate) / rounds
    noise = 3.5 * math.sqrt(plan.power * (1 - plan.power) / rounds)
    assert seen == pytest.approx(plan.power, abs=noise + 0.03)  # 0.03: it plans with the normal distribution


def test_a_plan_says_how_many_items_it_takes() -> None:
    alone = Gate(primary="score").plan(gain=0.03, items=200, disagreement=0.1)
    assert alone.items_needed == pytest.approx(870, rel=0.02)  # as the table of research has it
    assert Gate(primary="score").plan(gain=0.03, items=870, disagreement=0.1).power == pytest.approx(
        0.8, abs=0.01
    )
    rails = tuple(rail.model_copy(update={"margin": 0.03}) for rail in RAILS)
    guarded = Gate(primary="score", guardrails=rails).plan(gain=0.03, items=200, disagreement=0.1)
    assert alone.items_needed is not None and guarded.items_needed is not None
    assert guarded.items_needed > 1.2 * alone.items_needed
    assert (
        Gate(primary="score", min_gain=0.03).plan(gain=0.03, items=200, disagreement=0.1).items_needed is None
    )
