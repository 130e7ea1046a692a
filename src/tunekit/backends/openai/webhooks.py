"""Webhooks: signed by who sends them, checked and read by who gets them. Knows Standard Webhooks; keeps no state.

A webhook is a doorbell. It says which job has changed, and never how: the job itself is always asked
(`tunekit.jobs.webhooks`). The rules are those of standardwebhooks.com, which OpenAI and our own server follow: an
HMAC-SHA256 over `id.timestamp.body`, a clock that may be off by five minutes either way, several signatures while a
secret is exchanged, and one id for all attempts to deliver the same message.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import secrets
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn, TypeAlias

from tunekit.data.wording import brief
from tunekit.errors import InvalidError, SpecError
from tunekit.events import JobState

Headers: TypeAlias = Mapping[str, str] | Iterable[tuple[str | bytes, str | bytes]]
"""Headers of a request: a mapping of any web framework, or the pairs of an ASGI scope."""

TOLERANCE_S = 300.0
"""How far the sender's clock may be from ours, either way: what OpenAI's own package allows."""

MAX_BODY_BYTES = 1 << 20
"""A webhook is a few hundred bytes; nothing larger is looked at."""

_ID, _TIMESTAMP, _SIGNATURE = "webhook-id", "webhook-timestamp", "webhook-signature"
_PREFIX, _VERSION = "whsec_", "v1"
_MIN_KEY_BYTES = 16  # the standard asks for 24; nobody guesses 128 random bits either
_MAX_SIGNATURES = 32
_WELL_FORMED_ID = re.compile(r"[\x21-\x7e]{1,256}")
_WELL_FORMED_TIMESTAMP = re.compile(r"[0-9]{1,12}")
_JOB = "fine_tuning.job."


class WebhookError(InvalidError):
    """A request is not a webhook of the sender whose secret we hold, or it is too old. Answer it with status 400."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookEvent:
    """What a webhook says. Types that tunekit does not know are kept as they are.

    Attributes:
        delivery_id: Of the message; the same for every attempt to deliver it. What duplicates are told by.
        sent_at: When this attempt was signed, in Unix seconds.
        type: Such as "fine_tuning.job.succeeded" or "batch.completed".
        id: The sender's name for the event; empty where it gives none.
        created_at: When it happened, in Unix seconds; `sent_at` where the sender does not say.
        data: What it is about, as sent.

    Examples:
        >>> event = WebhookEvent(delivery_id="wh_1", sent_at=0, type="fine_tuning.job.failed", data={"id": "ftjob-1"})
        >>> event.job_id, event.claimed_state
        ('ftjob-1', <JobState.FAILED: 'failed'>)
    """

    delivery_id: str
    sent_at: float
    type: str
    id: str = ""
    created_at: float = 0.0
    data: Mapping[str, Any] = field(default_factory=dict, hash=False)

    @property
    def job_id(self) -> str:
        """The job that it is about, as the backend calls it; empty if it is about something else."""
        about = self.data.get("id")
        return about if isinstance(about, str) and self.type.startswith(_JOB) else ""

    @property
    def claimed_state(self) -> JobState | None:
        """The state that the type names, for logs; None where it names none. Where the job stands, only it can say."""
        name = self.type.removeprefix(_JOB)
        return JobState(name) if self.job_id and name in set(JobState) else None


def receive(
    headers: Headers,
    body: bytes,
    *,
    secret: str | Sequence[str],
    tolerance_s: float = TOLERANCE_S,
    now: float | None = None,
) -> WebhookEvent:
    r"""Check that a request is a webhook of the sender whose secret we hold, and read it.

    Call it from a handler of any web framework, with the bytes of the body exactly as they came. It keeps nothing and
    asks nobody; `tunekit.jobs.webhooks.refresh` then looks the job up.

    Args:
        headers: Of the request.
        body: Of the request, raw: JSON that was read and written again has another signature.
        secret: "whsec_..." of the endpoint; several while one is exchanged for another.
        tolerance_s: How far the sender's clock may be off, in seconds, either way.
        now: Unix time; None is the clock.

    Raises:
        WebhookError: It is none, or of somebody else, or too old or too new.
        SpecError: The secret is not one.

    Examples:
        >>> secret, body = new_secret(), b'{"type": "fine_tuning.job.succeeded", "data": {"id": "ftjob-1"}}'
        >>> receive(sign(body, secret=secret, delivery_id="wh_1"), body, secret=secret).job_id
        'ftjob-1'
    """
    keys = _keys(secret)
    del secret
    _check_keys(keys)
    found = _signed(headers)
    _verify(found, body, keys)
    _check_clock(found.timestamp, time.time() if now is None else now, tolerance_s)
    return _read(found, body)


def sign(
    body: bytes, *, secret: str | Sequence[str], delivery_id: str, now: float | None = None
) -> dict[str, str]:
    """The headers of a webhook: its id, the time, and a signature for each secret.

    Args:
        body: What will be sent, byte for byte.
        secret: Of the endpoint; several while one is exchanged for another.
        delivery_id: Name of the message; the same for each attempt to deliver it.
        now: Unix time; None is the clock. Every attempt is signed anew.

    Raises:
        SpecError: The secret is not one, or the id cannot be a header.

    Examples:
        >>> sorted(sign(b"{}", secret=new_secret(), delivery_id="wh_1"))
        ['webhook-id', 'webhook-signature', 'webhook-timestamp']
    """
    keys = _keys(secret)
    del secret
    _check_keys(keys)
    if not _WELL_FORMED_ID.fullmatch(delivery_id):
        raise SpecError(
            f"delivery_id is {brief(delivery_id)}", hint="use 1 to 256 visible ASCII characters, no spaces"
        )
    timestamp = str(int(time.time() if now is None else now))
    signatures = " ".join(key.signature(delivery_id, timestamp, body) for key in keys)
    return {_ID: delivery_id, _TIMESTAMP: timestamp, _SIGNATURE: signatures}


def new_secret() -> str:
    """A new secret for an endpoint: 256 random bits."""
    return _PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


class _Key:
    """A secret that shows itself to nobody."""

    __slots__ = ("_bytes",)

    def __init__(self, key: bytes) -> None:
        self._bytes = key

    def signature(self, delivery_id: str, timestamp: str, body: bytes) -> str:
        signed = f"{delivery_id}.{timestamp}.".encode() + body
        digest = hmac.digest(self._bytes, signed, hashlib.sha256)
        return f"{_VERSION},{base64.b64encode(digest).decode()}"

    def __bool__(self) -> bool:
        return len(self._bytes) >= _MIN_KEY_BYTES

    def __repr__(self) -> str:
        return "<a webhook's secret>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a webhook's secret is not pickled")


def _keys(secret: str | Sequence[str]) -> tuple[_Key, ...]:
    given = [secret] if isinstance(secret, str) else secret or [""]
    return tuple(_Key(_key_bytes(one)) for one in given)


def _check_keys(keys: tuple[_Key, ...]) -> None:
    """Apart from `_keys`, which holds the secrets: a traceback shows the variables of its frames."""
    if not all(keys):
        raise SpecError(
            f"a webhook's secret is not {_PREFIX!r} and the base64 of at least {_MIN_KEY_BYTES} bytes",
            hint="copy it whole from where the endpoint was made; new_secret() makes one",
        )


def _key_bytes(secret: object) -> bytes:
    """The key in a secret; empty if it is none."""
    if not isinstance(secret, str) or not secret.startswith(_PREFIX):
        return b""
    try:
        return base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except ValueError:
        return b""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Signed:
    """The three headers, well-formed but not yet believed."""

    delivery_id: str
    timestamp: str
    signatures: tuple[bytes, ...]


def _signed(headers: Headers) -> _Signed:
    values = {name: _only(name, _values(headers, name)) for name in (_ID, _TIMESTAMP, _SIGNATURE)}
    for name, form in ((_ID, _WELL_FORMED_ID), (_TIMESTAMP, _WELL_FORMED_TIMESTAMP)):
        if not form.fullmatch(values[name]):
            raise WebhookError(f"{name} is {brief(values[name])}", hint=_NOT_OURS)
    given = values[_SIGNATURE].split(maxsplit=_MAX_SIGNATURES)[:_MAX_SIGNATURES]
    return _Signed(
        delivery_id=values[_ID],
        timestamp=values[_TIMESTAMP],
        signatures=tuple(signature.encode(errors="replace") for signature in given),
    )


_NOT_OURS = "answer with status 400: whoever sent it, it was not signed by the rules of Standard Webhooks"


def _values(headers: Headers, name: str) -> list[str]:
    pairs = headers.items() if isinstance(headers, Mapping) else headers or ()
    return [_text(value) for key, value in pairs if _text(key).lower() == name]


def _text(value: str | bytes) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


def _only(name: str, values: list[str]) -> str:
    if len(values) != 1:
        raise WebhookError(f"{name} is there {len(values)} times", hint=_NOT_OURS)
    return values[0]


def _verify(found: _Signed, body: bytes, keys: tuple[_Key, ...]) -> None:
    if not isinstance(body, bytes | bytearray):
        raise SpecError(
            f"body is {type(body).__name__}", hint="pass the raw bytes of the request, as they came"
        )
    if len(body) > MAX_BODY_BYTES:
        raise WebhookError(f"the body has {len(body)} bytes", hint=_NOT_OURS)
    wanted = [key.signature(found.delivery_id, found.timestamp, bytes(body)).encode() for key in keys]
    # All are compared, so that the time tells nothing about which came close.
    matches = [hmac.compare_digest(want, given) for want in wanted for given in found.signatures]
    del wanted
    if not any(matches):
        raise WebhookError(
            "no signature is by a secret that is known here",
            hint="answer with status 400; if they should match: is it this endpoint's secret, and are the bytes"
            " those that came, before anything parsed them?",
        )


def _check_clock(timestamp: str, now: float, tolerance_s: float) -> None:
    off_s = now - int(timestamp)
    if not abs(off_s) <= tolerance_s:
        when = "ago" if off_s > 0 else "from now"
        raise WebhookError(
            f"it was signed {abs(off_s):.0f} s {when}, {tolerance_s:g} s are allowed",
            hint="answer with status 400: a copy of an old webhook looks like this; or set this machine's clock",
        )


def _read(found: _Signed, body: bytes) -> WebhookEvent:
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        said = None
    if not isinstance(said, dict) or not isinstance(said.get("type"), str):
        raise WebhookError(
            f"it is signed, but no event: {brief(bytes(body[:40]))}", hint="answer with status 400"
        )
    name, at, data = said.get("id"), said.get("created_at"), said.get("data")
    sent_at = float(found.timestamp)
    return WebhookEvent(
        delivery_id=found.delivery_id,
        sent_at=sent_at,
        type=said["type"],
        id=name if isinstance(name, str) else "",
        created_at=float(at) if isinstance(at, int | float) and abs(at) < 1e12 else sent_at,
        data=data if isinstance(data, dict) else {},
    )
