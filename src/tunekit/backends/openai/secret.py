"""A key, and how it stays unseen. Knows what may stand in a header; sends nothing.

A key is shown by nothing that prints, logs, copies or pickles what holds it; only `reveal` gives it.
"""

from __future__ import annotations

import asyncio
import inspect
import re
from collections.abc import Awaitable, Callable
from typing import NoReturn, Protocol, TypeAlias
from urllib.parse import quote

from tunekit.errors import BackendError, SpecError, UnsupportedError

# What RFC 9110 allows in a field value, less blanks: no key has those, and one at an end is a slip of copying.
_SENDABLE = re.compile(r"[\x21-\x7e]+")
_LEAST_MASKED = 8
_WORDS = re.compile(r"[A-Za-z]+(?:[-_.][A-Za-z]+)*")
_LONGEST_WORDS = 19
"""Placeholders are short, or a few words ("not-needed"), which may stand in any message and any model's answer."""

_SHOWN = "[key]"
# A JSON text may write any character as an escape; hosts do so with some.
_ESCAPE = re.compile(rb'\\(?:u00[2-7]|["\\/])')


class Secret:
    """A key that shows itself to nobody who does not ask for it.

    Args:
        value: The key, in printable ASCII without blanks.

    Raises:
        SpecError: It cannot stand in a header. The message does not show it.

    Examples:
        >>> Secret("sk-very-secret-1")
        Secret('**********')
        >>> Secret("sk-very-secret-1").masked("no such key: sk-very-secret-1")
        'no such key: [key]'
    """

    __slots__ = ("_in_json", "_value")

    def __init__(self, value: str) -> None:
        sendable = _is_sendable(value)
        self._value = value if sendable else ""
        self._in_json: re.Pattern[bytes] | None = None
        del value  # a traceback may show what the variables of its frames hold
        if not sendable:
            raise unsendable()

    @classmethod
    def of(cls, value: str) -> Secret | None:
        """The key hidden; None where it cannot be sent. For callers whose own variables hold it."""
        return cls(value) if _is_sendable(value) else None

    def reveal(self) -> str:
        """The key itself, for the one place that sends it."""
        return self._value

    @property
    def longest_form(self) -> int:
        """The most bytes that it takes where it is written as escapes; 0 where it is only a placeholder."""
        is_words = len(self._value) <= _LONGEST_WORDS and _WORDS.fullmatch(self._value)
        return 0 if len(self._value) < _LEAST_MASKED or is_words else 6 * len(self._value)

    def masked(self, text: str) -> str:
        """The text without the key, should it have come back in a header, plain or as a part of an address."""
        if not self.longest_form:
            return text
        return text.replace(self._value, _SHOWN).replace(quote(self._value, safe=""), _SHOWN)

    def masked_bytes(self, data: bytes) -> bytes:
        r"""The same of a body, in which the key may be written with JSON's escapes.

        Examples:
            >>> Secret("sk-very-secret-1").masked_bytes(rb'{"error": "\u0073k-very-secret-1"}')
            b'{"error": "[key]"}'
        """
        if not self.longest_form:
            return data
        data = data.replace(self._value.encode(), _SHOWN.encode())
        if not _ESCAPE.search(data):
            return data
        if self._in_json is None:
            self._in_json = re.compile(b"".join(map(_forms, self._value)))
        return self._in_json.sub(_SHOWN.encode(), data)

    def begun(self, data: bytes) -> int:
        """How many bytes at the end of the data are a beginning of the key."""
        most = min(len(data), len(self._value) - 1)
        return next((n for n in range(most, 0, -1) if data.endswith(self._value[:n].encode())), 0)

    def __repr__(self) -> str:
        return "Secret('**********')"

    def __reduce__(self) -> NoReturn:
        raise UnsupportedError(
            "a key cannot be pickled or copied",
            hint="read the key from its source in the process that needs it",
        )


def _forms(character: str) -> bytes:
    """A pattern of all the ways to write a character of a key, plain or in JSON."""
    plain = re.escape(character)
    escaped = rf"|\\{plain}" if character in '"\\/' else ""
    return rf"(?:{plain}|\\u00(?i:{ord(character):02x}){escaped})".encode()


class Hidden(Protocol):
    """What pydantic's `SecretStr` is."""

    def get_secret_value(self) -> str:
        """The key itself."""


Key: TypeAlias = str | Secret | Hidden | Callable[[], str | Awaitable[str]] | None
"""A key, or a function that gives the one that is good now, blocking or not; None where none is asked for."""

KeySource: TypeAlias = Callable[[], Awaitable[Secret | None]]


def _is_sendable(value: object) -> bool:
    return isinstance(value, str) and _SENDABLE.fullmatch(value) is not None


def unsendable() -> SpecError:
    """What is said of a key that no header can hold."""
    return SpecError(
        "the key is empty, or has a blank, a line break or a character that no header can hold",
        hint="a key that was read from a file ends with a line break: use .strip()",
    )


def key_source(key: Key) -> KeySource | None:
    """A function that gives the key that is good now; None where the key cannot be sent.

    Raises nothing, because then a traceback would hold the key.

    Args:
        key: The key, or what gives it. A blocking function runs in a thread, once for each attempt at a call.
    """
    if key is None:
        return _Fixed(None)
    if callable(key):
        return _Asked(key)
    if not isinstance(key, (str, Secret)):
        key = key.get_secret_value()
    secret = Secret.of(key) if isinstance(key, str) else key
    return None if secret is None else _Fixed(secret)


class _Fixed:
    def __init__(self, secret: Secret | None) -> None:
        self._secret = secret

    async def __call__(self) -> Secret | None:
        return self._secret


class _Asked:
    def __init__(self, give: Callable[[], str | Awaitable[str]]) -> None:
        self._give = give

    async def __call__(self) -> Secret | None:
        failure = ""
        secret = None
        try:
            secret = await self._asked()
        except Exception as error:  # somebody else's code can raise anything, and may name the key in it
            failure = type(error).__name__
        if failure:
            raise BackendError(
                f"the function that gives the key raised {failure}",
                hint="call it by itself to see why; its message is not shown here because it may hold the key",
            )
        if secret is None:
            raise unsendable()
        return secret

    async def _asked(self) -> Secret | None:
        if inspect.iscoroutinefunction(self._give):
            return Secret.of(await self._give())
        given = await asyncio.to_thread(self._give)
        return Secret.of(await given if inspect.isawaitable(given) else given)
