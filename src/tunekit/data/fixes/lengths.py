"""Leave out rows that are very long. Knows characters; tokens and what a target takes are counted elsewhere."""

from __future__ import annotations

from tunekit.data.fixes.base import Fix
from tunekit.data.views import answer_text, input_text
from tunekit.examples import Example

MAX_CHARS = 10_000
"""Input and answer together; from `fine_tunes.prepare_data` of openai 0.28, whose models read 2,048 tokens."""


class DropLong(Fix):
    """The old limit, for models with a short context."""

    name = "drop-long"
    safety = "lossy"
    says = f"Leaves out every row with more than {MAX_CHARS:,} characters, unless it is raw text."

    def apply(self, example: Example) -> Example | None:
        """None where it is too long."""
        return None if is_long(len(input_text(example)), len(answer_text(example))) else example


def is_long(read: int, said: int) -> bool:
    """Whether input and answer of so many characters are over the limit; raw text, without input, never is."""
    return read > 0 and read + said > MAX_CHARS
