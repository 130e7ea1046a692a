"""A check report as lines for a terminal. Knows layout and wording; finds nothing.

Plain text: no colours and no control characters. Evidence comes from data that strangers may have written, so it is
shown as Python would quote it.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping

from tunekit.data.checks.report import CheckReport
from tunekit.data.findings import SEVERITIES, Finding
from tunekit.data.patterns.veil import veiled
from tunekit.data.rendering.figures import bar, sparkline
from tunekit.data.summary import Lengths
from tunekit.data.wording import brief, counted

WIDTH = 100
_SHOWN_CLASSES = 12
_SHOWN_PLACES = 3
_TITLES = {"error": "Errors", "warning": "Warnings", "info": "Worth knowing"}


def lines(report: CheckReport) -> Iterator[str]:
    """The whole report.

    Examples:
        >>> import tunekit as tk
        >>> rows = [{"prompt": f"{n}+{n}", "completion": str(2 * n)} for n in range(200)]
        >>> print(next(lines(tk.Dataset.from_records(rows, name="sums").check())))
        sums: 200 rows (completion)
    """
    kinds = ", ".join(f"{kind}" for kind in report.summary.kinds)
    yield f"{veiled(report.name)}: {counted(report.rows, 'row')} ({kinds or 'none'})"
    if report.source:
        yield from _wrapped(f"read as {read_as(report.source)}")
    yield ""
    yield from _lengths("read", report.summary.read)
    yield from _lengths("answer", report.summary.answered)
    yield from _classes(report.summary.classes)
    for severity in SEVERITIES:
        found = [finding for finding in report if finding.severity == severity]
        if found:
            yield ""
            yield f"{_TITLES[severity]} ({len(found)})"
            for finding in found:
                yield from _finding(finding)
    if report.targets:
        yield ""
        yield from (_verdict(report, target) for target in report.targets)


def read_as(source: Mapping[str, object]) -> str:
    """How a file was read, in one line.

    Examples:
        >>> read_as({"format": "csv", "encoding": "cp1252", "header": 1, "shape": "columns", "is_table": True})
        'csv, encoding cp1252, header 1, shape columns'
    """
    known = dict(source)
    known.pop("is_table", None)
    parts = [str(known.pop("format"))] if "format" in known else []
    parts += [
        f"{name.replace('_', ' ')} {_fact(value)}" for name, value in known.items() if value is not None
    ]
    return veiled(", ".join(parts))


def _fact(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (list, tuple)):
        return "/".join(map(_fact, value))
    text = str(value)
    return text if text.isprintable() and any(map(str.isalnum, text)) else brief(value)


def _lengths(what: str, lengths: Lengths) -> Iterator[str]:
    if lengths.total:
        rows = sum(lengths.buckets)
        yield (
            f"  {what:<7}{sparkline(lengths.buckets):<16} characters: mean {lengths.total / rows:,.0f},"
            f" longest {lengths.longest:,}"
        )


def _classes(classes: Mapping[str, int]) -> Iterator[str]:
    if not classes:
        return
    total, highest = sum(classes.values()), max(classes.values())
    shown = list(classes.items())[:_SHOWN_CLASSES]
    width = max(len(_label(name)) for name, _ in shown)
    yield f"  {counted(len(classes), 'class')}"
    for name, count in shown:
        share = f"{count / total:.1%}"
        yield f"    {_label(name):<{width}} {count:>9,} {share:>6}  {bar(count / highest, 30)}".rstrip()
    if len(classes) > len(shown):
        rest = sum(list(classes.values())[len(shown) :])
        yield f"    and {len(classes) - len(shown)} more, {counted(rest, 'row')}"


def _label(name: str) -> str:
    return brief(name)[:28]


def _finding(finding: Finding) -> Iterator[str]:
    target = f" [{finding.target}]" if finding.target else ""
    yield from _wrapped(f"{finding.code}{target}: {finding.message}", first="  ", rest="      ")
    for place in finding.places[:_SHOWN_PLACES]:
        yield f"      {place}" + (f"  {place.evidence}" if place.evidence else "")
    more = len(finding.rows) - len(finding.places[:_SHOWN_PLACES])
    if finding.places and more > 0:
        yield f"      and {more:,} more"
    if finding.fix:
        yield from _wrapped(
            f"fix {finding.fix.name} ({finding.fix.safety}): {finding.fix.says}",
            first="      ",
            rest="        ",
        )


def _verdict(report: CheckReport, target: str) -> str:
    if report.passes(target):
        return f"{target}: passes"
    reasons = [found for found in report.errors if found.target in ("", target)]
    where = f", because of row {veiled(reasons[0].rows[0])}" if reasons[0].rows else ""
    more = f" and {len(reasons) - 1} more" if len(reasons) > 1 else ""
    return f"{target}: does not pass ({reasons[0].code}{where}{more})"


def _wrapped(text: str, *, first: str = "", rest: str = "  ") -> Iterator[str]:
    yield from textwrap.wrap(
        text,
        WIDTH,
        initial_indent=first,
        subsequent_indent=rest,
        break_long_words=False,
        break_on_hyphens=False,
    )
