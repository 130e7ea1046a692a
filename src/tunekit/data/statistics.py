"""Counts that tell what kind of data this is, learned while the rows pass. Knows numbers; `hints` draws conclusions.

Memory grows with classes and labels, never with rows: answers are kept only while they could be names of classes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from tunekit.data.classes.targets import MAX_CLASS_CHARS, MAX_CLASSES, are_few
from tunekit.data.marks import SharedText
from tunekit.data.views import answer_text
from tunekit.examples import ChatExample, CompletionExample, Example, LabelledExample, PromptExample


class Answers:
    """Different answers and how often each was given, spaces around them aside.

    Attributes:
        count: How many answers there were.
        counts: How often each occurred; None once they are too long or too many to be classes.
        long: Whether an answer was too long for a class.

    Examples:
        >>> answers = Answers()
        >>> for text in ("ham", "ham", "spam", " ham", "spam", "ham", "ham "):
        ...     answers.add(text)
        >>> dict(answers.classes)
        {'ham': 5, 'spam': 2}
    """

    __slots__ = ("count", "counts", "long")

    def __init__(self) -> None:
        self.count = 0
        self.counts: Counter[str] | None = Counter()
        self.long = False

    def add(self, text: str) -> None:
        """Take one answer into account."""
        self.count += 1
        if self.counts is None:
            return
        text = text.strip()
        self.long = len(text) > MAX_CLASS_CHARS
        if self.long or len(self.counts) == MAX_CLASSES:
            self.counts = None
        else:
            self.counts[text] += 1

    @property
    def classes(self) -> Mapping[str, int]:
        """How often each class occurs, most frequent first; empty where some are long, or they are too many."""
        return by_frequency(self.counts) if self.counts and are_few(len(self.counts), self.count) else {}


class Statistics:
    """What passes by, counted. Feed it every row once, then read it.

    Attributes:
        rows: How many rows there were.
        kinds: How many of each example kind.
        prompts: What the prompts of completion rows share; rows without a prompt are not in it.
        completions: What the completions of completion rows share.
        answers: The answers of completion and chat rows.
        labels: How often each label of labelled rows occurs.
        reference_keys: Keys that every prompt row has in its reference.
    """

    def __init__(self) -> None:
        self.rows = 0
        self.kinds: Counter[str] = Counter()
        self.prompts = SharedText("prompt")
        self.completions = SharedText("completion")
        self.answers = Answers()
        self.labels: Counter[str] = Counter()
        self.reference_keys: tuple[str, ...] = ()

    def see(self, example: Example) -> None:
        """Take one row into account."""
        self.rows += 1
        self.kinds[example.kind] += 1
        if isinstance(example, CompletionExample):
            if example.prompt:
                self.prompts.add(example.prompt)
            self.completions.add(example.completion)
            self.answers.add(example.completion)
        elif isinstance(example, ChatExample):
            self.answers.add(answer_text(example))
        elif isinstance(example, LabelledExample):
            self.labels.update([example.label] if isinstance(example.label, str) else example.label)
        elif isinstance(example, PromptExample):
            known = tuple(example.reference) if self.kinds["prompt"] == 1 else self.reference_keys
            self.reference_keys = tuple(key for key in known if key in example.reference)


def by_frequency(counts: Mapping[str, int]) -> dict[str, int]:
    """The same counts, highest first; equal ones by name."""
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))
