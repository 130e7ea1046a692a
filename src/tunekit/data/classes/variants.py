"""Spellings of labels that seem to mean the same: but for spaces, for case, or for one wrong letter. Knows no rows."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TypeAlias

Respelling: TypeAlias = dict[str, str]
"""Of each rarer spelling, the one that stands for all of them."""

RARER = 20
"""A misspelling is at least so many times rarer than what it stands for; a class of its own seldom is."""

MANY = 10
"""So many rows have not all slipped the same way; else classes would be swallowed one after another as one grows."""

MAX_TYPO_CLASSES = 1_000
"""With more classes no misspellings are looked for: so many names are full of neighbours, and pairs are many."""

_FEWEST_CHARS = 4
_DIGITS = re.compile(r"\d")


def space_variants(counts: Mapping[str, int]) -> Respelling:
    """Labels that differ only in white space: `"pos "` and `"pos"`.

    Examples:
        >>> space_variants({"pos": 9, "pos ": 1, "Pos": 1})
        {'pos ': 'pos'}
    """
    return _merged(_groups(counts, _spaced))


def case_variants(counts: Mapping[str, int]) -> Respelling:
    """Labels that differ in case, and perhaps in white space too: `" Pos"` and `"pos"`.

    Examples:
        >>> case_variants({"pos": 9, "pos ": 1, "Pos": 1})
        {'pos ': 'pos', 'Pos': 'pos'}
    """
    groups = _groups(counts, _folded)
    return _merged({key: group for key, group in groups.items() if len(set(map(_spaced, group))) > 1})


def typo_variants(counts: Mapping[str, int]) -> Respelling:
    """Labels of fewer than ten rows that are one letter away from a label at least twenty times as frequent.

    Left out, missing, wrong and swapped letters count; a first letter or a digit that differs makes another class
    (`typical` and `atypical`, `label_1` and `label_2`).

    Examples:
        >>> typo_variants({"delivery": 90, "delivrey": 1, "Delivery": 2, "delivery2": 1})
        {'delivrey': 'delivery'}
    """
    found: Respelling = {}
    current = dict(counts)
    # A merged class is more frequent, and what was no misspelling of it may now be one: until all is quiet.
    while new := _typos(current):
        found = {rare: new.get(kept, kept) for rare, kept in found.items()} | new
        for rare, kept in new.items():
            current[kept] += current.pop(rare)
    return found


def _spaced(text: str) -> str:
    return " ".join(text.split())


def _folded(text: str) -> str:
    return _spaced(text).casefold()


def _groups(counts: Mapping[str, int], key: Callable[[str], str]) -> dict[str, dict[str, int]]:
    groups: dict[str, dict[str, int]] = {}
    for text, count in counts.items():
        groups.setdefault(key(text), {})[text] = count
    return groups


def _merged(groups: Mapping[str, Mapping[str, int]]) -> Respelling:
    """Every spelling of a group becomes its most frequent one; of equally frequent ones the first."""
    found: Respelling = {}
    for group in groups.values():
        best = max(group, key=lambda text: group[text])
        found.update({text: best for text in group if text != best})
    return found


def _typos(counts: Mapping[str, int]) -> Respelling:
    groups = _groups(counts, _folded)
    if len(groups) > MAX_TYPO_CLASSES:
        return {}
    totals = {key: sum(group.values()) for key, group in groups.items()}
    meant: dict[str, str] = {}
    names = [key for key in groups if len(key) >= _FEWEST_CHARS]
    for rare, frequent in _neighbours(names, [key for key in names if totals[key] >= RARER]):
        is_rare = totals[rare] < MANY and RARER * totals[rare] <= totals[frequent]
        if is_rare and _is_slip(rare, frequent):
            meant[rare] = max(meant.get(rare, frequent), frequent, key=lambda key: totals[key])
    found: Respelling = {}
    for rare, frequent in meant.items():
        while frequent in meant:  # each step is to a class twenty times as frequent
            frequent = meant[frequent]
        best = max(groups[frequent], key=lambda text: groups[frequent][text])
        found.update(dict.fromkeys(groups[rare], best))
    return found


def _neighbours(words: Iterable[str], others: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Pairs that are equal once each has lost at most one letter: every pair one slip apart is among them.

    Looked up by deletions (Mor & Fraenkel 1982); comparing all pairs letter by letter would take far longer.
    """
    places: dict[str, list[str]] = {}
    for other in others:
        for left in _shorter(other):
            places.setdefault(left, []).append(other)
    for word in words:
        for left in _shorter(word):
            yield from ((word, other) for other in places.get(left, ()))


def _shorter(word: str) -> Iterable[str]:
    return dict.fromkeys([word, *(word[:at] + word[at + 1 :] for at in range(len(word)))])


def _is_slip(one: str, other: str) -> bool:
    """Whether one letter is missing, wrong or swapped with its neighbour, not the first one, and no digit differs."""
    if one[0] != other[0] or _DIGITS.findall(one) != _DIGITS.findall(other):
        return False
    start = next(
        (at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other))
    )
    rest, other_rest = one[start:], other[start:]
    return (
        rest[1:] == other_rest  # one letter more
        or rest == other_rest[1:]  # one less
        or rest[1:] == other_rest[1:]  # another
        or (rest[1::-1] == other_rest[:2] and rest[2:] == other_rest[2:])  # two swapped
    )
