"""What stands where an answer should be: missing values, templates not filled in, refusals. Knows single texts only."""

from __future__ import annotations

import re

MISSING_CHARS = 12
_MISSING = frozenset(
    {
        "null",
        "none",
        "nan",
        "n/a",
        "na",
        "nil",
        "undefined",
        "tbd",
        "todo",
        "fixme",
        "xxx",
        "-",
        "--",
        "?",
        "??",
        "...",
    }
    | {
        "<na>",
        "#n/a",
        "#ref!",
        "#value!",
        "#name?",
        "#div/0!",
        "#null!",
        "#num!",
        "(empty)",
        "[object object]",
    }
)


def is_missing(text: str) -> bool:
    """Whether the text is only how a program spells that there is none.

    Examples:
        >>> is_missing(" N/A "), is_missing("nan"), is_missing("No, there is none.")
        (True, True, False)
    """
    return len(text) <= MISSING_CHARS + 8 and spelling(text) in _MISSING


def spelling(text: str) -> str:
    """The text as it is compared: without case, and without spaces around."""
    return text.strip().casefold()


# One set of first characters, so that the rest of a text is passed over quickly.
_TO_FILL_IN = re.compile(
    r"[{\[<](?:(?<!\{\{)\{\s{0,3}[A-Za-z_][A-Za-z0-9_ -]{0,40}\}\}(?!\})"
    r"|(?i:(?:insert|enter|add|fill in) [^\[\]<>\n]{2,80}"
    r"|(?:placeholder|to be (?:added|completed))\b[^\[\]<>\n]{0,80})[\]>])"
)
_FILLER = re.compile(r"""\A(?:TODO|FIXME)\b|(?<!["'])\b[Ll]orem ipsum dolor""")
# Templates and unfinished code are what code looks like.
_CODE = re.compile(
    r"```|\{%|</|^\s{0,80}(?:import|from|def|class|function|const|let|var|public|private|#include)\b",
    re.MULTILINE,
)


def template(text: str) -> tuple[int, int] | None:
    r"""The first place in prose that somebody still had to fill in. A text that is only "TODO" is missing as a whole.

    Examples:
        >>> template("I am {{name}}, at your service."), template("print('{{name}}')\nimport this")
        ((5, 13), None)
    """
    found = _TO_FILL_IN.search(text)
    if found is None and ("TODO" in text or "FIXME" in text or "orem ipsum" in text):
        found = _FILLER.search(text)
    return None if found is None or is_missing(text) or _CODE.search(text) else found.span()


_OPENING_CHARS = 250
"""A refusal comes first; later in an answer the same words are a caution."""
_NOT = r"(?:can't|cannot|can not|unable|not able|won't|do not|don't|am not|'m not|not capable)"
_REFUSAL = re.compile(
    rf"\b[Aa]s an? (?:AI|artificial intelligence|(?:large )?language model)\b[^.]{{0,80}}{_NOT}\b"
    rf"|\bI(?:'m| am) (?:just |only )?an? (?:AI|(?:large )?language model)\b[^.]{{0,80}}{_NOT}\b"
    rf"|\b(?:[Ss]orry|I apologi[sz]e),? [^.]{{0,40}}{_NOT}\b"
    r"|\bI (?:can't|cannot|can not|won't|am unable to) (?:assist|help (?!but)|comply|fulfill?|provide|engage)"
)
_REFUSAL_HINTS = ("AI", "anguage model", "orry", "apolog", "I can", "I won't", "I am unable")


def refusal(text: str) -> tuple[int, int] | None:
    """The words in the beginning of an answer with which an assistant refuses.

    Examples:
        >>> refusal("As an AI language model, I cannot feel."), refusal("As an AI coach, I advise rest.")
        ((0, 33), None)
    """
    opening = text[:_OPENING_CHARS].replace("\u2019", "'")
    if not any(hint in opening for hint in _REFUSAL_HINTS):
        return None
    found = _REFUSAL.search(opening)
    return found.span() if found else None
