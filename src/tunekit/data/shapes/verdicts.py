"""TRL's prompt, completion and label where the label is 0 or 1: answers with a verdict. Knows when that is certain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tunekit.data.shapes import fields
from tunekit.data.shapes.restated import Program, Restated

_KEYS = frozenset({"prompt", "completion", "label"})
_VERDICTS = frozenset({"0", "1"})
_SHAPE = "unpaired"


def programs(sample: Sequence[Mapping[str, Any]]) -> tuple[Program, ...]:
    """TRL, if rows that begin like these are answers with a verdict.

    All have its three keys and no other, and the labels are 0 and 1, each at least once: a class of the prompt would
    not stand beside a completion, and would rarely have just these two names. A row with the keys and another label is
    then no completion to learn, but one whose verdict cannot be read.

    Examples:
        >>> len(programs([{"prompt": "a", "completion": "b", "label": n} for n in (0, 1)]))
        1
        >>> programs([{"prompt": "a", "completion": "b", "label": n} for n in (0, 1, 2)])
        ()
    """
    said = {fields.spelled(record.get("label")) for record in sample}
    if said != _VERDICTS or not all(map(_wrote, sample)):
        return ()
    return (Program(_KEYS, _wrote, lambda record: Restated(record, _SHAPE), frozenset({_SHAPE})),)


def _wrote(record: Mapping[str, Any]) -> bool:
    return record.keys() == _KEYS
