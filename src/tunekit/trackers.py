"""Trackers: what happens to a job, shown in TensorBoard, MLflow or Weights & Biases. Knows events; not who sends them.

A tracker is called with one event after another and is no part of the training: one that fails stops nobody.
"""

from __future__ import annotations

import math
import os
from abc import ABC, abstractmethod
from collections.abc import Mapping
from importlib import import_module
from types import TracebackType
from typing import Any, Literal, Self

from tunekit.errors import MissingExtraError
from tunekit.events import Evaluated, JobEvent, JobState, Preflight, StateChanged, Step


class Tracker(ABC):
    """What all trackers have in common: call it with each event of a job, in order.

    The end of the job closes it; where events stop before that, `close` does, or the end of a `with` block. A tracker
    keeps no place in the stream: to go on in another process, pass `job.events()` the cursor that the first one left.
    """

    _closed = False

    def __call__(self, event: JobEvent) -> None:
        """Show one event. Those that carry no numbers are left out, and so are all that come after the end."""
        if self._closed:
            return
        match event:
            case Step() | Evaluated():
                found = numbers_of(event)
                if found:
                    self._log(event.step, found, event.at)
            case Preflight():
                self._describe(settings_of(event.report))
            case StateChanged(state=state) if state.is_terminal:
                self.close(state)
            case _:
                pass

    def close(self, state: JobState | None = None) -> None:
        """Write what is left and let go; a second time does nothing.

        Args:
            state: How the job ended, or None if it goes on without this tracker.
        """
        if not self._closed:
            self._closed = True
            self._end(state)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @abstractmethod
    def _log(self, step: int, numbers: Mapping[str, float], at: float) -> None: ...

    def _describe(self, settings: Mapping[str, str | float]) -> None:
        """What is known before the first step, where the service has a place for it."""

    @abstractmethod
    def _end(self, state: JobState | None) -> None: ...


class TensorBoard(Tracker):
    """Writes event files that TensorBoard shows.

    Args:
        log_dir: Directory of the run; made if it is not there.

    Raises:
        MissingExtraError: TensorBoard is not installed.

    Examples:
        >>> from tunekit import FineTuneJob
        >>> from tunekit.store import MemoryStore
        >>> from tunekit.testing import ScriptedBackend, tiny_dataset
        >>> job = FineTuneJob.submit(
        ...     tiny_dataset(), "scripted:base", backend=ScriptedBackend(), store=MemoryStore())
        >>> tracker = TensorBoard("runs/1")
        >>> for event in job.events():
        ...     tracker(event)
    """

    def __init__(self, log_dir: str | os.PathLike[str]) -> None:
        summary = _extra("tensorboard.summary", "tensorboard")
        self._writer = summary.Writer(os.fspath(log_dir))

    def _log(self, step: int, numbers: Mapping[str, float], at: float) -> None:
        for name, value in numbers.items():
            self._writer.add_scalar(name, value, step, wall_time=at)
        self._writer.flush()

    def _end(self, state: JobState | None) -> None:
        self._writer.close()


class MLflow(Tracker):
    """Logs to a run of MLflow. It uses a client of its own, so the host's active run and tracking URI stay as they are.

    Args:
        experiment: Its name; made if it is not there.
        run_name: Name of a new run; None lets MLflow choose one.
        run_id: A run to go on with, in place of a new one.
        tracking_uri: Where; None is MLflow's own choice.

    Raises:
        MissingExtraError: MLflow is not installed.

    Examples:
        >>> tracker = MLflow("support", tracking_uri="sqlite:///runs.db")  # doctest: +SKIP
        >>> for event in job.events():  # doctest: +SKIP
        ...     tracker(event)
    """

    def __init__(
        self,
        experiment: str,
        *,
        run_name: str | None = None,
        run_id: str | None = None,
        tracking_uri: str | None = None,
    ) -> None:
        self._mlflow = _extra("mlflow", "mlflow")
        self._client = self._mlflow.MlflowClient(tracking_uri=tracking_uri)
        self.run_id: str = run_id or self._new_run(experiment, run_name)

    def _new_run(self, experiment: str, run_name: str | None) -> str:
        known = self._client.get_experiment_by_name(experiment)
        experiment_id = known.experiment_id if known else self._client.create_experiment(experiment)
        return str(self._client.create_run(experiment_id, run_name=run_name).info.run_id)

    def _log(self, step: int, numbers: Mapping[str, float], at: float) -> None:
        metric, at_ms = self._mlflow.entities.Metric, round(at * 1000)
        metrics = [metric(name, value, at_ms, step) for name, value in numbers.items()]
        self._client.log_batch(self.run_id, metrics=metrics)

    def _describe(self, settings: Mapping[str, str | float]) -> None:
        param = self._mlflow.entities.Param
        self._client.log_batch(
            self.run_id, params=[param(name, str(value)) for name, value in settings.items()]
        )

    def _end(self, state: JobState | None) -> None:
        status = {JobState.SUCCEEDED: "FINISHED", JobState.FAILED: "FAILED", JobState.CANCELLED: "KILLED"}
        if state is not None:  # else the run goes on, and so may whoever has its id
            self._client.set_terminated(self.run_id, status=status[state])


class WandB(Tracker):
    """Logs to a run of Weights & Biases, beside whatever run the host has; the host's output is not captured.

    Args:
        project: Its name.
        name: Name of the run; None lets the service choose one.
        run_id: Id of the run; one that exists is gone on with.
        mode: "online", "offline", or "disabled".
        directory: Where files are kept; None is the service's own choice.

    Raises:
        MissingExtraError: wandb is not installed.

    Examples:
        >>> tracker = WandB("support", mode="offline")  # doctest: +SKIP
        >>> for event in job.events():  # doctest: +SKIP
        ...     tracker(event)
    """

    def __init__(
        self,
        project: str,
        *,
        name: str | None = None,
        run_id: str | None = None,
        mode: Literal["online", "offline", "disabled"] = "online",
        directory: str | os.PathLike[str] | None = None,
    ) -> None:
        self._run = _extra("wandb", "wandb").init(
            project=project,
            name=name,
            id=run_id,
            mode=mode,
            dir=directory,
            resume="allow" if run_id else None,
            reinit="create_new",
            settings={"console": "off"},
        )

    def _log(self, step: int, numbers: Mapping[str, float], at: float) -> None:
        self._run.log(dict(numbers), step=step)

    def _describe(self, settings: Mapping[str, str | float]) -> None:
        self._run.config.update(dict(settings), allow_val_change=True)

    def _end(self, state: JobState | None) -> None:
        self._run.finish(exit_code=0 if state in (None, JobState.SUCCEEDED) else 1)


def numbers_of(event: Step | Evaluated) -> dict[str, float]:
    """The numbers of an event by the name of their curve, those that are known and finite.

    Examples:
        >>> numbers_of(Evaluated(id="1", at=0.0, step=5, metrics={"loss": 1.5}))
        {'validation/loss': 1.5}
    """
    found: dict[str, float | None]
    if isinstance(event, Evaluated):
        found = {f"validation/{name}": value for name, value in event.metrics.items()}
    else:
        own = ("loss", "learning_rate", "gradient_norm", "tokens_per_s", "epoch")
        found = {f"train/{name}": getattr(event, name) for name in own}
        found |= {f"train/{name}": value for name, value in event.metrics.items()}
    return {name: float(value) for name, value in found.items() if value is not None and math.isfinite(value)}


def settings_of(report: Mapping[str, Any]) -> dict[str, str | float]:
    """The plain values of the report before the first step. Its sample of a row is left out: data stay where they are.

    Examples:
        >>> settings_of({"rows": 20, "learning_rate": 1e-3, "warnings": [], "sample": "a row"})
        {'rows': 20, 'learning_rate': 0.001}
    """
    return {
        name: value
        for name, value in report.items()
        if isinstance(value, (str, int, float)) and name != "sample"
    }


def _extra(module: str, extra: str) -> Any:
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != module.partition(".")[0]:
            raise  # it is there, and something that it needs is not
        raise MissingExtraError(extra, extra=extra) from None
