"""Telling others that a job has ended: signed as Standard Webhooks say. Knows HTTP and addresses; not jobs.

What a signature is, `tunekit.backends.openai.webhooks` knows, for senders and receivers alike.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from tunekit._loopback import is_loopback
from tunekit.backends.openai.webhooks import sign
from tunekit.errors import SpecError

MAX_ATTEMPTS = 12
_URL = re.compile(r"[!-~]+")  # goes into the head of a request as it is
_STATUS = re.compile(rb"HTTP/1\.[01] ([1-9][0-9]{2})[ \r]")
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 5.0, 4 * 3600.0
_DEADLINE_S = 15.0
_PORTS = {"https": 443, "http": 80}


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """Whom to tell of the end of a job.

    Attributes:
        url: Where to post; https, unless it is on this machine.
        secret: What it is signed with: `whsec_` and base64, as the receiver has it.
        tenant: Only of this tenant's jobs; None tells of all.

    Raises:
        SpecError: The address or the secret is not one.

    Examples:
        >>> Webhook(url="http://127.0.0.1:9/hook", secret="whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
        Webhook(url='http://127.0.0.1:9/hook', tenant=None)
    """

    url: str
    secret: str = field(repr=False)
    tenant: str | None = None

    def __post_init__(self) -> None:
        """Check what was passed."""
        _checked_url(self.url)
        sign(b"", secret=self.secret, delivery_id="check")

    @property
    def name(self) -> str:
        """What it is called where it is written down; the secret is not part of it."""
        return hashlib.sha256(f"{self.url}\0{self.tenant or ''}".encode()).hexdigest()[:16]


def post(webhook: Webhook, message_id: str, timestamp: int, body: bytes) -> str:
    """Send a message once; follows no redirect.

    Blocks for at most 15 seconds, however the receiver answers, and longer only where its name is not resolved. It is
    called in a thread, and has an event loop of its own there: names are looked up in threads of the loop.

    Returns:
        "" if the receiver said yes, else what went wrong.
    """
    headers = {
        "host": urlsplit(webhook.url).netloc,
        "content-type": "application/json",
        "content-length": str(len(body)),
        "user-agent": "tunekit",
        "connection": "close",
        **sign(body, secret=webhook.secret, delivery_id=message_id, now=timestamp),
    }
    try:
        status = asyncio.run(_status(webhook, headers, body))
    except (OSError, EOFError, asyncio.LimitOverrunError, ValueError) as error:
        return f"{type(error).__name__}: {error}"
    return "" if 200 <= status < 300 else f"the receiver answered {status}"


async def _status(webhook: Webhook, headers: Mapping[str, str], body: bytes) -> int:
    """What the receiver answers. All of it has one deadline: one for each read would let a slow head go on for ever."""
    parts = urlsplit(webhook.url)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    async with asyncio.timeout(_DEADLINE_S):
        reader, writer = await asyncio.open_connection(
            parts.hostname, parts.port or _PORTS[parts.scheme], ssl=parts.scheme == "https"
        )
        try:
            writer.write(f"POST {target} HTTP/1.1\r\n{head}\r\n".encode() + body)
            await writer.drain()
            while (status := _status_in(await reader.readuntil(b"\r\n\r\n"))) < 200:
                pass  # 100 and its like: the answer comes behind
        finally:
            writer.transport.abort()
    return status


def _status_in(head: bytes) -> int:
    found = _STATUS.match(head)
    if found is None:
        raise ValueError("the receiver does not speak HTTP")
    return int(found[1])


def pause_s(attempts: int) -> float:
    """How long to wait after so many attempts; together about a day."""
    return min(_FIRST_PAUSE_S * 4.0**attempts, _LONGEST_PAUSE_S)


def _checked_url(url: str) -> None:
    parts = urlsplit(url)
    is_safe = parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname or ""))
    if not parts.hostname or "@" in parts.netloc or not is_safe or not _URL.fullmatch(url):
        raise SpecError(
            f"{url[:40]!r} is no address for a webhook",
            hint="use https://..., without a user or a space in it; other letters than ASCII as %C3%A9 or xn--...",
        )
