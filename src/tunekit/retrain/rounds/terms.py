"""All that is the same for each round of a retrainer. Knows settings, and what makes requests equal; does nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from tunekit._canonical import fingerprint
from tunekit._clock import Clock
from tunekit._settings import Settings
from tunekit.backends import registry as backends
from tunekit.backends.base import Backend
from tunekit.evaluation.arms.arm import Side
from tunekit.evaluation.evaluator import Evaluator
from tunekit.refs import Target
from tunekit.retrain.gate.rules import Gate
from tunekit.retrain.registry.registry import Registry
from tunekit.retrain.rounds import given
from tunekit.retrain.rounds.base import RoundStore
from tunekit.retrain.rounds.batches import BatchFiles
from tunekit.retrain.rounds.composing import History, Replay, Start
from tunekit.retrain.rounds.gated import require_measured
from tunekit.retrain.rounds.promoting import Approval, Stage
from tunekit.spec import Budget, TuneSpec
from tunekit.store.base import RunStore

if TYPE_CHECKING:
    from tunekit.data.dataset import Dataset


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What a retrainer was told, with defaults filled in; see `Retrainer` for what each is."""

    pipeline: str
    alias: str
    target: Target
    spec: TuneSpec
    evaluator: Evaluator
    gate: Gate
    tasks: Mapping[str, Evaluator]
    start: Start
    history: History
    baseline: Side | None
    validation: Dataset | None
    approval: Approval
    rollout: tuple[Stage, ...]
    budget: Budget
    backend: Backend | None
    registry: Registry
    rounds: RoundStore
    runs: RunStore
    settings: Settings
    base_ends: date | None
    code_version: str
    poll_s: float

    def __post_init__(self) -> None:
        given.check(self)
        require_measured(self.gate, self.evaluator, self.tasks)

    @property
    def files(self) -> BatchFiles:
        """The rows of batches, and of training data."""
        return BatchFiles(self._home / "data")

    def batches(self, last: int | None = None) -> list[tuple[int, str, Dataset]]:
        """Position, task and rows of every batch that was not withdrawn, in order.

        Args:
            last: Position of the last one to take; None takes all.
        """
        return [
            (batch.position, batch.task, self.files.read(batch.fingerprint))
            for batch in self.rounds.batches(self.pipeline)
            if batch.withdrawn_at is None and (last is None or batch.position <= last)
        ]

    def report(self, round_id: str) -> Path:
        """Directory with the comparisons of a round."""
        return self._home / "reports" / round_id

    @property
    def _home(self) -> Path:
        return self.settings.home / "retrain" / self.pipeline

    @property
    def clock(self) -> Clock:
        """What times are taken from: the one that jobs have."""
        return backends.serving(self.target.backend, self.backend, self.settings).clock

    @property
    def policy(self) -> str:
        """Hash of what decides how a model is made, and whether it is used: all but the tests, which grow."""
        return fingerprint(
            {
                "target": str(self.target),
                "spec": self.spec.fingerprint(),
                "start": self.start,
                "history": self._history,
                "gate": self.gate.model_dump(mode="json"),
                "approval": self.approval,
                "rollout": list(self.rollout),
            }
        )

    @property
    def _history(self) -> object:
        return self.history.model_dump(mode="json") if isinstance(self.history, Replay) else self.history

    def request(self, what: str) -> str:
        """Hash of a request: the same data by the same terms are the same request.

        Args:
            what: Fingerprint of the rows that are handed in, or what stands for them.
        """
        return fingerprint(
            {
                "pipeline": self.pipeline,
                "alias": self.alias,
                "what": what,
                "target": str(self.target),
                "spec": self.spec.fingerprint(),
                "start": self.start,
                "history": self._history,
                "gate": self.gate.model_dump(mode="json"),
                "test": self.evaluator.provenance.model_dump(mode="json"),
                "tasks": {
                    name: evaluator.provenance.model_dump(mode="json")
                    for name, evaluator in sorted(self.tasks.items())
                },
                "validation": self.validation.fingerprint() if self.validation is not None else "",
            }
        )
