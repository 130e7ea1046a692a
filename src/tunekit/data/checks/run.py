"""Run checks over rows in one pass. Knows the order of findings; not what they mean."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain

from tunekit.data.checks.base import Check, CheckContext
from tunekit.data.findings import SEVERITIES, Finding, Severity
from tunekit.data.summary import Summarising, Summary
from tunekit.data.views import with_ids
from tunekit.examples import Example


def run(
    examples: Iterable[Example], checks: Sequence[type[Check]], context: CheckContext
) -> tuple[int, Summary, tuple[Finding, ...]]:
    """How many rows there were, what they look like, and every finding in the order of the checks."""
    running = [check(context) for check in checks]
    summarising = Summarising()
    seeing = [summarising.see, *(check.see for check in running)]
    count = 0
    for example in with_ids(examples):
        count += 1
        for see in seeing:
            see(example)
    findings = tuple(chain.from_iterable(check.findings() for check in running))
    return count, summarising.summary(), findings


def able(checks: Iterable[type[Check]], at_least: Severity) -> list[type[Check]]:
    """The checks that can find something so severe."""
    return [check for check in checks if is_severe(check.worst, at_least)]


def is_severe(severity: Severity, at_least: Severity) -> bool:
    """Whether it is as severe as that, or more."""
    return SEVERITIES.index(severity) <= SEVERITIES.index(at_least)


def ordered(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Errors first, then warnings; within those in the order given."""
    return tuple(sorted(findings, key=lambda finding: SEVERITIES.index(finding.severity)))
