"""Token lengths: how they are distributed, and which rows a target would cut. Knows limits; counts nothing itself."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from tunekit.data.checks.base import Check, CheckContext
from tunekit.data.findings import Finding, Rows
from tunekit.data.fixes.tokens import DropOverContext
from tunekit.data.profiles import Profile
from tunekit.data.tokens import TokenCounter
from tunekit.data.tokens.limits import counters, longest_over
from tunekit.data.tokens.statistics import TokenStatistics
from tunekit.data.wording import counted
from tunekit.examples import Example


class TokenLengths(Check):
    """Counts tokens as each target's tokenizer would, and holds rows against the targets' longest row.

    The distribution comes from a sample where there are very many rows; every row is held against the limit.
    """

    codes = ("token-lengths", "target-row-tokens")

    def __init__(self, context: CheckContext) -> None:
        super().__init__(context)
        self._seen = [_Tokenizer(counter, profiles) for counter, profiles in counters(context)]

    def see(self, example: Example) -> None:
        """Look at one row."""
        for tokenizer in self._seen:
            tokenizer.see(example)

    def findings(self) -> Iterable[Finding]:
        """What is worth knowing, and what is too long."""
        for tokenizer in self._seen:
            yield from tokenizer.findings()


class _Tokenizer:
    """One way of counting, and the targets that count so."""

    def __init__(self, counter: TokenCounter, profiles: tuple[Profile, ...]) -> None:
        self._counter = counter
        self._targets = [profile.target for profile in profiles]
        self._statistics = TokenStatistics(counter)
        self._over = [(profile, Rows()) for profile in profiles if profile.max_tokens_per_row is not None]
        self._longest = 0

    def see(self, example: Example) -> None:
        tokens = self._statistics.add(example)
        for profile, rows in self._over:
            longest = longest_over(example, profile, self._counter, tokens)
            if longest:
                rows.add(example.id, "", f"{longest:,} tokens")
                self._longest = max(self._longest, longest)

    def findings(self) -> Iterator[Finding]:
        summary = self._statistics.summary()
        if not summary.rows:
            return
        row, answer = summary.row, summary.answer
        yield Finding(
            code="token-lengths",
            severity="info",
            message=f"{self._whose()}about {summary.total:,} tokens, {summary.learned:,} of them learned; half of the"
            f" rows have up to {row['p50']:,}, nine in ten up to {row['p90']:,}, the longest {row['max']:,}; answers"
            f" {answer['p50']:,}, {answer['p90']:,} and {answer['max']:,} ({summary.how})",
            facts={**summary.to_dict(), "targets": self._targets},
        )
        for profile, rows in self._over:
            if rows:
                yield self._too_long(profile, rows)

    def _whose(self) -> str:
        return f"for {', '.join(self._targets)}: " if self._targets else ""

    def _too_long(self, profile: Profile, rows: Rows) -> Finding:
        guessed = self._counter.is_estimate
        return Finding(
            code="target-row-tokens",
            severity="warning" if guessed else "error",
            message=f"{counted(len(rows), 'row')}{' probably' if guessed else ''} longer than the"
            f" {profile.max_tokens_per_row:,} tokens that {profile.target} trains on, so the answer would be cut",
            rows=tuple(rows.ids),
            places=tuple(rows.places),
            fix=DropOverContext.proposed(),
            target=profile.target,
            facts={
                "limit": profile.max_tokens_per_row,
                "longest": self._longest,
                "counter": self._counter.name,
                "as_of": profile.as_of,
            },
        )
