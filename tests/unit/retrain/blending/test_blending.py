"""Blends and merges as a host makes them: refs that answer and are evaluated, and nothing half written."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys

import pytest

from tests.unit.retrain.blending.family import (
    OLD,
    SIBLING,
    TUNED,
    evaluator,
    runs,
)
from tunekit import RefError
from tunekit._settings import Settings
from tunekit.backends.local.backend import LocalBackend
from tunekit.errors import ModelError, NotFoundError, SpecError, UnsupportedError
from tunekit.evaluation.training_data import training_rows
from tunekit.refs import ModelRef
from tunekit.retrain.blending import (
    blend,
    blend_async,
    discard,
    merge_siblings,
    merge_siblings_async,
    mixture_of,
)


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
