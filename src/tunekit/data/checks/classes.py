"""The classes of classification-like data: too few, too rare, spelled in several ways. Knows counts; reads no texts."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from tunekit.data.checks.base import Check, CheckContext
from tunekit.data.checks.occurrences import Occurrences
from tunekit.data.classes.names import Spellings
from tunekit.data.classes.targets import MAX_CLASSES
from tunekit.data.classes.variants import Respelling, case_variants, space_variants, typo_variants
from tunekit.data.findings import Finding, ProposedFix
from tunekit.data.fixes.labels import MergeLabelCase, MergeLabelSpaces, MergeLabelTypos
from tunekit.data.statistics import by_frequency
from tunekit.data.wording import brief, counted, listed
from tunekit.examples import Example

FEWEST_ROWS = 10
"""A class with fewer rows is rare: hold out a fifth of them for a test, and one or two are left to measure it by."""

UNEVEN = 0.7
"""Evenness of the classes' shares (Pielou 1966) under which they are imbalanced: of two classes, one has less than a
fifth of the rows, from where Google's machine learning course ("Imbalanced datasets") calls it moderate."""

_MAX_LISTED = 200


class Classes(Check):
    """Labels, and short answers that look like classes: how many, how often, and in how many spellings."""

    codes = (
        "one-class",
        "too-many-classes",
        "label-spacing",
        "label-case",
        "label-typos",
        "rare-classes",
        "class-imbalance",
    )

    def __init__(self, context: CheckContext) -> None:
        super().__init__(context)
        self._spellings = Spellings()
        self._kinds: set[str] = set()
        self._where = Occurrences()

    def see(self, example: Example) -> None:
        """Count its classes."""
        self._kinds.add(example.kind)
        found = self._spellings.see(example)
        if found:
            self._where.add(example.id, found)

    def findings(self) -> Iterable[Finding]:
        """What is wrong with the classes, where there are any."""
        if self._spellings.too_many and self._kinds == {"labelled"}:
            yield Finding(
                code="too-many-classes",
                severity="warning",
                message=f"there are over {MAX_CLASSES:,} different labels, so they are hardly classes; "
                "rare ones and spellings were not looked for",
            )
        if not self._spellings.are_classes:
            return
        classes: Counter[str] = Counter()
        for text, count in self._spellings.counts.items():
            classes[text.strip()] += count
        classes.pop("", None)
        yield from self._one(classes)
        yield from self._spelled()
        yield from self._rare(classes)
        yield from self._uneven(classes)

    def _one(self, classes: Mapping[str, int]) -> Iterator[Finding]:
        # Completions that are all the same are the subject of another check.
        if len(classes) == 1 and self._kinds != {"completion"}:
            ((name, count),) = classes.items()
            if count > 1:
                yield Finding(
                    code="one-class",
                    severity="error",
                    message=f"every row is labelled {brief(name)}, and there is nothing to tell apart",
                    facts={"class": name},
                )

    def _spelled(self) -> Iterator[Finding]:
        counts = self._spellings.whole
        spacing = space_variants(counts)
        if self._kinds == {"labelled"}:
            # White space at the ends of labels is found row by row, and taken off unasked.
            spacing = {text: best for text, best in spacing.items() if text.strip() != best.strip()}
        yield from self._variants(
            "label-spacing", spacing, "in other white space than usual", MergeLabelSpaces.proposed()
        )
        yield from self._variants(
            "label-case", case_variants(counts), "in another case than usual", MergeLabelCase.proposed()
        )
        how = "rare and one letter away from a frequent one"
        yield from self._variants("label-typos", typo_variants(counts), how, MergeLabelTypos.proposed())

    def _variants(self, code: str, found: Respelling, how: str, fix: ProposedFix) -> Iterator[Finding]:
        if not found:
            return
        rows = self._where.of(found.__contains__)
        counts = self._spellings.counts
        named = [f"{brief(text)} for {brief(best)}" for text, best in list(found.items())[:5]]
        yield Finding(
            code=code,
            severity="warning",
            message=f"{counted(len(found), 'label')} {how}: {', '.join(named)}{', ...' if len(found) > 5 else ''}; "
            "a model learns them as different classes",
            rows=tuple(rows.ids),
            places=tuple(rows.places),
            fix=fix,
            facts={
                "spellings": [
                    {"label": text, "usually": best, "rows": counts[text], "usual_rows": counts[best]}
                    for text, best in list(found.items())[:_MAX_LISTED]
                ]
            },
        )

    def _rare(self, classes: Mapping[str, int]) -> Iterator[Finding]:
        rare = {name: count for name, count in by_frequency(classes).items() if count < FEWEST_ROWS}
        if len(classes) < 2 or not rare:
            return
        rows = self._where.of(lambda text: text.strip() in rare)
        verb = "has" if len(rare) == 1 else "have"
        yield Finding(
            code="rare-classes",
            severity="warning",
            message=f"{len(rare):,} of {len(classes):,} classes {verb} fewer than {FEWEST_ROWS} rows: {listed(rare)}",
            rows=tuple(rows.ids),
            places=tuple(rows.places),
            facts={"fewest": FEWEST_ROWS, "classes": dict(list(rare.items())[:_MAX_LISTED])},
        )

    def _uneven(self, classes: Mapping[str, int]) -> Iterator[Finding]:
        evenness = _evenness(list(classes.values()))
        if evenness >= UNEVEN:
            return
        names = by_frequency(classes)
        largest = next(iter(names))
        share = names[largest] / sum(names.values())
        yield Finding(
            code="class-imbalance",
            severity="info",
            message=f"{share:.0%} of the labels are {brief(largest)}: always answering that would be right as often, "
            "so compare with it, and look at each class apart",
            facts={
                "largest": largest,
                "share": round(share, 4),
                "evenness": round(evenness, 4),
                "classes": dict(list(names.items())[:_MAX_LISTED]),
            },
        )


def _evenness(counts: Sequence[int]) -> float:
    """Entropy of the shares, as a part of what it would be if all were equal."""
    if len(counts) < 2:
        return 1.0
    total = sum(counts)
    return -sum(count / total * math.log(count / total) for count in counts) / math.log(len(counts))
