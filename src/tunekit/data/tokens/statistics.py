"""Token lengths of many rows in bounded memory and time: all of them, or a fair sample. Knows no rule and no target."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

from tunekit.data.tokens.counters import RowTokens, TokenCounter
from tunekit.data.views import texts
from tunekit.examples import Example

MAX_ROWS = 20_000
MAX_CHARS = 16_000_000
"""More rows, or more text, than this are sampled: a few seconds of tiktoken."""
_SHARES = ((50, "p50"), (90, "p90"), (99, "p99"))


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenSummary:
    """How long rows are.

    Attributes:
        counter: Name of what counted.
        is_estimate: Whether it guesses.
        says: How it counts.
        rows: How many rows there are.
        rows_counted: How many of them were counted; the others are taken to be like these.
        total: Tokens of all rows.
        learned: Tokens that the model is trained to say.
        row: Tokens of a row: p50, p90, p99 and max of those that were counted.
        answer: The same of what a row teaches.
    """

    counter: str
    is_estimate: bool
    says: str
    rows: int
    rows_counted: int
    total: int
    learned: int
    row: dict[str, int]
    answer: dict[str, int]

    @property
    def is_sample(self) -> bool:
        """Whether some rows were not counted."""
        return self.rows_counted < self.rows

    @property
    def how(self) -> str:
        """How good the numbers are, in a few words: "counted by o200k_base"."""
        by = self.counter if self.is_estimate else f"counted by {self.counter}"
        return f"{by}, from a sample of {self.rows_counted:,} rows" if self.is_sample else by

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        return {name: getattr(self, name) for name in self.__slots__}


class _Counted(NamedTuple):
    key: int
    chars: int
    tokens: RowTokens


class TokenStatistics:
    """Counts rows as they pass.

    Which rows are in the sample follows from their positions alone, by a hash: every machine picks the same ones, and
    no rhythm in the data can fool it.

    Args:
        counter: Counts one row.
        max_rows: Rows to count at most, about.
        max_chars: Characters of text to count at most, about.
    """

    def __init__(
        self, counter: TokenCounter, *, max_rows: int = MAX_ROWS, max_chars: int = MAX_CHARS
    ) -> None:
        self._counter = counter
        self._limits = max_rows, max_chars
        self._rows = 0
        self._chars = 0
        self._below = 1 << 64
        self._counted: list[_Counted] = []
        self._counted_chars = 0

    def add(self, example: Example) -> RowTokens | None:
        """Take note of a row; its tokens, if it was counted."""
        size = sum([len(text) for _, text, _ in texts(example)])
        key = _key(self._rows)
        self._rows += 1
        self._chars += size
        if key >= self._below:
            return None
        tokens = self._counter(example)
        self._counted.append(_Counted(key, size, tokens))
        self._counted_chars += size
        while self._is_too_much():
            self._halve()
        return tokens

    def _is_too_much(self) -> bool:
        max_rows, max_chars = self._limits
        # One row alone may be longer than all that is allowed.
        return len(self._counted) > max(max_rows, 1) or (
            self._counted_chars > max_chars and len(self._counted) > 1
        )

    def _halve(self) -> None:
        self._below //= 2
        self._counted = [row for row in self._counted if row.key < self._below] or [min(self._counted)]
        self._counted_chars = sum(row.chars for row in self._counted)

    def summary(self) -> TokenSummary:
        """What the rows so far come to."""
        total = sum(row.tokens.total for row in self._counted)
        learned = sum(row.tokens.learned for row in self._counted)
        if len(self._counted) < self._rows:
            # By length of text, not by number of rows: long rows are few and hold most of the tokens.
            scale = self._chars / max(self._counted_chars, 1)
            total, learned = round(total * scale), round(learned * scale)
        return TokenSummary(
            counter=self._counter.name,
            is_estimate=self._counter.is_estimate,
            says=self._counter.says,
            rows=self._rows,
            rows_counted=len(self._counted),
            total=total,
            learned=learned,
            row=_shares(row.tokens.longest for row in self._counted),
            answer=_shares(row.tokens.learned for row in self._counted),
        )


def _key(position: int) -> int:
    digest = hashlib.blake2b(position.to_bytes(8, "little"), digest_size=8).digest()
    return int.from_bytes(digest, "little")


def _shares(values: Iterable[int]) -> dict[str, int]:
    """Nearest-rank percentiles: each is the length of some row."""
    ranked = sorted(values)
    if not ranked:
        return {}
    shares = {name: ranked[-(-len(ranked) * share // 100) - 1] for share, name in _SHARES}
    return {**shares, "max": ranked[-1]}
