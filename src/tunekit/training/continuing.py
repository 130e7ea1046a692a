"""Answers as they grow, token by token, with the cache that this needs. Knows families; not how a token is chosen.

The prompt is computed once, however many answers follow it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import torch

from tunekit.training.device import Device


class Continuation(Protocol):
    """Some texts, and what may come next in each."""

    @property
    def logits(self) -> torch.Tensor:
        """Of the next token of each text, fp32, shape (texts, vocabulary)."""

    def take(self, ids: torch.Tensor) -> None:
        """Add a token to each text; int64, shape (texts,)."""


class DecoderContinuation:
    """Answers of a decoder: they stand behind their prompts, which are padded on the left.

    Args:
        module: The model, in evaluation mode; it must heed masks (see `attention.with_masks`).
        device: Where it computes.
        ids: Prompts, shape (prompts, longest).
        mask: Which of these are no padding, same shape.
        copies: How many answers follow each prompt.
    """

    def __init__(
        self, module: Any, device: Device, ids: torch.Tensor, mask: torch.Tensor, *, copies: int
    ) -> None:
        self._module, self._device = module, device
        self._mask = mask.to(device.name)
        positions = (self._mask.cumsum(1) - 1).clamp(min=0)
        output = self._forward(ids.to(device.name), positions, cache=None)
        self._cache = output.past_key_values
        self._cache.batch_repeat_interleave(copies)
        self._mask = self._mask.repeat_interleave(copies, dim=0)
        self.logits = output.logits[:, -1].float().repeat_interleave(copies, dim=0)

    def take(self, ids: torch.Tensor) -> None:
        """See `Continuation.take`."""
        self._mask = torch.cat([self._mask, self._mask.new_ones((len(ids), 1))], dim=1)
        positions = self._mask.sum(1, keepdim=True) - 1
        self.logits = self._forward(ids[:, None], positions, cache=self._cache).logits[:, -1].float()

    def _forward(self, ids: torch.Tensor, positions: torch.Tensor, *, cache: Any) -> Any:
        with self._device.autocast():
            return self._module(
                input_ids=ids,
                attention_mask=self._mask,
                position_ids=positions,
                past_key_values=cache,
                use_cache=True,
                logits_to_keep=1,
            )


class EncoderDecoderContinuation:
    """Answers of an encoder-decoder: texts of their own, that look at their encoded prompts.

    Args:
        module: The model, in evaluation mode.
        device: Where it computes.
        told: What the encoder reads: `input_ids` and `attention_mask`.
        copies: How many answers follow each prompt.
        start_id: What the decoder reads before an answer.
    """

    def __init__(
        self, module: Any, device: Device, told: Mapping[str, torch.Tensor], *, copies: int, start_id: int
    ) -> None:
        from transformers.modeling_outputs import BaseModelOutput

        self._module, self._device, self._cache = module, device, None
        told = {name: value.to(device.name) for name, value in told.items()}
        with device.autocast():
            hidden = module.get_encoder()(**told).last_hidden_state
        self._encoded = BaseModelOutput(last_hidden_state=hidden.repeat_interleave(copies, dim=0))
        self._mask = told["attention_mask"].repeat_interleave(copies, dim=0)
        self.take(torch.full((len(self._mask),), start_id, device=device.name))

    def take(self, ids: torch.Tensor) -> None:
        """See `Continuation.take`."""
        with self._device.autocast():
            output = self._module(
                encoder_outputs=self._encoded,
                attention_mask=self._mask,
                decoder_input_ids=ids[:, None],
                past_key_values=self._cache,
                use_cache=True,
            )
        self._cache = output.past_key_values
        self.logits = output.logits[:, -1].float()
