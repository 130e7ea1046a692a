"""A report of some checks on some rows, for tests of checks. Knows neither files nor the catalogue."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain
from typing import Any

from tunekit.data.checks.base import Check, CheckContext
from tunekit.data.checks.report import CheckReport
from tunekit.data.profiles import profile_of
from tunekit.examples import ChatExample, Example, Message, ToolCall


def look(
    rows: Iterable[Example], *checks: type[Check], targets: tuple[str, ...] = (), **context: Any
) -> CheckReport:
    """What these checks find in these rows."""
    known = CheckContext(profiles=tuple(map(profile_of, targets)), **context)
    looking = [check(known) for check in checks]
    count = 0
    for row in rows:
        count += 1
        for check in looking:
            check.see(row)
    findings = tuple(chain.from_iterable(check.findings() for check in looking))
    for finding in findings:
        assert all(len(place.evidence) <= 40 for place in finding.places), finding
        assert any(finding.code in check.codes for check in checks), finding
    return CheckReport(name="rows", rows=count, findings=findings, targets=targets)


def system(content: str = "Be brief.") -> Message:
    return Message(role="system", content=content)


def user(content: str | None = "Where is my parcel?", **more: Any) -> Message:
    return Message(role="user", content=content, **more)


def assistant(content: str | None = "On its way.", **more: Any) -> Message:
    return Message(role="assistant", content=content, **more)


def calls(*made: tuple[str, str, str]) -> Message:
    """An assistant turn that makes these calls: id, name, arguments."""
    return Message(
        role="assistant",
        tool_calls=tuple(ToolCall(id=id, name=name, arguments=text) for id, name, text in made),
    )


def result(id: str | None, content: str = "ok", name: str | None = None) -> Message:
    return Message(role="tool", content=content, tool_call_id=id, name=name)


def chat(*messages: Message, id: str = "a.jsonl:1", **more: Any) -> ChatExample:
    return ChatExample(id=id, messages=messages, **more)
