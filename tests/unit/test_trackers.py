"""Trackers: TensorBoard with the real package; MLflow and Weights & Biases with stand-ins that record what is called.

The stand-ins have the signatures of mlflow-skinny 3.17 and wandb 0.31, so a call that those would refuse fails here.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from tunekit.errors import MissingExtraError
from tunekit.events import (
    CheckpointSaved,
    Evaluated,
    JobEvent,
    JobState,
    Notice,
    Preflight,
    StateChanged,
    Step,
)
from tunekit.trackers import MLflow, TensorBoard, WandB

REPORT = {"rows": 8, "learning_rate": 0.01, "device": "cpu", "sample": "a secret", "auto": {"x": "y"}}


def story(end: JobState = JobState.SUCCEEDED) -> list[JobEvent]:
    """All kinds of event, among them numbers that no tracker can show."""
    return [
        StateChanged(id="1", at=1.0, state=JobState.RUNNING),
        Preflight(id="2", at=2.0, report=REPORT),
        Step(id="3", at=3.0, step=1, epoch=0.5, loss=2.5, learning_rate=0.01, metrics={"accuracy": 0.25}),
        Notice(id="4", at=3.5, message="hm"),
        Step(id="5", at=4.0, step=2, epoch=1.0, loss=float("nan"), gradient_norm=float("inf")),
        Evaluated(id="6", at=4.5, step=2, metrics={"loss": 2.0}),
        CheckpointSaved(id="7", at=5.0, step=2),
        StateChanged(id="8", at=6.0, state=end),
        Step(id="9", at=7.0, step=3, loss=1.0),
    ]


SHOWN = {
    ("train/loss", 1, 2.5),
    ("train/learning_rate", 1, 0.01),
    ("train/epoch", 1, 0.5),
    ("train/accuracy", 1, 0.25),
    ("train/epoch", 2, 1.0),
    ("validation/loss", 2, 2.0),
}


def test_tensorboard_reads_what_was_written(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

    tracker = TensorBoard(tmp_path)
    for event in story():
        tracker(event)
    (written,) = tmp_path.iterdir()
    seen = [
        (value.tag, item.step, value.tensor.float_val[0], item.wall_time)
        for item in EventFileLoader(str(written)).Load()
        for value in item.summary.value
    ]
    assert {(tag, step, round(number, 6)) for tag, step, number, _ in seen} == SHOWN
    assert {at for *_, at in seen} == {3.0, 4.0, 4.5}


@dataclass
class Client:
    """Stands in for `mlflow.MlflowClient`."""

    tracking_uri: str | None = None
    experiments: dict[str, str] = field(default_factory=dict)
    metrics: list[Any] = field(default_factory=list)
    params: dict[str, str] = field(default_factory=dict)
    ended: list[tuple[str, str]] = field(default_factory=list)

    def get_experiment_by_name(self, name: str) -> SimpleNamespace | None:
        known = self.experiments.get(name)
        return SimpleNamespace(experiment_id=known) if known else None

    def create_experiment(self, name: str) -> str:
        assert name not in self.experiments
        self.experiments[name] = f"experiment-{name}"
        return self.experiments[name]

    def create_run(self, experiment_id: str, *, run_name: str | None = None) -> SimpleNamespace:
        assert experiment_id in self.experiments.values()
        return SimpleNamespace(info=SimpleNamespace(run_id=f"run-of-{experiment_id}-{run_name}"))

    def log_batch(self, run_id: str, metrics: Any = (), params: Any = ()) -> None:
        self.metrics += [(run_id, *metric) for metric in metrics]
        self.params |= dict(params)

    def set_terminated(self, run_id: str, *, status: str) -> None:
        self.ended.append((run_id, status))


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Client:
    made = Client()
    module: Any = ModuleType("mlflow")
    module.MlflowClient = lambda *, tracking_uri: made
    module.entities = SimpleNamespace(
        Metric=lambda key, value, timestamp, step: (key, value, timestamp, step),
        Param=lambda key, value: (key, value),
    )
    monkeypatch.setitem(sys.modules, "mlflow", module)
    return made


@pytest.mark.parametrize(
    ("end", "status"),
    [(JobState.SUCCEEDED, "FINISHED"), (JobState.FAILED, "FAILED"), (JobState.CANCELLED, "KILLED")],
)
def test_mlflow(client: Client, end: JobState, status: str) -> None:
    tracker = MLflow("support", run_name="first")
    for event in story(end):
        tracker(event)
    assert {(name, step, value) for _, name, value, _, step in client.metrics} == SHOWN
    assert {at for *_, at, _ in client.metrics} == {3000, 4000, 4500}, "milliseconds"
    assert client.params == {"rows": "8", "learning_rate": "0.01", "device": "cpu"}, "no rows leave the host"
    assert client.ended == [(tracker.run_id, status)]


def test_mlflow_goes_on_with_a_run_in_an_experiment_that_is_there(client: Client) -> None:
    first = MLflow("support")
    first(story()[2])
    first.close()
    assert client.ended == [], "the job goes on, so its run does"
    with MLflow("support", run_id=first.run_id) as second:
        second(story()[5])
    assert {run for run, *_ in client.metrics} == {first.run_id}
    MLflow("support")
    assert list(client.experiments) == ["support"]


@dataclass
class Run:
    """Stands in for `wandb.Run`."""

    asked: dict[str, Any]
    logged: set[tuple[str, int, float]] = field(default_factory=set)
    config: Any = None
    settings: dict[str, Any] = field(default_factory=dict)
    exit_code: int | None = None

    def __post_init__(self) -> None:
        self.config = SimpleNamespace(update=lambda found, allow_val_change: self.settings.update(found))

    def log(self, data: dict[str, Any], step: int | None = None) -> None:
        assert step is not None and all(step >= before for _, before, _ in self.logged), (
            "wandb drops older steps"
        )
        self.logged |= {(name, step, value) for name, value in data.items()}

    def finish(self, exit_code: int | None = None) -> None:
        self.exit_code = exit_code


@pytest.fixture
def wandb_runs(monkeypatch: pytest.MonkeyPatch) -> list[Run]:
    made: list[Run] = []
    module: Any = ModuleType("wandb")

    def init(**asked: Any) -> Run:
        made.append(Run(asked))
        return made[-1]

    module.init = init
    monkeypatch.setitem(sys.modules, "wandb", module)
    return made


@pytest.mark.parametrize(("end", "code"), [(JobState.SUCCEEDED, 0), (JobState.FAILED, 1)])
def test_wandb(wandb_runs: list[Run], end: JobState, code: int) -> None:
    tracker = WandB("support", run_id="job-1", mode="offline")
    for event in story(end):
        tracker(event)
    (run,) = wandb_runs
    assert run.logged == SHOWN
    assert run.settings == {"rows": 8, "learning_rate": 0.01, "device": "cpu"}
    assert run.exit_code == code
    assert run.asked["reinit"] == "create_new", "the host's own run stays as it is"
    assert (run.asked["id"], run.asked["resume"]) == ("job-1", "allow")


@pytest.mark.parametrize(
    ("name", "make"), [("mlflow", MLflow), ("wandb", WandB), ("tensorboard", TensorBoard)]
)
def test_without_its_package_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, name: str, make: Any, tmp_path: Path
) -> None:
    for module in [item for item in sys.modules if item.partition(".")[0] == name]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setattr(sys, "meta_path", [Absent(name), *sys.meta_path])
    with pytest.raises(MissingExtraError, match=f"'{name}' is not installed") as caught:
        make(str(tmp_path))
    assert caught.value.hint == f"run: pip install 'tunekit[{name}]'"


class Absent:
    """Finds no module of a package, as where it is not installed."""

    def __init__(self, package: str) -> None:
        self.package = package

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        if name.partition(".")[0] == self.package:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


def test_a_package_that_is_broken_is_not_called_missing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "mlflow.py").write_text("import something_that_mlflow_needs", encoding="utf-8")
    for name in [name for name in sys.modules if name.partition(".")[0] == "mlflow"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="something_that_mlflow_needs"):
        MLflow("support")
