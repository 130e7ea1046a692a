"""Blends, merges and sweeps as a host makes them: refs that answer and are evaluated, a choice that dev makes."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.unit.training.conftest import train
from tunekit import Dataset, Evaluator, RefError, Sampling
from tunekit._settings import Settings
from tunekit.backends.local.backend import LocalBackend
from tunekit.errors import ModelError, NotFoundError, SpecError, UnsupportedError
from tunekit.evaluation.stats import Interval
from tunekit.evaluation.training_data import training_rows
from tunekit.examples import CompletionExample, Example
from tunekit.refs import ModelRef
from tunekit.retrain.blending import (
    Soup,
    Sweep,
    SweepPoint,
    blend,
    blend_async,
    discard,
    merge_siblings,
    merge_siblings_async,
    mixture_of,
    soup,
    sweep,
)
from tunekit.retrain.blending.sweeping import chosen_of
from tunekit.spec import SFT, FullWeights, LoRA, TuneSpec
from tunekit.testing.tiny_models import make_tiny_llama
from tunekit.training.run.rundir import RunDirectory, RunPlan

OLD, TUNED, SIBLING, SPOILT = ("run-" + letter * 20 for letter in "abcd")
PROMPTS = [f"ask {n}" for n in range(12)]


def answering(answer: str) -> list[Example]:
    return [
        CompletionExample(id=f"{answer} {n}", prompt=prompt, completion=answer)
        for n, prompt in enumerate(PROMPTS)
    ]


def trained(settings: Settings, run_id: str, model: Path, examples: Sequence[Example], **fields: Any) -> Path:
    """A run of the backend's, made in this process."""
    spec = TuneSpec(**{"epochs": 10, "batch_size": 4, "learning_rate": 1e-2, **fields})
    plan = RunPlan(
        run_id=run_id,
        key=run_id,
        model=str(model),
        spec=spec,
        python=sys.executable,
        threads=1,
        created_at=0.0,
    )
    run = RunDirectory.create(settings.runs, plan, Dataset(examples), None)
    train(run)
    return run.artifact_path


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A home with a base that says "no", an adapter on it that says "yes", and a sibling."""
    found = Settings(home=tmp_path_factory.mktemp("home"))
    llama = make_tiny_llama(found.home / "llama")
    old = trained(found, OLD, llama, answering("n"), method=SFT(adapter=FullWeights()))
    # What a head that was trained says cannot be turned round without the head.
    adapter = LoRA(rank=8, target_modules=("q_proj", "down_proj", "lm_head"))
    for run_id, seed in ((TUNED, 1), (SIBLING, 2)):
        trained(found, run_id, old, answering("y"), method=SFT(adapter=adapter), epochs=40, seed=seed)
    return found


@pytest.fixture(scope="module")
def half(settings: Settings) -> ModelRef:
    """Half of the way."""
    return blend(f"local:{OLD}", f"local:{TUNED}", 0.5, settings=settings)


@pytest.fixture(scope="module")
def backend(settings: Settings) -> Any:
    found = LocalBackend(settings=settings, threads=1)
    yield found
    asyncio.run(found.aclose())


def evaluator(answer: str, settings: Settings, **fields: Any) -> Evaluator:
    return Evaluator(Dataset(answering(answer)), sampling=Sampling(max_tokens=4), settings=settings, **fields)


def runs(settings: Settings) -> set[str]:
    return {path.name for path in settings.runs.iterdir()}


class TestMixing:
    def test_a_blend_answers_and_is_evaluated_by_its_ref(
        self, settings: Settings, backend: LocalBackend
    ) -> None:
        start, end = (
            blend(f"local:{OLD}", f"local:{TUNED}", alpha, settings=settings) for alpha in (0.0, 1.0)
        )
        assert (start.backend, end.backend) == ("local", "local")
        said = evaluator("y", settings)
        scores = [
            said.run(model, backend=backend)["exact_match"].value.estimate
            for model in (start, f"local:{OLD}", end, f"local:{TUNED}")
        ]
        assert scores[0] == scores[1] and scores[2] == scores[3]
        assert scores[2] > 0.9 > 0.1 > scores[0]
        mixture = mixture_of(end, settings=settings)
        assert [(each.model, each.weight) for each in mixture.ingredients] == [
            (f"local:{TUNED}", 1.0),
            (f"local:{OLD}", 0.0),
        ]

    def test_siblings_merge_into_one_model_whichever_weights_are_said(self, settings: Settings) -> None:
        siblings = [f"local:{TUNED}", f"local:{SIBLING}"]
        even = merge_siblings(siblings, settings=settings)
        assert merge_siblings(siblings, [3, 3], settings=settings) == even
        assert [each.weight for each in mixture_of(even, settings=settings).ingredients] == [0.5, 0.5]

    def test_both_have_async_twins(self, settings: Settings, half: ModelRef) -> None:
        both = [f"local:{TUNED}", f"local:{SIBLING}"]

        async def again() -> tuple[ModelRef, ModelRef]:
            return (
                await blend_async(f"local:{OLD}", f"local:{TUNED}", 0.5, settings=settings),
                await merge_siblings_async(both, [1, 7], settings=settings),
            )

        blended, merged = asyncio.run(again())
        assert blended == half
        assert [each.weight for each in mixture_of(merged, settings=settings).ingredients] == [0.125, 0.875]

    def test_the_rows_behind_it_are_known(self, settings: Settings, half: ModelRef) -> None:
        """So an evaluation finds what of its test was in the training data of any ingredient."""
        found = training_rows(half, lambda: settings.runs)
        assert found is not None
        assert {example.completion for example in found} == {"y", "n"}  # type: ignore[union-attr]

    def test_what_is_discarded_is_made_again(self, settings: Settings) -> None:
        made = blend(f"local:{OLD}", f"local:{SIBLING}", 0.5, settings=settings)
        discard(made, settings=settings)
        with pytest.raises(NotFoundError):
            mixture_of(made, settings=settings)
        assert blend(f"local:{OLD}", f"local:{SIBLING}", 0.5, settings=settings) == made

    def test_a_run_is_not_discarded_as_a_mixture(self, settings: Settings) -> None:
        with pytest.raises(ModelError, match="was not mixed"):
            discard(f"local:{TUNED}", settings=settings)
        with pytest.raises(SpecError, match="no name"):
            discard(f"local:{settings.runs / TUNED}", settings=settings)
        assert (settings.runs / TUNED / "artifact").is_dir()

    def test_the_host_never_imports_torch(self, settings: Settings) -> None:
        script = (
            "import sys\n"
            "from pathlib import Path\n"
            "from tunekit._settings import Settings\n"
            "from tunekit.retrain.blending import blend, mixture_of\n"
            "home = Settings(home=Path(sys.argv[1]))\n"
            "model = blend(*sys.argv[2:4], 0.5, settings=home)\n"
            "mixture_of(model, settings=home)\n"
            "assert not {'torch', 'transformers', 'safetensors'} & set(sys.modules)\n"
        )
        told = [str(settings.home), f"local:{OLD}", f"local:{TUNED}"]
        subprocess.run([sys.executable, "-c", script, *told], check=True)

    @pytest.mark.parametrize("alpha", [-0.1, 1.1, float("nan")])
    def test_an_alpha_that_is_none(self, settings: Settings, alpha: float) -> None:
        with pytest.raises(SpecError, match="alpha"):
            blend(f"local:{OLD}", f"local:{TUNED}", alpha, settings=settings)

    @pytest.mark.parametrize(
        ("siblings", "weights", "match"),
        [
            ([TUNED], None, "1 model"),
            ([TUNED, TUNED], None, "twice"),
            ([TUNED, SIBLING], [1.0], "weights"),
            ([TUNED, SIBLING], [1.0, 0.0], "weights"),
            ([TUNED, SIBLING], [1.0, float("inf")], "weights"),
        ],
    )
    def test_siblings_that_are_none(
        self, settings: Settings, siblings: list[str], weights: list[float] | None, match: str
    ) -> None:
        with pytest.raises(SpecError, match=match):
            merge_siblings([f"local:{name}" for name in siblings], weights, settings=settings)

    def test_one_string_is_no_list_of_models(self, settings: Settings) -> None:
        with pytest.raises(SpecError, match="one string"):
            merge_siblings(f"local:{TUNED}", settings=settings)

    @pytest.mark.parametrize(
        ("model", "error"),
        [
            ("openai:ft:acme", UnsupportedError),
            ("local:run-" + "f" * 20, NotFoundError),
            (TUNED, RefError),
        ],
    )
    def test_a_model_whose_weights_are_not_here(
        self, settings: Settings, model: str, error: type[Exception]
    ) -> None:
        with pytest.raises(error):
            blend(f"local:{OLD}", model, 0.5, settings=settings)

    def test_what_the_child_refuses_arrives_as_it_is(self, settings: Settings) -> None:
        before = runs(settings)
        with pytest.raises(ModelError, match="was tuned from"):
            blend(f"local:{settings.home / 'llama'}", f"local:{TUNED}", 0.5, settings=settings)
        assert runs(settings) == before


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


KILLED = """
import json, os, signal, sys
from pathlib import Path
from tunekit.training.saving.blend import blend
from tunekit.training.saving.mixture import read_mixture

target, base, tuned = sys.argv[1], json.loads(sys.argv[2]), json.loads(sys.argv[3])

def mixed_until(at):
    def hook(event, told):
        nonlocal at
        if event in ("open", "os.rename", "os.mkdir") and target in str(told):
            at -= 1
            if at < 0:
                os.kill(os.getpid(), signal.SIGKILL)
    sys.addaudithook(hook)
    blend(base, tuned, 0.7, target)

died = 0
while True:
    child = os.fork()
    if not child:
        mixed_until(died)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    whole = [read_mixture(path / "artifact") for path in Path(target).glob("run-*")]
    if os.WIFEXITED(status):
        break
    died += 1
assert os.WEXITSTATUS(status) == 0 and len(whole) == 1
print(died)
"""


def test_a_child_killed_at_every_touch_of_the_disk_leaves_nothing_or_all(settings: Settings) -> None:
    """One after the other, until a child lives to the end of it."""
    parts = [
        json.dumps({"model": f"local:{name}", "source": str(settings.runs / name / "artifact")})
        for name in (OLD, TUNED)
    ]
    command = [sys.executable, "-c", KILLED, str(settings.home / "killed"), *parts]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert int(done.stdout) > 15
