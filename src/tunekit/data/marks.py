r"""What texts share at their ends, and the marks that end a prompt or a completion of plain text. Knows no rows.

A mark is put there on purpose: an arrow, a rule of symbols, a line break, `[END]`, `\nAnswer:`. That all answers happen
to end in the same letters ("positive", "negative") makes no mark of those letters.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import Literal

SEPARATORS: tuple[str, ...] = (
    " ->",
    "\n\n###\n\n",
    "\n\n===\n\n",
    "\n\n---\n\n",
    "\n\n===>\n\n",
    "\n\n### =>\n\n",
)
"""What may be put at the end of prompts, the first choice first."""
STOPS: tuple[str, ...] = (
    "\n",
    " END",
    "\n\n###",
    "***",
    "+++",
    "&&&",
    "$$$",
    "@@@",
    "%%%",
    " [END]",
    " <|END|>",
)
"""What may be put at the end of completions, the first choice first."""

MAX_PREFIX = 12
"""Characters that all prompts may share before that is worth a word; `fine_tunes.prepare_data` drew the line there."""

_MAX_MARK = 40
"""Characters at the end of a text that are looked at: no mark is longer, and it bounds the work of the expressions."""
_MAX_KINDS = 1_000
"""Different marks that are counted; one that most texts share turns up long before."""

# Two dashes, asterisks or dollars are ordinary text (a pause, bold, a formula); three are a rule.
_RULE = r"(?:[-=~]{1,9}>{1,3}|>{2,9}|\#{2,9}|={2,9}|(?P<symbol>[-*+&$@%~])(?P=symbol){2,8}|\|{2,9})"
_TOKEN = r"(?:\[/?[A-Z]{2,12}\]|<[|/]{0,2}[A-Za-z_]{1,20}\|?>)"  # [END], [/INST], </s>, <|endoftext|>
_CAPTION = r"(?:\n *(?:\#{1,6} )?[^\W\d_][\w ]{0,24}[:：]| [A-Z]\w{0,19}:)"  # noqa: RUF001  # CJK write this colon
_WORD = r"(?:\s(?:END|STOP|DONE|EOS)\.?)"
_AT_END: dict[str, re.Pattern[str]] = {
    "prompt": re.compile(rf"\s{{0,8}}(?:{_RULE}(?: =>)?|{_TOKEN}|{_CAPTION}|\n)\s{{0,8}}\Z"),
    "completion": re.compile(rf"\s{{0,8}}(?:{_RULE}|{_TOKEN}|{_WORD}|\n)\s{{0,8}}\Z"),
}
_PREFERRED = {"prompt": SEPARATORS, "completion": STOPS}
_LABEL = re.compile(r"(?:[^\W\d_][\w '-]{0,40}(?::|->|=>)\s+)+")  # "Answer: ", never "class_" or "intent:"

Role = Literal["prompt", "completion"]


def mark_of(text: str, role: Role) -> str:
    r"""The mark that a prompt or a completion ends with, with the spaces around it, or "".

    Examples:
        >>> mark_of("My parcel is late\n\n###\n\n", "prompt")
        '\n\n###\n\n'
        >>> mark_of("very positive", "completion")
        ''
    """
    found = _AT_END[role].search(text[-_MAX_MARK:])
    return found.group() if found else ""


class SharedText:
    r"""What texts of one column have in common, learned while they pass.

    Args:
        role: Whether they are prompts or completions; they end in different marks.

    Attributes:
        count: How many texts there were.
        same: Whether all of them are equal.
        prefix: The longest text that all of them begin with.
        suffix: The longest text that all of them end with.
        shortest: Length of the shortest, without spaces at its end.

    Examples:
        >>> prompts = SharedText("prompt")
        >>> for word in ("late", "broken", "lost"):
        ...     mark = prompts.add(f"Parcel: {word}\n\n###\n\n")
        >>> prompts.prefix, prompts.mark
        ('Parcel: ', '\n\n###\n\n')
    """

    __slots__ = ("_first", "_in_lines", "_marks", "_role", "count", "prefix", "same", "shortest", "suffix")

    def __init__(self, role: Role) -> None:
        self._role: Role = role
        self._marks: Counter[str] = Counter()
        self._in_lines = 0
        self._first = self.prefix = self.suffix = ""
        self.count = 0
        self.shortest = 0
        self.same = True

    def add(self, text: str) -> str:
        """Take one text into account; the mark that it ends with."""
        if not self.count:
            self._first = self.prefix = self.suffix = text
            self.shortest = len(text)
        self.count += 1
        self.same = self.same and text == self._first
        self.shortest = min(self.shortest, len(text.rstrip()))
        self._in_lines += "\n" in text.strip()
        if not text.startswith(self.prefix):
            self.prefix = common_prefix(self.prefix, text)
        if not text.endswith(self.suffix):
            self.suffix = common_suffix(self.suffix, text)
        mark = mark_of(text, self._role)
        if mark in self._marks or len(self._marks) < _MAX_KINDS:
            self._marks[mark] += 1
        return mark

    @property
    def mark(self) -> str:
        """The mark that more than half of the texts end with, or "".

        Line breaks alone are none where most texts have several lines: there, one more is no sign of an end.
        """
        known = {*self._marks, *_PREFERRED[self._role]} - {""}
        ending = {mark: self.ending(mark) for mark in known}
        blank_counts = 2 * self._in_lines <= self.count
        common = [mark for mark in known if 2 * ending[mark] > self.count and (blank_counts or mark.strip())]
        # "\n\n###\n\n" before "\n\n", and " ->" before the "  ->" of those texts that have another space before it.
        return max(common, key=lambda mark: (len(mark.strip()), ending[mark], len(mark), mark), default="")

    def ending(self, mark: str) -> int:
        """How many texts end with this mark."""
        return sum(count for known, count in self._marks.items() if known.endswith(mark))

    @property
    def instruction(self) -> str:
        """Whole words that all texts begin with, where something follows them in each."""
        shared = self.prefix[: max(0, self.shortest - 1)]
        end = max(map(shared.rfind, " \t\n：。")) + 1  # noqa: RUF001  # Chinese and Japanese write no spaces
        return "" if self.same else shared[:end]

    @property
    def closing(self) -> str:
        """Whole words that all texts end with, before their mark."""
        shared = self.suffix.removesuffix(self.mark) if self.mark else self.suffix
        found = re.search(r"\s", shared)
        return shared[found.end() :] if found and not self.same else ""

    @property
    def label(self) -> str:
        """`"Answer: "` where all texts begin so and something follows it in each; without spaces before it."""
        shared = self.prefix.lstrip()
        found = _LABEL.match(shared)
        before = len(self.prefix) - len(shared)
        return found.group() if found and before + found.end() < self.shortest and not self.same else ""


def common_prefix(a: str, b: str) -> str:
    """The longest text that both begin with."""
    low, high = 0, min(len(a), len(b))
    while low < high:  # halving compares slices in C; a loop over characters would not
        middle = (low + high + 1) // 2
        if a[low:middle] == b[low:middle]:
            low = middle
        else:
            high = middle - 1
    return a[:low]


def common_suffix(a: str, b: str) -> str:
    """The longest text that both end with."""
    return common_prefix(a[::-1], b[::-1])[::-1]
