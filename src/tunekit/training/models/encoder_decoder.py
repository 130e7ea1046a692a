"""An encoder-decoder as objectives see it: prompts are encoded, answers are decoded. Knows both layouts; no loss.

A prompt is encoded once for all of its answers, with a mask over its padding. The decoder reads each answer shifted
right, behind its start token, so it predicts every token of the answer, the first one too. The output head is applied
only to positions that predict a target, as in `language_model`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch.nn.utils.rnn import pad_sequence

from tunekit.errors import ModelError
from tunekit.training.models import layouts
from tunekit.training.models.language_model import LanguageModel, Scored, scored
from tunekit.training.models.layouts import Batch
from tunekit.training.plan.device import Device
from tunekit.training.ranks.sharding import is_shared_out
from tunekit.training.serving.continuing import EncoderDecoderTexts
from tunekit.training.texts.rows import Answers


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderDecoder(LanguageModel):
    """An encoder-decoder such as T5 or BART.

    Attributes:
        module: The model.
        device: Where it computes.
        pad_id: Fills the space behind shorter texts.
        start_id: What the decoder reads before an answer.
        selects_rows: Whether the output head can be given chosen positions (see `head_selects_rows`).
    """

    module: Any
    device: Device
    pad_id: int
    start_id: int
    selects_rows: bool

    @classmethod
    def of(cls, module: Any, device: Device, *, pad_id: int) -> EncoderDecoder:
        """Find out what the model can do. It is left in training mode.

        Args:
            module: A transformers or PEFT model on its device.
            device: That device.
            pad_id: As in `EncoderDecoder`.

        Raises:
            ModelError: Nothing says what its decoder begins with.
        """
        module.eval()
        start_id, selects_rows = decoder_start_id(module), head_selects_rows(module)
        module.train()
        return cls(module=module, device=device, pad_id=pad_id, start_id=start_id, selects_rows=selects_rows)

    def score(self, rows: Sequence[Answers], *, temperature: float = 1.0) -> Scored:
        """See `LanguageModel.score`."""
        batch = self.decoded(rows).to(self.device.name)
        with self.device.autocast():
            logits = self._kept_logits(self._source(rows), batch)
        return scored(logits, batch, temperature=temperature)

    def begun(self, prompts: Sequence[Sequence[int]]) -> EncoderDecoderTexts:
        """See `LanguageModel.begun`."""
        rows = [Answers(id="", prompt=tuple(ids), answers=(), weight=0.0, encoded=True) for ids in prompts]
        told = {name: value.to(self.device.name) for name, value in self.encoded(rows).items()}
        return EncoderDecoderTexts(self.module, told, start_id=self.start_id)

    def encoded(self, rows: Sequence[Answers]) -> dict[str, torch.Tensor]:
        """The prompts as the encoder reads them, padded on the right: `input_ids` and `attention_mask`."""
        prompts = [torch.tensor(row.prompt, dtype=torch.int64) for row in rows]
        read = [torch.ones_like(prompt) for prompt in prompts]
        return {
            "input_ids": pad_sequence(prompts, batch_first=True, padding_value=self.pad_id),
            "attention_mask": pad_sequence(read, batch_first=True),
        }

    def decoded(self, rows: Sequence[Answers]) -> Batch:
        """The answers as the decoder reads them: behind the start token, without their last token.

        Padding stands on the right, out of sight of every real token, so the decoder needs no mask. It could not have
        one made of ids either: T5 starts with its padding token.
        """
        begun = [replace(row, prompt=(self.start_id,), encoded=False) for row in rows]
        batch = layouts.padded(begun, pad_id=self.pad_id)
        return replace(batch, ids=batch.ids[:, :-1], keep=batch.keep[:, :-1])

    def _source(self, rows: Sequence[Answers]) -> dict[str, Any]:
        """What the decoder looks at: the prompts, or where one has several answers, each as often, encoded once."""
        told = {name: value.to(self.device.name) for name, value in self.encoded(rows).items()}
        if all(len(row.answers) == 1 for row in rows):
            return told
        from transformers.modeling_outputs import BaseModelOutput

        shared = torch.tensor([len(row.answers) for row in rows], device=self.device.name)
        if is_shared_out(self.module):
            # Such a model gathers its weights when it is called as a whole, and an encoder alone would find none.
            return {name: value.repeat_interleave(shared, dim=0) for name, value in told.items()}
        hidden = self.module.get_encoder()(**told).last_hidden_state.repeat_interleave(shared, dim=0)
        return {
            "encoder_outputs": BaseModelOutput(last_hidden_state=hidden),
            "attention_mask": told["attention_mask"].repeat_interleave(shared, dim=0),
        }

    def _kept_logits(self, source: dict[str, Any], batch: Batch) -> torch.Tensor:
        told = {**source, "decoder_input_ids": batch.ids, "use_cache": False}
        if self.selects_rows:
            with _head_sees(self.module, batch.keep):
                logits: torch.Tensor = self.module(**told).logits
            return logits
        full: torch.Tensor = self.module(**told).logits
        return full[batch.keep]


def decoder_start_id(model: Any) -> int:
    """The token that the decoder reads before an answer.

    Raises:
        ModelError: Neither configuration says which.
    """
    for config in (model.config, getattr(model, "generation_config", None)):
        found = getattr(config, "decoder_start_token_id", None)
        if found is not None:
            return int(found)
    raise ModelError(
        f"nothing says which token the decoder of this {model.config.model_type!r} model begins with",
        hint="set decoder_start_token_id in its config.json (T5: the id of <pad>)",
    )


def head_selects_rows(model: Any) -> bool:
    """Whether `_head_sees` gives what full logits give: tried out on three tokens.

    No encoder-decoder of transformers 5.23 takes `logits_to_keep`, so the head's input is cut down instead. Scaling
    before the head (T5) and a bias behind it (BART) go through that unchanged; other things might not.
    """
    ids = torch.zeros((1, 3), dtype=torch.int64, device=next(model.parameters()).device)
    keep = torch.tensor([[True, False, True]], device=ids.device)
    told = {"input_ids": ids, "decoder_input_ids": ids, "use_cache": False}
    with torch.no_grad():
        full = model(**told).logits[keep]
        try:
            with _head_sees(model, keep):
                selected = model(**told).logits
        except (TypeError, ValueError, IndexError, RuntimeError, AttributeError):
            return False
    rounding = 1e-2 * full.abs().max()  # bf16 has eight bits
    return selected.shape == full.shape and bool(((selected - full).abs() <= rounding).all())


@contextmanager
def _head_sees(model: Any, keep: torch.Tensor) -> Iterator[None]:
    """Inside, the output head is applied to the positions of `keep` alone: logits have the shape (kept, vocabulary)."""

    def chosen(head: torch.nn.Module, inputs: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
        return (inputs[0][keep], *inputs[1:])

    handle = model.get_output_embeddings().register_forward_pre_hook(chosen)
    try:
        yield
    finally:
        handle.remove()
