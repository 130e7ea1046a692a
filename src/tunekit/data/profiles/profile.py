"""One target's rules: what rows, files and writing it wants. Knows how a target's name leads to its rules."""

from __future__ import annotations

from typing import Literal

import msgspec


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """What a training service accepts.

    Attributes:
        name: What `Dataset.check(target=...)` calls it.
        as_of: Day on which the rules were looked up, as YYYY-MM-DD.
        source: Where they are written.
        shape: Record shape in which it wants its rows, a name of `tunekit.data.shapes`.
        kinds: Example kinds that it trains on.
        prompt_format: "text" where its model continues plain text, "chat" where a template applies.
        byte_order_mark: Whether its files must begin with one.
        min_rows: Fewest rows.
        max_rows: Most rows, or None.
        max_file_bytes: Largest file, or None.
        max_tokens_per_row: Longest row, or None.
    """

    name: str
    as_of: str
    source: str
    shape: str
    kinds: frozenset[str]
    prompt_format: Literal["chat", "text"] = "chat"
    byte_order_mark: bool = False
    min_rows: int = 1
    max_rows: int | None = None
    max_file_bytes: int | None = None
    max_tokens_per_row: int | None = None


def profile_of(target: str) -> Profile:
    """The rules of a target: a profile's name, or a target string such as `"openai:gpt-4.1-mini-2025-04-14"`."""
    raise NotImplementedError
