"""Control tokens inside texts: they can end a turn or forge the next. Knows which texts to look at; not the tokens."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from tunekit.data.checks.base import Check, CheckContext
from tunekit.data.findings import Finding, Rows, evidence
from tunekit.data.tokens import special_tokens
from tunekit.data.views import texts
from tunekit.data.wording import counted, listed
from tunekit.examples import Example


class SpecialTokens(Check):
    """Looks for control tokens of well-known model families in every text."""

    codes = ("special-tokens", "target-special-tokens")

    def __init__(self, context: CheckContext) -> None:
        super().__init__(context)
        self._rows = Rows()
        self._tokens: Counter[str] = Counter()
        self._refused = {profile.target: Rows() for profile in context.profiles if profile.special_tokens}

    def see(self, example: Example) -> None:
        """Look at one row."""
        for field, text, _ in texts(example):
            for match in special_tokens.find(text):
                self._tokens[match[0]] += 1
                shown = evidence(text, match.start(), match.end())
                self._rows.add(example.id, field, shown)
                for profile in self.context.profiles:
                    if match[0] in profile.special_tokens:
                        self._refused[profile.target].add(example.id, field, shown)

    def findings(self) -> Iterable[Finding]:
        """What is wrong."""
        if not self._rows:
            return
        tokens = dict(sorted(self._tokens.items()))
        families = sorted({special_tokens.family_of(token) for token in tokens})
        yield Finding(
            code="special-tokens",
            severity="warning",
            message=f"control tokens ({listed(tokens)}) in {counted(len(self._rows), 'row')}: a model that knows them"
            f" ({', '.join(families)}) takes them for the real thing",
            rows=tuple(self._rows.ids),
            places=tuple(self._rows.places),
            facts={"tokens": tokens, "families": families},
        )
        for target, rows in self._refused.items():
            if rows:
                yield Finding(
                    code="target-special-tokens",
                    severity="error",
                    message=f"control tokens in {counted(len(rows), 'row')}: {target} takes the upload and then"
                    " fails the job for them",
                    rows=tuple(rows.ids),
                    places=tuple(rows.places),
                    target=target,
                )
