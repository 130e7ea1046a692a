"""Which old rows are learned again. Pure: knows tasks, labels, shares and floors; not what is new.

Why so few do so much: eight replayed rows of 800 repair what a model thinks of how frequent old labels are, and 5 %
begins to repair its features (`research` of the project, TREC then SST-2). So the floor is for each label.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from tunekit.data.splitting import ranks
from tunekit.examples import CompletionExample, Example, LabelledExample


def replayed(old: Sequence[Example], n_new: int, *, share: float, floor: int, seed: int) -> list[Example]:
    """Old rows to mix with `n_new` new ones, so that they are `share` of the whole.

    Every label of every task gives its share, by largest remainder, and at least `floor` rows, or all that it has;
    floors may make it more than `share`. Which rows these are depends on their content and the seed alone.

    Args:
        old: All old rows; those of a task have it in their meta.
        n_new: How many rows are new.
        share: Of the mix, between 0 and 1.
        floor: Rows of each label, at least.
        seed: Another seed draws others.

    Examples:
        >>> old = [LabelledExample(text=f"{n}", label="ab"[n % 2]) for n in range(100)]
        >>> len(replayed(old, 190, share=0.05, floor=2, seed=0))
        10
    """
    strata = _strata(old)
    exact = Fraction(share).limit_denominator(10**6)
    wanted = min(round(n_new * exact / (1 - exact)), len(old))
    taken = _allotted({name: len(rows) for name, rows in strata.items()}, wanted, floor)
    order = ranks.ranks(old, seed, "replay")
    kept = {
        index
        for name, indices in strata.items()
        for index in sorted(indices, key=lambda at: (order[at], at))[: taken[name]]
    }
    return [old[index] for index in sorted(kept)]


def _strata(rows: Sequence[Example]) -> dict[tuple[str, str], list[int]]:
    """Indices by task and label; free texts have no label."""
    completions = [row.completion for row in rows if isinstance(row, CompletionExample)]
    are_labels = 2 * len(set(completions)) <= len(completions)
    found: dict[tuple[str, str], list[int]] = {}
    for index, row in enumerate(rows):
        label = ""
        if isinstance(row, LabelledExample):
            label = row.label if isinstance(row.label, str) else " + ".join(sorted(row.label))
        elif isinstance(row, CompletionExample) and are_labels:
            label = row.completion
        found.setdefault((str(row.meta.get("task", "")), label), []).append(index)
    return found


def _allotted(sizes: dict[tuple[str, str], int], wanted: int, floor: int) -> dict[tuple[str, str], int]:
    total = sum(sizes.values())
    shares = {name: divmod(size * wanted, total) for name, size in sizes.items()}
    found = {name: whole for name, (whole, _) in shares.items()}
    spare = wanted - sum(found.values())
    for name in sorted(sizes, key=lambda name: (-shares[name][1], name))[:spare]:
        found[name] += 1
    return {name: max(found[name], min(floor, size)) for name, size in sizes.items()}
