"""Lower-case prompts or completions that are written in capitals. Only by name, and never a label, code or formula."""

from __future__ import annotations

from typing import ClassVar

from tunekit.data.fixes.base import Fix
from tunekit.data.marks import Role
from tunekit.examples import CompletionExample, Example

_MIN_WORDS = 3
_MIN_LETTERS = 2
_LOOKED_AT = 10_000
"""Characters of a text that are judged; a text that begins in capitals for so long is in capitals."""


def is_in_capitals(text: str) -> bool:
    """Whether a text has at least three words of letters, and nearly all its letters are capitals.

    Labels (`YES`), product codes and chemical formulas (`CC(=O)Oc1ccccc1`) are too short or hold no words.

    Examples:
        >>> is_in_capitals("WHERE IS MY PARCEL?"), is_in_capitals("NEW YORK"), is_in_capitals("CC(=O)OC1 CCO")
        (True, False, False)
    """
    text = text[:_LOOKED_AT]
    words = [
        word for word in text.split() if len(word) >= _MIN_LETTERS and word.strip(".,:;!?\"'()").isalpha()
    ]
    capitals = sum(map(str.isupper, text))
    return len(words) >= _MIN_WORDS and capitals >= 9 * sum(map(str.islower, text)) and capitals > 0


class _LowerCase(Fix):
    safety = "semantic"
    prompt_format = "text"
    role: ClassVar[Role]

    def apply(self, example: Example) -> Example | None:
        if not isinstance(example, CompletionExample) or not is_in_capitals(getattr(example, self.role)):
            return example
        return example.replace(**{self.role: getattr(example, self.role).lower()})


class LowerCasePrompts(_LowerCase):
    """Lower-cases prompts in capitals."""

    name = "lower-case-prompts"
    says = "Lower-cases the prompts that are written in capitals."
    role = "prompt"


class LowerCaseCompletions(_LowerCase):
    """Lower-cases completions in capitals."""

    name = "lower-case-completions"
    says = "Lower-cases the completions that are written in capitals."
    role = "completion"
