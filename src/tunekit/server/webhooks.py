"""Telling others that a job has ended: signed as Standard Webhooks say. Knows HTTP and addresses; not jobs.

What a signature is, `tunekit.backends.openai.webhooks` knows, for senders and receivers alike.
"""

from __future__ import annotations

import hashlib
import http.client
import ipaddress
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from tunekit.backends.openai.webhooks import sign
from tunekit.errors import SpecError

MAX_ATTEMPTS = 12
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 5.0, 4 * 3600.0
_TIMEOUT_S = 15.0


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
    """Send a message once. Blocks for at most about 15 seconds; follows no redirect.

    Returns:
        "" if the receiver said yes, else what went wrong.
    """
    parts = urlsplit(webhook.url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=_TIMEOUT_S)
    headers = {
        "content-type": "application/json",
        "user-agent": "tunekit",
        **sign(body, secret=webhook.secret, delivery_id=message_id, now=timestamp),
    }
    try:
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection.request("POST", path, body, headers)
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException, ValueError) as error:
        return f"{type(error).__name__}: {error}"
    finally:
        connection.close()
    return "" if 200 <= status < 300 else f"the receiver answered {status}"


def pause_s(attempts: int) -> float:
    """How long to wait after so many attempts; together about a day."""
    return min(_FIRST_PAUSE_S * 4.0**attempts, _LONGEST_PAUSE_S)


def _checked_url(url: str) -> None:
    parts = urlsplit(url)
    try:
        is_local = parts.hostname == "localhost" or ipaddress.ip_address(parts.hostname or "").is_loopback
    except ValueError:
        is_local = False
    if (
        not parts.hostname
        or parts.username
        or not (parts.scheme == "https" or (parts.scheme == "http" and is_local))
    ):
        raise SpecError(
            f"{url[:40]!r} is no address for a webhook", hint="use https://..., without a user in it"
        )
