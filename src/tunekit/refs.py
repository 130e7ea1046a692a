"""The `"<backend>:<id>"` grammar. It knows how such a string splits; it does not know which backends exist.

The string splits at its first colon, so ids may hold colons and slashes of their own
(`openai:ft:gpt-4.1-mini:acme::x`, `local:Qwen/Qwen3-0.6B`, `local:./examples/models/nano`).
"""

from __future__ import annotations

import re
from typing import Any, Self

from tunekit.errors import RefError

_BACKEND = re.compile(r"[a-z][a-z0-9_-]{0,39}\Z")
_MAX_LENGTH = 1024
_UNUSABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")  # control characters, and halves of characters


class Ref(str):
    """A plain string `"<backend>:<id>"` that knows its two halves. Store it anywhere a string goes.

    Raises:
        RefError: The string has no backend name, no id, or a character that is none or controls a terminal.

    Examples:
        >>> ref = Ref("local:Qwen/Qwen3-0.6B")
        >>> ref.backend, ref.id
        ('local', 'Qwen/Qwen3-0.6B')
    """

    __slots__ = ()

    def __new__(cls, value: str) -> Self:
        """Check the grammar."""
        return super().__new__(cls, _checked(value, cls.__name__))

    @classmethod
    def of(cls, backend: str, identifier: str) -> Self:
        """Join a backend name and an id."""
        return cls(f"{backend}:{identifier}")

    @property
    def backend(self) -> str:
        """Name of the backend: what stands before the first colon."""
        return self.split(":", 1)[0]

    @property
    def id(self) -> str:
        """What the backend itself calls this thing."""
        return self.split(":", 1)[1]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str.__repr__(self)})"

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        from pydantic_core import core_schema

        return core_schema.no_info_after_validator_function(cls, core_schema.str_schema())


class Target(Ref):
    """What to fine-tune, and where: `"local:Qwen/Qwen3-0.6B"`.

    Examples:
        >>> Target.of("local", "Qwen/Qwen3-0.6B")
        Target('local:Qwen/Qwen3-0.6B')
    """

    __slots__ = ()


class JobRef(Ref):
    """One fine-tuning job on one backend: `"local:run-9f2c..."`.

    Examples:
        >>> JobRef("local:run-9f2c") == "local:run-9f2c"
        True
    """

    __slots__ = ()


class ModelRef(Ref):
    """A model that a backend can answer with, base or tuned.

    Examples:
        >>> ModelRef("openai:ft:gpt-4.1-mini:acme::x").id
        'ft:gpt-4.1-mini:acme::x'
    """

    __slots__ = ()


def _checked(value: str, kind: str) -> str:
    if not isinstance(value, str):
        raise RefError(f"{kind} must be a string, not {type(value).__name__}", hint='write "<backend>:<id>"')
    backend, colon, identifier = value.partition(":")
    if not colon or not _BACKEND.match(backend) or not identifier.strip():
        raise RefError(
            f"{value[:120]!r} is not a {kind}",
            hint='write "<backend>:<id>", for example "local:Qwen/Qwen3-0.6B"',
        )
    if len(value) > _MAX_LENGTH or _UNUSABLE.search(value):
        raise RefError(
            f"{value[:120]!r} is too long or holds a control character", hint="check where it came from"
        )
    return value
