"""A call in the making: its body, and how often it was tried. Knows JSON and forms; sends nothing."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass

from tunekit.backends.openai.endpoint import check_headers
from tunekit.backends.openai.form import Form
from tunekit.backends.openai.transport import Call
from tunekit.errors import SpecError


class Payload:
    """The body of a call, to be sent as often as needed.

    Raises:
        SpecError: It is no JSON, or a header cannot be sent.
    """

    def __init__(self, call: Call) -> None:
        check_headers(call.headers)
        self._content: bytes | Form | None = None
        self.headers = {name.lower(): value for name, value in call.headers.items()}
        if call.file is not None or call.form:
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
    """A call, and what has been done about it so far."""

    call: Call
    url: str
    payload: Payload
    deadline_s: float
    ends: float
    tries: int = 0
    cost: int = 1

    def __str__(self) -> str:
        return f"{self.call.method} {self.call.path}"
