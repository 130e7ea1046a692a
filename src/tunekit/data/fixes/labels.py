"""Mend how labels are spelled. Knows spellings; what a label means, it never guesses unasked."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping
from typing import ClassVar

from tunekit.data.checks.base import CheckContext
from tunekit.data.classes.names import Spellings, respelled
from tunekit.data.classes.variants import Respelling, case_variants, space_variants, typo_variants
from tunekit.data.findings import Safety
from tunekit.data.fixes.base import Fix
from tunekit.examples import Example, LabelledExample


class StripLabels(Fix):
    """Take white space off the ends of labels. Completions keep theirs: to a base model it says something."""

    name = "strip-labels"
    safety = "lossless"
    says = "Takes white space off the ends of labels."

    def apply(self, example: Example) -> Example | None:
        """The row with its labels stripped."""
        if not isinstance(example, LabelledExample):
            return example
        label = example.label
        stripped = label.strip() if isinstance(label, str) else tuple(name.strip() for name in label)
        return example if stripped == label else example.replace(label=stripped)


class DropRepeatedLabels(Fix):
    """Keep each label of a row once, in order."""

    name = "drop-repeated-labels"
    safety = "lossless"
    says = "Keeps each label once where a row has it several times."

    def apply(self, example: Example) -> Example | None:
        """The row with each of its labels once."""
        if not isinstance(example, LabelledExample) or isinstance(example.label, str):
            return example
        once = tuple(dict.fromkeys(example.label))
        return example if once == example.label else example.replace(label=once)


class _Respelling(Fix):
    """Spell labels, and answers that look like classes, as most rows do."""

    safety: ClassVar[Safety] = "semantic"

    def __init__(self, context: CheckContext) -> None:
        super().__init__(context)
        self._spellings: Respelling = {}

    def prepare(self, examples: Iterable[Example]) -> None:
        """Count the spellings."""
        found = Spellings()
        for example in examples:
            found.see(example)
        self._spellings = self.variants(found.whole) if found.are_classes else {}

    def apply(self, example: Example) -> Example | None:
        """The row with the usual spelling."""
        return respelled(example, self._spellings) if self._spellings else example

    @staticmethod
    @abstractmethod
    def variants(counts: Mapping[str, int]) -> Respelling:
        """The unusual spellings, with the usual one of each."""


class MergeLabelSpaces(_Respelling):
    """One spelling for labels that differ in white space."""

    name = "merge-label-spaces"
    says = "Spells labels that differ only in white space as most rows do."
    variants = staticmethod(space_variants)


class MergeLabelCase(_Respelling):
    """One spelling for labels that differ in case."""

    name = "merge-label-case"
    says = "Spells labels that differ only in case and white space as most rows do."
    variants = staticmethod(case_variants)


class MergeLabelTypos(_Respelling):
    """One spelling for labels of which one seems to be a slip."""

    name = "merge-label-typos"
    says = "Replaces rare labels that are one letter away from a frequent one by that."
    variants = staticmethod(typo_variants)
