"""What arrives, read within limits: JSON, queries, streamed bytes. Knows HTTP bodies; not what is asked for in them."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Mapping
from itertools import chain, islice
from typing import Any, NoReturn, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request

from tunekit.data.wording import brief
from tunekit.server.blaming import blamed
from tunekit.server.limits import Limits
from tunekit.server.problems import invalid, refused

_MAX_INTEGER = 2**63
_SMALL_BYTES = 1 << 16
"""A longer body is read in a thread."""
_SLOWEST_BYTES_PER_S = 1024


class Body(BaseModel):
    """A JSON body, checked. Unknown fields are refused: a misspelt one would be passed over in silence."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, hide_input_in_errors=True)


B = TypeVar("B", bound=Body)


async def json_body(request: Request, kind: type[B], limits: Limits) -> B:
    """The JSON body of a request.

    Raises:
        HTTPException: It is too long, no JSON, nested too deep, of too many values, or not what this route takes.
    """
    data = await _json_bytes(request, limits)

    def read() -> B:
        return checked(kind, parsed(data, limits))

    return read() if len(data) <= _SMALL_BYTES else await asyncio.to_thread(read)


async def _json_bytes(request: Request, limits: Limits) -> bytes:
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type != "application/json":
        # A page in a browser can send any other type to a server on this machine without being asked.
        raise refused(415, f"Unsupported content type {brief(content_type)}; use application/json")
    return b"".join([piece async for piece in bounded(request, limits.json_bytes, limits)])


def parsed(data: bytes, limits: Limits) -> dict[str, Any]:
    """A JSON object of a size that was looked at before.

    Raises:
        HTTPException: It is none, nested too deep, or of too many values.
    """
    try:
        body = json.loads(data, parse_constant=_no_such_number)
    except (ValueError, RecursionError):
        raise invalid("We could not parse the JSON body of your request.") from None
    if not isinstance(body, dict):
        raise invalid("The JSON body of the request is not an object.")
    _require_measure(body, limits)
    return body


def checked(kind: type[B], body: Mapping[str, Any], *, at: str = "") -> B:
    """A part of a body that is what it should be.

    Raises:
        HTTPException: It is not; names the first field that is wrong.
    """
    try:
        return kind.model_validate(body)
    except ValidationError as error:
        path, first = blamed(error.errors(include_url=False, include_input=False), body, at=at)
    param = path or None
    if first["type"] == "extra_forbidden":
        raise invalid(
            f"Unrecognized request argument supplied: {param}", param=param, code="unknown_parameter"
        )
    if first["type"] == "missing":
        raise invalid(
            f"Missing required parameter: '{param}'.", param=param, code="missing_required_parameter"
        )
    raise invalid(f"Invalid value for '{param}': {first['msg']}.", param=param, code="invalid_value")


async def bounded(request: Request, limit: int, limits: Limits) -> AsyncIterator[bytes]:
    """The body of a request in pieces, up to so many bytes.

    Raises:
        HTTPException: It is longer, or its caller stalls or drips. Time that we take ourselves is not counted.
    """
    if declared_bytes(request, limit) > limit:
        raise _too_long(limit)
    total, waited_s, pieces = 0, 0.0, request.stream()
    while True:
        began = time.monotonic()
        try:
            async with asyncio.timeout(limits.patience_s + total / _SLOWEST_BYTES_PER_S - waited_s):
                piece = await anext(pieces, None)
        except TimeoutError:
            raise refused(
                408, "The body of the request comes too slowly, or not at all.", code="request_timeout"
            ) from None
        if piece is None:
            return
        waited_s += time.monotonic() - began
        total += len(piece)
        if total > limit:
            raise _too_long(limit)
        yield piece


def declared_bytes(request: Request, default: int) -> int:
    """How long the body is, as its caller says."""
    declared = request.headers.get("content-length", "")
    return int(declared) if declared.isascii() and declared.isdigit() and len(declared) < 20 else default


def whole_number(request: Request, name: str, default: int, *, least: int = 1, most: int) -> int:
    """A number in the query; a larger one than `most` counts as `most`, as in the original.

    Raises:
        HTTPException: It is no number, or too small.
    """
    text = request.query_params.get(name)
    if text is None:
        return default
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 10 else -1
    if number < least:
        raise invalid(
            f"Invalid value for '{name}': {brief(text)} is not a whole number of {least} or more.", param=name
        )
    return min(number, most)


def newest_first(request: Request) -> bool:
    """Whether `order` asks for the newest first, which it does by default."""
    order = request.query_params.get("order", "desc")
    if order not in ("asc", "desc"):
        raise invalid(
            f"Invalid value for 'order': {brief(order)} is neither 'asc' nor 'desc'.", param="order"
        )
    return order == "desc"


def _too_long(limit: int) -> HTTPException:
    return refused(413, f"The request is longer than {limit} bytes.", code="request_too_large")


def _no_such_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def _require_measure(body: Any, limits: Limits) -> None:
    """Refuse what is nested too deep, or has so many values that looking at each would hold up everybody.

    Without recursion: what is too deep for the stack is what this looks for. Finds bad numbers and texts, too.
    """
    level, left = [body], limits.json_values
    for _ in range(limits.json_depth):
        level = list(islice(chain.from_iterable(map(_inside, level)), left + 1))
        left -= len(level)
        if left < 0:
            raise invalid(f"The JSON body has more than {limits.json_values} names and values.")
        if not level:
            return
    raise invalid(f"The JSON body is nested deeper than {limits.json_depth} levels.")


def _inside(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [*value.keys(), *value.values()]
    if isinstance(value, list):
        return value
    if isinstance(value, str) and not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise invalid(
                "The JSON body has half of a surrogate pair in it, which is no character."
            ) from None
    if isinstance(value, int) and not -_MAX_INTEGER <= value < _MAX_INTEGER:
        raise invalid("The JSON body has a whole number of more than 64 bits.")
    if isinstance(value, float) and value in (float("inf"), float("-inf")):
        raise invalid("The JSON body has a number that is too large.")
    return []
