"""The rules of each target, one by one. Knows how to hold rows against a `Profile`; no rule of good data anywhere.

Every finding carries the target's name, so that a report can say "passes together, not foundry, because of row 17".
Token limits, images and control tokens have checks of their own.
"""

from __future__ import annotations

import codecs
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from tunekit.data import turns
from tunekit.data.checks.base import Check, CheckContext
from tunekit.data.checks.target_rules import RULES, features
from tunekit.data.findings import Finding, Rows, evidence
from tunekit.data.profiles import Profile
from tunekit.data.shapes import catalogue
from tunekit.data.wording import counted, listed
from tunekit.data.writers import json_lines
from tunekit.errors import DataError
from tunekit.examples import Example

_LEARNED_AS = {"completion": "chat"}
"""Kinds that one method learns from together; any other is learned from alone."""


class TargetRules(Check):
    """Holds every row against the rules of every target."""

    codes = (
        "target-kind",
        "target-mixed",
        "target-rows",
        "target-file",
        "target-shape",
        *(rule.code for rule in RULES),
        "target-ending",
        "target-unknown",
        "target-columns",
    )

    def __init__(self, context: CheckContext) -> None:
        super().__init__(context)
        self._targets = [_Target(profile) for profile in context.profiles]

    def see(self, example: Example) -> None:
        """Look at one row."""
        for target in self._targets:
            target.see(example)

    def findings(self) -> Iterable[Finding]:
        """What is wrong, target by target."""
        for target in self._targets:
            yield from target.findings()


class _Target:
    """One target and what the rows did to its rules."""

    def __init__(self, profile: Profile) -> None:
        self._profile = profile
        self._rules = [(rule, Rows()) for rule in RULES]
        self._kinds: Counter[str] = Counter()
        self._wrong_kind = Rows()
        self._unwritable = Rows()
        self._bytes = len(codecs.BOM_UTF8) if profile.byte_order_mark else 0
        self._writers: dict[str, Callable[[Example], dict[str, Any]]] = {}
        self._columns: Counter[str] = Counter()
        self._unproven: Counter[str] = Counter()

    def see(self, example: Example) -> None:
        profile = self._profile
        self._kinds[example.kind] += 1
        if example.kind not in profile.kinds:
            self._wrong_kind.add(example.id, "", example.kind)
            return
        self._columns.update(map(str, profile.left_out(example)))
        breaks = self._hold(example)
        if profile.max_file_bytes is not None:
            self._write(example, breaks)

    def _hold(self, example: Example) -> bool:
        """Hold the row against the rules; whether it breaks one."""
        messages = turns.conversation(example)
        if messages is None:
            return False
        breaks = False
        for rule, rows in self._rules:
            for field, shown in rule.places(example, messages, self._profile):
                rows.add(example.id, field, shown)
                breaks = True
        self._unproven.update(features(example, messages, self._profile))
        return breaks

    def _write(self, example: Example, breaks: bool) -> None:
        """Count the bytes of the line that the row becomes."""
        try:
            record = self._writer_of(example.kind)(self._profile.without_left_out(example))
            self._bytes += len(json_lines.line(record, example.id))
        except DataError as error:
            if not breaks:  # else that rule says it better
                self._unwritable.add(example.id, error.field or "", evidence(error.message))

    def _writer_of(self, kind: str) -> Callable[[Example], dict[str, Any]]:
        if kind not in self._writers:
            self._writers[kind] = catalogue.shape(self._profile.shape_of(kind)).write
        return self._writers[kind]

    def findings(self) -> Iterator[Finding]:
        profile = self._profile
        if self._wrong_kind:
            yield self._of_rows("target-kind", self._kind_message(), self._wrong_kind)
        yield from self._of_the_file()
        if self._unwritable:
            says = f"{counted(len(self._unwritable), 'row')} cannot be written in the shape that {profile.target} wants"
            yield self._of_rows("target-shape", says, self._unwritable)
        for rule, rows in self._rules:
            if rows:
                says = f"{counted(len(rows), 'row')}: {profile.target} {rule.says(profile)}"
                yield self._of_rows(rule.code, says, rows, rule.fix)
        yield from self._endings()
        yield from self._notes()

    def _kind_message(self) -> str:
        wrong = {
            kind: count for kind, count in sorted(self._kinds.items()) if kind not in self._profile.kinds
        }
        says = f"{counted(len(self._wrong_kind), 'row')} of the kind {listed(wrong)}, and {self._profile.target} trains"
        says += f" {listed(sorted(self._profile.kinds))}"
        pairs = {"completion", "labelled"} & wrong.keys()
        way = "chat" if "chat" in self._profile.kinds else "completion"
        return f"{says}; convert with to_{way}()" if pairs and way in self._profile.kinds else says

    def _of_the_file(self) -> Iterator[Finding]:
        profile = self._profile
        taken = {kind: count for kind, count in sorted(self._kinds.items()) if kind in profile.kinds}
        total = sum(taken.values())
        if len({(profile.shape_of(kind), _LEARNED_AS.get(kind, kind)) for kind in taken}) > 1:
            says = f"{profile.target} wants rows of one kind in a file, and there are {listed(taken)}"
            yield self._of_all("target-mixed", says, kinds=taken)
        if 0 < total < profile.min_rows:
            says = f"{profile.target} wants {profile.min_rows:,} rows at least, and there are {total:,}"
            yield self._of_all("target-rows", says, rows=total, min_rows=profile.min_rows)
        for kind, count in taken.items():
            most = profile.max_rows.get(kind)
            if most is not None and count > most:
                says = f"{profile.target} takes {most:,} rows at most, and there are {count:,}"
                yield self._of_all("target-rows", says, rows=count, max_rows=most)
        if profile.max_file_bytes is not None and self._bytes > profile.max_file_bytes:
            most = profile.max_file_bytes
            says = f"{profile.target} takes files of up to {most:,} bytes, and this one would have {self._bytes:,}"
            yield self._of_all("target-file", says, bytes=self._bytes, max_file_bytes=most)

    def _endings(self) -> Iterator[Finding]:
        """What stops there, held against the day of the profile, not of the clock: the same data, the same report."""
        profile = self._profile
        over = [ending for ending in profile.endings if ending.date <= profile.as_of]
        for ending in profile.endings:
            yield Finding(
                code="target-ending",
                severity="warning" if ending in over else "info",
                message=f"{profile.target}: {ending.says} on {ending.date}",
                target=profile.target,
                facts={"date": ending.date, "as_of": profile.as_of},
            )

    def _notes(self) -> Iterator[Finding]:
        profile = self._profile
        for feature, count in sorted(self._unproven.items()):
            yield Finding(
                code="target-unknown",
                severity="info",
                message=f"{counted(count, 'row')} with {feature}: whether {profile.target} takes them is not known",
                target=profile.target,
                facts={"feature": feature, "rows": count, "as_of": profile.as_of},
            )
        if self._columns:
            yield Finding(
                code="target-columns",
                severity="info",
                message=f"the columns {listed(sorted(self._columns))} are not written for {profile.target}",
                target=profile.target,
                facts={"columns": dict(sorted(self._columns.items()))},
            )

    def _of_rows(self, code: str, message: str, rows: Rows, fix: Any = None) -> Finding:
        return Finding(
            code=code,
            severity="error",
            message=message,
            rows=tuple(rows.ids),
            places=tuple(rows.places),
            fix=fix.proposed() if fix else None,
            target=self._profile.target,
            facts={"as_of": self._profile.as_of},
        )

    def _of_all(self, code: str, message: str, **facts: Any) -> Finding:
        facts["as_of"] = self._profile.as_of
        return Finding(code=code, severity="error", message=message, target=self._profile.target, facts=facts)
