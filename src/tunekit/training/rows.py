"""What is learned from, in tokens: answers, and the prompt that they share. Knows numbers; no tokenizer, no tensor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


class Row(Protocol):
    """What the loop needs to know of anything that is learned from."""

    @property
    def id(self) -> str:
        """Id of the example, for messages."""

    @property
    def length(self) -> int:
        """Tokens that a forward pass reads for it, padding left out."""

    @property
    def longest(self) -> int:
        """Tokens of its longest text, which the model must have positions for."""

    @property
    def weight(self) -> float:
        """Its share of the sum that the loss of a step is divided by."""

    @property
    def target_count(self) -> int:
        """How many tokens (or answers, or classes) carry loss."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    """A text as the model sees it.

    Attributes:
        ids: Token ids, shape (length,).
        weights: How much predicting each token counts in the loss, shape (length,); 0.0 is context only. A token that
            nothing stands before cannot be predicted, so its weight is always 0.0.
        row: Id of the example, for error messages.
        silent_turns: Assistant turns that are not learned because their weight is 0.
    """

    ids: tuple[int, ...]
    weights: tuple[float, ...]
    row: str = ""
    silent_turns: int = 0

    @property
    def target_count(self) -> int:
        """How many tokens carry loss."""
        return sum(weight != 0.0 for weight in self.weights)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """A prompt and the answers to it, which are weighed together: one for SFT, two for DPO, a group for RFT.

    Attributes:
        id: Id of the example.
        prompt: Token ids that all answers follow, computed once; empty where an answer holds all of its text.
        answers: What follows. The first token of one is predicted from the last of the prompt.
        weight: As in `Row`.
    """

    id: str
    prompt: tuple[int, ...] = ()
    answers: tuple[Tokens, ...]
    weight: float

    @property
    def length(self) -> int:
        """Tokens of the prompt and of all answers."""
        return len(self.prompt) + sum(len(answer.ids) for answer in self.answers)

    @property
    def longest(self) -> int:
        """Tokens of the prompt with its longest answer."""
        return len(self.prompt) + max(len(answer.ids) for answer in self.answers)

    @property
    def target_count(self) -> int:
        """Tokens of the answers that carry loss."""
        return sum(answer.target_count for answer in self.answers)
