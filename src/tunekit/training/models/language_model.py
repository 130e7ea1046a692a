"""A language model as objectives see it: the log-probability of every target. Knows layouts and heads; no loss.

The output head is applied only to positions that predict a target. For a small model with a large vocabulary the head
is most of the work, and on prompt/completion data most positions predict none.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn import functional

from tunekit.training.models import layouts
from tunekit.training.models.attention import inputs, supports_end_to_end
from tunekit.training.models.layouts import Batch
from tunekit.training.plan.device import Device
from tunekit.training.serving.continuing import DecoderTexts, Texts
from tunekit.training.texts.rows import Answers


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """What a model says of some answers.

    Attributes:
        log_probs: Of each target token, in nats, fp32, shape (targets,).
        weights: What each counts, fp32, shape (targets,).
        answers: The answer each belongs to, int64, shape (targets,).
        count: How many answers there are.
    """

    log_probs: torch.Tensor
    weights: torch.Tensor
    answers: torch.Tensor
    count: int

    def by_answer(self) -> torch.Tensor:
        """Sum of weight times log-probability over the targets of each answer, shape (count,)."""
        return self._summed(self.log_probs * self.weights)

    def lengths(self) -> torch.Tensor:
        """Sum of the weights of each answer's targets, shape (count,)."""
        return self._summed(self.weights)

    def _summed(self, values: torch.Tensor) -> torch.Tensor:
        return values.new_zeros(self.count).index_add(0, self.answers, values)


class LanguageModel(ABC):
    """A model that gives answers to prompts, of whatever family.

    Attributes:
        module: The transformers or PEFT model.
        device: Where it computes.
    """

    module: Any
    device: Device

    @abstractmethod
    def score(self, rows: Sequence[Answers], *, temperature: float = 1.0) -> Scored:
        """The log-probability of every target in one forward pass; answers in the order of the rows.

        Args:
            rows: Prompts and answers.
            temperature: Of the distribution that is meant, for answers that were drawn from it.
        """

    @abstractmethod
    def begun(self, prompts: Sequence[Sequence[int]]) -> Texts:
        """Answers to prompts, token ids, before their first token; the model is in evaluation mode."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoder(LanguageModel):
    """A decoder-only model.

    Attributes:
        module: The model.
        device: Where it computes.
        pad_id: Fills the space behind shorter texts.
        end_to_end: Lay rows behind each other without padding; the model has been switched to attention for that.
        selects_rows: Whether it can apply its head to chosen positions (see `head_selects_rows`).
    """

    module: Any
    device: Device
    pad_id: int
    end_to_end: bool
    selects_rows: bool

    @classmethod
    def of(cls, module: Any, device: Device, *, pad_id: int, longest: int) -> Decoder:
        """Find out what the model can do. It is left in training mode.

        Args:
            module: A causal language model on its device.
            device: That device.
            pad_id: As in `Decoder`.
            longest: Longest text of the run in tokens.
        """
        module.eval()
        with device.autocast():
            found = cls(
                module=module,
                device=device,
                pad_id=pad_id,
                selects_rows=head_selects_rows(module),
                end_to_end=supports_end_to_end(module, longest=longest),
            )
        module.train()
        return found

    def score(self, rows: Sequence[Answers], *, temperature: float = 1.0) -> Scored:
        """See `LanguageModel.score`."""
        batch = self.batch(rows).to(self.device.name)
        with self.device.autocast():
            logits = self._kept_logits(batch)
        return scored(logits, batch, temperature=temperature)

    def begun(self, prompts: Sequence[Sequence[int]]) -> DecoderTexts:
        """See `LanguageModel.begun`. Where rows lie end to end, only inside `attention.with_masks`."""
        return DecoderTexts(self.module, prompts)

    def batch(self, rows: Sequence[Answers]) -> Batch:
        """The rows as this model reads them."""
        if self.end_to_end:
            return layouts.end_to_end(rows)
        return layouts.padded(rows, pad_id=self.pad_id, multiple=1 if self.device.is_cpu else 8)

    def _kept_logits(self, batch: Batch) -> torch.Tensor:
        # No attention mask: padding on the right is out of sight of every real token, and a mask would cost the causal
        # fast path. No cache: with one, transformers lets rows that lie end to end attend to each other.
        told = inputs(batch.ids, batch.pieces) if batch.pieces else {"input_ids": batch.ids}
        if self.selects_rows:
            logits: torch.Tensor = self.module(**told, use_cache=False, logits_to_keep=batch.keep).logits
            return logits
        full: torch.Tensor = self.module(**told, use_cache=False).logits
        return full[batch.keep]


def scored(logits: torch.Tensor, batch: Batch, *, temperature: float = 1.0) -> Scored:
    """The log-probabilities of a batch's targets.

    Args:
        logits: Of its kept positions, shape (kept, vocabulary).
        batch: The batch.
        temperature: As for `LanguageModel.score`.
    """
    # Where every position has one target, as in SFT, the rows need not be copied.
    rows = logits if batch.in_order else logits[batch.kept]
    rows = rows.float() if temperature == 1.0 else rows.float() / temperature
    losses = functional.cross_entropy(rows, batch.targets, reduction="none")
    return Scored(log_probs=-losses, weights=batch.weights, answers=batch.answers, count=batch.count)


def head_selects_rows(model: Any) -> bool:
    """Whether `logits_to_keep` takes a 2-D boolean mask: tried out on three tokens, since signatures do not tell."""
    device = next(model.parameters()).device
    ids = torch.zeros((1, 3), dtype=torch.int64, device=device)
    keep = torch.tensor([[True, False, True]], device=device)
    try:
        with torch.no_grad():
            logits = model(input_ids=ids, use_cache=False, logits_to_keep=keep).logits
    except (TypeError, ValueError, IndexError, RuntimeError):
        return False
    return bool(logits.ndim == 2 and logits.shape[0] == 2)
