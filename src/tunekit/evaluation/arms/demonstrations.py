"""Solved examples before a question: which ones, and how they are shown. Knows training rows and templates; no model.

An example that asks what the test asks, but for letter case, spaces or compatibility forms, is never shown, to no
question at all: what is shown at random is the same for every question, and no answer of the test is in a prompt.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from tunekit._canonical import fingerprint_rows
from tunekit.backends.base import Prompt
from tunekit.data.splitting.shots import Selection, Shots
from tunekit.data.wording import brief, counted
from tunekit.errors import SpecError
from tunekit.evaluation.arms.templates import Template, as_text
from tunekit.evaluation.items import Item, items_of
from tunekit.examples import Example, Message, to_dict

DEFAULT_TEMPLATE = Template("{prompt}\n{answer}")
_BETWEEN = "\n\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Demonstrations:
    """Where demonstrations come from, and how many.

    Attributes:
        examples: Training rows, each with an answer.
        k: How many are shown.
        selection: Which; as `Dataset.shots` takes it.
        seed: Of the first draw; the next draws take the next numbers.
    """

    examples: tuple[Example, ...] = field(repr=False)
    k: int
    selection: Selection = "random"
    seed: int = 0

    def __post_init__(self) -> None:
        Shots(self.examples, self.k, self.selection, self.seed)  # refuses what it cannot do
        for item in items_of(self.examples):
            if item.reference is None:
                raise SpecError(
                    f"example {brief(item.id)} has no answer to be shown", hint="take it out of the examples"
                )

    @property
    def hash(self) -> str:
        """Of the rows to draw from, in order, and of how they are drawn."""
        # A function is its author's to version, as a scorer's is.
        rule = self.selection if isinstance(self.selection, str) else "function"
        rows = (to_dict(example, with_row=False) for example in self.examples)
        return fingerprint_rows([{"k": self.k, "selection": rule, "seed": self.seed}, *rows])

    def allowed(self, items: Sequence[Item]) -> tuple[Example, ...]:
        """The rows that ask nothing that the test asks.

        Raises:
            SpecError: Fewer are left than are to be shown.
        """
        tested = {_question(item) for item in items}
        asked = zip(self.examples, map(_question, items_of(self.examples)), strict=True)
        left = tuple(example for example, question in asked if question not in tested)
        if len(left) < self.k:
            raise SpecError(
                f"{counted(self.k, 'shot')} of {counted(len(left), 'row')}: {len(self.examples) - len(left)} of"
                f" {len(self.examples)} examples are questions of the test",
                hint="pass examples of the training part",
            )
        return left

    def shown_to(self, items: Sequence[Item], draw: int) -> list[tuple[Item, ...]]:
        """What is shown before each question, in this draw."""
        shots = Shots(self.allowed(items), self.k, self.selection, self.seed + draw)
        return [items_of(shots.of(item.example)) for item in items]


def demonstrated(template: Template | None, shown: Sequence[Item], item: Item) -> Prompt:
    """The question after solved examples: one text where it is a text, else turns of a chat."""
    question = _put(template, item)
    if not isinstance(question, str):
        return _chat(template, shown, question)
    solved = [(template or DEFAULT_TEMPLATE).solved(example) for example in shown]
    return _BETWEEN.join([*solved, question])


def _put(template: Template | None, item: Item) -> Prompt:
    if template is None:
        return item.prompt if not isinstance(item.prompt, str) else DEFAULT_TEMPLATE.question(item)
    return template.question(item)


def _chat(
    template: Template | None, shown: Iterable[Item], question: tuple[Message, ...]
) -> tuple[Message, ...]:
    """The question's own instructions, then each example as if it had been asked and answered, then the question."""
    solved = [
        turn
        for example in shown
        for turn in (
            *_spoken(template.question(example) if template else example.prompt),
            Message(role="assistant", content=example.reference),
        )
    ]
    instructions = tuple(turn for turn in question if _instructs(turn))
    return (*instructions, *solved, *(turn for turn in question if not _instructs(turn)))


def _spoken(prompt: Prompt) -> tuple[Message, ...]:
    if isinstance(prompt, str):
        return (Message(role="user", content=prompt),)
    return tuple(turn for turn in prompt if not _instructs(turn))


def _instructs(turn: Message) -> bool:
    return turn.role in ("system", "developer")


def same_question(text: str) -> str:
    """What makes two questions the same for a reader: the text without case, compatibility forms, odd spaces."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def _question(item: Item) -> str:
    return same_question(as_text(item.prompt))
