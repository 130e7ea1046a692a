"""Fixes of characters that do not belong in texts. Knows what each means for the data; not the characters.

They stand in the order in which they run: what was misread is undone before anything else touches it.
"""

from __future__ import annotations

from abc import abstractmethod

from tunekit.data.fixes.texts import TextFix
from tunekit.data.patterns import characters, mojibake


class CharacterFix(TextFix):
    """A fix that changes a text and needs to know nothing else."""

    @staticmethod
    @abstractmethod
    def change(text: str) -> str:
        """One text mended."""

    def mended(self, text: str) -> str:
        """One text mended."""
        return self.change(text)


class RepairMojibake(CharacterFix):
    """Undoes UTF-8 that was read as cp1252 or latin-1."""

    name = "repair-mojibake"
    safety = "semantic"
    says = "Turns text that was misread ('cafÃ©') into what was written ('café')."
    change = staticmethod(mojibake.repaired)


class ReplaceSurrogates(CharacterFix):
    """Makes text writable."""

    name = "replace-surrogates"
    safety = "lossy"
    says = "Joins the halves of characters, and puts U+FFFD where the other half is missing."
    change = staticmethod(characters.join_surrogates)


class UnescapeHtml(CharacterFix):
    """Decodes HTML entities in text without markup."""

    name = "unescape-html"
    safety = "semantic"
    says = "Turns HTML entities ('&amp;') into characters ('&') in texts without markup and code blocks."
    change = staticmethod(characters.unescape_html)


class StripHiddenText(CharacterFix):
    """Takes out invisible tag characters and runs of variation selectors."""

    name = "strip-hidden-text"
    safety = "lossy"
    says = "Takes out text that is written in invisible characters."
    change = staticmethod(characters.strip_hidden)


class StripDirectionOverrides(CharacterFix):
    """Takes out the two characters that turn the order of text around."""

    name = "strip-direction-overrides"
    safety = "semantic"
    says = "Takes out direction overrides, so that people see the text in the order in which models read it."
    change = staticmethod(characters.strip_overrides)


class RestoreBackslashes(CharacterFix):
    """Gives LaTeX commands their backslashes back."""

    name = "restore-backslashes"
    safety = "semantic"
    says = r"Turns control characters that begin LaTeX commands back into '\a', '\b', '\v' and '\f'."
    change = staticmethod(characters.restore_backslashes)


class StripTerminalEscapes(CharacterFix):
    """Takes out colours and cursor movements; a model of a terminal may need them."""

    name = "strip-terminal-escapes"
    safety = "lossy"
    says = "Takes out colours, cursor movements and backspaces of a terminal."
    change = staticmethod(characters.strip_escapes)


class StripControl(CharacterFix):
    """Takes out control characters that mean nothing in text."""

    name = "strip-control"
    safety = "lossless"
    says = "Takes out control characters besides tab, line feed and what terminals use; separators become spaces."
    change = staticmethod(characters.strip_control)


class StripZeroWidth(CharacterFix):
    """Takes out invisible characters where no script and no emoji needs them."""

    name = "strip-zero-width"
    safety = "lossless"
    says = "Takes out invisible characters where neither the script nor an emoji needs them."
    change = staticmethod(characters.strip_zero_width)


class ReplaceNbsp(CharacterFix):
    """Lossy because a typographer may have chosen them."""

    name = "replace-nbsp"
    safety = "lossy"
    says = "Puts plain spaces for no-break, thin and wide ones, besides those of French, numbers and East Asian text."
    change = staticmethod(characters.plain_spaces)


class NormaliseNewlines(CharacterFix):
    """One kind of line break."""

    name = "normalise-newlines"
    safety = "lossless"
    says = "Ends lines with a line feed only."
    change = staticmethod(characters.normalise_newlines)


class Nfc(CharacterFix):
    """One form of letters with accents or marks. A few of them, of Indic scripts, it takes apart."""

    name = "nfc"
    safety = "lossless"
    says = "Writes letters with accents or marks in one way (Unicode's form C)."
    change = staticmethod(characters.compose)
