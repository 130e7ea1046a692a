"""Whether there is enough to learn from: how many rows, whether they differ and ask. Knows no target's limits."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from tunekit.data.checks.base import Check, CheckContext
from tunekit.data.compact import RowIds
from tunekit.data.findings import MAX_PLACES, Finding, Place, evidence
from tunekit.examples import CompletionExample, Example

FEW_ROWS = 100
"""`fine_tunes.prepare_data` asks for at least a few hundred rows when there are fewer."""
VERY_FEW_ROWS = 10
"""OpenAI's minimum; it advises 50 to 100 to begin with (developers.openai.com, guide to supervised fine-tuning)."""


class Size(Check):
    """Too few rows, the same prompt or completion in all of them, or some without a prompt."""

    codes = ("few-rows", "identical-prompts", "identical-completions", "blank-prompts")

    def __init__(self, context: CheckContext) -> None:
        super().__init__(context)
        self._rows = 0
        self._prompt = _Constant()
        self._completion = _Constant()
        self._blank = _Blank()

    def see(self, example: Example) -> None:
        """Count it, and compare it with the first."""
        self._rows += 1
        if isinstance(example, CompletionExample):
            self._prompt.see(example.prompt)
            self._completion.see(example.completion)
            self._blank.see(example)

    def findings(self) -> Iterable[Finding]:
        """Whether rows or differences are missing."""
        if self._rows < FEW_ROWS:
            yield Finding(
                code="few-rows",
                severity="warning" if self._rows < VERY_FEW_ROWS else "info",
                message=f"there {'is 1 row' if self._rows == 1 else f'are {self._rows} rows'}; a few hundred is what "
                "fine-tuning usually needs, and each doubling helps about as much as the one before",
                facts={"rows": self._rows},
            )
        if self._prompt.is_shared and self._prompt.text:
            yield Finding(
                code="identical-prompts",
                severity="error",
                message=f"all {self._rows:,} prompts are '{evidence(self._prompt.text)}', so the model cannot learn "
                "which answer belongs to what; leave prompts empty for text that is only continued",
            )
        if self._completion.is_shared:
            yield Finding(
                code="identical-completions",
                severity="error",
                message=f"all {self._rows:,} completions are '{evidence(self._completion.text)}', and the model would "
                "learn to say nothing else",
            )
        yield from self._blank.findings()


class _Blank:
    """Rows without a prompt among others that have one. Where no row has one, the text is only continued."""

    def __init__(self) -> None:
        self._ids = RowIds()
        self._places: list[Place] = []
        self._count = 0
        self._all_empty = True

    def see(self, example: CompletionExample) -> None:
        self._count += 1
        self._all_empty = self._all_empty and not example.prompt
        if not example.prompt.strip():
            self._ids.append(example.id)
            if len(self._places) < MAX_PLACES:
                self._places.append(Place(row=example.id, field="prompt", evidence=evidence(example.prompt)))

    def findings(self) -> Iterator[Finding]:
        if len(self._ids) and not self._all_empty:
            yield Finding(
                code="blank-prompts",
                severity="warning",
                message=f"{len(self._ids):,} of {self._count:,} prompts are blank: nothing says what the answer is to",
                rows=tuple(self._ids),
                places=tuple(self._places),
            )


class _Constant:
    """Whether a text is the same in every row that has it."""

    def __init__(self) -> None:
        self.text = ""
        self._count = 0
        self._same = True

    def see(self, text: str) -> None:
        self.text = text if not self._count else self.text
        self._same = self._same and text == self.text
        self._count += 1

    @property
    def is_shared(self) -> bool:
        """Whether at least two rows have it and no row has another."""
        return self._same and self._count > 1
