"""How far to go and which siblings to average, as dev says: the chosen model stays, the others go."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.retrain.blending.family import (
    OLD,
    SIBLING,
    SPOILT,
    TUNED,
    answering,
    evaluator,
    runs,
    trained,
)
from tunekit import Dataset, Evaluator, Sampling
from tunekit._settings import Settings
from tunekit.backends.local.backend import LocalBackend
from tunekit.errors import ModelError, SpecError
from tunekit.evaluation.stats import Interval
from tunekit.refs import ModelRef
from tunekit.retrain.blending import (
    Soup,
    Sweep,
    SweepPoint,
    mixture_of,
    soup,
    sweep,
)
from tunekit.retrain.blending.sweeping import chosen_of
from tunekit.spec import SFT, LoRA


class TestSweep:
    def test_it_goes_as_far_as_dev_says(
        self, settings: Settings, backend: LocalBackend, half: ModelRef
    ) -> None:
        before = runs(settings)
        found = sweep(
            f"local:{OLD}",
            f"local:{TUNED}",
            evaluator=evaluator("y", settings),
            alphas=(0.125, 0.5, 1.0),
            backend=backend,
            settings=settings,
        )
        assert [point.alpha for point in found.points] == [0.0, 0.125, 0.5, 1.0]
        scores = [point.score.estimate for point in found.points]
        assert found.chosen.score.estimate == max(scores) > min(scores)
        gains = [point.gain.estimate for point in found.points if point.gain]
        assert gains == pytest.approx([score - scores[0] for score in scores[1:]])
        assert found.points[0].model == f"local:{OLD}" and found.points[-1].model == f"local:{TUNED}"
        assert [point.exists for point in found.points] == [True, found.chosen_alpha == 0.125, True, True]
        kept = {point.model.id for point in found.points if point.exists}
        assert half.id in kept, "what was there before the sweep is not its to remove"
        assert runs(settings) - before == kept - before
        assert len(str(found).splitlines()) >= 6 and "chosen" in str(found)
        assert any("too high" in warning or "reads" in warning for warning in found.warnings)
        assert Sweep.from_json(found.to_json()) == found

    def test_a_guard_holds_it_back(self, settings: Settings, backend: LocalBackend) -> None:
        found = sweep(
            f"local:{OLD}",
            f"local:{TUNED}",
            evaluator=evaluator("y", settings),
            guard=evaluator("n", settings),
            alphas=(1.0,),
            backend=backend,
            settings=settings,
        )
        assert found.chosen_alpha == 0.0 and found.model == f"local:{OLD}"
        assert not found.points[-1].is_held
        assert "the guard refused alpha 1" in found.warnings
        assert "refused" in str(found)

    @pytest.mark.parametrize("which", ["evaluator", "guard"])
    def test_never_on_the_test(self, settings: Settings, which: str) -> None:
        before = runs(settings)
        sides: dict[str, Any] = {"evaluator": evaluator("y", settings), "guard": evaluator("n", settings)}
        sides[which] = evaluator("y", settings, sealed=True)
        with pytest.raises(SpecError, match=f"{which} is a sealed test"):
            sweep(f"local:{OLD}", f"local:{TUNED}", settings=settings, **sides)
        assert runs(settings) == before

    @pytest.mark.parametrize(
        ("fields", "match"),
        [
            ({"metric": "acuracy"}, "metric is 'acuracy'"),
            ({"alphas": ()}, "alphas"),
            ({"alphas": (2.0,)}, "alpha"),
            ({"max_loss": -1.0}, "max_loss"),
        ],
    )
    def test_what_means_nothing(self, settings: Settings, fields: dict[str, Any], match: str) -> None:
        with pytest.raises(SpecError, match=match):
            sweep(f"local:{OLD}", f"local:{TUNED}", evaluator=evaluator("y", settings), **fields)

    def test_nothing_is_left_of_a_sweep_that_fails(self, settings: Settings, backend: LocalBackend) -> None:
        before = runs(settings)

        class Failing(Evaluator):
            async def run_async(self, model: Any, **told: Any) -> Any:
                if str(model) != f"local:{OLD}":
                    raise ModelError("no")
                return await super().run_async(model, **told)

        dev = Failing(Dataset(answering("y")), sampling=Sampling(max_tokens=4), settings=settings)
        with pytest.raises(ModelError, match="no"):
            sweep(
                f"local:{OLD}",
                f"local:{TUNED}",
                evaluator=dev,
                alphas=(0.3,),
                backend=backend,
                settings=settings,
            )
        assert runs(settings) == before


@pytest.fixture(scope="module")
def spoilt(settings: Settings) -> str:
    """A sibling that says what nobody wants, and loudly."""
    adapter = LoRA(rank=8, target_modules=("q_proj", "down_proj", "lm_head"))
    base = settings.runs / OLD / "artifact"
    trained(
        settings,
        SPOILT,
        base,
        answering("x"),
        method=SFT(adapter=adapter),
        epochs=40,
        seed=3,
        learning_rate=5e-2,
    )
    return f"local:{SPOILT}"


class TestSoup:
    def test_a_bad_sibling_is_left_out_and_a_good_one_is_in(
        self, settings: Settings, backend: LocalBackend, spoilt: str
    ) -> None:
        before = runs(settings)
        good = (f"local:{TUNED}", f"local:{SIBLING}")
        found = soup([spoilt, *good], evaluator=evaluator("y", settings), backend=backend, settings=settings)
        assert set(found.members) == set(good)
        assert found.steps[-1].added == spoilt and not found.steps[-1].is_in
        assert found.score.estimate >= max(step.alone.estimate for step in found.steps)
        gain = found.steps[-1].gain
        assert gain is not None and gain.estimate < 0.0
        assert [step.exists for step in found.steps] == [True, True, False]
        assert runs(settings) - before == {found.model.id}
        assert len(mixture_of(found.model, settings=settings).ingredients) == 2
        assert "left out" in str(found) and Soup.from_json(found.to_json()) == found
        again = soup([spoilt, *good], evaluator=evaluator("y", settings), backend=backend, settings=settings)
        assert again.model == found.model and runs(settings) - before == {found.model.id}

    def test_the_best_alone_where_no_average_is_as_good(
        self, settings: Settings, backend: LocalBackend, spoilt: str
    ) -> None:
        before = runs(settings)
        found = soup(
            [spoilt, f"local:{TUNED}"], evaluator=evaluator("y", settings), backend=backend, settings=settings
        )
        assert found.model == f"local:{TUNED}" and runs(settings) == before
        assert any("no average" in warning for warning in found.warnings)

    def test_what_is_wrong_is_said_before_anything_is_asked(self, settings: Settings) -> None:
        both, dev = [f"local:{TUNED}", f"local:{SIBLING}"], evaluator("y", settings)
        with pytest.raises(SpecError, match="evaluator is a sealed test"):
            soup(both, evaluator=evaluator("y", settings, sealed=True), settings=settings)
        with pytest.raises(SpecError, match="metric is 'acuracy'"):
            soup(both, evaluator=dev, metric="acuracy", settings=settings)
        with pytest.raises(SpecError, match="siblings are 1 model"):
            soup(both[:1], evaluator=dev, settings=settings)


def point(alpha: float, gain: float | None, *, is_held: bool = True) -> SweepPoint:
    score = Interval(estimate=0.5, low=0.4, high=0.6, level=0.95, n=9)
    delta = None if gain is None else Interval(estimate=gain, low=-1.0, high=1.0, level=0.95, n=9)
    return SweepPoint(alpha=alpha, model=ModelRef("local:x"), score=score, gain=delta, is_held=is_held)


@pytest.mark.parametrize(
    ("gains", "held", "chosen"),
    [
        ((0.1, 0.2, 0.3), (True, True, True), 1.0),
        ((0.1, 0.2, 0.3), (True, True, False), 0.5),
        ((0.2, 0.2, 0.1), (True, True, True), 0.25),
        ((0.0, 0.0, 0.0), (True, True, True), 0.0),
        ((-0.1, -0.2, -0.1), (True, True, True), 0.0),
        ((0.1, 0.2, 0.3), (False, False, False), 0.0),
    ],
)
def test_the_choice(gains: tuple[float, ...], held: tuple[bool, ...], chosen: float) -> None:
    points = [
        point(alpha, gain, is_held=passes)
        for alpha, gain, passes in zip((0.25, 0.5, 1.0), gains, held, strict=True)
    ]
    assert chosen_of([point(0.0, None), *points]).alpha == chosen
