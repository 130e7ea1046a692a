"""A call in the making: its address, its body, and how often it was tried. Knows JSON and forms; sends nothing."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from tunekit.backends.openai.endpoint import check_headers
from tunekit.backends.openai.form import Form
from tunekit.backends.openai.lanes import Lane
from tunekit.backends.openai.transport import Call
from tunekit.data.wording import brief
from tunekit.errors import SpecError

_MOST_CHARS = 60_000
"""Of an address; httpx refuses more than 65,536."""
# RFC 3986, 3.3; "." and ".." lead out of the place where they stand.
_PATH = re.compile(r"(?:/(?!\.{1,2}(?:/|$))(?:[A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2})*)+")


def address(base_url: str, call: Call) -> str:
    """Where a call goes.

    Raises:
        SpecError: The path leads elsewhere, or a parameter is no text that can be sent.

    Examples:
        >>> address("https://a.org/v1", Call(method="GET", path="/files", safety="read", query=(("a", "b c"),)))
        'https://a.org/v1/files?a=b+c'
    """
    if not _PATH.fullmatch(call.path):
        raise SpecError(
            f"{brief(call.path)} is no path below the host's address",
            hint="an id in it must be percent-encoded, and be neither . nor ..",
        )
    with _sendable("a query parameter"):
        url = f"{base_url}{call.path}{'?' if call.query else ''}{urlencode(call.query)}"
    if len(url) > _MOST_CHARS:
        raise SpecError(
            f"the address of {call.method} {brief(call.path)} has {len(url):,} characters",
            hint=f"send fewer or shorter parameters, {_MOST_CHARS:,} characters in all",
        )
    return url


@contextmanager
def _sendable(what: str) -> Iterator[None]:
    try:
        yield
    except UnicodeEncodeError as error:
        character = f"U+{ord(error.object[error.start]):04X}"
    else:
        return
    raise SpecError(f"{what} has {character} in it, which no host can read", hint="remove the lone surrogate")


class Payload:
    """The body of a call, to be sent as often as needed.

    Raises:
        SpecError: It is no JSON, a field is no text that can be sent, or a header cannot be.
    """

    def __init__(self, call: Call) -> None:
        check_headers(call.headers)
        self._content: bytes | Form | None = None
        self.headers = {name.lower(): value for name, value in call.headers.items()}
        if call.file is not None or call.form:
            with _sendable("a field of the form"):
                form = self._content = Form(call.form, call.file)
            self.headers |= {"content-type": form.content_type, "content-length": str(form.length)}
        elif call.body is not None:
            self._content = _json(call)
            self.headers["content-type"] = "application/json"

    def content(self) -> bytes | AsyncIterator[bytes] | None:
        """From its beginning."""
        return self._content.chunks() if isinstance(self._content, Form) else self._content


def _json(call: Call) -> bytes:
    try:
        return json.dumps(call.body, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise SpecError(
            f"the body of {call.method} {call.path} cannot be written as JSON: {error}",
            hint="use texts, numbers that are finite, lists and objects",
        ) from None


@dataclass(slots=True, kw_only=True)
class Effort:
    """A call, and what has been done about it so far.

    Attributes:
        call: What is asked.
        url: Where.
        payload: The body.
        lane: Where it is done; once that is closed, it is not tried again.
        deadline_s: How long all of it may take.
        ends: When that is over, in seconds of the transport's clock.
        tries: How many attempts there were.
        cost: What the last of them cost of the quota.
        before: How the last but one ended; empty where there was none.
    """

    call: Call
    url: str
    payload: Payload
    lane: Lane[Any]
    deadline_s: float
    ends: float
    tries: int = 0
    cost: int = 1
    before: str = ""

    def __str__(self) -> str:
        return f"{self.call.method} {self.call.path}"
