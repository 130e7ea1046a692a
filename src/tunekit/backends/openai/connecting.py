"""From a host's facts and what the caller gave to a transport. Knows environment variables; makes no call."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from tunekit.backends.openai.endpoint import Endpoint, KeyHeader
from tunekit.backends.openai.hosts import Host
from tunekit.backends.openai.questions import PLAIN_TEXT
from tunekit.backends.openai.secret import Key, Secret, unsendable
from tunekit.backends.openai.transport import Call, Query, Reply, Transport
from tunekit.data.wording import brief, listed
from tunekit.errors import SpecError

BASE_URL_VARIABLES = ("TUNEKIT_OPENAI_BASE_URL", "OPENAI_BASE_URL")
"""Read for the host "openai" alone: a key of another host must not follow them."""
ANSWER_TIMEOUT_S = 600.0
"""As long as openai-python waits."""
LONGEST_ANSWER_S = 86_400.0


def check_values(
    files_expire_after_s: int | None, requests_at_once: int, plain_text: str, batch_from: int | None
) -> None:
    """Refuse what no host takes.

    Raises:
        SpecError: A number is out of its range, or a word is none of those there are.
    """
    if files_expire_after_s is not None and not 3600 <= files_expire_after_s <= 2_592_000:
        raise SpecError(
            f"files_expire_after_s is {files_expire_after_s}",
            hint="use 3600 (an hour) to 2592000 (30 days), or None",
        )
    if requests_at_once < 1:
        raise SpecError(f"requests_at_once is {requests_at_once}", hint="use 1 or more")
    if batch_from is not None and batch_from < 1:
        raise SpecError(f"batch_from is {batch_from}", hint="use 1 or more, or None")
    if plain_text not in PLAIN_TEXT:
        raise SpecError(f"plain_text is {brief(plain_text)}", hint=f"use {listed(PLAIN_TEXT)}")


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
    if not has_key and host.needs_key and not endpoint.is_loopback:
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
    return with_query(transport, tuple(query.items())) if query else transport


def with_query(transport: Transport, query: Query) -> Transport:
    """The transport, with parameters added to every call."""
    return _Changed(inner=transport, change=lambda call: replace(call, query=(*call.query, *query)))


def patient(transport: Transport, answer_timeout_s: float) -> Transport:
    """The transport, with the time that questions to a model get: an answer may be long, and its host slow.

    Raises:
        SpecError: That is no time.
    """
    if not 0 < answer_timeout_s <= LONGEST_ANSWER_S:
        raise SpecError(
            f"answer_timeout_s is {answer_timeout_s}", hint=f"use seconds, such as {ANSWER_TIMEOUT_S:g}"
        )
    hint = (
        "ask for fewer tokens, or give OpenAIBackend a longer answer_timeout_s; it may be billed all the same"
    )
    return _Changed(
        inner=transport, change=lambda call: replace(call, deadline_s=answer_timeout_s, late_hint=hint)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Changed:
    """A transport that changes every call.

    Attributes:
        inner: Carries the calls.
        change: Makes another of each.
    """

    inner: Transport
    change: Callable[[Call], Call]

    async def send(self, call: Call) -> Reply:
        """As `Transport.send`."""
        return await self.inner.send(self.change(call))

    def stream(self, call: Call) -> AsyncIterator[bytes]:
        """As `Transport.stream`."""
        return self.inner.stream(self.change(call))

    async def aclose(self) -> None:
        """As `Transport.aclose`."""
        await self.inner.aclose()
