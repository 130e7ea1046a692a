"""What this backend asks of HTTP: calls and replies. Knows no library that makes them, no host and no key.

`http.py` is the one implementation; whatever else speaks to a host sees only what stands here.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol, TypeAlias, TypeVar

from tunekit.errors import BackendError

T = TypeVar("T")
Query: TypeAlias = tuple[tuple[str, str], ...]

LARGE_BYTES = 1 << 20
"""What takes more than some milliseconds to read."""
_BLANK = b"\xef\xbb\xbf \t\r\n"
_LONGEST_BLANK = 1 << 10


class Safety(StrEnum):
    """What may be done with a call whose answer did not come.

    Attributes:
        READ: It changes nothing: made again until the deadline.
        REPEATABLE: Twice has the effect of once (a cancel, a part of an upload, a delete): as READ.
        ONCE: It may cost money or make something: made again only where nothing of it can have arrived.
    """

    READ = "read"
    REPEATABLE = "repeatable"
    ONCE = "once"


@dataclass(frozen=True, slots=True, kw_only=True)
class FilePart:
    """A file in a form, or a stretch of one. It is read in pieces while it is sent, never as a whole.

    Attributes:
        field: Name of the form's field.
        filename: What the host calls the file.
        content_type: Its MIME type.
        source: Path of a file, or the bytes themselves.
        start: First byte to send.
        length: How many bytes to send.
    """

    field: str
    filename: str
    content_type: str
    source: Path | bytes
    start: int = 0
    length: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One HTTP request, to be made as often as its safety allows.

    Attributes:
        method: "GET", "POST", "PUT" or "DELETE".
        path: Below the base URL, as in "/fine_tuning/jobs"; every part that came from outside is percent-encoded.
        safety: What may be done when no answer comes.
        query: Names and values, in order.
        body: Sent as JSON; None sends none.
        form: Text fields of a multipart form.
        file: A file in that form.
        headers: Beyond those of the host; never a secret.
        takes_bytes: Whether the answer may be anything, and not only JSON: a file.
        deadline_s: Seconds for the call with all that is made again; None is the transport's own.
        late_hint: What helps where that is over, for calls of which there is more to say than of any.
    """

    method: str
    path: str
    safety: Safety
    query: Query = ()
    body: Mapping[str, Any] | None = None
    form: Query = ()
    file: FilePart | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    takes_bytes: bool = False
    deadline_s: float | None = None
    late_hint: str = ""


def request_id(headers: Mapping[str, str]) -> str:
    """What the host calls an exchange; empty where it does not say. Foundry has a name of its own for it.

    Examples:
        >>> request_id({"apim-request-id": "5f0c"})
        '5f0c'
    """
    return headers.get("x-request-id") or headers.get("apim-request-id", "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """A good answer; any other is raised as an error.

    Attributes:
        status: 200 to 299.
        headers: Names in lower case.
        body: The bytes as they came, decompressed.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def request_id(self) -> str:
        """What the host calls this exchange; empty where it does not say."""
        return request_id(self.headers)

    @property
    def may_be_json(self) -> bool:
        """Whether the body begins as every answer of the dialect does: with an object, or a list."""
        return self.body[:_LONGEST_BLANK].lstrip(_BLANK).startswith((b"{", b"["))

    def json(self) -> Any:
        """The body as JSON.

        Raises:
            BackendError: It is not JSON. That is ambiguous: the host did answer that it went well.
        """
        try:
            return _decoded(self.body)
        except (ValueError, RecursionError) as error:
            raise BackendError(
                f"the host answered {self.status} with something that is not JSON: {self.body[:40]!r}",
                ambiguous=True,
                hint="check that base_url is that of an API and not of a web page",
                details={"request_id": self.request_id},
            ) from error

    async def read(self, make: Callable[[Any], T]) -> T:
        """What `make` makes of the JSON; of a large body in a thread, while the event loop goes on.

        Raises:
            BackendError: As `json`, or `make` does.
        """
        if len(self.body) < LARGE_BYTES:
            return make(self.json())
        return await asyncio.to_thread(lambda: make(self.json()))


def _decoded(body: bytes) -> Any:
    text = body.decode("utf-8-sig", "surrogatepass")  # the only encoding of JSON (RFC 8259, 8.1)
    # The decoder is one long call in C, for which all other threads would have to wait. A function of Python's own
    # that it calls for each object lets them in.
    return json.loads(text) if len(body) < LARGE_BYTES else json.loads(text, object_hook=lambda found: found)


class Transport(Protocol):
    """Carries calls to one host. May be used from several threads and event loops."""

    async def send(self, call: Call) -> Reply:
        """Make a call and wait for the whole answer.

        Raises:
            BackendError: The host refused or broke; `ambiguous` where the call may have taken effect all the same.
            NotFoundError: The host says that there is no such thing.
            DeadlineError: The time was up; of a call that is ONCE that says nothing about its effect.
        """
        ...

    def stream(self, call: Call) -> AsyncIterator[bytes]:
        """Make a call and give its body in pieces as it comes: server-sent events, or a large file.

        Made again only while not a byte of the body was given. Raises what `send` does.
        """
        ...

    async def aclose(self) -> None:
        """Let go of the connections of every loop."""
        ...
