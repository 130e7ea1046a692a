"""Tiny models and runs for the trainer's tests; everything trains in this process, in fractions of a second."""

from __future__ import annotations

import functools
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from tunekit.backends.local.warm_start import beginning_of
from tunekit.data.dataset import Dataset
from tunekit.examples import CompletionExample, Example
from tunekit.spec import SFT, LoRA, TuneSpec
from tunekit.testing.tiny_models import make_tiny_bert, make_tiny_llama
from tunekit.training.run.events_log import EventLog
from tunekit.training.run.rundir import RunDirectory, RunPlan, RunResult

MakeRun = Callable[..., RunDirectory]
GoOn = Callable[..., RunDirectory]
Base = Callable[[str], Path]
"""Gives the directory of a family's base."""


def rows(count: int = 20) -> list[Example]:
    """Prompts of different lengths with an answer that follows from them."""
    return [
        CompletionExample(
            id=f"row-{n}", prompt="ask " * (1 + n % 5) + str(n % 4), completion=f"answer {n % 4}"
        )
        for n in range(count)
    ]


@pytest.fixture(scope="session", autouse=True)
def quiet() -> None:
    """What the training process sets up for itself."""
    from tunekit.training.plan.device import configure

    configure(threads=1)


@pytest.fixture(scope="session")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model directory; tests copy it before they change it."""
    return make_tiny_llama(tmp_path_factory.mktemp("models") / "llama")


@pytest.fixture(scope="session")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An encoder without a head of classes; tests copy it before they change it."""
    return make_tiny_bert(tmp_path_factory.mktemp("models") / "bert")


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Base:
    """Bases of every family that can classify, each made once; tests copy them before they change them."""
    from tests.unit.training.tiny_classifiers import make_classifier_base

    directory = tmp_path_factory.mktemp("bases")
    return functools.cache(lambda family: make_classifier_base(family, directory / family))


@pytest.fixture
def make_run(tmp_path: Path, llama: Path) -> MakeRun:
    """Publishes run directories: `make_run(examples, name=..., model=..., **spec fields)`."""

    def make(
        examples: Sequence[Example] | None = None,
        *,
        name: str = "run",
        model: Path = llama,
        validation: Sequence[Example] = (),
        **fields: Any,
    ) -> RunDirectory:
        defaults = {"method": SFT(adapter=LoRA(rank=4)), "epochs": 2, "batch_size": 4, "learning_rate": 1e-2}
        plan = RunPlan(
            run_id=name,
            key=name,
            model=str(model),
            spec=TuneSpec(**{**defaults, **fields}),
            python=sys.executable,
            threads=1,
            validation=bool(validation),
            created_at=0.0,
        )
        held_out = Dataset(validation) if validation else None
        return RunDirectory.create(tmp_path / "runs", plan, Dataset(examples or rows()), held_out)

    return make


@pytest.fixture
def go_on(tmp_path: Path, llama: Path) -> GoOn:
    """Publishes a run as the backend would: `go_on(earlier, name=..., target=..., **spec fields)`."""

    def make(
        earlier: Path | str | None,
        examples: Sequence[Example] | None = None,
        *,
        name: str = "second",
        target: Path | str = llama,
        validation: Sequence[Example] = (),
        **fields: Any,
    ) -> RunDirectory:
        defaults = {"method": SFT(), "epochs": 2, "batch_size": 4, "learning_rate": 1e-2}
        warm_start = None if earlier is None else f"local:{earlier}"
        spec = TuneSpec(**{**defaults, **fields, "warm_start": warm_start})
        begins = beginning_of(str(target), spec, revision=None, runs=tmp_path / "runs", hashes={})
        plan = RunPlan(
            run_id=name,
            key=name,
            model=begins.model,
            revision=begins.revision,
            warm_start=begins.artifact,
            warm_start_fingerprint=begins.artifact_fingerprint,
            spec=begins.spec,
            python=sys.executable,
            threads=1,
            validation=bool(validation),
            created_at=0.0,
        )
        held_out = Dataset(validation) if validation else None
        return RunDirectory.create(tmp_path / "runs", plan, Dataset(examples or rows()), held_out)

    return make


def train(run: RunDirectory, *, stop_after: int | None = None) -> RunResult | None:
    """Train a run in this process; `stop_after` interrupts it (as SIGTERM would) once that step is in the log."""
    from tunekit.training.run.stops import Stop
    from tunekit.training.trainer import run_training

    def stop() -> Stop | None:
        if run.cancel_requested():
            return Stop.CANCELLED
        return Stop.INTERRUPTED if stop_after is not None and last_step(run) >= stop_after else None

    with EventLog(run) as log:
        return run_training(run, log, stop)


def with_peft(base: Any, artifact: Path) -> Any:
    """A base with an adapter that nothing but PEFT has put on it."""
    from peft import PeftModel

    with warnings.catch_warnings():
        # PEFT 0.21 reads an attribute that transformers 5.23 has renamed.
        warnings.filterwarnings("ignore", message=".*is_gradient_checkpointing", category=FutureWarning)
        # It gives the experts that transformers has fused ranks of their own, and looks for them among the layers.
        warnings.filterwarnings(
            "ignore", message="The following (rank|alpha)_pattern", category=RuntimeWarning
        )
        return PeftModel.from_pretrained(base, str(artifact))


def last_step(run: RunDirectory) -> int:
    """Number of the last step in the log."""
    return max((event.step for event in events(run, "step")), default=0)


def events(run: RunDirectory, kind: str) -> list[Any]:
    """All events of one type."""
    return [event for event in run.events_from(0)[0] if event.type == kind]


def losses(run: RunDirectory) -> list[float]:
    """Training loss by step."""
    return [event.loss for event in events(run, "step")]


def artifact_bytes(run: RunDirectory) -> dict[str, bytes]:
    """Every file of the artifact but the card, which names the run."""
    return {
        item.name: item.read_bytes()
        for item in sorted(run.artifact_path.iterdir())
        if item.name != "tunekit.json"
    }
