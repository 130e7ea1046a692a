"""Separators, stop sequences, leading spaces and shared text of plain-text prompts and completions: add or strip them.

All of them are semantic. They change what a model must be sent, or what it gives back, so whoever uses it has to know:
a prompt must end as the training prompts did, and the stop sequence is no part of the answer. None touches raw text.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Sequence
from typing import ClassVar

from tunekit.data.checks.base import CheckContext
from tunekit.data.fixes.base import Fix
from tunekit.data.marks import MAX_PREFIX, SEPARATORS, STOPS, Role, SharedText
from tunekit.examples import CompletionExample, Example


class _TextFix(Fix):
    """A fix of prompts or completions that continue as plain text."""

    safety = "semantic"
    prompt_format = "text"
    role: ClassVar[Role]

    @abstractmethod
    def mend(self, text: str) -> str:
        """The prompt or completion as it should be."""

    def apply(self, example: Example) -> Example | None:
        if not isinstance(example, CompletionExample) or not example.prompt:
            return example
        text = getattr(example, self.role)
        mended = self.mend(text)
        return example if mended == text else example.replace(**{self.role: mended})

    def texts(self, examples: Iterable[Example]) -> Iterable[str]:
        """The prompts or completions, from rows that have a prompt."""
        return (
            getattr(example, self.role)
            for example in examples
            if isinstance(example, CompletionExample) and example.prompt
        )


class _AddMark(_TextFix):
    """Ends texts with the mark that most of them end with, or with the first choice that none of them holds."""

    choices: ClassVar[Sequence[str]]

    def __init__(self, context: CheckContext) -> None:
        super().__init__(context)
        self.mark = ""

    def prepare(self, examples: Iterable[Example]) -> None:
        shared, free = SharedText(self.role), list(self.choices)
        for text in self.texts(examples):
            shared.add(text)
            free = [mark for mark in free if not self.is_taken(mark, text)]
        self.mark = shared.mark or (free or [self.choices[-1]])[0]

    def mend(self, text: str) -> str:
        return text if text.endswith(self.mark) else text + self.mark

    def is_taken(self, mark: str, text: str) -> bool:
        """Whether this text makes the mark ambiguous: it holds it, or ends with what would run into it."""
        core = mark.strip() or mark
        return core in text or text.endswith(core[0])


class AddSeparator(_AddMark):
    """Ends prompts that lack it with the common separator."""

    name = "add-separator"
    says = "Ends every prompt with the separator that most have, or with one that no prompt holds."
    role = "prompt"
    choices = SEPARATORS

    def is_taken(self, mark: str, text: str) -> bool:
        """The same, and whether an arrow would stand at the end of several lines."""
        # After several lines, an arrow would be read as a part of the last one.
        return super().is_taken(mark, text) or ("\n" in text and "\n" not in mark)


class AddStop(_AddMark):
    """Ends completions that lack it with the common stop sequence."""

    name = "add-stop"
    says = (
        "Ends every completion with the stop sequence that most have, or with one that no completion holds."
    )
    role = "completion"
    choices = STOPS


class AddLeadingSpace(_TextFix):
    """Begins completions with a space."""

    name = "add-leading-space"
    says = "Puts a space before every completion that does not begin with one."
    role = "completion"

    def mend(self, text: str) -> str:
        """With a space before it; no text stays no text."""
        return text if not text or text[0].isspace() else f" {text}"


class _StripPrefix(_TextFix):
    """Takes off what all texts begin with, and never the whole of any."""

    def __init__(self, context: CheckContext) -> None:
        super().__init__(context)
        self.prefix = ""

    def prepare(self, examples: Iterable[Example]) -> None:
        shared = SharedText(self.role)
        for text in self.texts(examples):
            shared.add(text)
        self.prefix = self.prefix_of(shared)

    @abstractmethod
    def prefix_of(self, shared: SharedText) -> str:
        """What is to be taken off."""

    def mend(self, text: str) -> str:
        body = text.lstrip() if self.prefix[:1].strip() else text
        return text[: len(text) - len(body)] + body.removeprefix(self.prefix)


class StripPromptPrefix(_StripPrefix):
    """Takes the instruction off that all prompts begin with."""

    name = "strip-prompt-prefix"
    says = "Takes off the words that all prompts begin with."
    role = "prompt"

    def prefix_of(self, shared: SharedText) -> str:
        """The shared words, where they are long enough to be an instruction."""
        return shared.instruction if len(shared.instruction) > MAX_PREFIX else ""


class StripCompletionPrefix(_StripPrefix):
    """Takes the caption off that all completions begin with."""

    name = "strip-completion-prefix"
    says = 'Takes off the caption that all completions begin with, such as "Answer: "; spaces before it stay.'
    role = "completion"

    def prefix_of(self, shared: SharedText) -> str:
        """The shared caption."""
        return shared.label
