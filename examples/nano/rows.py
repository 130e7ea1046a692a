"""One row of the corpus and the cleaning every row goes through. Knows no source and no file."""

from __future__ import annotations

import hashlib
import html
import random
import re
from dataclasses import dataclass

Turn = tuple[str, str]  # (role, content)


class MissingSourceError(Exception):
    """A source cannot be had on this machine; the manifest names it and why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A chat (`turns`) or a piece of prose (`text`).

    Attributes:
        group: What must not be split between training and held-out rows, such as a dictionary entry.
    """

    group: str
    turns: tuple[Turn, ...] = ()
    text: str = ""

    def content(self) -> str:
        """Everything the row says, for deduplication and for the leak filter."""
        return self.text or "\n".join(content for _, content in self.turns)


def chat(group: str, *pairs: tuple[str, str], system: str = "") -> Row:
    """A chat from (question, answer) pairs."""
    turns: list[Turn] = [("system", clean(system))] if system else []
    for question, answer in pairs:
        turns += [("user", clean(question)), ("assistant", clean(answer))]
    return Row(group=group, turns=tuple(turns))


def prose(group: str, text: str) -> Row:
    """A piece of running text."""
    return Row(group=group, text=clean(text))


def clean(text: str) -> str:
    """Plain punctuation, no control characters, no runs of blanks; line breaks stay."""
    text = html.unescape(text).translate(_PLAIN).replace("\r\n", "\n").replace("\r", "\n")
    text = re.sub(r"[^\S\n]+", " ", text)
    text = re.sub(r" ?\n ?", "\n", text)
    return re.sub(r"\n{3,}", "\n\n", text).strip()


def usable(row: Row) -> bool:
    """English enough for a 4,096-piece vocabulary, with no damage and nothing left unfilled."""
    text = row.content()
    if "\ufffd" in text or "{{" in text or not text:
        return False
    if any(not content for _, content in row.turns):
        return False
    return sum(char.isascii() for char in text) >= 0.97 * len(text)


def short_enough(row: Row, limit_chars: int) -> Row | None:
    """The row within the limit: a chat loses whole exchanges from its end, prose that is too long goes."""
    if len(row.content()) <= limit_chars:
        return row
    turns = row.turns
    while turns and sum(len(content) for _, content in turns) > limit_chars:
        turns = turns[:-1]
        while turns and turns[-1][0] != "assistant":
            turns = turns[:-1]
    return Row(group=row.group, turns=turns) if turns else None


def pieces(text: str, limit_chars: int) -> list[str]:
    """Running text cut at paragraphs, then at sentences, into pieces near the limit."""
    found: list[str] = []
    current = ""
    for paragraph in re.split(r"\n\s*\n", text):
        for sentence in re.split(r"(?<=[.!?][\"')]) +|(?<=[.!?]) +", clean(paragraph)):
            if current and len(current) + len(sentence) > limit_chars:
                found.append(current.strip())
                current = ""
            current += ("" if not current or current.endswith("\n") else " ") + sentence
        current += "\n"
    return [piece for piece in [*found, current.strip()] if 80 <= len(piece) <= limit_chars]


def dice(key: str, seed: int = 0) -> random.Random:
    """A generator that depends on the key alone, so that a row never depends on its neighbours."""
    return random.Random(int.from_bytes(hashlib.sha256(f"{seed}:{key}".encode()).digest()[:8], "big"))


def sentence_case(text: str) -> str:
    """First letter upper case, one full stop at the end."""
    text = clean(text)
    text = text[:1].upper() + text[1:]
    return text if text.endswith((".", "!", "?", '"')) else text.rstrip(" ;:,") + "."


def article(word: str) -> str:
    """The word with its indefinite article.

    >>> article("apple")
    'an apple'
    """
    return f"{'an' if word[0] in 'aeiou' else 'a'} {word}"


_PLAIN = str.maketrans(
    {
        "\u2018": "'", "\u2019": "'", "\u201c": '"', "\u201d": '"', "\u2013": "-", "\u2014": " - ",
        "\u2026": "...", "\u00a0": " ", "\u200b": "", "\ufeff": "", "\u2022": "-", "\u00b6": "",
    }
)  # fmt: skip
