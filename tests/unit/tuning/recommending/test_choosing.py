"""The rule of the choice, for any numbers: estimates never win, and what wins is near the best."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunekit.evaluation.stats import Interval
from tunekit.tuning.recommending import Estimate, Option
from tunekit.tuning.recommending.choosing import Choice, choose
from tunekit.tuning.recommending.estimating import PAIRS, errors_taken, over_probe
from tunekit.tuning.recommending.results import TECHNIQUES, Technique

ROWS = 300


def measured(technique: Technique, score: float, behind: float, se: float | None) -> Option:
    def around(value: float, error: float) -> Interval:
        return Interval(estimate=value, low=value - 2 * error, high=value + 2 * error, level=0.95, n=100)

    return Option(
        technique=technique, basis="measured", rows=ROWS, quality=around(score, 0.02), behind=around(behind, se or 0.0),
        behind_se=se,
    )  # fmt: skip


def test_on_few_items_nothing_is_settled() -> None:
    few = measured("zero-shot", 1.0, 0.0, None)
    assert few.quality is not None
    fewer = few.model_copy(update={"quality": Interval(estimate=1.0, low=0.84, high=1.0, level=0.95, n=20)})
    assert (chosen([few]).confidence, chosen([fewer]).confidence) == ("settled", "likely")


def estimated(technique: Technique, middle: float) -> Option:
    estimate = Estimate(low=middle - 0.05, middle=middle, high=middle + 0.1, source="elsewhere")
    return Option(technique=technique, basis="estimated", estimate=estimate)


@st.composite
def options(draw: st.DrawFn) -> list[Option]:
    scores = {t: draw(st.floats(0.1, 0.9)) for t in TECHNIQUES if draw(st.booleans())}
    best = max(scores, key=lambda t: scores[t], default=None)
    found: list[Option] = []
    for technique in TECHNIQUES:
        if technique in scores:
            behind = scores[best] - scores[technique] if best else 0.0
            found.append(
                measured(
                    technique,
                    scores[technique],
                    behind,
                    None if technique == best else draw(st.floats(0.001, 0.1)),
                )
            )
        else:
            found.append(draw(st.sampled_from([
                estimated(technique, draw(st.floats(0.1, 1.0))), Option(technique=technique, basis="unknown"),
                Option(technique=technique, basis="not possible"),
            ])))  # fmt: skip
    return found


def chosen(found: list[Option], **given: object) -> Choice:
    return choose(found, **{"n_train": ROWS, "margin": 0.0, "beats_majority": True, "ceiling": 1.0, **given})  # type: ignore[arg-type]


@given(options(), st.floats(0.0, 0.1))
def test_only_what_was_measured_is_chosen_and_it_is_near_the_best(found: list[Option], margin: float) -> None:
    choice = chosen(found, margin=margin)
    if not any(option.is_measured for option in found):
        assert choice.option is None and choice.confidence == "open"
        return
    option = choice.option
    assert option is not None and option.behind is not None
    assert option.behind.estimate <= max(margin, option.behind_se or 0.0)
    assert all(not rival.is_measured and rival.basis != "not possible" for rival in choice.rivals)
    assert chosen(found, margin=margin, beats_majority=False).confidence == "open"


@given(options())
def test_what_nobody_knows_anything_of_leaves_it_open(found: list[Option]) -> None:
    choice = chosen(found)
    if choice.option and any(
        rival.basis == "unknown" and rival.technique != "full" for rival in choice.rivals
    ):
        assert choice.confidence == "open"


def test_a_dear_technique_must_lead_by_more_than_noise_and_a_probe_need_not() -> None:
    probe, adapter = measured("probe", 0.88, 0.01, 0.02), measured("adapter", 0.89, 0.0, None)
    assert chosen([probe, adapter]).option == probe
    assert chosen([measured("probe", 0.8, 0.09, 0.02), adapter]).option == adapter
    few = measured("few-shot", 0.87, 0.01, 0.02)
    assert chosen([few, measured("probe", 0.88, 0.0, None)]).option == measured("probe", 0.88, 0.0, None)
    assert chosen(
        [measured("zero-shot", 0.86, 0.01, 0.02), measured("few-shot", 0.87, 0.0, None)]
    ).option == measured("zero-shot", 0.86, 0.01, 0.02)


@pytest.mark.parametrize(("middle", "confidence"), [(0.95, "open"), (0.9, "likely"), (0.8, "settled")])
def test_how_sure_it_is_follows_from_what_was_only_estimated(middle: float, confidence: str) -> None:
    found = [measured("probe", 0.9, 0.0, None), estimated("adapter", middle), estimated("full", middle)]
    assert chosen(found).confidence == confidence


def test_estimates_are_those_of_the_pairs() -> None:
    shares = sorted(map(errors_taken, PAIRS))
    assert (round(shares[0], 2), round(shares[-1], 2)) == (-0.03, 0.52) and len(PAIRS) == 16
    found = over_probe(0.9)
    assert (found.low, found.high) == pytest.approx((0.9 + 0.1 * shares[0], 0.9 + 0.1 * shares[-1]))
