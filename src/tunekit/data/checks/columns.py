"""Columns that are kept aside in `meta`, and those among them that may be meant. Knows names; not what columns hold."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from tunekit.data.checks.base import Check, CheckContext
from tunekit.data.findings import Finding
from tunekit.data.wording import brief, listed
from tunekit.examples import EXAMPLE_KINDS, Example

_MAX_COLUMNS = 1_000
_TOLD_FIRST = (
    *("system", "system_prompt", "system_message"),
    *("context", "passage", "choices", "options"),
)
"""What a question cannot be answered without, or not as it was."""


class Columns(Check):
    """What is not learned from, named, so that nobody believes that it is."""

    worst = "warning"
    codes = ("extra-columns", "column-twice")

    def __init__(self, context: CheckContext) -> None:
        super().__init__(context)
        self._columns: dict[str, int] = {}
        self._kinds: dict[str, None] = {}

    def see(self, example: Example) -> None:
        """Take in the names of its meta columns."""
        self._kinds.setdefault(example.kind)
        for name in example.meta:
            if name in self._columns or len(self._columns) < _MAX_COLUMNS:
                self._columns[name] = self._columns.get(name, 0) + 1

    def findings(self) -> Iterable[Finding]:
        """Which columns are kept aside."""
        yield from self._twice()
        if self._columns:
            told = [name for name in self._columns if str(name).strip().casefold() in _TOLD_FIRST]
            yield Finding(
                code="extra-columns",
                severity="warning" if told else "info",
                message=f"kept in meta and not learned from: {listed(self._columns)}{_left_out(told)}",
                facts={"columns": dict(self._columns)},
            )

    def _twice(self) -> Iterator[Finding]:
        fields = {field for kind in self._kinds for field in EXAMPLE_KINDS[kind].__struct_fields__[2:]}
        for name in self._columns:
            field = str(name).strip().casefold()
            if field in fields and not (field == "messages" and "preference" in self._kinds):
                # Zephyr's preferences repeat the chosen conversation there.
                yield Finding(
                    code="column-twice",
                    severity="warning",
                    message=f"beside {field!r} there is a column {brief(name)}, which is not learned from; "
                    "if it is the one that is meant, name it with input= and target=",
                    facts={"column": name, "field": field},
                )


def _left_out(told: list[str]) -> str:
    if not told:
        return ""
    return (
        f"; so the model never reads what {listed(told)} tells it, unless input= takes several columns, "
        f'as in input="{{{told[0]}}}\\n\\n{{question}}"'
    )
