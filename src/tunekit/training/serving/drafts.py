"""One answer while it is written: its tokens, its text, whether it has ended. Knows no model and no neighbour."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from tunekit.training.serving.sampling import DrawKey
from tunekit.training.texts.reading import GrowingText, text_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """What ends an answer before its limit.

    Attributes:
        tokens: Ids, any of which ends it.
        strings: Texts, any of which ends it and is no part of it.
    """

    tokens: frozenset[int]
    strings: tuple[str, ...] = ()

    def cut(self, text: str, start: int = 0) -> int | None:
        """Where the first stop string at or behind `start` begins."""
        found = (text.find(stop, start) for stop in self.strings)
        return min((at for at in found if at >= 0), default=None)

    def held(self, text: str) -> int:
        """Characters at the end of a text that may be the beginning of a stop string."""
        return max((_overlap(text, stop) for stop in self.strings), default=0)


@dataclass(slots=True, kw_only=True)
class Draft:
    """An answer that grows.

    Attributes:
        prompt: Token ids that it answers.
        before: Those of the text that it continues, if it is no text of its own.
        limit: Most tokens it may take.
        key: What its draws follow from.
        ending: What ends it earlier.
        growing: Its text so far, where somebody must know it before the end.
        tokens: Its own token ids so far.
        finish_reason: "stop" or "length" once it has ended, else "".
        seconds: Its share of the time that its batch took.
    """

    prompt: list[int]
    limit: int
    key: DrawKey
    ending: Ending
    before: Sequence[int] = ()
    growing: GrowingText | None = None
    tokens: list[int] = field(default_factory=list)
    finish_reason: str = ""
    seconds: float = 0.0

    def take(self, token: int) -> None:
        """The next token."""
        self.tokens.append(token)
        if token in self.ending.tokens or self._reaches_stop(token):
            self.finish_reason = "stop"
        elif len(self.tokens) >= self.limit:
            self.finish_reason = "length"

    def text(self, tokenizer: Any) -> str:
        """What it says, without what ended it."""
        ended = self.finish_reason == "stop" and self.tokens[-1] in self.ending.tokens
        text = text_of(tokenizer, self.tokens[:-1] if ended else self.tokens, self.before)
        return text[: self.ending.cut(text)]

    def _reaches_stop(self, token: int) -> bool:
        if self.growing is None:
            return False
        known = len(self.growing.text)
        self.growing.add(token)
        longest = max(map(len, self.ending.strings), default=0)
        return self.ending.cut(self.growing.text, max(0, known - longest + 1)) is not None


def _overlap(text: str, stop: str) -> int:
    """How many characters at the end of a text begin a stop string without being all of it."""
    longest = min(len(text), len(stop) - 1)
    return next((size for size in range(longest, 0, -1) if text.endswith(stop[:size])), 0)
