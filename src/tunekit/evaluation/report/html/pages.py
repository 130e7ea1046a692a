"""The pages, section by section: the verdict first. Knows their order; each section has a function elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain

from tunekit._version import __version__
from tunekit.data.rendering.document import document
from tunekit.evaluation.arms.results import Arms
from tunekit.evaluation.comparison import Comparison
from tunekit.evaluation.report import words
from tunekit.evaluation.report.html import examples, facts, matrices, metrics
from tunekit.evaluation.report.html.lineup import lined_up
from tunekit.evaluation.report.html.markup import data, plain, section, text
from tunekit.evaluation.report.html.style import STYLE
from tunekit.evaluation.results import Evaluation

_TONES = {0: "better", 1: "worse", 2: "inconclusive"}


def page(result: Comparison | Evaluation | Arms) -> str:
    """Results as an HTML document, the same bytes for the same result."""
    body: Iterable[str]
    if isinstance(result, Comparison):
        title, body = "{1} against {0}".format(*result.titles), _comparison(result)
    elif isinstance(result, Arms):
        title, body = " against ".join(result.names), chain(lined_up(result), _end())
    else:
        title, body = result.title, _evaluation(result)
    return document(title=plain(title), style=STYLE, body="\n".join(filter(None, body)))


def _comparison(comparison: Comparison) -> Iterator[str]:
    a, b = comparison.evaluations
    labelled = (("a", a), ("b", b))
    sides: tuple[matrices.Side, matrices.Side] = (("a", "a", a), ("b", "b", b))
    ids = {name: _paired(comparison, name) for name in comparison.names}
    yield from _header(comparison)
    yield "<main>"
    yield from section("scorers", "What was found", metrics.compared(comparison))
    yield from facts.warnings(comparison.warnings)
    yield from examples.changed(comparison)
    yield from metrics.slices(comparison)
    yield from matrices.confusions(sides, comparison.names, ids)
    yield from matrices.calibrations(sides, comparison.names, ids)
    yield from facts.costs(labelled, comparison.changes)
    yield from facts.failures(labelled)
    yield from facts.provenance(labelled, comparison)
    yield from _end()


def _evaluation(evaluation: Evaluation) -> Iterator[str]:
    labelled = (("", evaluation),)
    sides: tuple[matrices.Side] = (("b", "this model", evaluation),)
    yield (
        f'<header><p class="quiet">One model on {evaluation.provenance.n_items:,} items</p>'
        f"<h1>{data(evaluation.title)}</h1></header>\n<main>"
    )
    yield from section("scorers", "What was found", metrics.evaluated(evaluation))
    yield from facts.warnings(evaluation.warnings)
    yield from examples.wrong(evaluation)
    yield from matrices.confusions(sides, evaluation.names, {})
    yield from matrices.calibrations(sides, evaluation.names, {})
    yield from facts.costs((("this model", evaluation),))
    yield from facts.failures(labelled)
    yield from facts.provenance(labelled)
    yield from _end()


def _header(comparison: Comparison) -> Iterator[str]:
    yield (
        f'<header class="verdict {_TONES[comparison.exit_code]}"><p class="quiet">Two models on '
        f"{comparison.provenance.n_items:,} items, paired</p>\n<h1>{words.overall(comparison)}</h1>"
    )
    yield f"<p>{text(words.rule(comparison))}.</p>"
    yield (
        f'<dl><div><dt class="a">a</dt><dd>{data(comparison.titles[0])}</dd></div>'
        f'<div><dt class="b">b</dt><dd>{data(comparison.titles[1])}</dd></div></dl></header>'
    )


def _paired(comparison: Comparison, name: str) -> frozenset[str]:
    a, b = comparison.evaluations
    return frozenset(dict(a.scored(name))) & frozenset(dict(b.scored(name)))


def _end() -> Iterator[str]:
    yield (
        f'</main>\n<footer class="quiet"><p>tunekit {text(__version__)}. This page quotes prompts and answers of the '
        "test as they are, and holds all that it shows: it loads nothing.</p></footer>"
    )
