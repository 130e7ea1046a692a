"""Where a host is and how one identifies oneself there. Knows addresses and header names; opens no connection."""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import TypeAlias
from urllib.parse import SplitResult, urljoin, urlsplit

from tunekit._loopback import is_loopback
from tunekit.backends.openai.secret import Key, KeySource, key_source, unsendable
from tunekit.data.wording import brief
from tunekit.errors import SpecError

# Stricter than any parser of addresses, so that no two of them can see different hosts in one.
_AUTHORITY = re.compile(r"(?:[A-Za-z0-9_.-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_VALUE = re.compile(r"[\x20-\x7e]*")
_PORTS = {"https": 443, "http": 80}

Origin: TypeAlias = tuple[str, str, int]


class KeyHeader(StrEnum):
    """In which header the key goes."""

    BEARER = "authorization"
    API_KEY = "api-key"
    PORTKEY = "x-portkey-api-key"


class Endpoint:
    """A host, and who is calling.

    Args:
        base_url: Such as "https://api.openai.com/v1"; a path of a call is put behind it. Off the loopback, https only.
        key: The key, a `Secret`, pydantic's `SecretStr`, a function that gives it, or None for a host that wants none.
        key_header: How the key is sent: "authorization" (as a bearer token) or "api-key".
        organization: For keys that belong to several.
        project: Likewise.
        headers: More of them, for every call; never a secret.

    Attributes:
        base_url: Without a slash at its end.
        source: Gives the key.

    Raises:
        SpecError: The address is none, or not safe to send a key to; a header cannot be sent.

    Examples:
        >>> Endpoint("https://api.openai.com/v1/", key="sk-1234")
        Endpoint('https://api.openai.com/v1')
    """

    base_url = ""  # so that a traceback through __init__ can show what there is yet

    def __init__(
        self,
        base_url: str,
        *,
        key: Key,
        key_header: KeyHeader = KeyHeader.BEARER,
        organization: str = "",
        project: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        source = key_source(key)
        del key  # a traceback may show what the variables of its frames hold
        if source is None:
            raise unsendable()
        self.source: KeySource = source
        self.key_header = KeyHeader(key_header)
        self.base_url = _checked(base_url)
        named = {"openai-organization": organization, "openai-project": project}
        self.headers = {name: value for name, value in named.items() if value} | dict(headers or {})
        check_headers(self.headers)

    def __repr__(self) -> str:
        return f"Endpoint({self.base_url!r})"

    @property
    def host(self) -> str:
        """The name of the host, for messages."""
        return urlsplit(self.base_url).netloc

    @property
    def is_loopback(self) -> bool:
        """Whether the host is this machine."""
        return is_loopback(urlsplit(self.base_url).hostname or "")

    def follow(self, url: str, location: str) -> str:
        """Where a redirect leads; "" to another host, to which the key must not go, or nowhere."""
        target, there = "", None
        try:
            target = urljoin(url, location)
            there = origin(urlsplit(target))
        except ValueError:
            pass  # not an address at all
        return target if there == origin(urlsplit(url)) and _VALUE.fullmatch(target) else ""


def origin(parts: SplitResult) -> Origin:
    """Scheme, host and port: what a key was given to.

    Raises:
        ValueError: The port is none.
    """
    return parts.scheme, (parts.hostname or ""), parts.port or _PORTS.get(parts.scheme, 0)


def check_headers(headers: Mapping[str, str]) -> None:
    """Refuse what would be another header, or none.

    Raises:
        SpecError: A name is no token, or a value has a character that no header can hold.
    """
    for name, value in headers.items():
        if not _TOKEN.fullmatch(name) or not _VALUE.fullmatch(value):
            raise SpecError(
                f"header {brief(name)} cannot be sent: its name or its value has a line break or is not plain ASCII",
                hint="percent-encode the value, or leave the header out",
            )


def _checked(url: str) -> str:
    try:
        parts = urlsplit(url)
        origin(parts)
    except (ValueError, AttributeError, TypeError):
        raise _refused(url, "is not an address", "for example https://api.openai.com/v1") from None
    if parts.scheme not in _PORTS or not _AUTHORITY.fullmatch(parts.netloc):
        reason = "must be http(s)://host/path, without a user name"
        raise _refused(url, reason, "for example https://api.openai.com/v1")
    if parts.query or parts.fragment or not _VALUE.fullmatch(parts.path) or "\\" in url:
        raise _refused(url, "has more than a host and a path", "leave away what follows a ? or a #")
    if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
        raise _refused(
            url, "would send the key in the clear", "use https; plain http is for 127.0.0.1 and localhost"
        )
    return url.rstrip("/")


def _refused(url: str, reason: str, hint: str) -> SpecError:
    return SpecError(f"base_url {brief(url)} {reason}", hint=hint)
