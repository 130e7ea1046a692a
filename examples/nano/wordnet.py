"""Short chats about English words from WordNet 3.0 (Debian wordnet-base). Knows its file format (man wndb).

Common words, by the counts of WordNet's tagged texts, are asked about in more ways than rare ones.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from random import Random

from nano.packages import debian
from nano.rows import Row, article, chat, dice, sentence_case

PARTS = {"noun": "n", "verb": "v", "adj": "a", "adv": "r"}
TYPE_NUMBER = {"n": 1, "v": 2, "a": 3, "r": 4, "s": 5}
HYPERNYM, ANTONYM = "@", "!"


@dataclass(frozen=True, slots=True, kw_only=True)
class Synset:
    """One meaning: its words, gloss, examples, and the keys of more general and of opposite meanings."""

    key: str
    part: str
    words: tuple[str, ...]
    count: int
    gloss: str
    examples: tuple[str, ...]
    above: tuple[str, ...]
    opposite: tuple[tuple[str, int, int], ...]  # (synset key, own word number, its word number), from 1


def rows(cache: Path) -> Iterator[Row]:
    """Chats about every meaning worth teaching, in the order of the files."""
    folder = debian("wordnet-base", cache) / "usr/share/wordnet"
    synsets = {synset.key: synset for synset in _synsets(folder)}
    kinds = sorted(
        {synsets[key].words[0] for synset in synsets.values() for key in synset.above if synset.count}
    )
    pending: list[tuple[str, str]] = []
    for synset in synsets.values():
        draw = dice(synset.key)
        for pair in _pairs(synset, synsets, kinds, draw):
            # Some questions become one longer chat: turns after the first must look familiar too.
            # The pool never leaves one synset, so that held-out words stay held out.
            pending.append(pair)
            if len(pending) < 3 and draw.random() < 0.2:
                continue
            yield chat(synset.key, *pending)
            pending = []
        if pending:
            yield chat(synset.key, *pending)
            pending = []


def _pairs(
    synset: Synset, synsets: Mapping[str, Synset], kinds: list[str], draw: Random
) -> Iterator[tuple[str, str]]:
    word = draw.choice(synset.words)
    plain = word.islower() and not any(char.isdigit() for char in word)
    if not synset.count and (not plain or (not synset.examples and draw.random() > 0.3)):
        return  # Names of species, people and places: too many, too rare.
    yield _meaning(word, synset, draw)
    for example in synset.examples[: 3 if synset.count else 1]:
        shown = _word_in(example, synset.words)
        if shown:
            yield draw.choice(_SENTENCE).format(w=shown), sentence_case(example)
    if not synset.count:
        return
    others = [other for other in synset.words if other != word]
    if others:
        yield draw.choice(_SYNONYM).format(w=word), sentence_case(" or ".join(others[:2]))
    for key, own, other in synset.opposite:
        left, right = synset.words[own - 1], synsets[key].words[other - 1]
        yield draw.choice(_OPPOSITE).format(w=left), sentence_case(f"the opposite of {left} is {right}")
    if synset.part == "n" and synset.above and plain:
        yield from _kind(word, synsets[synset.above[0]].words[0], kinds, draw)
    if draw.random() < 0.4:
        yield draw.choice(_REVERSE).format(g=synset.gloss), sentence_case(word)


def _meaning(word: str, synset: Synset, draw: Random) -> tuple[str, str]:
    question = draw.choice(_MEANING).format(w=word)
    start = f"to {word} means to" if synset.part == "v" else f"{word} means"
    return question, sentence_case(f"{start} {synset.gloss}")


def _kind(word: str, above: str, kinds: list[str], draw: Random) -> Iterator[tuple[str, str]]:
    answer = sentence_case(f"{article(word)} is a kind of {above}")
    yield draw.choice(_KIND).format(w=article(word)), answer
    if draw.random() < 0.5:
        guess = above if draw.random() < 0.5 else draw.choice(kinds)
        verdict = "Yes" if guess == above else "No"
        yield f"Is {article(word)} a kind of {guess}?", f"{verdict}. {answer}"


def _word_in(example: str, words: tuple[str, ...]) -> str:
    lower = example.lower()
    return next((word for word in words if re.search(rf"\b{re.escape(word[:5].lower())}", lower)), "")


def _synsets(folder: Path) -> Iterator[Synset]:
    counts = _counts(folder / "cntlist.rev")
    for name, letter in PARTS.items():
        for line in (folder / f"data.{name}").read_text(encoding="latin-1").splitlines():
            if not line.startswith("  "):  # the licence stands at the top of each file, indented
                yield _synset(line, letter, counts)


def _synset(line: str, letter: str, counts: Mapping[tuple[str, int, int, int], int]) -> Synset:
    head, _, gloss = line.partition("|")
    fields = head.split()
    offset, file_number, kind, size = fields[0], int(fields[1]), fields[2], int(fields[3], 16)
    names = [re.sub(r"\((a|p|ip)\)$", "", name) for name in fields[4 : 4 + 2 * size : 2]]
    ids = [int(number, 16) for number in fields[5 : 5 + 2 * size : 2]]
    senses = zip(names, ids, strict=True)
    count = sum(counts.get((name.lower(), TYPE_NUMBER[kind], file_number, at), 0) for name, at in senses)
    start = 5 + 2 * size
    pointers = [fields[start + 4 * i : start + 4 * i + 4] for i in range(int(fields[start - 1]))]
    meaning = re.split(r'; *"', gloss, maxsplit=1)[0].strip(" ;")
    meaning = re.sub(r"^\([^)]*\) *(?=\w)", "", meaning)  # "(computer science)", "(followed by `to')"
    return Synset(
        key=letter + offset,
        part=letter,
        words=tuple(name.replace("_", " ") for name in names),
        count=count,
        gloss=meaning.replace("`", "'"),
        examples=tuple(text for text in re.findall(r'"([^"]+)"', gloss) if len(text) > 8),
        above=tuple(p[2].replace("s", "a") + p[1] for p in pointers if p[0] == HYPERNYM),
        opposite=tuple(
            (p[2].replace("s", "a") + p[1], int(p[3][:2], 16), int(p[3][2:], 16))
            for p in pointers
            if p[0] == ANTONYM and p[3] != "0000"
        ),
    )


def _counts(path: Path) -> dict[tuple[str, int, int, int], int]:
    """(lemma, synset type, file number, sense id) to its count in the tagged texts; man cntlist."""
    found = {}
    for line in path.read_text(encoding="latin-1").splitlines():
        key, _, count = line.split()
        lemma, _, rest = key.partition("%")
        kind, file_number, at = rest.split(":")[:3]
        found[lemma, int(kind), int(file_number), int(at)] = int(count)
    return found


_MEANING = (
    'What does "{w}" mean?', "What does {w} mean?", "What is the meaning of {w}?", "Define {w}.",
    "what does {w} mean", "Can you explain what {w} means?", 'Please define the word "{w}".',
)  # fmt: skip
_SENTENCE = (
    'Use "{w}" in a sentence.', "Write a sentence with the word {w}.", 'Give me an example sentence with "{w}".',
    "How is the word {w} used?", "Can you use {w} in a sentence?",
)  # fmt: skip
_SYNONYM = (
    "What is another word for {w}?", 'Give a synonym of "{w}".', "Which word means the same as {w}?",
    "I need a different word for {w}.",
)  # fmt: skip
_OPPOSITE = (
    "What is the opposite of {w}?",
    'Give an antonym of "{w}".',
    "Which word means the opposite of {w}?",
)
_KIND = ("What kind of thing is {w}?", "What is {w}?", "What sort of thing is {w}?")
_REVERSE = ('Which word means "{g}"?', "What is the word for this: {g}?", "Name the word for: {g}.")
