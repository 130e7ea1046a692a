"""A classifier as objectives and the inference worker see it: logits of classes for texts. Knows padding; no loss."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from tunekit.errors import DataError
from tunekit.training.models.families import Family, family_of
from tunekit.training.plan.device import Device
from tunekit.training.texts.template import Template


@dataclass(frozen=True, slots=True, kw_only=True)
class Classifier:
    """A model of any family with a head of classes.

    Attributes:
        module: The transformers or PEFT model.
        device: Where it computes.
        family: What kind of model it is.
        pad_id: Fills the space behind shorter texts.
    """

    module: Any
    device: Device
    family: Family
    pad_id: int

    @classmethod
    def of(cls, module: Any, device: Device) -> Classifier:
        """What the model's configuration says of it; `heads.describe` has written it."""
        config = module.config
        pad_id = int(config.get_text_config().pad_token_id)
        return cls(module=module, device=device, family=family_of(config), pad_id=pad_id)

    def logits(self, texts: Sequence[Sequence[int]]) -> torch.Tensor:
        """The logit of every class for every text in one forward pass, fp32, shape (texts, classes).

        Args:
            texts: Token ids of each.
        """
        width = max(map(len, texts))
        ids = torch.full((len(texts), width), self.pad_id, dtype=torch.int64)
        real = torch.zeros((len(texts), width), dtype=torch.int64)
        for at, text in enumerate(texts):
            ids[at, : len(text)] = torch.tensor(text, dtype=torch.int64)
            real[at, : len(text)] = 1
        told: dict[str, Any] = {"input_ids": ids.to(self.device.name)}
        if self.family != "encoder":
            told["use_cache"] = False
        if self.family != "decoder":
            # Padding on the right is out of a decoder's sight, and a mask would cost the causal fast path.
            told["attention_mask"] = real.to(self.device.name)
        with self.device.autocast():
            logits: torch.Tensor = self.module(**told).logits
        return logits.float()


def text_ids(template: Template, text: str, family: Family) -> tuple[int, ...]:
    """A text as a classifier reads it, with the special tokens that the tokenizer puts around it and none inside.

    Heads of encoder-decoders read the state of the end-of-sequence token, so there is always one.

    Raises:
        DataError: Nothing is left of it in tokens, or it is no Unicode.
    """
    ids = template.whole(text)
    eos = template.tokenizer.eos_token_id
    if family == "encoder-decoder" and eos is not None and ids[-1:] != [eos]:
        ids.append(eos)
    if not ids:
        raise DataError("the text is empty", field="text", hint="leave such rows out, or fill the text in")
    return tuple(ids)
