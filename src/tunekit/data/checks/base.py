"""What a check is: it sees each row once, in order, and then says what it found. Knows no particular check."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from tunekit.data.findings import Finding, Severity
from tunekit.examples import Example

if TYPE_CHECKING:
    from tunekit.data.detectors import LanguageOf
    from tunekit.data.patterns.sensitive import Finder
    from tunekit.data.profiles import Profile
    from tunekit.data.tokens import TokenCounter


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckContext:
    """What a check may know beside the rows.

    Attributes:
        profiles: Rules of the targets that the data are for; empty where none was named.
        prompt_format: "text" where a base model continues plain text, so that separators, leading spaces and stop
            sequences matter; "chat" where a template does that work.
        against: Other sets (validation, test, an evaluation set) that must not share rows with these, by name.
        counter: Counts tokens as the target's model does; None takes what is known of each target.
        find_personal_data: Finds more personal data than our patterns do, as `detectors.presidio()` does.
        language_of: Names the language of a text, as `detectors.langid()` does; without it, scripts are compared.
    """

    profiles: tuple[Profile, ...] = ()
    prompt_format: Literal["chat", "text"] = "chat"
    against: tuple[tuple[str, Iterable[Example]], ...] = ()
    counter: TokenCounter | None = None
    find_personal_data: Finder | None = None
    language_of: LanguageOf | None = None


class Check(ABC):
    """One subject of checking. A new instance for every run; memory grows with findings, never with the text seen.

    Rows may be millions and may not fit in memory: keep hashes, counts and row ids, not examples.
    """

    codes: ClassVar[tuple[str, ...]]
    """Every code that its findings may have."""
    worst: ClassVar[Severity] = "error"
    """How severe its findings can be; a check that can find nothing worse is left out where only worse is wanted."""

    def __init__(self, context: CheckContext) -> None:
        self.context = context

    @abstractmethod
    def see(self, example: Example) -> None:
        """Look at one row. Called once for each, in data order."""

    @abstractmethod
    def findings(self) -> Iterable[Finding]:
        """What is wrong, after the last row. The same rows in the same order give the same findings."""
