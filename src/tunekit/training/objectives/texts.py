"""How examples are written for the model at hand, and what then reads them. Knows families; no method of learning."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tunekit.training.models.encoder_decoder import EncoderDecoder
from tunekit.training.models.families import Family
from tunekit.training.models.language_model import Decoder, LanguageModel
from tunekit.training.plan.device import Device
from tunekit.training.texts.render import ResolvedFormat
from tunekit.training.texts.rows import Answers
from tunekit.training.texts.template import Template

_SAMPLE_CHARACTERS = 1500


@dataclass(frozen=True, slots=True, kw_only=True)
class Texts:
    """A tokenizer, and how prompts are written with it.

    Attributes:
        template: The tokenizer with its chat template.
        prompt_format: "chat" or "text": how a prompt/completion pair is written.
        family: Of the model that reads them.
    """

    template: Template
    prompt_format: ResolvedFormat
    family: Family

    @property
    def pad_id(self) -> int:
        """Fills the space behind shorter texts. Never seen by a real token and never a target, so any id serves."""
        found = self.template.tokenizer.pad_token_id
        return int(found) if found is not None else 0

    def language_model(self, module: Any, device: Device, *, longest: int) -> LanguageModel:
        """The model as objectives see it.

        Args:
            module: The model on its device.
            device: That device.
            longest: Longest text of the run in tokens.
        """
        if self.family == "encoder-decoder":
            return EncoderDecoder.of(module, device, pad_id=self.pad_id)
        return Decoder.of(module, device, pad_id=self.pad_id, longest=longest)

    def sample(self, row: Answers) -> str:
        """A row as the model sees it, with what it learns between ⟦ and ⟧."""
        decode = self.template.tokenizer.decode
        text = decode(list(row.prompt)) if row.prompt else ""
        for answer in row.answers:
            learned, start = [weight != 0.0 for weight in answer.weights], 0
            for at in range(1, len(learned) + 1):
                if at == len(learned) or learned[at] != learned[start]:
                    piece = decode(list(answer.ids[start:at]))
                    text += f"⟦{piece}⟧" if learned[start] else piece
                    start = at
        return text if len(text) <= _SAMPLE_CHARACTERS else text[:_SAMPLE_CHARACTERS] + " ..."
