"""How a text ends: cut off for sure, perhaps, or not. Knows single texts; what is usual is for the check."""

from __future__ import annotations

import re
from typing import Literal

MIN_PROSE_CHARS = 60
"""Of a last line: shorter ones are headings, items of a list, results and signatures, which end as they like."""
MIN_WORDS = 8
MAX_JSON_CHARS = 1_000_000
_JSON = re.compile(r'\s*[\[{]\s*(?:["\[{]|$)')
# Texts are taken as a whole, also one without its end, so that brackets in them do not count and the scan is linear.
_JSON_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*(?:"|\Z)|[\[{]|[\]}]', re.DOTALL)
# Items of lists, rows of tables, headings, quotations; then code, links and hashtags.
_NOT_PROSE = re.compile(
    r"\s*(?:[-*+#|>=`\u2022\u2014]|[0-9a-zA-Z]{1,3}[.)]\s)|[^=;{}\\|<>@#]*(?:[=;{}\\|<>@#]|://)"
)
# Articles, prepositions and conjunctions of English, German, French, Spanish, Italian and Portuguese. Those that end
# sentences in another of these languages are missing ("die", "as", "do", "me").
_WORDS = """
a an the and or but nor of to from for with without by at into than which whose because although if when while its their
his our your my der das den dem des und oder aber mit von zu zum zur für bei aus dass wenn weil ein eine einen le la les
du et ou mais un une que qui pour avec dans sur par est el los las del y pero con para por como il lo gli di che per nel
della os da em com uma mas
"""
_MORE_FOLLOWS = frozenset(_WORDS.split())

Ending = Literal["closed", "open", "cut"]


def cut_off(text: str) -> str:
    r"""Why a text is unfinished whatever others look like; "" where it is not.

    Examples:
        >>> cut_off('{"name": "Ann", "mail": "ann@'), cut_off("Run:\n```python\nprint(1)")
        ('JSON without its end', 'a code block without its end')
    """
    if "```" in text and text.count("```") % 2:
        return "a code block without its end"
    if _JSON.match(text) and _never_closes(text):
        return "JSON without its end"
    return ""


def _never_closes(text: str) -> bool:
    depth = 0
    for token in _JSON_TOKEN.finditer(text[:MAX_JSON_CHARS]):
        if token[0][0] == '"':
            continue
        depth += 1 if token[0] in "[{" else -1
        if depth == 0:
            return False
    return True


def ending(text: str) -> Ending | None:
    """How a last line of prose ends; None where it is none, or is short, and may end as it likes.

    "cut" is in the middle of a sentence, "open" without punctuation after a small letter. A capital may be a name
    below a letter, and scripts without capitals often do without punctuation: neither is judged.

    Examples:
        >>> line = "The parcel was sent on Monday and will arrive at your place in a few days"
        >>> ending(line + "."), ending(line), ending(line + ", because the"), ending("Yes")
        ('closed', 'open', 'cut', None)
    """
    last = text[-2_000:].rstrip()
    last = last[last.rfind("\n") + 1 :]
    if len(last) < MIN_PROSE_CHARS or last.count(" ") < MIN_WORDS:
        return None
    if not last[-1].isalpha() and last[-1] not in ",-(":
        return "closed"
    word = last[last.rfind(" ") + 1 :]
    if _NOT_PROSE.match(last):
        return None
    if last[-1] in ",-(" or word.casefold() in _MORE_FOLLOWS:
        return "cut"
    return "open" if word.islower() else None
