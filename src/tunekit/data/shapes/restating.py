"""Rows in other spellings and of other programs, restated before any shape reads them. Knows the programs by name.

Prodigy, Label Studio and OpenAI's stored completions are read only: nothing is written in their form. What the caller
names (`shape=`, `input=`, `target=`) is read as it stands, but for what annotators did not accept: nobody learns that.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from tunekit.data.shapes import label_studio, prodigy, spellings, stored_completions, verdicts
from tunekit.data.shapes.remarks import Remarks
from tunekit.data.shapes.restated import Program, Restated
from tunekit.examples import EXAMPLE_KINDS


class Restating:
    """Restates the rows of one source that begins like these, and collects what there is to say about them.

    Examples:
        >>> restating = Restating([])
        >>> restating({"data": {"text": "hi"}, "annotations": []}).is_accepted
        False
        >>> restating({"messages": [{"role": "gpt", "content": "hi"}]}).record
        {'messages': [{'role': 'assistant', 'content': 'hi'}]}
    """

    def __init__(self, sample: Sequence[Mapping[str, Any]]) -> None:
        self.remarks = Remarks()
        own = [record for record in sample if not _is_own(record)]
        self._programs = (
            label_studio.PROGRAM,
            stored_completions.PROGRAM,
            prodigy.program(own),
            *verdicts.programs(own),
        )
        self._keys = frozenset[str]().union(*(program.keys for program in self._programs))

    def __call__(self, record: Mapping[str, Any], shape: str | None = None) -> Restated:
        """The row as a shape can read it.

        Args:
            record: The row.
            shape: What the caller says that it is; then a program's row that is nothing of the kind stays as it is.

        Raises:
            DataError: With the field, where it cannot be.
        """
        if _is_own(record):  # which have one spelling
            return Restated(record)
        program = self._program(record)
        if program is None or (shape is not None and shape not in program.shapes):
            return _spelled(Restated(record))
        made = program.restated(record)
        return _spelled(made) if made.is_accepted else made

    def for_columns(self, record: Mapping[str, Any], names: Collection[str]) -> Restated:
        """The row as it stands, for columns that the caller names; not accepted where its annotators did not."""
        if not prodigy.was_refused(record):  # nearly always
            return Restated(record)
        is_meant = prodigy.ANSWER in names or _is_own(record)
        return prodigy.restated(record) if not is_meant and self._program(record) else Restated(record)

    def _program(self, record: Mapping[str, Any]) -> Program | None:
        if self._keys.isdisjoint(record):  # nearly always
            return None
        return next((program for program in self._programs if program.wrote(record)), None)


def _is_own(record: Mapping[str, Any]) -> bool:
    kind = record.get("kind")
    return isinstance(kind, str) and kind in EXAMPLE_KINDS


def _spelled(made: Restated) -> Restated:
    record, remarks = spellings.restated(made.record)
    return made._replace(record=record, remarks=(*made.remarks, *remarks)) if remarks else made
