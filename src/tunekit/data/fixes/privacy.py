"""Mask secrets and personal data, or leave out the rows that hold any. Knows placeholders; not what is looked for.

The same value is the same placeholder in all texts of a row (`[EMAIL_1]`), so a conversation stays coherent. Numbers
begin anew in every row, so that nothing links one row to another.
"""

from __future__ import annotations

from abc import abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import cache

from tunekit.data.checks.base import CheckContext
from tunekit.data.fixes.base import Fix
from tunekit.data.fixes.texts import rewritten
from tunekit.data.patterns import personal, secrets
from tunekit.data.patterns.sensitive import PLACEHOLDER, Finder, Sensitive, apart, placeholder
from tunekit.data.views import texts
from tunekit.examples import Example

MAX_ROUNDS = 5
"""How often a row is looked at: a number beside one that was masked may stand out only then."""


def personal_data_in(text: str, context: CheckContext) -> Sequence[Sensitive]:
    """What our patterns find, and what the context's detector finds beside placeholders."""
    found = personal.find(text)
    if context.find_personal_data is None:
        return found
    taken = [match.span() for match in PLACEHOLDER.finditer(text)]
    more = [
        each
        for each in context.find_personal_data(text)
        if 0 <= each.start < each.end <= len(text)
        and not any(start < each.end and each.start < end for start, end in taken)
    ]
    return apart([*found, *more])


def with_placeholders(
    example: Example, find: Callable[[str], Sequence[Sensitive]]
) -> tuple[Example, dict[str, str]]:
    """The row with placeholders for what is found in it, and what stood where each of them is.

    Examples:
        >>> from tunekit.examples import CompletionExample
        >>> with_placeholders(CompletionExample(prompt="I am ann@acme.org", completion="Hi"), personal.find)
        (CompletionExample(prompt='I am [EMAIL_1]', completion='Hi'), {'[EMAIL_1]': 'ann@acme.org'})
    """
    hidden: dict[str, str] = {}
    looked = cache(find)  # a text is looked at when it is judged, and again when it is written
    for _ in range(MAX_ROUNDS):
        if not any(looked(text) for _, text, _ in texts(example)):
            break
        names = _Placeholders(looked, (text for _, text, _ in texts(example)))
        example = rewritten(example, names.put)
        hidden |= names.hidden
    return example, hidden


class _Hiding(Fix):
    """What masking and leaving out have in common: what they look for."""

    safety = "lossy"
    hides = True

    @abstractmethod
    def find(self, text: str) -> Sequence[Sensitive]:
        """What is sensitive in a text, in order and apart."""


class _Secrets(_Hiding):
    def find(self, text: str) -> Sequence[Sensitive]:
        return secrets.find(text)


class _PersonalData(_Hiding):
    def find(self, text: str) -> Sequence[Sensitive]:
        return personal_data_in(text, self.context)


class _Mask(_Hiding):
    def apply(self, example: Example) -> Example | None:
        """The row with placeholders."""
        return with_placeholders(example, self.find)[0]


class _Drop(_Hiding):
    def apply(self, example: Example) -> Example | None:
        """The row if it holds nothing sensitive."""
        return None if any(self.find(text) for _, text, _ in texts(example)) else example

    def reason(self, example: Example) -> str:
        """The kinds of what it holds."""
        kinds = {found.kind for _, text, _ in texts(example) for found in self.find(text)}
        return f"holds {', '.join(sorted(kinds))}"


class MaskSecrets(_Mask, _Secrets):
    """Puts placeholders for keys, tokens and passwords."""

    name = "mask-secrets"
    says = "Puts placeholders such as [AWS_ACCESS_KEY_1] for keys, tokens and passwords."


class MaskPersonalData(_Mask, _PersonalData):
    """Puts placeholders for personal data."""

    name = "mask-personal-data"
    says = (
        "Puts placeholders such as [EMAIL_1] for personal data, the same one for the same value within a row."
    )


class DropSecrets(_Drop, _Secrets):
    """Leaves out rows with secrets."""

    name = "drop-secrets"
    says = "Leaves out rows that hold keys, tokens or passwords."


class DropPersonalData(_Drop, _PersonalData):
    """Leaves out rows with personal data."""

    name = "drop-personal-data"
    says = "Leaves out rows that hold personal data."


class _Placeholders:
    """The placeholders of one row; those that it has already keep their numbers."""

    def __init__(self, find: Finder, seen: Iterable[str]) -> None:
        self._find = find
        self._of: dict[tuple[str, str], str] = {}
        self._last: Counter[str] = Counter()
        self.hidden: dict[str, str] = {}
        self._taken = {match[0] for text in seen for match in PLACEHOLDER.finditer(text)}

    def put(self, text: str) -> str:
        """The text with a placeholder for each find."""
        parts, done = [], 0
        for kind, start, end in self._find(text):
            parts += [text[done:start], self._for(kind, text[start:end])]
            done = end
        return "".join([*parts, text[done:]])

    def _for(self, kind: str, value: str) -> str:
        while (kind, value) not in self._of:
            self._last[kind] += 1
            name = placeholder(kind, self._last[kind])
            if name not in self._taken:
                self._of[kind, value] = name
                self.hidden[name] = value
        return self._of[kind, value]
