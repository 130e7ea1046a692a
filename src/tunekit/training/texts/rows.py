"""What is learned from, in tokens: answers, and the prompt that they share. Knows numbers; no tokenizer, no tensor."""

from __future__ import annotations

from dataclasses import dataclass, replace
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
    def highest(self) -> int:
        """The largest of its token ids, which the model must know; -1 where it has none."""

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
        encoded: An encoder reads the prompt, so it takes no positions from the answers.
    """

    id: str
    prompt: tuple[int, ...] = ()
    answers: tuple[Tokens, ...]
    weight: float
    encoded: bool = False

    @property
    def length(self) -> int:
        """Tokens of the prompt and of all answers."""
        return len(self.prompt) + sum(len(answer.ids) for answer in self.answers)

    @property
    def longest(self) -> int:
        """Tokens of the prompt with its longest answer, or of the longer of the two where each has its positions."""
        answer = max(len(answer.ids) for answer in self.answers)
        return max(len(self.prompt), answer) if self.encoded else len(self.prompt) + answer

    @property
    def highest(self) -> int:
        """The largest token id."""
        return max(max(ids, default=-1) for ids in (self.prompt, *(answer.ids for answer in self.answers)))

    @property
    def target_count(self) -> int:
        """Tokens of the answers that carry loss."""
        return sum(answer.target_count for answer in self.answers)

    def without_beginning(self, tokens: int, *, begin: int | None) -> Answers | None:
        """The same with that many tokens fewer at the left of the prompt, or None if there are not so many.

        What comes before the first target is prompt too, where an answer holds all of its text. One token must stay, to
        predict the first target from.

        Args:
            tokens: How many to leave out.
            begin: A token that texts begin with; it stays where it is.
        """
        if self.prompt:
            kept = _without_beginning(self.prompt, tokens, begin)
            cut = None if kept is None else replace(self, prompt=kept)
            return cut if cut and cut.longest == self.longest - tokens else None
        (answer,) = self.answers
        context = next(at for at, weight in enumerate(answer.weights) if weight != 0.0)
        kept = _without_beginning(answer.ids[:context], tokens, begin)
        if kept is None:
            return None
        ids, weights = kept + answer.ids[context:], (0.0,) * len(kept) + answer.weights[context:]
        return replace(self, answers=(replace(answer, ids=ids, weights=weights),))


def _without_beginning(prompt: tuple[int, ...], tokens: int, begin: int | None) -> tuple[int, ...] | None:
    stays = prompt[:1] if begin is not None and prompt[:1] == (begin,) else ()
    kept = stays + prompt[len(stays) + tokens :]
    return kept if kept and len(stays) + tokens <= len(prompt) else None
