"""Characters that do not belong in a text, and the text without them. Knows texts; no rows and no reports.

Each function gives the text mended, and the same text where nothing is to be mended or it was mended before. What is
legitimate where it stands is left alone: joiners in emoji and in Indic and Persian words, word breaks in Thai,
direction marks in Arabic and Hebrew, no-break spaces of French typography. So is what may be half of a misread
character ("Ã" and a soft hyphen were "í"): that is for `mojibake` to undo, and would be lost to it.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Iterable
from itertools import groupby
from typing import Literal

from tunekit.data.patterns.mojibake import SEQUENCE

# C1 controls that cp1252 knows are misread quotes and dashes, so `mojibake` has them. Tab, the kinds of line break and
# what moves a terminal's cursor are below.
_CONTROL = re.compile(f"{SEQUENCE}|([\x00-\x06\x0e-\x1a\x7f\x81\x8d\x8f\x90\x9d])|([\x1c-\x1f])")


def strip_control(text: str) -> str:
    r"""Without control characters; those that separate fields become a space.

    Examples:
        >>> strip_control("a\x00b\x1fc")
        'ab c'
    """
    return _CONTROL.sub(lambda found: " " if found[2] else "" if found[1] else found[0], text)


# "\frac" and "\beta" whose backslash was taken for the beginning of an escape: LaTeX after one eval too many.
_ALPHA = "\x07(?:lpha|pprox|ngle|rcsin|rccos|rctan|lign)"
_BETA = "\x08(?:eta|egin|ar|inom|oldsymbol|oxed|ullet|mod|ig)"
_VEC = "\x0b(?:ec|arepsilon|arphi|artheta|ee|dots)"
_FRAC = "\x0c(?:rac|orall|box|lat|loor)"
_LOST_BACKSLASH = re.compile(f"{_ALPHA}|{_BETA}|{_VEC}|{_FRAC}")
_ESCAPED = str.maketrans({"\x07": "\\a", "\x08": "\\b", "\x0b": "\\v", "\x0c": "\\f"})


def restore_backslashes(text: str) -> str:
    r"""With the backslashes of LaTeX commands that became control characters.

    Examples:
        >>> restore_backslashes("\x0crac{1}{\x08eta}")
        '\\frac{1}{\\beta}'
    """
    return _LOST_BACKSLASH.sub(lambda found: found[0].translate(_ESCAPED), text)


# Line, form and paragraph breaks of word processors among them. NEL is missing: it is nearly always a misread "…".
_LINE_END = re.compile(f"({_VEC}|{_FRAC})|\r\n?|[\x0b\x0c\u2028\u2029]")


def normalise_newlines(text: str) -> str:
    r"""With one kind of line break, the line feed.

    Examples:
        >>> normalise_newlines("a\r\nb\rc\u2028d")
        'a\nb\nc\nd'
    """
    return _LINE_END.sub(lambda found: found[1] or "\n", text)


# Colours, cursor movements and titles (ECMA-48 control sequences), the bell, and how manuals print bold and underlined.
_ESCAPE = re.compile(
    f"({_ALPHA}|{_BETA})"
    r"|\x1b(?:\[[0-?]{0,64}[ -/]{0,16}[@-~]|\][^\x07\x1b\n]{0,1000}(?:\x07|\x1b\\)|[@-Z\\^_])?"
    r"|_\x08|(.)\x08(?=\2)|\x08|\x07"
)


def strip_escapes(text: str) -> str:
    r"""Without what only a terminal understands.

    Examples:
        >>> strip_escapes("\x1b[1;31mfailed\x1b[0m, see N\bNA\bAM\bME\bE")
        'failed, see NAME'
    """
    return _ESCAPE.sub(lambda found: found[1] or "", text)


_WITHOUT_WORD_BREAKS = (
    "[\u0e00-\u109f\u1780-\u17ff\u1950-\u19df\u1a20-\u1aaf]"  # Thai, Lao, Tibetan, Burmese, Khmer, Tai
)
_UNJOINED = "[\x00-\u058f\u180e\u2000-\u206f\ufeff]"  # Latin, Greek, Cyrillic, Armenian, and what goes below
_RIGHT_TO_LEFT = re.compile(
    "[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc\U00010800-\U00010fff\U0001e800-\U0001efff]"
)
_INVISIBLE = (
    "[\xad\u180e\u2060-\u2065\u206a-\u206f\ufeff]"
    f"|(?<!{_WITHOUT_WORD_BREAKS})\u200b(?!{_WITHOUT_WORD_BREAKS})"
    f"|(?:(?<={_UNJOINED})|\\A)[\u200c\u200d]"
)
_DIRECTION = "[\u061c\u200e\u200f\u202a-\u202c\u2066-\u2069]"
_ZERO_WIDTH = re.compile(f"{SEQUENCE}|({_INVISIBLE}|{_DIRECTION})")
_ZERO_WIDTH_RIGHT_TO_LEFT = re.compile(f"{SEQUENCE}|({_INVISIBLE})")


def strip_zero_width(text: str) -> str:
    r"""Without characters that nobody sees and nobody needs.

    Examples:
        >>> strip_zero_width("\ufeffzero\u200bwidth"), strip_zero_width("👩\u200d🍳")
        ('zerowidth', '👩\u200d🍳')
    """
    pattern = _ZERO_WIDTH_RIGHT_TO_LEFT if _RIGHT_TO_LEFT.search(text) else _ZERO_WIDTH
    return pattern.sub(lambda found: "" if found[1] else found[0], text)


_OVERRIDE = re.compile("[\u202d\u202e]")


def strip_overrides(text: str) -> str:
    r"""Without direction overrides, so that the text reads as it is stored ("Trojan Source", CVE-2021-42574).

    Examples:
        >>> strip_overrides("invoice\u202efdp.exe")
        'invoicefdp.exe'
    """
    return _OVERRIDE.sub("", text)


# Tag characters repeat ASCII invisibly, and variation selectors can spell bytes. A flag such as Scotland's is a black
# flag with tags, and one selector after a character is how emoji are written.
_TAGS = "\U000e0000-\U000e007f"
_HIDDEN = re.compile(
    f"\U0001f3f4[\U000e0030-\U000e007a]{{2,6}}\U000e007f|([{_TAGS}]|[{_TAGS}\ufe00-\ufe0f\U000e0100-\U000e01ef]{{2,}})"
)


def strip_hidden(text: str) -> str:
    r"""Without text that is written in characters nobody sees.

    Examples:
        >>> strip_hidden("Hi\U000e0048\U000e0049!")
        'Hi!'
    """
    return _HIDDEN.sub(lambda found: "" if found[1] else found[0], text)


# Before French punctuation and signs, after an opening guillemet, between groups of digits, after the one-letter words
# of Czech and Polish; wide spaces in Chinese, Japanese and Korean.
_FIXED = "[\xa0\u2009\u202f]"
_ODD_SPACE = re.compile(
    f"{SEQUENCE}|(?<=[0-9]){_FIXED}(?=[0-9])|{_FIXED}(?=[;:!?»%€$£°])|(?<=«){_FIXED}"
    f'|(?<=[ \n("][A-Za-z\u0430-\u0456]){_FIXED}'
    "|(?<=[\u2e80-\uffef])\u3000|\u3000(?=[\u2e80-\uffef])"
    "|([\xa0\u1680\u2000-\u200a\u202f\u205f\u3000])"
)


def plain_spaces(text: str) -> str:
    r"""With plain spaces where wide, thin and no-break ones stand without need.

    Examples:
        >>> plain_spaces("my\xa0card"), plain_spaces("« 10\xa0000\xa0€ »")
        ('my card', '« 10\xa0000\xa0€ »')
    """
    return _ODD_SPACE.sub(lambda found: " " if found[1] else found[0], text)


def join_surrogates(text: str) -> str:
    r"""With the two halves of a character joined, and a lone half replaced by U+FFFD.

    Examples:
        >>> join_surrogates("\ud83d\ude00 and \ud83d")
        '😀 and �'
    """
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


# NFC turns these into other Chinese characters that look alike: names are written with them.
_COMPATIBILITY = re.compile("([\uf900-\ufaff\U0002f800-\U0002fa1f])")


def compose(text: str) -> str:
    r"""In Unicode's form C, so that a letter and its accent are one character.

    Examples:
        >>> compose("cafe\u0301")
        'café'
    """
    if unicodedata.is_normalized("NFC", text):
        return text
    return "".join(
        part if _COMPATIBILITY.match(part) else unicodedata.normalize("NFC", part)
        for part in _COMPATIBILITY.split(accents_in_order(text, "NFD"))
    )


# Accents are neither letters nor spaces; the two half-width marks of Japanese are letters that become accents.
_LONG_RUN = re.compile(r"(?:[^\w\s]|[\uff9e\uff9f]){64,}")


def accents_in_order(text: str, form: Literal["NFD", "NFKD"]) -> str:
    """The text with long runs of accents decomposed and in canonical order: what the composed forms are made of.

    `unicodedata` puts them in order in quadratic time, and accents that are in order in linear time.
    """

    def in_order(run: re.Match[str]) -> str:
        letters = "".join([unicodedata.normalize(form, character) for character in run.group()])
        groups = groupby(letters, key=lambda character: unicodedata.combining(character) != 0)
        return "".join([each for is_accents, group in groups for each in _sorted(group, is_accents)])

    return _LONG_RUN.sub(in_order, text)


def _sorted(characters: Iterable[str], is_accents: bool) -> Iterable[str]:
    return sorted(characters, key=unicodedata.combining) if is_accents else characters


# Not all of HTML's names: in C, "&sum;" and "&image;" are code. Numbers too. "&amp;amp;lt;" was escaped three times.
_NAMES = (
    "amp|AMP|lt|gt|quot|apos|nbsp|[lr][sd]quo|[lr]aquo|[mn]dash|hellip|bull|middot|copy|trade|euro|pound|yen|deg|szlig"
    "|[A-Za-z]{1,2}(?:acute|grave|circ|uml|tilde|cedil|slash|ring|lig)|#[0-9]{2,7}|#[xX][0-9a-fA-F]{2,6}"
)
_ENTITY = re.compile(f"&(?:(?:amp|AMP|#0{{0,4}}38|#[xX]0{{0,4}}26);)*({_NAMES});")
_MARKUP = re.compile(r"</?[A-Za-z][^<>]{0,200}>|```")
_PART_OF_ENTITIES = re.compile("[0-9A-Za-z#;]")


def unescape_html(text: str) -> str:
    """With the characters that HTML entities stand for; text with markup or code blocks needs them and keeps them.

    Examples:
        >>> unescape_html("Tom &amp;amp; Jerry &lt;3"), unescape_html("<b>Tom &amp; Jerry</b>")
        ('Tom & Jerry <3', '<b>Tom &amp; Jerry</b>')
    """
    return text if "&" not in text or _MARKUP.search(text) else _ENTITY.sub(_meant, text)


def _meant(found: re.Match[str]) -> str:
    letter = html.unescape(f"&{found[1]};")
    # What could become a part of the next entity stays, so that unescaping twice is unescaping once.
    return found[0] if not letter or _PART_OF_ENTITIES.match(letter) else letter


REPLACEMENT = re.compile("\ufffd")

# Letters that look the same in both alphabets, with letters of the other one on both sides. A Russian ending after a
# foreign word, and a word of each, are normal.
_CYRILLIC_TWINS = (
    "\u0430\u0435\u043e\u0440\u0441\u0443\u0445\u0456\u0458\u0455"
    "\u0410\u0412\u0415\u0405\u0406\u0408\u041a\u041c\u041d\u041e\u0420\u0421\u0422\u0425"
)
_CYRILLIC = "[\u0410-\u044f]"
LOOKALIKE = re.compile(f"[A-Za-z][{_CYRILLIC_TWINS}]+[A-Za-z]|{_CYRILLIC}[aceopxyiABCEHIKMOPTX]+{_CYRILLIC}")
