"""What a round trains on: which batches, how much of the old, and what is left out. Pure; knows rows, no files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from tunekit._validation import Spec
from tunekit.data.classes.targets import classes
from tunekit.data.dataset import Dataset
from tunekit.data.similarity.leaks import Asked, OtherSet
from tunekit.errors import DataError
from tunekit.evaluation.items import Item
from tunekit.evaluation.leakage import find_leaks
from tunekit.examples import Example
from tunekit.retrain.gate.drift import label_drift
from tunekit.retrain.rounds.records import Amounts

_LOOKS = 5  # each names one row for each item of a test

Start: TypeAlias = Literal["base", "champion"]


class Replay(Spec):
    """How much of the old data is learned again, so that a model which goes on from another forgets less.

    Rows are drawn by task and label, with a floor for each: 8 rows of 800 repaired 77 of 92 lost points of accuracy
    where labels were what was forgotten.

    Attributes:
        share: Of the training data that are old rows.
        floor: Rows of each old label, at least, as far as there are so many.

    Examples:
        >>> Replay(share=0.1).floor
        2
    """

    share: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.05
    floor: Annotated[int, Field(ge=0)] = 2


History: TypeAlias = Literal["all"] | Replay | None
"""Old rows in the training data: all of them, a replay, or none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Composed:
    """Training data of a round.

    Attributes:
        data: The rows.
        amounts: What they are made of.
        before: Rows by label that the model in use has learned from; empty where rows have no single label.
        now: Rows by label that are new, likewise.
        notes: What is worth knowing of the replay.
    """

    data: Dataset
    amounts: Amounts
    before: Mapping[str, int]
    now: Mapping[str, int]
    notes: tuple[str, ...] = ()

    @property
    def drift(self) -> float | None:
        """Population stability index from the old labels to the new; None where one of them has none."""
        return label_drift(self.before, self.now) if self.before and self.now else None


def composed(
    batches: Sequence[tuple[int, str, Dataset]],
    *,
    learned: frozenset[int],
    history: History,
    tests: Sequence[Sequence[Item]],
    seed: int,
) -> Composed:
    """Put the training data of a round together.

    Args:
        batches: Position, task and rows of every batch up to the round's, in order.
        learned: Positions of those that the model in use has learned from.
        history: How much of those is in the data.
        tests: What the model will be asked; rows that ask the same are left out.
        seed: Of the draw of old rows.

    Raises:
        DataError: Nothing is left to train on.
    """
    seen: set[Example] = set()
    old, old_repeated = _distinct([batch for batch in batches if batch[0] in learned], seen)
    new, new_repeated = _distinct([batch for batch in batches if batch[0] not in learned], seen)
    asked = leaking_rows([*old, *new], tests)
    kept_old = [row for row in old if row.id not in asked]
    kept_new = [row for row in new if row.id not in asked]
    leaking = len(asked)
    data, notes = _mixed(kept_old, kept_new, history, seed)
    are_classes = classes([*kept_old, *kept_new]) is not None  # answers in free words have no drift
    if not len(data):
        raise DataError(
            f"no row is left to train on: {old_repeated + new_repeated} were repeated, and {leaking} are in the tests",
            hint="hand in rows that are neither in earlier batches nor in the tests",
        )
    return Composed(
        data=data,
        amounts=Amounts(
            new=len(kept_new),
            old=len(data) - len(kept_new),
            repeated=old_repeated + new_repeated,
            leaking=leaking,
        ),
        before=_labels(kept_old) if are_classes else {},
        now=_labels(kept_new) if are_classes else {},
        notes=notes,
    )


def _distinct(batches: Sequence[tuple[int, str, Dataset]], seen: set[Example]) -> tuple[list[Example], int]:
    """The rows that were not seen before, named by their batch, and how many others there were."""
    rows: list[Example] = []
    repeated = 0
    for position, task, data in batches:
        for number, example in enumerate(data, start=1):
            if example in seen:
                repeated += 1
                continue
            seen.add(example)
            rows.append(_named(example, position, task, number))
    return rows, repeated


def _named(example: Example, position: int, task: str, number: int) -> Example:
    """Batches may have rows of the same id; a task goes with each of its rows."""
    row = f"batch-{position}/{number}/{example.id}"
    return example.replace(id=row, meta={**example.meta, "task": task} if task else example.meta)


def leaking_rows(rows: Sequence[Example], tests: Sequence[Sequence[Item]]) -> frozenset[str]:
    """Ids of the rows that ask what a test asks, as `Evaluator.check_leakage` finds them, too."""
    found: set[str] = set()
    for test in tests:
        asked = OtherSet("test", (item.example for item in test))
        found |= {row.id for row in rows if asked.find(Asked.of(row)) is not None}
        # What counts as a common phrase depends on the side that is looked up in, so both sides are.
        for _ in range(_LOOKS):
            leaks = find_leaks(test, [row for row in rows if row.id not in found]).leaks
            if not leaks:
                break
            found |= {leak.row for leak in leaks}
    return frozenset(found)


def _mixed(
    old: Sequence[Example], new: Sequence[Example], history: History, seed: int
) -> tuple[Dataset, tuple[str, ...]]:
    """The rows, and what a replay says of itself."""
    if history is None or not old:
        return Dataset(new), ()
    if history == "all" or not new:
        return Dataset([*old, *new]), ()
    mix, report = Dataset(new).with_replay(Dataset(old), history.share, floor=history.floor, seed=seed)
    return mix, report.warnings


def _labels(rows: Sequence[Example]) -> Mapping[str, int]:
    return Dataset(rows).targets()
