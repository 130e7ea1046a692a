"""How examples are written for the model at hand, and what then reads them. Knows families; no method of learning."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, TypeVar

from tunekit.training.models.encoder_decoder import EncoderDecoder
from tunekit.training.models.families import Family
from tunekit.training.models.indistinct import equals_of
from tunekit.training.models.language_model import Decoder, LanguageModel
from tunekit.training.plan.device import Device
from tunekit.training.texts.render import ResolvedFormat
from tunekit.training.texts.rows import Answers, Tokens
from tunekit.training.texts.template import Template

A = TypeVar("A", bound=Answers)

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

    def unlearned_end(self, model: Any) -> tuple[str, int]:
        """The token that ends an answer, and how many others the model cannot tell from it; see `indistinct`."""
        template = self.template
        end = template.end_of_turn if self.prompt_format == "chat" else None
        end = template.tokenizer.eos_token_id if end is None else end
        return ("", 0) if end is None else (template.tokenizer.decode([end]), equals_of(model, end))

    def sample(self, row: Answers) -> str:
        """A row as the model sees it, with what it learns between ⟦ and ⟧."""
        decode = self.template.tokenizer.decode
        text = decode(list(row.prompt)) if row.prompt else ""
        for answer in row.answers:
            read = list(row.prompt)
            tokens = zip(answer.ids, answer.weights, strict=True)
            for learned, run in groupby(tokens, key=lambda token: token[1] != 0.0):
                # Behind what came before: by itself, a run might lose the space that it begins with.
                before = len(decode(read)) if read else 0
                read += [token for token, _ in run]
                piece = decode(read)[before:]
                text += f"⟦{piece}⟧" if learned else piece
        return text if len(text) <= _SAMPLE_CHARACTERS else text[:_SAMPLE_CHARACTERS] + " ..."

    def facts(self, rows: Sequence[Answers], stop_ids: Sequence[int]) -> dict[str, Any]:
        """What the report before the first step says of answers that are at hand: how they end, and what one is like.

        Args:
            rows: The training rows.
            stop_ids: Tokens that end an answer.
        """
        decode = self.template.tokenizer.decode
        return {
            "prompt_format": self.prompt_format,
            "rows_that_learn_to_stop": len(rows) - len(endless(rows, stop_ids)),
            "stop_tokens": [decode([token]) for token in stop_ids],
            "sample": self.sample(rows[0]),
        }


def endless(rows: Sequence[A], stop_ids: Sequence[int]) -> list[A]:
    """The rows with an answer that does not learn to stop.

    Args:
        rows: Any.
        stop_ids: Tokens that end an answer.
    """
    stops = set(stop_ids)
    return [row for row in rows if not all(_ends(answer, stops) for answer in row.answers)]


def _ends(answer: Tokens, stops: set[int]) -> bool:
    learned = [token for token, weight in zip(answer.ids, answer.weights, strict=True) if weight != 0.0]
    return bool(learned) and learned[-1] in stops
