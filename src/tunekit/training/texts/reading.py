"""Tokens as text, whole or one by one. Knows how tokenizers decode; not who wrote the tokens.

A token may hold part of a character, and what a token reads as may depend on the one before it. So tokens are read
behind a few that came before them, never all of them again; and an answer reads the same, however it is asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

_UNFINISHED = "\N{REPLACEMENT CHARACTER}"
# A character has at most four bytes, but a model may write bytes that are none. What stands behind one of them can
# be read otherwise when more follow, so nothing is shown before a whole character, for so many tokens.
_UNREADABLE_TOKENS = 64


class GrowingText:
    """The text of tokens that come one by one, whole characters only.

    Args:
        tokenizer: Decodes; special tokens are left out.
        before: Tokens of a text that this one continues. Without any, it is a text of its own, which some tokenizers
            begin with a space that they drop again.
    """

    def __init__(self, tokenizer: Any, before: Sequence[int] = ()) -> None:
        self.text = ""
        self._tokenizer = tokenizer
        self._shown = self._end_of(before)
        self._pending: list[int] = []

    def add(self, token: int) -> None:
        """Read one more token."""
        self._pending.append(token)
        said = self._said()
        if said.endswith(_UNFINISHED) and len(self._pending) < _UNREADABLE_TOKENS:
            return
        self._take(said)

    def finish(self) -> None:
        """No token follows: what is unfinished stays so."""
        self._take(self._said())

    def _said(self) -> str:
        """What the pending tokens say behind those shown."""
        before, now = self._read(self._shown), self._read(self._shown + self._pending)
        # Bytes that are no character may make those before them unreadable, in the eyes of some tokenizers.
        return now[len(before) :] if now.startswith(before) else self._read(self._pending)

    def _take(self, said: str) -> None:
        # A token without text must not become the only one before the next: some tokenizers drop a leading space.
        if said:
            self.text += said
            self._shown, self._pending = self._pending, []

    def _end_of(self, tokens: Sequence[int]) -> list[int]:
        """The fewest of the last tokens that can be read by themselves."""
        for size in range(1, min(len(tokens), _UNREADABLE_TOKENS) + 1):
            said = self._read(tokens[-size:])
            if said and _UNFINISHED not in said:
                return list(tokens[-size:])
        return list(tokens)

    def _read(self, tokens: Sequence[int]) -> str:
        text: str = self._tokenizer.decode(list(tokens), skip_special_tokens=True)
        return text


def text_of(tokenizer: Any, tokens: Sequence[int], before: Sequence[int] = ()) -> str:
    """The text of tokens, special ones left out; arguments as for `GrowingText`."""
    growing = GrowingText(tokenizer, before)
    for token in tokens:
        growing.add(token)
    growing.finish()
    return growing.text
