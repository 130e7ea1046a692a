"""Answers newly right and newly wrong, side by side, as they were given. Knows stored items; judges none."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from tunekit.evaluation.comparison import Comparison, MetricComparison
from tunekit.evaluation.report.html.markup import data, folded, more, section, text
from tunekit.evaluation.results import Evaluation, ItemResult

_OPEN = 3
_MOST_EACH = 12
_MOST_IN_ALL = 60


def changed(comparison: Comparison) -> Iterator[str]:
    """Of each scorer, what the second model fixed and what it broke."""
    return section("changed", "What changed", _changed(comparison))


def wrong(evaluation: Evaluation) -> Iterator[str]:
    """Of each scorer whose items are right or wrong, some that are wrong."""
    return section("wrong", "Wrong answers", _wrong(evaluation))


def _changed(comparison: Comparison) -> Iterator[str]:
    a, b = ({item.id: item for item in each.items} for each in comparison.evaluations)
    shown: dict[tuple[tuple[str, ...], tuple[str, ...]], str] = {}
    left = _MOST_IN_ALL
    for found in comparison.metrics.values():
        lists = (found.newly_fixed, found.newly_broken)
        yield f"<h3>{data(found.name)}: {found.wins:,} better, {found.losses:,} worse</h3>"
        if lists in shown:
            yield f"<p>The same items as by {data(shown[lists])}.</p>"
            continue
        shown[lists] = found.name
        for title, ids in zip(("b does better", "b does worse"), lists, strict=True):
            some = ids[: min(_MOST_EACH, left)]
            left -= len(some)
            yield from _list(title, some, len(ids), (a, b), found)


def _list(
    title: str,
    ids: Sequence[str],
    total: int,
    sides: tuple[Mapping[str, ItemResult], Mapping[str, ItemResult]],
    found: MetricComparison,
) -> Iterator[str]:
    if not total:
        return
    yield f"<h4>{title}: {total:,} items</h4>"
    yield from _opened([_case(sides[0][name], sides[1][name], found.name) for name in ids])
    yield more(total - len(ids), "items")


def _opened(cases: Sequence[str]) -> Iterator[str]:
    """The first few to be seen, the others on request. Each is HTML."""
    yield from cases[:_OPEN]
    if rest := cases[_OPEN:]:
        yield f"<details><summary>{len(rest)} more of them here</summary>"
        yield from rest
        yield "</details>"


def _case(a: ItemResult, b: ItemResult, scorer: str) -> str:
    asked = _asked(b if b.prompt else a)
    return (
        f'<article class="card"><h4>{data(a.id)}</h4>{asked}\n<div class="sides">'
        f'<div class="a"><h4>a: {_score(a, scorer)}</h4>{_answer(a, scorer)}</div>\n'
        f'<div class="b"><h4>b: {_score(b, scorer)}</h4>{_answer(b, scorer)}</div></div></article>'
    )


def _wrong(evaluation: Evaluation) -> Iterator[str]:
    left = _MOST_IN_ALL
    for metric in evaluation.metrics.values():
        items = [item for item in evaluation.items if item.scores.get(metric.name) == 0.0]
        if metric.kind != "binary" or not items:
            continue
        some = items[: min(_MOST_EACH, left)]
        left -= len(some)
        yield f"<h3>{data(metric.name)}: {len(items):,} items</h3>"
        yield from _opened([_wrong_case(item, metric.name) for item in some])
        yield more(len(items) - len(some), "items")


def _wrong_case(item: ItemResult, scorer: str) -> str:
    return (
        f'<article class="card"><h4>{data(item.id)}</h4>{_asked(item)}\n<div class="b"><h4>answer</h4>'
        f"{_answer(item, scorer)}</div></article>"
    )


def _asked(item: ItemResult) -> str:
    return (
        f"<h4>prompt</h4>{folded(item.prompt)}\n<h4>expected</h4>"
        f"{folded(item.reference, none='the test names no answer')}"
    )


def _score(item: ItemResult, scorer: str) -> str:
    value = item.scores.get(scorer)
    return "not scored" if value is None else text(f"{value:.4g}")


def _answer(item: ItemResult, scorer: str) -> str:
    choice = item.choices.get(scorer)
    picked = f"<p>picked {data(choice)}</p>" if choice is not None and choice != item.answer else ""
    failed = f"<p>failed: {data(item.errors[scorer])}</p>" if scorer in item.errors else ""
    cut = (
        f'<p class="quiet">ended with {data(item.finish_reason)}</p>'
        if item.finish_reason == "length"
        else ""
    )
    if item.answer is None and (picked or failed):
        return picked + failed
    return folded(item.answer, none="no text was generated") + picked + failed + cut
