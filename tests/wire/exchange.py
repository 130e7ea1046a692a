"""What a loopback server of the tests is made of: a function from requests to responses. Knows no socket."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What arrived, whole."""

    method: str
    path: str  # without the query
    query: tuple[tuple[str, str], ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)  # names in lower case
    body: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """What goes back, unless something bad happens on the way."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    @staticmethod
    def of(value: Any, status: int = 200, **headers: str) -> Response:
        sent = {"content-type": "application/json", **headers}
        return Response(status=status, headers=sent, body=json.dumps(value).encode())


Handler: TypeAlias = Callable[[Request], Response]
