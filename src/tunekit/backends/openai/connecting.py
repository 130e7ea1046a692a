"""From a host's facts and what the caller gave to a transport. Knows environment variables; makes no call."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, replace

from tunekit.backends.openai.endpoint import Endpoint, KeyHeader
from tunekit.backends.openai.hosts import Host
from tunekit.backends.openai.secret import Key, Secret, unsendable
from tunekit.backends.openai.transport import Call, Query, Reply, Transport
from tunekit.data.wording import listed
from tunekit.errors import SpecError

BASE_URL_VARIABLES = ("TUNEKIT_OPENAI_BASE_URL", "OPENAI_BASE_URL")
"""Read for the host "openai" alone: a key of another host must not follow them."""


def check_numbers(files_expire_after_s: int | None, requests_at_once: int) -> None:
    """Refuse what no host takes.

    Raises:
        SpecError: A number is out of its range.
    """
    if files_expire_after_s is not None and not 3600 <= files_expire_after_s <= 2_592_000:
        raise SpecError(
            f"files_expire_after_s is {files_expire_after_s}",
            hint="use 3600 (an hour) to 2592000 (30 days), or None",
        )
    if requests_at_once < 1:
        raise SpecError(f"requests_at_once is {requests_at_once}", hint="use 1 or more")


def base_url_from_environment(host: str) -> str:
    """Where the environment says that the host is; "" where it does not say."""
    names = BASE_URL_VARIABLES if host == "openai" else ()
    return next((os.environ[name] for name in names if os.environ.get(name)), "")


def key_from_environment(variables: Sequence[str]) -> Secret | None:
    """The key of the first variable that is set; None where none is.

    Raises:
        SpecError: It cannot stand in a header.
    """
    name = next((name for name in variables if os.environ.get(name)), None)
    if name is None:
        return None
    secret = Secret.of(os.environ[name])
    if secret is None:
        raise unsendable()
    return secret


def connected(
    host: Host,
    base_url: str,
    key: Key,
    *,
    backend: str,
    organization: str,
    project: str,
    headers: Mapping[str, str],
    query: Mapping[str, str],
) -> Transport:
    """A transport to the host.

    Raises:
        SpecError: There is no key where one is needed, a parameter that the host needs is missing, or the address
            is not safe to send a key to.
    """
    from tunekit.backends.openai.http import HttpTransport

    has_key = key is not None
    endpoint = Endpoint(
        base_url,
        key=key,
        key_header=KeyHeader(host.key_header),
        organization=organization,
        project=project,
        headers=headers,
    )
    del key  # a traceback may show what the variables of its frames hold
    if not has_key and host.name != "generic" and not endpoint.is_loopback:
        raise SpecError(
            f"there is no API key for {host.title}",
            hint=f"set one of {listed(host.key_variables)}, or pass api_key=",
        )
    missing = [name for name in host.needs_query if name not in query]
    if missing:
        raise SpecError(
            f"{host.title} needs the query parameters {listed(missing)}",
            hint=f"pass query={{{missing[0]!r}: ...}}",
        )
    transport = HttpTransport(endpoint, backend=backend)
    return WithQuery(inner=transport, query=tuple(query.items())) if query else transport


@dataclass(frozen=True, slots=True, kw_only=True)
class WithQuery:
    """A transport that adds parameters to every call.

    Attributes:
        inner: Carries the calls.
        query: What is added.
    """

    inner: Transport
    query: Query

    async def send(self, call: Call) -> Reply:
        """As `Transport.send`."""
        return await self.inner.send(self._asked(call))

    def stream(self, call: Call) -> AsyncIterator[bytes]:
        """As `Transport.stream`."""
        return self.inner.stream(self._asked(call))

    async def aclose(self) -> None:
        """As `Transport.aclose`."""
        await self.inner.aclose()

    def _asked(self, call: Call) -> Call:
        return replace(call, query=(*call.query, *self.query))
