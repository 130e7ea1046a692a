"""Results as JUnit XML, which builds show. Knows test cases and their outcomes; not how a verdict was found.

There is no standard: this keeps to what Jenkins, GitLab and GitHub actions read (`testsuites`, `testsuite`, `testcase`
with `failure`, `error` or `skipped`). A scorer that does not pass is a failure; one that cannot tell is an error and
not "skipped", which builds show as well as passed.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING
from xml.etree import ElementTree as xml

from tunekit.evaluation.report import words
from tunekit.evaluation.report.html.markup import plain
from tunekit.evaluation.report.numbers import in_percent, interval

if TYPE_CHECKING:
    from tunekit.evaluation.comparison import Comparison, MetricComparison
    from tunekit.evaluation.results import Evaluation

_OUTCOMES = ("failure", "error", "skipped")


def junit(result: Comparison | Evaluation, *, items: bool = False) -> str:
    """A test case for each scorer.

    Args:
        result: A comparison, which can fail; or an evaluation, in which only items without a score are errors.
        items: Whether each item is a test case, too: of a comparison, what the second model breaks is a failure.

    Examples:
        >>> from tunekit.data.dataset import Dataset
        >>> from tunekit.evaluation.evaluator import Evaluator
        >>> test = Dataset.from_records([{"prompt": "Where is it?", "completion": "delivery"}] * 20)
        >>> found = Evaluator(test).run(lambda prompt: "delivery")
        >>> 'tests="1" failures="0" errors="0"' in junit(found)
        True
    """
    from tunekit.evaluation.comparison import Comparison

    root = xml.Element("testsuites", name="tunekit")
    if isinstance(result, Comparison):
        name, seconds = f"{result.b} against {result.a}", sum(each.seconds for each in result.evaluations)
        cases = list(_compared(result, items))
    else:
        name, seconds = result.title, result.seconds
        cases = list(_evaluated(result, items))
    root.append(_suite(name, seconds, cases))
    xml.indent(root)
    body = xml.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="utf-8"?>\n{body}\n'


def _suite(name: str, seconds: float, cases: list[xml.Element]) -> xml.Element:
    counts = {kind: sum(case.find(kind) is not None for case in cases) for kind in _OUTCOMES}
    suite = xml.Element(
        "testsuite",
        name=plain(name),
        tests=str(len(cases)),
        failures=str(counts["failure"]),
        errors=str(counts["error"]),
        skipped=str(counts["skipped"]),
        time=f"{seconds:.3f}",
    )
    suite.extend(cases)
    return suite


def _compared(comparison: Comparison, items: bool) -> Iterator[xml.Element]:
    for found in comparison.metrics.values():
        outcome = {0: "", 1: "failure", 2: "error"}[comparison.exit_code_of(found.name)]
        said = "\n".join((words.sentence(found), *found.warnings))
        yield _case("tunekit.compare", found.name, outcome, words.HEADLINES[found.verdict], said)
        if items:
            yield from _item_cases(comparison, found)


def _item_cases(comparison: Comparison, found: MetricComparison) -> Iterator[xml.Element]:
    broken, (_, b) = set(found.newly_broken), comparison.evaluations
    for item in b.items:
        where = f"tunekit.compare.{found.name}"
        if found.name in item.errors:
            yield _case(where, item.id, "error", "could not be scored", item.errors[found.name])
        elif item.id in broken:
            yield _case(where, item.id, "failure", "b does worse", item.answer or "")
        else:
            yield _case(where, item.id)


def _evaluated(evaluation: Evaluation, items: bool) -> Iterator[xml.Element]:
    for metric in evaluation.metrics.values():
        shown = f"{metric.name}: {interval(metric.value, percent=in_percent(metric))}"
        yield _case("tunekit.eval", metric.name, said=shown)
        if not items:
            continue
        for item in evaluation.items:
            reason = item.errors.get(metric.name)
            outcome = ("error", "could not be scored", reason) if reason is not None else ("", "", "")
            yield _case(f"tunekit.eval.{metric.name}", item.id, *outcome)


def _case(where: str, name: str, outcome: str = "", message: str = "", said: str = "") -> xml.Element:
    """One case; without an outcome it passed, and what is said goes to its output."""
    case = xml.Element("testcase", classname=plain(where), name=plain(name), time="0")
    if outcome:
        child = xml.SubElement(case, outcome, message=plain(message), type=plain(message))
        child.text = plain(said)
    elif said:
        xml.SubElement(case, "system-out").text = plain(said)
    return case
