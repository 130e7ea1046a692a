"""Characters that do not belong in texts. Knows which findings there are and which fix mends each; not the characters.

A text has a flaw if its fix would change it, so a finding is always gone after the fix.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from tunekit.data.checks.base import Check, CheckContext
from tunekit.data.findings import MAX_PLACES, Finding, Rows, Severity, evidence
from tunekit.data.fixes import characters as fixes
from tunekit.data.patterns import mojibake
from tunekit.data.patterns.characters import LOOKALIKE, REPLACEMENT
from tunekit.data.views import texts
from tunekit.data.wording import counted
from tunekit.examples import Example


@dataclass(frozen=True, slots=True)
class _Flaw:
    """One kind of wrong characters.

    Attributes:
        code: Of its finding.
        severity: Of its finding.
        sign: What every text with it has somewhere; many texts without it have that too.
        what: What is wrong, in a few words.
        so: What follows from it, or what to do.
        fix: What mends it.
        pattern: What it looks like, where there is no fix.
    """

    code: str
    severity: Severity
    sign: re.Pattern[str]
    what: str
    so: str
    fix: type[fixes.CharacterFix] | None = None
    pattern: re.Pattern[str] | None = None

    def place(self, text: str, *, exactly: bool) -> tuple[int, int] | None:
        """Start and end of the first place where the text has it; somewhere near unless exactly."""
        if self.pattern:
            found = self.pattern.search(text)
            return found.span() if found else None
        mended = self.fix.change(text) if self.fix else text
        if mended == text:
            return None
        return _first_change(text, mended) if exactly else (0, 0)


def _first_change(text: str, mended: str) -> tuple[int, int]:
    start = next(
        (i for i, (old, new) in enumerate(zip(text, mended, strict=False)) if old != new), len(mended)
    )
    return start, start + 1


_FLAWS = (
    _Flaw(
        "mojibake",
        "warning",
        re.compile(mojibake.SIGN),
        "text that was written as UTF-8 and read as something else ('cafÃ©')",
        "read the file with the right encoding=, or have this mended",
        fixes.RepairMojibake,
    ),
    _Flaw(
        "replacement-characters",
        "warning",
        REPLACEMENT,
        "U+FFFD, which stands where characters were lost,",
        "read the source again with the right encoding=",
        pattern=REPLACEMENT,
    ),
    _Flaw(
        "unpaired-surrogates",
        "error",
        re.compile("[\ud800-\udfff]"),
        "half a character",
        "no file can be written with it",
        fixes.ReplaceSurrogates,
    ),
    _Flaw(
        "html-entities",
        "warning",
        re.compile("&"),
        "HTML entities outside HTML ('&amp;')",
        "the model would learn to write them",
        fixes.UnescapeHtml,
    ),
    _Flaw(
        "hidden-text",
        "warning",
        re.compile("[\ufe00-\ufe0f\U000e0000-\U000e01ef]"),
        "text in characters that nobody sees and models read",
        "somebody may have put instructions there",
        fixes.StripHiddenText,
    ),
    _Flaw(
        "direction-overrides",
        "warning",
        re.compile("[\u202d\u202e]"),
        "direction overrides",
        "people see the text in another order than the model reads it",
        fixes.StripDirectionOverrides,
    ),
    _Flaw(
        "lost-backslashes",
        "warning",
        re.compile("[\x07\x08\x0b\x0c]"),
        "LaTeX whose backslashes became control characters ('\\x0crac')",
        "the model would learn broken formulas",
        fixes.RestoreBackslashes,
    ),
    _Flaw(
        "terminal-escapes",
        "info",
        re.compile("[\x07\x08\x1b]"),
        "colours, cursor movements, bells or backspaces of a terminal",
        "only a model of terminals needs them",
        fixes.StripTerminalEscapes,
    ),
    _Flaw(
        "control-characters",
        "warning",
        re.compile("[\x00-\x06\x0e-\x1a\x1c-\x1f\x7f-\x9f]"),
        "control characters",
        "they mean nothing in text, and many programs stop at them",
        fixes.StripControl,
    ),
    _Flaw(
        "invisible-characters",
        "warning",
        re.compile("[\xad\u061c\u180e\u200b-\u200f\u202a-\u202c\u2060-\u206f\ufeff]"),
        "characters without width where no script needs them",
        "texts that look the same differ",
        fixes.StripZeroWidth,
    ),
    _Flaw(
        "odd-spaces",
        "info",
        re.compile("[\xa0\u1680\u2000-\u200a\u202f\u205f\u3000]"),
        "no-break, thin or wide spaces where plain ones are usual",
        "they are other tokens",
        fixes.ReplaceNbsp,
    ),
    _Flaw(
        "line-ends",
        "info",
        re.compile("[\r\x0b\x0c\u2028\u2029]"),
        "other line breaks than the line feed",
        "they are other tokens",
        fixes.NormaliseNewlines,
    ),
    _Flaw(
        "lookalike-letters",
        "info",
        re.compile("[\u0400-\u04ff][A-Za-z]"),
        "words of Latin and Cyrillic letters that look the same",
        "they are other words for the model",
        pattern=LOOKALIKE,
    ),
)
_DECOMPOSED = _Flaw(
    "decomposed-characters",
    "info",
    re.compile(""),
    "letters with accents or marks that Unicode's form C writes otherwise",
    "texts that look the same differ",
    fixes.Nfc,
)

_ODD_ASCII = re.compile("[\x00-\x08\x0b-\x1f\x7f&]")
_ODD = re.compile(
    f"{mojibake.SIGN}|[\u0400-\u04ff][A-Za-z]|[\x00-\x08\x0b-\x1f&\x7f-\xa0\xad\u061c\u1680\u180e\u2000-\u200f\u2028-\u202f"
    "\u205f-\u206f\u3000\ud800-\udfff\ufe00-\ufe0f\ufeff\ufffd\U000e0000-\U000e01ef]"
)


def _suspected(text: str) -> Iterator[_Flaw]:
    """The flaws that a text may have; for most texts none, and quickly."""
    if text.isascii():
        if _ODD_ASCII.search(text) is None:
            return
    elif not unicodedata.is_normalized("NFC", text):
        yield _DECOMPOSED
    signs = "".join(set(_ODD.findall(text)))
    if signs:
        yield from (flaw for flaw in _FLAWS if flaw.sign.search(signs))


class Characters(Check):
    """Misread, invisible, doubtful and damaged characters in all texts, names of tools aside."""

    codes = tuple(flaw.code for flaw in (*_FLAWS, _DECOMPOSED))

    def __init__(self, context: CheckContext) -> None:
        super().__init__(context)
        self._rows = {flaw.code: Rows() for flaw in (*_FLAWS, _DECOMPOSED)}

    def see(self, example: Example) -> None:
        """Look at all its texts."""
        row = list(texts(example))
        # One look at all texts of the row is faster than one at each, and most rows have nothing.
        if not any(_suspected("\n".join([text for _, text, _ in row]))):
            return
        for field, text, _ in row:
            for flaw in _suspected(text):
                rows = self._rows[flaw.code]
                shown = len(rows.places) < MAX_PLACES
                place = None if field.endswith(".function.name") else flaw.place(text, exactly=shown)
                if place:
                    rows.add(example.id, field, evidence(text, *place) if shown else "")

    def findings(self) -> Iterable[Finding]:
        """One finding for each kind of flaw."""
        for flaw in (*_FLAWS, _DECOMPOSED):
            rows = self._rows[flaw.code]
            if rows:
                yield Finding(
                    code=flaw.code,
                    severity=flaw.severity,
                    message=f"{flaw.what} in {counted(len(rows), 'row')}: {flaw.so}",
                    rows=tuple(rows.ids),
                    places=tuple(rows.places),
                    fix=flaw.fix.proposed() if flaw.fix else None,
                )
