"""The classes of labelled data: their names, their order and what each counts. Knows labels; no text and no tensor."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from tunekit.data.wording import brief, listed, nearest
from tunekit.errors import DataError, SpecError
from tunekit.examples import Example, LabelledExample

ClassWeights: TypeAlias = Literal["equal", "balanced"] | Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Classes:
    """What a classifier chooses from.

    Attributes:
        names: In the order of its outputs.
        multi_label: Whether a text may have several of them, or none.

    Examples:
        >>> Classes(names=("billing", "delivery")).index("delivery")
        1
    """

    names: tuple[str, ...]
    multi_label: bool = False

    def begins(self, other: Classes) -> bool:
        """Whether these are the first of another's, in the same places.

        Examples:
            >>> Classes(names=("b", "a")).begins(Classes(names=("b", "a", "c")))
            True
        """
        return self.multi_label == other.multi_label and self.names == other.names[: len(self.names)]

    def index(self, name: str) -> int:
        """Place of a class. Raises `ValueError` if it is none."""
        return self.names.index(name)

    def said(self, chosen: Iterable[int]) -> str:
        """The answer of a classifier: the name, or for multi-label data a JSON list of names, sorted.

        Examples:
            >>> Classes(names=("late", "rude"), multi_label=True).said([1, 0])
            '["late", "rude"]'
        """
        names = sorted(self.names[at] for at in chosen)
        return json.dumps(names, ensure_ascii=False) if self.multi_label else names[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Census:
    """How many training rows each class has.

    Attributes:
        rows: All rows.
        by_name: Rows of each class: those of an earlier head in its order, then the others sorted.
        multi_label: Whether a row has a tuple of labels.
    """

    rows: int
    by_name: Mapping[str, int]
    multi_label: bool

    @classmethod
    def of(
        cls, examples: Iterable[Example], earlier: Classes | None = None, *, keeps: bool = False
    ) -> Census:
        """Count the classes of some rows.

        Args:
            examples: The rows.
            earlier: Classes of the head that training begins with. They keep their places, and those that it has not
                come behind them.
            keeps: Whether the head keeps classes that no row has. Where it does not, a head that has such is of no use.

        Raises:
            DataError: A row has no label, or there is nothing to tell apart.
        """
        rows, multi_label, counts = 0, False, Counter[str]()
        for example in examples:
            labels = labels_of(example)
            rows, multi_label = rows + 1, multi_label or not isinstance(example.label, str)  # type: ignore[union-attr]
            counts.update(labels)
        names = _in_order(counts, earlier if earlier and earlier.multi_label == multi_label else None, keeps)
        if len(names) < 2:
            found = f"one class, {brief(next(iter(counts)))}" if counts else "no class at all"
            raise DataError(
                f"the training rows have {found}: there is nothing to tell apart",
                field="label",
                hint="a classifier needs rows of two classes or more; check which column is the target",
            )
        return cls(rows=rows, by_name={name: counts[name] for name in names}, multi_label=multi_label)

    @property
    def classes(self) -> Classes:
        """The classes, in their order."""
        return Classes(names=tuple(self.by_name), multi_label=self.multi_label)

    def weights(self, wanted: ClassWeights) -> tuple[float, ...]:
        """What each class counts in the loss, in their order.

        Args:
            wanted: "equal" is 1 each. "balanced" is n / (k * n_c) for n rows, k classes and n_c rows of the class, as
                in scikit-learn's `compute_class_weight` (King and Zeng 2001); a class without rows has 1. A mapping
                gives weights by name, and 1 to classes that it leaves out.

        Raises:
            SpecError: The mapping names a class that no training row has.

        Examples:
            >>> Census(rows=4, by_name={"a": 3, "b": 1}, multi_label=False).weights("balanced")
            (0.6666666666666666, 2.0)
        """
        if wanted == "equal":
            return (1.0,) * len(self.by_name)
        if wanted == "balanced":
            present = sum(count > 0 for count in self.by_name.values())
            return tuple(self.rows / (present * count) if count else 1.0 for count in self.by_name.values())
        unknown = sorted(set(wanted) - set(self.by_name))
        if unknown:
            raise SpecError(
                f"class_weights names {brief(unknown[0])}, which no training row has",
                hint=nearest(unknown[0], self.by_name) or f"the classes are {listed(self.by_name)}",
            )
        return tuple(float(wanted.get(name, 1.0)) for name in self.by_name)


def _in_order(counts: Mapping[str, int], earlier: Classes | None, keeps: bool) -> list[str]:
    known = () if earlier is None else earlier.names
    if not keeps and not set(known) <= set(counts):
        known = ()
    return [*known, *sorted(set(counts) - set(known))]


def labels_of(example: Example) -> tuple[str, ...]:
    """The classes of a row, each once, sorted.

    Raises:
        DataError: It has none to say; the message names the row.
    """
    if not isinstance(example, LabelledExample):
        raise DataError(
            f"row {example.id!r}: a classifier learns from a text and its label, not from a {example.kind} example",
            hint="load the data with kind='labelled'",
        )
    return (example.label,) if isinstance(example.label, str) else tuple(sorted(set(example.label)))
