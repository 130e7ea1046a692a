"""Where tunekit keeps things and which knobs a host can turn. Knows the order of precedence; reads nothing at import.

Argument > `Settings` object > `TUNEKIT_*` environment variable > default.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tunekit.errors import SpecError


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The knobs of one host application. Construct it once and pass it along; nothing is global.

    Attributes:
        home: Directory for the store and for local runs (`TUNEKIT_HOME`, default `~/.tunekit`). Made absolute at once:
            the training processes work elsewhere.
        submit_timeout_s: How long a backend may take to accept a job (`TUNEKIT_SUBMIT_TIMEOUT_S`).
        allowed_backends: If not empty, only these backends may be loaded (`TUNEKIT_ALLOWED_BACKENDS`, commas).

    Raises:
        SpecError: An argument or a `TUNEKIT_*` variable does not hold what it should.

    Examples:
        >>> Settings(home=Path("/tmp/x")).home.name
        'x'
    """

    home: Path = field(default_factory=lambda: _home())
    submit_timeout_s: float = field(default_factory=lambda: _seconds("TUNEKIT_SUBMIT_TIMEOUT_S", 300.0))
    allowed_backends: tuple[str, ...] = field(default_factory=lambda: _names("TUNEKIT_ALLOWED_BACKENDS"))

    def __post_init__(self) -> None:
        """Check what was passed; what came from the environment is good already."""
        # The one moment at which a frozen object may be written.
        object.__setattr__(self, "home", _directory("home", self.home))
        object.__setattr__(self, "submit_timeout_s", _positive("submit_timeout_s", self.submit_timeout_s))
        object.__setattr__(self, "allowed_backends", _several("allowed_backends", self.allowed_backends))

    @property
    def runs(self) -> Path:
        """Directory that holds one run directory per local job."""
        return self.home / "runs"

    @property
    def store(self) -> Path:
        """The SQLite file with what must not be lost."""
        return self.home / "store.sqlite3"

    @property
    def registry(self) -> Path:
        """The SQLite file with the versions of models, and the aliases that name them."""
        return self.home / "registry.sqlite3"

    @property
    def rounds(self) -> Path:
        """The SQLite file with the rounds of retraining."""
        return self.home / "rounds.sqlite3"

    @property
    def collected(self) -> Path:
        """Directory with what products were asked and answered, one directory for each name."""
        return self.home / "collected"

    @property
    def answers(self) -> Path:
        """The SQLite file with answers that evaluations were given; it may be deleted at any time."""
        return self.home / "answers.sqlite3"


def _home() -> Path:
    value = os.environ.get("TUNEKIT_HOME")
    if value:
        return _directory("TUNEKIT_HOME", value)
    try:
        return Path.home() / ".tunekit"
    except RuntimeError:
        raise SpecError("no home directory is known for this user", hint="set TUNEKIT_HOME") from None


def _seconds(name: str, default: float) -> float:
    value = os.environ.get(name)
    return _positive(name, value) if value else default


def _names(name: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in os.environ.get(name, "").split(",") if part.strip())


def _directory(name: str, value: Any) -> Path:
    try:
        path = Path(os.fspath(value)) if value != "" else None
        if path is not None:
            return path.expanduser().absolute()
    except TypeError:  # not a path at all, or one of bytes
        pass
    except RuntimeError as error:
        raise SpecError(f"{name}={value!r}: {error}", hint="write the whole path") from None
    raise SpecError(
        f"{name}={value!r} is not the path of a directory", hint=f'for example {name}="/srv/tunekit"'
    )


def _positive(name: str, value: Any) -> float:
    try:
        seconds = -1.0 if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        seconds = -1.0
    if not 0 < seconds < float("inf"):
        raise SpecError(
            f"{name}={value!r} is not a positive number of seconds", hint=f"for example {name}=300"
        )
    return seconds


def _several(name: str, value: Any) -> tuple[str, ...]:
    # A string is a sequence of strings too, and its letters are no backends.
    names = tuple(value) if isinstance(value, Iterable) and not isinstance(value, (str, bytes)) else (None,)
    if not all(isinstance(item, str) and item for item in names):
        raise SpecError(f"{name}={value!r} is not a sequence of names", hint=f'for example {name}=("local",)')
    return names
