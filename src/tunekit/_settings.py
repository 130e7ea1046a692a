"""Where tunekit keeps things and which knobs a host can turn. Knows the order of precedence; reads nothing at import.

Argument > `Settings` object > `TUNEKIT_*` environment variable > default.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from tunekit.errors import SpecError


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The knobs of one host application. Construct it once and pass it along; nothing is global.

    Attributes:
        home: Directory for the store and for local runs (`TUNEKIT_HOME`, default `~/.tunekit`).
        submit_timeout_s: How long a backend may take to accept a job (`TUNEKIT_SUBMIT_TIMEOUT_S`).
        allowed_backends: If not empty, only these backends may be loaded (`TUNEKIT_ALLOWED_BACKENDS`, commas).

    Raises:
        SpecError: A `TUNEKIT_*` variable does not hold what it should.

    Examples:
        >>> Settings(home=Path("/tmp/x")).home.name
        'x'
    """

    home: Path = field(default_factory=lambda: _home())
    submit_timeout_s: float = field(default_factory=lambda: _seconds("TUNEKIT_SUBMIT_TIMEOUT_S", 300.0))
    allowed_backends: tuple[str, ...] = field(default_factory=lambda: _names("TUNEKIT_ALLOWED_BACKENDS"))

    @property
    def runs(self) -> Path:
        """Directory that holds one run directory per local job."""
        return self.home / "runs"

    @property
    def store(self) -> Path:
        """The SQLite file with what must not be lost."""
        return self.home / "store.sqlite3"


def _home() -> Path:
    value = os.environ.get("TUNEKIT_HOME")
    try:
        return Path(value).expanduser().absolute() if value else Path.home() / ".tunekit"
    except RuntimeError:
        raise SpecError("no home directory is known for this user", hint="set TUNEKIT_HOME") from None


def _seconds(name: str, default: float) -> float:
    value = os.environ.get(name)
    if not value:
        return default
    try:
        seconds = float(value)
    except ValueError:
        seconds = -1.0
    if not 0 < seconds < float("inf"):
        raise SpecError(
            f"{name}={value!r} is not a positive number of seconds", hint=f"for example {name}=300"
        )
    return seconds


def _names(name: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in os.environ.get(name, "").split(",") if part.strip())
