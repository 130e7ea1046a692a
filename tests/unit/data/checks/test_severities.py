"""How severe the findings of each check can be, and checking for the worst only. Knows severities; no check."""

from __future__ import annotations

import ast
import inspect

import pytest

from tunekit import Dataset
from tunekit.data.checks import catalogue
from tunekit.data.checks.base import Check, CheckContext
from tunekit.data.checks.run import is_severe
from tunekit.data.findings import SEVERITIES, Finding, Severity
from tunekit.examples import Example

MESSY = Dataset.from_records(
    [
        {"prompt": f"SUMMARISE: TICKET {n % 30}", "completion": ("yes", "Yes ", "no", "", "N/A")[n % 5]}
        for n in range(100)
    ]
    + [{"prompt": "SUMMARISE: key sk-" + "a1B2" * 12, "completion": "so and so and so on and th"}]
    + [
        {
            "prompt": f"SUMMARISE: THE LONG AND WINDING ROAD TO NUMBER {n} OF THEM ALL",
            "completion": "да, пожалуйста",
        }
        for n in range(9)
    ]
    + [{"prompt": "x" * 200_000, "completion": "yes"}],
    on_error="skip",
)


@pytest.mark.parametrize("severity", SEVERITIES)
@pytest.mark.parametrize("target", [None, "openai:gpt-4.1-mini-2025-04-14", "base"])
def test_looking_for_the_worst_finds_what_looking_for_all_finds(
    severity: Severity, target: str | None
) -> None:
    report = MESSY.check(target, against=MESSY, at_least="info")
    assert {finding.severity for finding in report} == set(SEVERITIES)
    found = MESSY.check(target, against=MESSY, at_least=severity)
    assert found.findings == tuple(each for each in report if is_severe(each.severity, severity))
    assert (found.ok, found.rows, found.summary) == (report.ok, report.rows, report.summary)


@pytest.mark.parametrize("check", catalogue.builtin(), ids=lambda check: check.__name__)
def test_no_check_names_a_severity_that_is_worse_than_its_worst(check: type[Check]) -> None:
    module = inspect.getmodule(check)
    assert module is not None
    named = {
        node.value
        for node in ast.walk(ast.parse(inspect.getsource(module)))
        if isinstance(node, ast.Constant)
    }
    assert all(is_severe(check.worst, severity) for severity in SEVERITIES if severity in named)


def test_a_check_of_ones_own_runs_whatever_is_wanted_unless_it_says_how_bad_it_gets() -> None:
    class Own(Check):
        codes = ("own",)

        def see(self, example: Example) -> None:
            pass

        def findings(self) -> list[Finding]:
            return [Finding(code="own", severity="error", message="always")]

    class Mild(Own):
        worst = "info"

        def __init__(self, context: CheckContext) -> None:
            raise AssertionError("it can find nothing that bad, and need not run")

    assert "own" in MESSY.check(checks=[Own, Mild], at_least="warning")
