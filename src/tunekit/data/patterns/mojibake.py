"""Text that was UTF-8 and was read as cp1252 or latin-1: finds it and undoes it. Knows no other encodings and no rows.

"café" so read is "cafÃ©". Undoing is easy, knowing when to is not: "é" with a no-break space and a closing quote is
valid UTF-8 too, and means what it says. So a sequence counts only where no language would write it: a capital inside
a word followed by a symbol, two such pairs on end, the usual forms of quotes, dashes, the euro and emoji.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

MAX_ROUNDS = 4
"""How often text is unwound. Exports that were misread three times are met; more is no text."""


def _cp1252(byte: int) -> str:
    # Browsers and latin-1 read the five bytes that cp1252 leaves out as C1 controls.
    return bytes([byte]).decode("cp1252", "ignore") or chr(byte)


_LOW = {_cp1252(byte): byte for byte in range(0x80, 0xA0)}
_BYTE_OF = {chr(byte): byte for byte in range(0x80, 0x100)} | _LOW
_C1_MEANS = {chr(byte): letter for letter, byte in _LOW.items() if letter != chr(byte)}

_TAIL = f"[\x80-\xbf{''.join(_LOW)}]"
SEQUENCE = f"(?:[\xc2-\xdf]{_TAIL}|[\xe0-\xef]{_TAIL}{{2}}|[\xf0-\xf4]{_TAIL}{{3}})"
"""Characters that stand for the bytes of one UTF-8 character: maybe misread, maybe not."""
SIGN = f"[\xc2-\xf4]{_TAIL}|[{''.join(_C1_MEANS)}]"
"""What every misread text has somewhere."""

_SIGN = re.compile(SIGN)
_RUNS = re.compile(f"{SEQUENCE}+|[{''.join(_C1_MEANS)}]")

# May stand right after a capital: at the end of a word, or (Czech, French) as its next letter. No sign of anything.
# A space, dots and dashes, quotes, the Spanish marks.
_CLOSING = frozenset(
    "\xa0\u2026\xb7\u2013\u2014\u2018\u2019\u201a\u201c\u201d\u201e\u2039\u203a\xab\xbb\xa1\xbf"
)
_LETTERS = frozenset("ŠŽŒšžœªºµ")
# Quotes, dashes, bullets, the euro, arrows, ticks, the byte order mark, emoji. One sequence is proof: no language
# puts "€", "†", "œ", a low quote or a lone circumflex after "â", nor "»" and "¿" after "ï", nor "Ÿ" after "ð".
_USUAL = re.compile(
    "[\u2000-\u203f\u20ac\u2122\u2190-\u21ff\u2200-\u223f\u2700-\u273f\ufeff\ufffd\U0001f000-\U0001ffff]"
)


def repaired(text: str) -> str:
    r"""The text as it was written; the same text where nothing was misread.

    Examples:
        >>> repaired("5Â° in a cafÃ© â„¢"), repaired("« café\xa0», MENÜ…")
        ('5° in a café ™', '« café\xa0», MENÜ…')
    """
    better = text
    for _ in range(MAX_ROUNDS):
        last, better = better, _unwound(better)
        if better == last:
            return last
    return text


def _unwound(text: str) -> str:
    if _SIGN.search(text) is None:
        return text
    parts, done = [], 0
    for start, end, meant in _misread(text):
        parts += [text[done:start], meant]
        done = end
    return "".join([*parts, text[done:]])


def _misread(text: str) -> list[tuple[int, int, str]]:
    """Stretches with what was meant. A doubtful one counts where a sure one shows that its alphabet is meant."""
    runs = list(_runs(text))
    sure = [meant for start, end, meant in runs if _is_sure(text, start, end, meant)]
    alphabets = {_alphabet(letter) for meant in sure for letter in meant}
    return [run for run in runs if all(_alphabet(letter) in alphabets for letter in run[2])]


def _alphabet(letter: str) -> int:
    """Letters that are written together have the same number, more or less."""
    code = ord(letter)
    if code < 0x250 or 0x1E00 <= code < 0x1F00:
        return 0  # Latin, with the blocks of Vietnamese
    return 1 if 0x2E80 <= code < 0xD800 else code >> 7  # Chinese, Japanese, Korean


def _runs(text: str) -> Iterator[tuple[int, int, str]]:
    for match in _RUNS.finditer(text):
        found = match[0]
        if len(found) == 1:
            yield match.start(), match.end(), _C1_MEANS[found]
            continue
        try:
            yield match.start(), match.end(), bytes(map(_BYTE_OF.__getitem__, found)).decode()
        except UnicodeDecodeError:
            continue  # not UTF-8, so it means what it says


def _is_sure(text: str, start: int, end: int, meant: str) -> bool:
    """Whether nobody would have written this."""
    if end - start == 1 or len(meant) > 1 or _USUAL.match(meant):
        return True
    if "\u1e80" <= meant < "\u1f00":  # Vietnamese; "á" before a closing quote is Spanish
        return text[start + 1] == "º" or text[start + 2] not in _CLOSING
    lead, tail = text[start], text[start + 1]
    before, after = text[start - 1 : start], text[end : end + 1]
    if not lead.isupper() or (tail in _CLOSING and not before.islower()):
        return lead in "ÂÃ" and before.isascii() and not before.isalpha()
    if lead in "ÂÃ":  # they end words in capitals
        return before.islower() or after.islower() or not before.isupper()
    # Up to "É" it is one more Latin letter; a single letter of another alphabet proves nothing.
    return lead <= "É" and tail not in _LETTERS and (after.islower() or (lead in "ÄÅ" and before.islower()))
