"""The reference that a tuned model is held against: the same model before its first step. Knows no file and no loss.

No second model is needed. The reference does not change, so its log-probabilities are computed once, before training,
and travel with the rows. It is the model as training finds it, whatever is trained: a LoRA adapter adds nothing then
(B = 0), so this equals the model with its adapters off; one that began from singular values (PiSSA) has taken over a
part of the base, and only with it on is the model what it was.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

import torch

from tunekit.training.models.families import Head
from tunekit.training.models.language_model import LanguageModel
from tunekit.training.objectives.base import Objective
from tunekit.training.objectives.texts import Texts, endless
from tunekit.training.plan.preflight import names
from tunekit.training.texts.rows import Answers


@dataclass(frozen=True, slots=True, kw_only=True)
class Referenced(Answers):
    """A prompt and its answers, with what the reference says of these.

    Attributes:
        reference: Sum of weight times log-probability over the targets of each answer, in nats; empty if not known.
    """

    reference: tuple[float, ...] = ()


R = TypeVar("R", bound=Referenced)


@dataclass(frozen=True, slots=True)
class Judging(Objective[R]):
    """What methods that learn from judged answers have in common before there are weights."""

    texts: Texts
    head: ClassVar[Head] = "tokens"

    def shortened(self, row: R, max_length: int) -> R | None:
        """See `Objective.shortened`. Without a prompt of its own, there is nothing that all answers could lose."""
        if not row.prompt:
            return None
        return row.without_beginning(row.longest - max_length, begin=self.texts.template.begin)  # type: ignore[return-value]  # a copy of the row

    def facts(self, rows: Sequence[R], stop_ids: Sequence[int]) -> dict[str, Any]:
        """See `Objective.facts`."""
        return self.texts.facts(rows, stop_ids)

    def warnings(self, rows: Sequence[R], stop_ids: Sequence[int], *, part: str) -> list[str]:
        """See `Objective.warnings`."""
        found = endless(rows, stop_ids)
        if not found or part != "training":
            return []
        return [
            f"answers of {len(found)} rows do not end in a stop token; the model may run on after such answers: "
            f"{names(found)}"
        ]


def by_row(model: LanguageModel, rows: Sequence[Answers]) -> torch.Tensor:
    """Log-probability of each answer, in nats, shape (rows, answers of a row)."""
    return model.score(rows).by_answer().view(len(rows), -1)


def references(rows: Sequence[Referenced], like: torch.Tensor) -> torch.Tensor:
    """What the reference says of the answers, shape (rows, answers of a row), where `like` is."""
    return torch.tensor([row.reference for row in rows], dtype=like.dtype, device=like.device)


@contextmanager
def evaluating(module: Any) -> Iterator[None]:
    """Dropout off inside the block."""
    was = module.training
    module.eval()
    try:
        yield
    finally:
        module.train(was)
