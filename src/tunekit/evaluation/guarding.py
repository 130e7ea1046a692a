"""What is held against every evaluation: baselines, training data, the seal. Knows evaluations; asks no model."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING

from tunekit._canonical import fingerprint
from tunekit._clock import SystemClock
from tunekit._settings import Settings
from tunekit.errors import SpecError
from tunekit.evaluation.baseline import with_baselines
from tunekit.evaluation.framing import LOOKED_AT, asked_otherwise
from tunekit.evaluation.leakage import find_leaks
from tunekit.evaluation.results import Evaluation, Provenance
from tunekit.evaluation.sealed import open_test
from tunekit.evaluation.training_data import training_rows

if TYPE_CHECKING:
    from tunekit.evaluation.arms.arm import Arm
    from tunekit.evaluation.items import Item


@dataclass(frozen=True, slots=True, kw_only=True)
class Guards:
    """The guards of one evaluator.

    Attributes:
        items: Questions of the test.
        provenance: What identifies the evaluator.
        sealed: False, or True, or the name of the line of work whose looks at the test are counted.
        settings: Knobs of the host; None reads the environment where something is looked up.
    """

    items: Sequence[Item]
    provenance: Provenance
    sealed: bool | str = False
    settings: Settings | None = None

    def __post_init__(self) -> None:
        if self.sealed == "":
            raise SpecError(
                f"sealed is {self.sealed!r}",
                hint='pass True, or a name for your line of work: sealed="tickets"',
            )

    async def checked(self, evaluation: Evaluation, arm: Arm) -> Evaluation:
        """With baselines, and what the training data say of the test, where those lie here.

        Raises:
            StorageError: The training data lie here and cannot be read.
        """
        return await asyncio.to_thread(self._against_training, with_baselines(evaluation), arm)

    def opened(self, evaluations: Sequence[Evaluation]) -> list[Evaluation]:
        """The same, counted as one look at the test if it is sealed. Those that were made before were counted then.

        Raises:
            StorageError: The look cannot be counted, so it is not had.
        """
        new = [each for each in evaluations if each.opening is None]
        if self.sealed is False or not new:
            return list(evaluations)
        opening = open_test(
            (self.settings or Settings()).home / "sealed",
            self.provenance.test_fingerprint,
            lineage="default" if self.sealed is True else self.sealed,
            models=tuple(str(each.model) for each in new),
            evaluator=fingerprint(self.provenance.model_dump(mode="json")),
            opened_at=SystemClock().now(),
        )
        said = (opening.warning,) if opening.warning else ()
        return [
            each
            if each.opening is not None
            else each.model_copy(update={"opening": opening, "warnings": (*each.warnings, *said)})
            for each in evaluations
        ]

    def _against_training(self, evaluation: Evaluation, arm: Arm) -> Evaluation:
        rows = training_rows(evaluation.model, self._runs)
        if rows is None:
            return evaluation
        rows = iter(rows)
        first = list(islice(rows, LOOKED_AT))
        leakage = find_leaks(self.items, chain(first, rows))
        otherwise = asked_otherwise(first, [item.prompt for item in arm.questions(self.items[:LOOKED_AT])[0]])
        warnings = (*evaluation.warnings, *leakage.warnings, *otherwise)
        return evaluation.model_copy(update={"leakage": leakage, "warnings": warnings})

    def _runs(self) -> Path:
        return (self.settings or Settings()).runs
