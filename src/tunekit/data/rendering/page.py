"""A check report as one self-contained page. Knows HTML; finds nothing.

Everything that comes from data is escaped, and the page has no script and loads nothing, so a hostile row can show only
as text.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape

from tunekit._version import __version__
from tunekit.data.checks.report import CheckReport
from tunekit.data.findings import SEVERITIES, Finding
from tunekit.data.patterns.veil import veiled
from tunekit.data.rendering.document import document
from tunekit.data.rendering.lines import read_as
from tunekit.data.summary import Lengths
from tunekit.data.wording import counted

_SHOWN_CLASSES = 100
_STYLE = """
:root { color-scheme: light dark; --line: #8884; --mark: #3b7dd8; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.4rem; margin-bottom: 0; }
h2 { font-size: 1.1rem; margin-top: 2rem; }
table { border-collapse: collapse; width: 100%; }
td { text-align: left; padding: .15rem .8rem .15rem 0; vertical-align: top; }
td.number { text-align: right; font-variant-numeric: tabular-nums; }
code { font-size: .9em; overflow-wrap: anywhere; }
.bar { background: var(--mark); height: .8rem; border-radius: 2px; min-width: 1px; }
.finding { border-left: 4px solid var(--line); padding: .3rem .8rem; margin: .6rem 0; }
.error { border-color: #c0392b; }
.warning { border-color: #b9770e; }
.quiet { opacity: .75; }
svg { width: 100%; height: 6rem; }
rect { fill: var(--mark); }
text { font-size: 9px; fill: currentColor; }
"""
_TITLES = {"error": "Errors", "warning": "Warnings", "info": "Worth knowing"}


def page(report: CheckReport) -> str:
    """The report as an HTML document, the same bytes for the same report."""
    title = veiled(report.name)
    return document(title=title, style=_STYLE, body="\n".join(_body(report, escape(title))))


def _body(report: CheckReport, title: str) -> Iterator[str]:
    kinds = ", ".join(f"{count:,} {kind}" for kind, count in report.summary.kinds.items())
    yield f"<h1>{title}</h1>"
    rows = counted(report.rows, "row")
    yield f'<p class="quiet">{rows} ({escape(kinds) or "none"})'
    if report.source:
        yield f"<br>read as {escape(read_as(report.source))}"
    yield "</p>"
    if report.targets:
        yield "<h2>Targets</h2><table>"
        for target in report.targets:
            verdict = "passes" if report.passes(target) else "does not pass"
            yield f"<tr><td>{escape(target)}</td><td>{verdict}</td></tr>"
        yield "</table>"
    yield from _findings(report)
    yield from _histogram("What the model reads", report.summary.read)
    yield from _histogram("What it learns to say", report.summary.answered)
    yield from _classes(report.summary.classes)
    yield f'<p class="quiet">tunekit {escape(__version__)}</p>'


def _findings(report: CheckReport) -> Iterator[str]:
    if not report.findings:
        yield "<h2>Nothing found</h2>"
    for severity in SEVERITIES:
        found = [finding for finding in report if finding.severity == severity]
        if found:
            yield f"<h2>{_TITLES[severity]} ({len(found)})</h2>"
            for finding in found:
                yield from _finding(finding)


def _finding(finding: Finding) -> Iterator[str]:
    target = f" for {escape(finding.target)}" if finding.target else ""
    yield f'<div class="finding {finding.severity}"><b>{escape(finding.code)}</b>{target}: {escape(finding.message)}'
    if finding.fix:
        fix = finding.fix
        yield (
            f'<div class="quiet">fix <code>{escape(fix.name)}</code> ({escape(fix.safety)}): {escape(fix.says)}</div>'
        )
    if finding.places:
        rows = counted(len(finding.rows), "row")
        yield f"<details><summary>{rows}</summary><table>"
        for place in finding.places:
            yield f"<tr><td><code>{escape(str(place))}</code></td><td>{escape(place.evidence)}</td></tr>"
        yield "</table></details>"
    yield "</div>"


def _histogram(title: str, lengths: Lengths) -> Iterator[str]:
    if not lengths.total:
        return
    highest, width = max(lengths.buckets), 400 / len(lengths.buckets)
    yield f"<h2>{title}, in characters</h2>"
    yield '<svg viewBox="0 0 400 80" preserveAspectRatio="none" role="img">'
    for position, count in enumerate(lengths.buckets):
        height = 60 * count / highest
        x, low = position * width, (0, 1)[position > 0] << max(position - 1, 0)
        yield f"<g><title>{low:,} and more: {counted(count, 'row')}</title>"
        yield f'<rect x="{x + 1:.1f}" y="{62 - height:.1f}" width="{width - 2:.1f}" height="{height:.1f}"/>'
        yield f'<text x="{x + width / 2:.1f}" y="74" text-anchor="middle">{_short(low)}</text></g>'
    yield "</svg>"
    rows = sum(lengths.buckets)
    yield f'<p class="quiet">mean {lengths.total / rows:,.0f}, longest {lengths.longest:,}</p>'


def _short(number: int) -> str:
    return f"{number // 1024}k" if number >= 1024 else str(number)


def _classes(classes: Mapping[str, int]) -> Iterator[str]:
    if not classes:
        return
    total, highest = sum(classes.values()), max(classes.values())
    yield f"<h2>{counted(len(classes), 'class')}</h2><table>"
    for name, count in list(classes.items())[:_SHOWN_CLASSES]:
        yield (
            f'<tr><td>{escape(name)}</td><td class="number">{count:,}</td>'
            f'<td class="number">{count / total:.1%}</td>'
            f'<td width="50%"><div class="bar" style="width:{count / highest:.1%}"></div></td></tr>'
        )
    yield "</table>"
    if len(classes) > _SHOWN_CLASSES:
        yield f'<p class="quiet">and {len(classes) - _SHOWN_CLASSES:,} more</p>'
