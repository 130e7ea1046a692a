"""Which arm to use: the one rule under Holm's levels, the arm to beat, money and break-even, words, JSON."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.evaluation.fakes import TableBackend, failing_on, right_on, tickets, truth
from tunekit.backends.base import Generation
from tunekit.errors import EvaluationError, NotFoundError, SpecError
from tunekit.evaluation import stats
from tunekit.evaluation.arms.arm import Arm
from tunekit.evaluation.arms.constructors import few_shot
from tunekit.evaluation.arms.costs import CallPrice, break_even_calls
from tunekit.evaluation.arms.results import Arms
from tunekit.evaluation.arms.weighing import weigh
from tunekit.evaluation.compare import Rule
from tunekit.evaluation.evaluator import Evaluator
from tunekit.evaluation.results import Evaluation
from tunekit.evaluation.running.runner import Progress
from tunekit.evaluation.scorers import Custom, ExactMatch
from tunekit.events import Usage
from tunekit.examples import CompletionExample
from tunekit.refs import ModelRef

N = 200
RIGHT: Mapping[str, range] = {
    "base": range(80),
    "few": range(100),
    "probe": range(104),
    "tuned": range(160),
    "same": range(100),
}


def backend() -> TableBackend:
    return TableBackend(models={name: right_on(numbers) for name, numbers in RIGHT.items()})


def evaluator(**options: Any) -> Evaluator:
    return Evaluator(tickets(N), **options)


def arms(*names: str, judge: Evaluator | None = None, **options: Any) -> Arms:
    """Named arms, of which probe and tuned are trained."""
    options |= {name: f"table:{name}" for name in names}
    return (judge or evaluator()).arms(backend=backend(), **options)


def test_training_is_held_against_the_best_that_needs_none() -> None:
    found = arms("base", "few", "tuned")
    assert (found.baseline, found.by, found.answer) == ("few", "exact_match", "yes")
    assert found.names == ("base", "few", "tuned")
    assert found["few"].against == {}
    tuned = found["tuned"].against["exact_match"]
    assert (tuned.wins, tuned.losses, tuned.verdict) == (60, 0, "better")
    assert found["base"].against["exact_match"].verdict == "worse"
    assert [arm.trained for arm in found.arms] == [False, False, True]
    assert "tuned does better than few: +30.0 points" in found.verdict
    assert "few was chosen as the arm to beat on these items: the best of 2" in found.warnings[0]


def test_each_interval_has_the_level_of_its_turn_in_holm_s_order() -> None:
    found = arms("base", "few", "probe", "tuned")
    by_arm = {name: found[name].against["exact_match"] for name in ("base", "probe", "tuned")}
    levels = {name: each.delta.level for name, each in by_arm.items()}
    # By p-value: tuned (60 wins), base (20 losses), probe (4 wins).
    assert levels == pytest.approx({"tuned": 1 - 0.05 / 3, "base": 1 - 0.05 / 2, "probe": 0.95})
    assert by_arm["tuned"].delta == stats.tango(60, 0, N, level=levels["tuned"])
    raw = [by_arm[name].p_value for name in by_arm]
    assert [by_arm[name].p_adjusted for name in by_arm] == stats.holm(raw)
    assert found["base"].evaluation["exact_match"].value.level == 0.95


def test_no_claim_is_no_relief_for_the_next() -> None:
    found = evaluator().arms(
        [f"table:{name}" for name in ("few", "same", "probe")], backend=backend(), against="table:few"
    )
    levels = {each.against["exact_match"].delta.level for each in found.arms if each.against}
    assert levels == {1 - 0.05 / 2}
    assert {each.against["exact_match"].verdict for each in found.arms if each.against} == {"inconclusive"}


@pytest.mark.parametrize("above", [0, 1])
def test_a_lead_that_is_too_small_among_several_is_no_claim(above: int) -> None:
    """5 wins and no loss exclude 0 at 95 %, and not at the level of the first of three."""
    wins = 5 + 3 * above
    judge = evaluator(scorers=[ExactMatch()])
    models = {"few": right_on(range(100)), "tuned": right_on(range(100 + wins))}
    table = TableBackend(models={**models, "one": models["few"], "two": models["few"]})
    alone = judge.arms(base="table:few", tuned="table:tuned", backend=table)
    crowd = judge.arms(["table:one", "table:two"], base="table:few", tuned="table:tuned", backend=table)
    assert alone.answer == "yes"
    assert crowd.answer == ("yes" if above else "not shown")


@pytest.mark.parametrize(
    ("options", "tuned", "answer"),
    [
        ({}, range(100), "not shown"),
        ({"margin": 0.05}, range(100), "no"),
        ({}, range(60), "no"),
        ({"min_gain": 0.2}, range(120), "no"),
        ({"min_gain": 0.2}, range(140), "not shown"),
        ({}, range(140), "yes"),
    ],
)
def test_the_answer_is_the_verdict_of_the_one_rule(
    options: dict[str, float], tuned: range, answer: str
) -> None:
    table = TableBackend(models={"base": right_on(range(100)), "tuned": right_on(tuned)})
    found = evaluator(**options).arms(base="table:base", tuned="table:tuned", backend=table)
    alone = evaluator(**options).compare("table:base", "table:tuned", backend=table)["exact_match"]
    assert found.answer == answer
    assert found["tuned"].against["exact_match"] == alone, "one comparison needs no correction"


def test_where_less_is_better() -> None:
    class Wrong(ExactMatch):
        higher_is_better = False

        def score(self, item: Any, answer: Any) -> Any:
            return 1.0 - super().score(item, answer).value

    judge = evaluator(scorers=[Wrong(name="wrong")])
    found = arms("base", "few", "tuned", judge=judge)
    assert (found.baseline, found.answer) == ("few", "yes")
    assert found["tuned"].against["wrong"].delta.estimate == pytest.approx(-0.3)


def test_without_a_trained_arm_there_is_no_such_question() -> None:
    found = evaluator().arms(["table:base", "table:few"], backend=backend())
    assert (found.baseline, found.answer) == ("table:base", "")
    assert found.verdict == "table:few does better than table:base: +10.0 points (+6.6 to +14.9)."
    assert arms("probe", "tuned").answer == "", "both are trained"
    assert arms("base", "few", "tuned", against="tuned").answer == ""


def test_errors_leave_no_answer() -> None:
    table = TableBackend(
        models={"base": right_on(range(80)), "tuned": failing_on(range(10, 90), right_on(range(N)))}
    )
    found = evaluator().arms(base="table:base", tuned="table:tuned", backend=table)
    assert found.answer == "not shown"
    assert any(text.startswith("tuned: 'exact_match' could not score 80") for text in found.warnings)


PRICE = CallPrice(usd_per_million_input_tokens=2.0, usd_per_million_output_tokens=10.0, as_of="2026-11-01")
CHEAP = CallPrice(usd_per_million_input_tokens=0.5, usd_per_million_output_tokens=1.0)


def counted(numbers: range, tokens: int) -> Any:
    return lambda prompt: Generation(
        text=right_on(numbers)(prompt),
        finish_reason="stop",
        usage=Usage(input_tokens=tokens, output_tokens=10),
    )


def priced(**tuned: Any) -> Arms:
    base = Arm(model=counted(range(80), 900), name="base", price=PRICE)
    arm = Arm(
        **{"model": counted(range(160), 100), "name": "tuned", "price": CHEAP, "training_usd": 25.0} | tuned
    )
    return evaluator().arms(base=base, tuned=arm)


def test_cost_of_a_thousand_calls_and_break_even() -> None:
    found = priced()
    base, tuned = found["base"], found["tuned"]
    assert (base.input_tokens_per_call, base.output_tokens_per_call) == (900, 10)
    assert base.usd_per_1000_calls == pytest.approx(1.9)
    assert tuned.usd_per_1000_calls == pytest.approx(0.06)
    assert tuned.break_even_calls == 13587  # 25 / (0.0019 - 0.00006), rounded up
    assert base.break_even_calls is None
    assert base.notes == tuned.notes == ()
    assert "has paid for itself after 13,587 calls" in found.verdict
    assert base.price == PRICE
    assert base.seconds_per_1000_calls is not None and base.seconds_per_1000_calls > 0


@pytest.mark.parametrize(
    ("tuned", "note", "words"),
    [
        ({"price": None}, "break-even takes the price of a call of tuned", "is not known"),
        ({"training_usd": None}, "break-even takes the price of its training", "is not known"),
        ({"price": PRICE, "model": counted(range(160), 900)}, "never pays for itself", "never pays"),
        ({"model": truth}, "its tokens were not counted", "is not known"),
    ],
)
def test_what_is_not_known_is_said(tuned: dict[str, Any], note: str, words: str) -> None:
    found = priced(**tuned)
    assert found["tuned"].break_even_calls is None
    assert any(note in text for text in found["tuned"].notes)
    assert words in found.verdict
    assert found.answer == "yes", "what it costs does not change what is better"
    assert note in str(found)


def test_free_training_pays_at_once_and_time_may_be_billed() -> None:
    hour = CallPrice(usd_per_hour=3.6)
    found = priced(training_usd=0.0, price=hour)
    tuned = found["tuned"]
    assert tuned.break_even_calls == 0
    assert tuned.usd_per_1000_calls == pytest.approx(0.001 * (tuned.seconds_per_1000_calls or 0))


def test_a_price_function_is_asked_for_models_without_a_price() -> None:
    asked: list[ModelRef] = []

    def price(ref: ModelRef) -> CallPrice | None:
        asked.append(ref)
        return PRICE if ref.id == "base" else None

    found = arms("base", "tuned", price=price)
    assert asked == ["table:base", "table:tuned"]
    # The table counts 2 tokens in and 3 out for every answer.
    assert found["base"].usd_per_1000_calls == pytest.approx(1000 * (2 * 2 + 3 * 10) / 1e6)
    assert found["tuned"].usd_per_1000_calls is None


def test_draws_are_calls_of_their_own() -> None:
    train = [CompletionExample(prompt=f"q{n}", completion=truth(f"q{n}")) for n in range(300, 320)]
    table = TableBackend(models={"base": lambda prompt: right_on(range(80))(prompt.rsplit("\n\n")[-1])})
    found = evaluator().arms(
        base="table:base", few=few_shot("table:base", train, 2, draws=3), backend=table, price=lambda _: PRICE
    )
    assert found["few_shot"].input_tokens_per_call == found["base"].input_tokens_per_call == 2
    assert found["few_shot"].usd_per_1000_calls == found["base"].usd_per_1000_calls
    once = evaluator().arms(base="table:base", few=few_shot("table:base", train, 2), backend=table)
    assert any("one draw of examples" in text for text in once.warnings)
    assert not any("one draw of examples" in text for text in found.warnings)


@given(once=st.floats(0, 1e9), saved=st.floats(1e-12, 1e3, exclude_min=True))
def test_break_even_is_the_first_call_at_which_it_is_paid(once: float, saved: float) -> None:
    calls = break_even_calls(once, saved)
    assert calls is not None
    assert calls * saved >= once * (1 - 1e-9)
    assert calls == 0 or (calls - 1) * saved <= once * (1 + 1e-9)


@pytest.mark.parametrize("mistake", [{"usd_per_call": -1}, {"usd_per_hour": float("nan")}, {"usd": 3}])
def test_impossible_prices_are_refused(mistake: dict[str, float]) -> None:
    with pytest.raises(SpecError):
        CallPrice(**mistake)


def test_arms_come_back_equal_from_json_and_show_all_that_was_found() -> None:
    judge = evaluator(
        scorers=[ExactMatch(), Custom(function=lambda item, answer: len(answer), name="length")]
    )
    found = arms("base", "few", "tuned", judge=judge, price=lambda _: PRICE)
    assert Arms.from_json(found.to_json()) == found
    lines = str(found).splitlines()
    assert lines[0] == found.verdict
    (tuned,) = [line for line in lines if line.startswith("tuned  exact_match")]
    assert "80.0 %" in tuned and "+30.0 %" in tuned and "BETTER" in tuned and "97.5 %" in tuned
    assert sum("length" in line for line in lines) == 3
    with pytest.raises(NotFoundError, match="base, few, tuned"):
        found["nobody"]


def test_stored_evaluations_are_arms_and_are_not_asked_again() -> None:
    judge, table = evaluator(), backend()
    base, tuned = (judge.run(f"table:{name}", backend=table) for name in ("base", "tuned"))
    table.asked.clear()
    found = judge.arms(base=Evaluation.from_json(base.to_json()), tuned=tuned)
    assert table.asked == []
    assert (found.answer, found.names) == ("yes", ("table:base", "table:tuned"))
    assert found["table:tuned"].trained and not (tuned.arm and tuned.arm.trained)
    again = weigh([base, tuned], Rule())
    assert (again.answer, again["table:tuned"].against) == ("", found["table:tuned"].against)
    unsaid = weigh([base.model_copy(update={"arm": None}), tuned])
    assert unsaid.names == ("table:base", "table:tuned")
    assert unsaid["table:base"].seconds_per_1000_calls is None


def test_mistakes_cost_nothing() -> None:
    table, judge = backend(), evaluator()
    stored = Evaluator(tickets(N + 1)).run("table:base", backend=backend())
    mistakes: list[tuple[type[Exception], dict[str, Any], str]] = [
        (SpecError, {"base": "table:base"}, "nothing to compare"),
        (SpecError, {"arms": ["table:base", "table:base"]}, "two arms are named 'table:base'"),
        (SpecError, {"arms": [lambda prompt: prompt, lambda prompt: ""]}, "two arms are named '<lambda>'"),
        (SpecError, {"base": "table:base", "tuned": "table:tuned", "against": "bas"}, "'bas'"),
        (SpecError, {"base": "table:base", "tuned": "table:tuned", "by": "bleu"}, "'bleu'"),
        (EvaluationError, {"base": stored, "tuned": "table:tuned"}, "test set"),
    ]
    for error, passed, what in mistakes:
        with pytest.raises(error, match=what):
            judge.arms(**passed, backend=table)
    assert table.asked == []


def test_progress_names_each_model() -> None:
    seen: list[Progress] = []
    arms("base", "tuned", on_progress=seen.append)
    assert list(dict.fromkeys(progress.model for progress in seen)) == ["table:base", "table:tuned"]


async def test_from_a_running_loop() -> None:
    found = await evaluator().arms_async(base="table:base", tuned="table:tuned", backend=backend())
    assert found.answer == "yes"


@pytest.mark.soak
def test_false_claims_are_as_rare_as_promised() -> None:
    """Of three arms that are as good as the baseline, in 1,000 tests: some claim in 5 %, within 3 standard errors."""
    judge, chance, claims = Evaluator(tickets(100)), random.Random(7), 0
    model = judge.run("table:base", backend=backend())

    def lucky(name: str) -> Evaluation:
        items = tuple(
            item.model_copy(update={"scores": {"exact_match": float(chance.random() < 0.7)}})
            for item in model.items
        )
        arm = model.arm.model_copy(update={"name": name}) if model.arm else None
        return model.model_copy(update={"items": items, "arm": arm})

    for _ in range(1000):
        found = weigh([lucky(name) for name in "abcd"])
        claims += any(
            arm.against and arm.against["exact_match"].verdict != "inconclusive" for arm in found.arms
        )
    assert claims <= 1000 * 0.05 + 3 * (1000 * 0.05 * 0.95) ** 0.5
