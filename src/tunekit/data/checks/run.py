"""Run checks over rows in one pass. Knows the order of findings; not what they mean."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain

from tunekit.data.checks.base import Check, CheckContext
from tunekit.data.findings import SEVERITIES, Finding
from tunekit.examples import Example


def run(
    examples: Iterable[Example], checks: Sequence[type[Check]], context: CheckContext
) -> tuple[int, tuple[Finding, ...]]:
    """How many rows there were, and every finding: errors first, then in the order of the checks."""
    running = [check(context) for check in checks]
    seeing = [check.see for check in running]
    count = 0
    for example in examples:
        count += 1
        for see in seeing:
            see(example)
    return count, ordered(chain.from_iterable(check.findings() for check in running))


def ordered(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Errors first, then warnings; within those in the order given."""
    return tuple(sorted(findings, key=lambda finding: SEVERITIES.index(finding.severity)))
