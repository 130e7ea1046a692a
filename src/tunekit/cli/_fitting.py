"""Rows in the form that a target trains on. Knows what profiles want; asks nobody, writes nothing."""

from __future__ import annotations

from collections.abc import Collection

from tunekit.data.dataset import Dataset
from tunekit.data.profiles import profile_of
from tunekit.data.wording import counted
from tunekit.errors import DataError
from tunekit.examples import Example, LabelledExample
from tunekit.spec import TuneSpec

_KEPT = "or leave --target out to write the rows as they are"


def joined(data: Dataset, between: str | None) -> Dataset:
    """Several labels of a row as one text with this between them; as they are for None."""
    if between is None or "labelled" not in data.kinds:
        return data

    def one(row: Example) -> Example:
        if isinstance(row, LabelledExample) and not isinstance(row.label, str):
            return row.replace(label=between.join(row.label))
        return row

    return data.map(one)


def learned(data: Dataset, spec: TuneSpec) -> Dataset:
    """Pairs of text and answer as texts and labels, where the recipe tells classes apart.

    Raises:
        DataError: An answer is no label.
    """
    is_pairs = data.kinds == {"completion"}
    return data.to_labelled() if is_pairs and spec.method.type in ("classify", "probe") else data


def fitted(data: Dataset, target: str) -> Dataset:
    """Pairs of text and answer as chats, or as completions, where the target does not train on them as they are.

    Raises:
        DataError: A row has several labels, and the target wants one answer.
    """
    kinds = profile_of(target).kinds
    if not (data.kinds & {"completion", "labelled"} - kinds and kinds & {"chat", "completion"}):
        return data
    several = data.filter(_has_several)
    if several:
        raise DataError(
            f"{counted(len(several), 'row')} with a list of labels, the first is {several[0].id!r}; "
            f"{target} trains on one answer for each row, so nothing was written",
            hint=f"pass --join-labels ', ' to make them one answer, {_KEPT}",
        )
    return data.to_chat() if "chat" in kinds else data.to_completion()


def check_kinds(data: Dataset, target: str) -> None:
    """Raise `DataError` where the target trains on no such rows."""
    kinds = profile_of(target).kinds
    if data.kinds - kinds:
        raise DataError(
            f"{target} trains on {_listed(kinds)} rows, and these are {_listed(data.kinds)} rows, "
            "so nothing was written",
            hint=f"name a target that trains on them, {_KEPT}",
        )


def _has_several(row: Example) -> bool:
    return isinstance(row, LabelledExample) and not isinstance(row.label, str)


def _listed(kinds: Collection[str]) -> str:
    return " or ".join(sorted(kinds))
