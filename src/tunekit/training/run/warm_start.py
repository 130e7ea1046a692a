"""The artifact that a run goes on from, as the trainer finds it. Knows cards and fingerprints; the host resolves it.

Looked at again whenever the run starts, because what lies in a directory may change or go between two starts.
"""

from __future__ import annotations

from pathlib import Path

from tunekit import _files
from tunekit.errors import ModelError
from tunekit.training.models import fingerprint
from tunekit.training.models.classes import Classes
from tunekit.training.run.rundir import RunPlan
from tunekit.training.saving.artifacts import Card, Parent, is_artifact, lineage, read_card


def parents_of(plan: RunPlan) -> tuple[Parent, ...]:
    """What the run goes on from, nearest first; empty where it begins from a base.

    Raises:
        ModelError: The artifact is gone.
    """
    return lineage(Path(plan.warm_start), plan.warm_start_fingerprint) if plan.warm_start else ()


def adapter_of(plan: RunPlan, card: Card) -> Path | None:
    """The adapter that training goes on with; None where there is none, or where the artifact is the base itself.

    Args:
        plan: The run's.
        card: Of the artifact to be.

    Raises:
        ModelError: The artifact has changed, or it was made on another base or for other kinds of labels.
    """
    if not plan.warm_start or plan.warm_start == plan.model:
        return None
    directory = Path(plan.warm_start)
    _require_unchanged(directory, plan.warm_start_fingerprint)
    before = read_card(directory)
    if before.base_fingerprint != card.base_fingerprint:
        raise ModelError(
            f"warm_start was tuned from {before.base_model!r} ({before.base_fingerprint or 'unknown'}), the base is "
            f"{card.base_model!r} ({card.base_fingerprint or 'unknown'})",
            hint="name the model that it was tuned from as the target, at the same revision",
        )
    if before.classes != card.classes and not (
        before.classes and card.classes and before.classes.begins(card.classes)
    ):
        raise ModelError(
            f"warm_start names {_said(before)}, and the data name {_said(card)}",
            hint="train on rows of the same kind, or begin from the base",
        )
    return directory


def classes_of(plan: RunPlan) -> Classes | None:
    """What the head of the adapter names that training goes on with; None where there is none.

    Raises:
        ModelError: The artifact has no card that can be read.
    """
    return read_card(Path(plan.warm_start)).classes if plan.warm_start not in ("", plan.model) else None


def _said(card: Card) -> str:
    if card.classes is None:
        return "no classes"
    return f"{len(card.labels)} classes, {'any number' if card.multi_label else 'one'} to a text"


def _require_unchanged(directory: Path, known: str) -> None:
    if not is_artifact(directory):
        raise ModelError(
            f"the artifact that this run goes on from, {str(directory)!r}, is gone",
            hint="restore it, or submit the run again without warm_start",
        )
    with _files.storage_errors(f"cannot read {str(directory)!r}"):
        found = fingerprint.of_model(directory)
    if found != known:
        raise ModelError(
            f"the artifact that this run goes on from, {str(directory)!r}, has changed since it was submitted",
            hint="restore its files, or submit the run again",
        )
