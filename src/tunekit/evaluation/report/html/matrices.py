"""Confusion matrices, classes and reliability plots. Knows stored counts, and how many classes a page can show."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Literal, TypeAlias

from tunekit.evaluation.metrics.calibration import Bin
from tunekit.evaluation.metrics.classification import Confusion
from tunekit.evaluation.report import stored
from tunekit.evaluation.report.html.drawing import reliability
from tunekit.evaluation.report.html.markup import data, more, scrolling, section, table, text
from tunekit.evaluation.results import Evaluation

Side: TypeAlias = tuple[Literal["a", "b"], str, Evaluation]
"""Colour, label and evaluation of one model."""
Grid: TypeAlias = Counter[tuple[int, int]]

_MOST_CLASSES = 12
_MOST_LISTED = 20
_LEVELS = 10
_OTHERS = "all other classes"
_NONE = "none of the classes"


def confusions(
    sides: Sequence[Side], names: Sequence[str], ids: Mapping[str, Collection[str]]
) -> Iterator[str]:
    """Which class was taken for which, by each scorer that classifies.

    Args:
        sides: One model, or both.
        names: Of the scorers.
        ids: Of the items that count, by scorer; all for one that is missing.
    """
    return section("confusion", "Which class is taken for which", _confusions(sides, names, ids))


def calibrations(
    sides: Sequence[Side], names: Sequence[str], ids: Mapping[str, Collection[str]]
) -> Iterator[str]:
    """How sure answers are, and how often such answers are right. Takes what `confusions` takes."""
    return section("calibration", "Is it as sure as it is right?", _calibrations(sides, names, ids))


def _confusions(
    sides: Sequence[Side], names: Sequence[str], ids: Mapping[str, Collection[str]]
) -> Iterator[str]:
    shown: list[tuple[Sequence[Confusion], str]] = []
    for name in names:
        found = [
            confusion
            for _, _, evaluation in sides
            if (confusion := stored.confusion(evaluation, name, ids.get(name)))
        ]
        if len(found) < len(sides):
            continue
        if same := next((other for confusions, other in shown if confusions == found), None):
            yield f"<p>By {data(name)} the same as by {data(same)}.</p>"
            continue
        shown.append((found, name))
        yield f"<h3>{data(name)}</h3>"
        labels = _most_confused(found)
        yield '<p class="quiet">Rows are what is right; columns, by the numbers of the rows, what was said.</p>'
        grids = [_grid(confusion, labels) for confusion in found]
        most = _most(grids, others=len(labels))
        matrices = (
            _matrix(label, grid, labels, most) for (_, label, _), grid in zip(sides, grids, strict=True)
        )
        yield f'<div class="figures">{"".join(matrices)}</div>'
        yield more(len(_all(found)) - len(labels), "classes")
        yield _classes(sides, found)


def _all(found: Sequence[Confusion]) -> list[str]:
    return sorted({label for confusion in found for label in confusion.labels})


def _most_confused(found: Sequence[Confusion]) -> list[str]:
    """The classes with most mistakes to and from them, in both models together, in alphabetical order."""
    mistakes: Counter[str] = Counter()
    for confusion in found:
        for (reference, prediction), count in confusion.cells.items():
            if reference != prediction:
                mistakes[reference] += int(count)
                if prediction is not None:
                    mistakes[prediction] += int(count)
    ranked = sorted(_all(found), key=lambda label: (-mistakes[label], label))
    return sorted(ranked[:_MOST_CLASSES])


def _grid(confusion: Confusion, labels: Sequence[str]) -> Grid:
    """Items by row and column. After the labels come all other classes together, then none of the classes."""
    others, none = len(labels), len(labels) + 1
    place = {name: at for at, name in enumerate(labels)}
    grid: Grid = Counter()
    for (reference, prediction), count in confusion.cells.items():
        column = none if prediction is None else place.get(prediction, others)
        grid[place.get(reference, others), column] += int(count)
    return grid


def _most(grids: Sequence[Grid], others: int) -> dict[str, int]:
    """The largest cell of each kind in all grids, so that a colour means as much in each."""
    return {
        kind: max((n for grid in grids for at, n in grid.items() if _kind(*at, others) == kind), default=1)
        for kind in ("right", "wrong", "")
    }


def _matrix(label: str, grid: Grid, labels: Sequence[str], most: Mapping[str, int]) -> str:
    """Rows are what is right, columns what was said."""
    others, names = len(labels), (*labels, _OTHERS, _NONE)
    rows = [*range(others), *([others] if any(others in at for at in grid) else [])]
    columns = [*rows, *([others + 1] if any(column > others for _, column in grid) else [])]
    head = "".join(_column(at, names[at], of=others) for at in columns)
    body = "\n".join(
        f'<tr><th scope="row">{_short(row, of=others)} {data(names[row])}</th>'
        + "".join(_cell(grid[row, column], _kind(row, column, others), most) for column in columns)
        + "</tr>"
        for row in rows
    )
    heading = f'<thead><tr><th scope="col">class</th>{head}</tr></thead>'
    return scrolling(label, f'<table class="matrix">{heading}\n<tbody>{body}</tbody></table>')


def _column(at: int, name: str, *, of: int) -> str:
    return f'<th scope="col"><abbr title="{text(name)}">{_short(at, of=of)}</abbr></th>'


def _short(at: int, *, of: int) -> str:
    """A number for a class, a mark for what is none."""
    return str(at + 1) if at < of else "+" if at == of else "none"


def _kind(row: int, column: int, others: int) -> str:
    """Among the other classes there are right answers and wrong ones, so that cell has no colour."""
    if row == column:
        return "right" if row < others else ""
    return "wrong"


def _cell(count: int, kind: str, most: Mapping[str, int]) -> str:
    if not count:
        return "<td></td>"
    share = max(1, round(_LEVELS * count / most[kind]))
    return f'<td class="{kind}" style="--share:{share}">{count:,}</td>'


def _classes(sides: Sequence[Side], found: Sequence[Confusion]) -> str:
    """F1 of each class, the largest change first; of one model, the worst first."""
    scores = [confusion.scores() for confusion in found]
    support = found[0].references

    def f1(at: int, label: str) -> float:
        return scores[at][label].f1 if label in scores[at] else 0.0

    def order(label: str) -> tuple[float, str]:
        return (-abs(f1(-1, label) - f1(0, label)) if len(found) > 1 else f1(0, label), label)

    ranked = sorted(_all(found), key=order)
    header = ("class", "items", *(f"F1 {label}" for _, label, _ in sides))
    rows = [
        (
            data(name),
            f"{support.get(name, 0.0):,.0f}",
            *(f"{100 * f1(at, name):.1f} %" for at in range(len(found))),
        )
        for name in ranked[:_MOST_LISTED]
    ]
    first = "largest change first" if len(found) > 1 else "worst first"
    return (
        f"<details><summary>Class by class</summary>{table(f'F1 of each class, {first}', header, rows)}"
        f"{more(len(ranked) - len(rows), 'classes')}</details>"
    )


def _calibrations(
    sides: Sequence[Side], names: Sequence[str], ids: Mapping[str, Collection[str]]
) -> Iterator[str]:
    shown: list[tuple[Sequence[tuple[Bin, ...]], str]] = []
    for name in names:
        found = [stored.reliability(evaluation, name, ids.get(name)) for _, _, evaluation in sides]
        if not all(found):
            continue
        if same := next((other for bins, other in shown if bins == found), None):
            yield f"<p>By {data(name)} the same as by {data(same)}.</p>"
            continue
        shown.append((found, name))
        lines = [(label, tone, bins) for (tone, label, _), bins in zip(sides, found, strict=True)]
        yield f"<h3>{data(name)}</h3>"
        yield f"<figure>{reliability(f'Reliability by {name}', lines)}"
        yield (
            '<figcaption class="quiet">Across: how sure the model was; up: how often it was right. On the dashed line '
            "it is as sure as it is right, below it too sure. Squares are a, circles b.</figcaption></figure>"
            if len(sides) > 1
            else '<figcaption class="quiet">Across: how sure the model was; up: how often it was right. On the dashed '
            "line it is as sure as it is right, below it too sure.</figcaption></figure>"
        )
        rows = [
            (text(label), f"{of.confidence:.1%}", f"{of.accuracy:.1%}", f"{of.n:,}")
            for label, _, bins in lines
            for of in bins
        ]
        header = ("model", "sure", "right", "items")
        yield f"<details><summary>Numbers</summary>{table('Items by how sure the model was', header, rows)}</details>"
