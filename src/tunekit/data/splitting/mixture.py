"""Several datasets mixed into one: how many rows of each, and how often each row. Knows tasks; not what they teach.

Rates follow Raffel et al. 2020 ("T5", arXiv 1910.10683, section 3.5.2): a task of e rows is drawn in proportion to
min(e, cap) ** (1 / temperature). Temperature 1 is proportional to size, a high one comes near to equal parts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import ceil, isfinite
from typing import Any

from tunekit.data.arguments import finite, mapping, text, whole
from tunekit.data.splitting.ranks import rank, ranks
from tunekit.data.wording import brief, counted, listed, nearest
from tunekit.errors import SpecError
from tunekit.examples import Example


@dataclass(frozen=True, slots=True, kw_only=True)
class MixPart:
    """What became of one dataset in a mix.

    Attributes:
        task: Its name.
        available: Rows it has.
        taken: Rows of the mix that come from it, repeats included.
        repeats: How often its most used row is used; 1 where none is used twice.
    """

    task: str
    available: int
    taken: int
    repeats: int

    @property
    def unused(self) -> int:
        """Rows of it that are not in the mix."""
        return max(self.available - self.taken, 0)


def mixed(
    parts: Mapping[str, Sequence[Example]],
    *,
    size: int | None,
    weights: Mapping[str, float] | None,
    temperature: float,
    cap: int | None,
    max_repeats: int,
    task_key: str,
    seed: int,
) -> tuple[list[Example], tuple[MixPart, ...]]:
    """The rows of the mix, and what was taken of each part. The promises are in `Dataset.mix`."""
    text("task_key", task_key, such_as="task")
    _check(parts, temperature, cap, max_repeats)
    shares = _shares(parts, weights, temperature, cap)
    # Without a size, every row that its share allows is used once: the part that is short of rows sets the size.
    total = _fitting(parts, shares) if size is None else whole("size", size, least=1)
    counts = _whole_rows(shares, total)
    report = []
    drawn: list[tuple[bytes, Example]] = []
    for task, rows in parts.items():
        part = MixPart(
            task=task, available=len(rows), taken=counts[task], repeats=max(ceil(counts[task] / len(rows)), 0)
        )
        if part.repeats > max_repeats:
            raise SpecError(
                f"{task!r} has {counted(len(rows), 'row')}, and this mix would use each {part.repeats} times",
                hint=f"pass max_repeats={part.repeats}, a smaller size, or other weights",
            )
        report.append(part)
        drawn.extend(_drawn(task, rows, counts[task], seed, task_key))
    drawn.sort(key=lambda pair: pair[0])
    return [example for _, example in drawn], tuple(report)


def _check(parts: Mapping[str, Sequence[Example]], temperature: float, cap: int | None, most: int) -> None:
    empty = [task for task, rows in parts.items() if not len(rows)]
    if not parts or empty:
        what = f"{listed(empty)} has no rows" if empty else "there is nothing to mix: parts is empty"
        raise SpecError(what, hint="pass datasets with rows, by the name of their task")
    if not finite("temperature", temperature) > 0:
        raise SpecError(f"temperature is {brief(temperature)}", hint="use 1.0, or more to favour small tasks")
    if cap is not None:
        whole("cap", cap, least=1)
    whole("max_repeats", most, least=1)


def _shares(
    parts: Mapping[str, Sequence[Example]],
    weights: Mapping[str, float] | None,
    temperature: float,
    cap: int | None,
) -> dict[str, Fraction]:
    """The share of each part, exactly: rounding must not decide who gets the last row."""
    if weights is None:
        sizes = {task: min(len(rows), len(rows) if cap is None else cap) for task, rows in parts.items()}
        largest = max(sizes.values())
        # Beside the largest, which changes no share, because a low temperature makes numbers that no float holds.
        rates = {
            task: Fraction(size) if temperature == 1 else Fraction((size / largest) ** (1 / temperature))
            for task, size in sizes.items()
        }
    else:
        rates = {task: Fraction(weight) for task, weight in _checked_weights(parts, weights).items()}
    total = sum(rates.values())
    return {task: rate / total for task, rate in rates.items()}


def _checked_weights(parts: Mapping[str, Any], weights: Mapping[str, float]) -> dict[str, float]:
    for task, weight in mapping("weights", weights, such_as="{'faq': 0.7, 'chat': 0.3}").items():
        finite(f"the weight of {brief(task)}", weight)
        if task not in parts:
            raise SpecError(
                f"there is a weight for {task!r}, and no such part",
                hint=nearest(task, parts) or f"parts are {listed(parts)}",
            )
    found = {task: float(weights.get(task, 0.0)) for task in parts}
    if min(found.values()) < 0 or not isfinite(sum(found.values())) or not sum(found.values()):
        raise SpecError(
            f"weights are {brief(dict(weights))}", hint="use numbers from 0 up, not all of them 0"
        )
    return found


def _fitting(parts: Mapping[str, Sequence[Example]], shares: Mapping[str, Fraction]) -> int:
    most = min(len(rows) / shares[task] for task, rows in parts.items() if shares[task])
    return max(1, int(most + Fraction(1, 10**9)))


def _whole_rows(shares: Mapping[str, Fraction], total: int) -> dict[str, int]:
    """Whole numbers that add up to the total, each within one of its share (largest remainder)."""
    counts = {task: int(share * total) for task, share in shares.items()}
    by_remainder = sorted(shares, key=lambda task: (counts[task] - shares[task] * total, task))
    for task in by_remainder[: total - sum(counts.values())]:
        counts[task] += 1
    return counts


def _drawn(
    task: str, rows: Sequence[Example], count: int, seed: int, task_key: str
) -> list[tuple[bytes, Example]]:
    """`count` rows, each used as often as the others or once more, with their places in the mix."""
    found = ranks(rows, seed, f"mix:{task}")
    order = sorted(range(len(rows)), key=lambda index: (found[index], index))
    drawn = []
    for use in range(count):
        copy, at = divmod(use, len(rows))
        example = rows[order[at]]
        place = rank(seed, "mix-order", found[order[at]], copy)
        row_id = f"{task}/{example.id or order[at] + 1}" + (f"#{copy + 1}" if copy else "")
        drawn.append((place, example.replace(id=row_id, meta={**example.meta, task_key: task})))
    return drawn
