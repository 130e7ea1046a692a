"""The script that a text is written in: Latin, Cyrillic, Han and so on, from Unicode's blocks. Knows no languages.

A script tells English from Russian, Chinese and Hindi, not from French; it needs no model and no dependency.
"""

from __future__ import annotations

from collections import Counter

MIN_LETTERS = 10
"""Below it, a name or a code decides: "iPhone" is no English. Syllables and Chinese characters count twice."""
MIN_SHARE = 0.7
"""Of the letters that must be of one script; below it a text is in two."""
SAMPLE = 64
"""Characters looked at, evenly spread: a larger sample of real text changes the verdict of one in thousands."""

# Unicode's blocks begin at multiples of 128 nearly everywhere, so the first nine bits of a character are enough.
_BLOCKS = {
    "Latin": (*range(0x00, 0x05), 0x3C, 0x3D),
    "Greek": (0x07, 0x3E, 0x3F),
    "Cyrillic": (0x08, 0x09),
    "Armenian": (0x0A,),
    "Hebrew": (0x0B,),
    "Arabic": (0x0C, 0x0D, 0x0E, *range(0x1F7, 0x1FE)),
    "Devanagari": (0x12,),
    "Bengali": (0x13,),
    "Gurmukhi": (0x14,),
    "Gujarati": (0x15,),
    "Odia": (0x16,),
    "Tamil": (0x17,),
    "Telugu": (0x18,),
    "Kannada": (0x19,),
    "Malayalam": (0x1A,),
    "Sinhala": (0x1B,),
    "Thai": (0x1C,),
    "Lao": (0x1D,),
    "Tibetan": (0x1E, 0x1F),
    "Burmese": (0x20,),
    "Georgian": (0x21,),
    "Hangul": (0x22, 0x23, *range(0x158, 0x1B0)),
    "Ethiopic": tuple(range(0x24, 0x28)),
    "Khmer": (0x2F,),
    "Mongolian": (0x30,),
    "Kana": (0x60, 0x61),
    "Han": (*range(0x68, 0x140), *range(0x1F2, 0x1F6), *range(0x400, 0x680)),
}
_SCRIPT_OF = {block: script for script, blocks in _BLOCKS.items() for block in blocks}
_DENSE = frozenset({"Hangul", "Kana", "Han"})


def script_of(text: str) -> str | None:
    """The script of most letters; None for too few letters, or for no clear majority.

    Han with some kana is "Japanese".

    Examples:
        >>> script_of("Where is it?"), script_of("Где моя посылка?"), script_of("荷物はどこですか"), script_of("42")
        (None, 'Cyrillic', 'Japanese', None)
    """
    sample = text if len(text) <= SAMPLE else text[:: len(text) // SAMPLE]
    if text.isascii():
        letters = sum(map(str.isalpha, sample))
        return "Latin" if letters >= MIN_LETTERS else None
    found = [_SCRIPT_OF.get(ord(letter) >> 7, "") for letter in sample if letter.isalpha()]
    counts = Counter(found)
    del counts[""]
    for script in _DENSE & counts.keys():
        counts[script] *= 2
    if counts["Kana"] and 10 * counts["Kana"] >= counts["Han"]:
        counts["Japanese"] = counts.pop("Kana") + counts.pop("Han", 0)
    if not counts:
        return None
    script, most = counts.most_common(1)[0]
    return script if most >= MIN_LETTERS and most >= MIN_SHARE * counts.total() else None
