"""Errors as OpenAI's clients read them. Knows statuses, types and codes; not which route went wrong.

What of an error its caller reads is decided in `telling`; the rest is logged, under the id that the answer bears.
"""

from __future__ import annotations

import logging
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from tunekit.errors import (
    BackendError,
    ConflictError,
    DataError,
    DeadlineError,
    InvalidError,
    MissingExtraError,
    NotFoundError,
    PreflightError,
    StorageError,
    TunekitError,
    UnknownOutcomeError,
    UnsupportedError,
)
from tunekit.server.telling import UNTOLD, told

_log = logging.getLogger(__name__)

_STATUSES: tuple[tuple[type[TunekitError], int], ...] = (
    (DataError, 400),
    (InvalidError, 400),
    (PreflightError, 400),
    (UnsupportedError, 400),
    (NotFoundError, 404),
    (ConflictError, 409),
    (UnknownOutcomeError, 503),
    (DeadlineError, 503),
    (StorageError, 507),
    (MissingExtraError, 501),
    (BackendError, 502),
)
_UNREAD = (408, 413)
"""Answered while the rest of a body may still come: nobody waits for it, so the connection ends."""
_PATH_CHARACTERS = 100
_CLIENT_CLOSED = 499  # nginx's number; nobody reads it but the access log


class _Refusal(HTTPException):
    """A request that is answered with an error.

    Args:
        status: HTTP status.
        message: What was wrong.
        param: Which parameter was to blame.
        code: For programs.
    """

    def __init__(
        self, status: int, message: str, *, param: str | None = None, code: str | None = None
    ) -> None:
        super().__init__(status, message)
        self.param, self.code = param, code


def refused(status: int, message: str, *, param: str | None = None, code: str | None = None) -> HTTPException:
    """A request that is answered with this status."""
    return _Refusal(status, message, param=param, code=code)


def invalid(message: str, *, param: str | None = None, code: str | None = None) -> HTTPException:
    """A request that is wrong in itself: status 400."""
    return _Refusal(400, message, param=param, code=code)


def unsupported(param: str, message: str) -> HTTPException:
    """A parameter of the original that means nothing here. It is refused rather than passed over."""
    return invalid(message, param=param, code="unsupported_parameter")


def body_of(
    status: int, message: str, *, param: str | None = None, code: str | None = None
) -> dict[str, Any]:
    """An error body in OpenAI's shape."""
    return {"error": {"message": message, "type": _type(status), "param": param, "code": code}}


def response_of(error: Exception, request_id: str = "") -> Response:
    """The answer to a request that failed with this error. What its caller may not read is logged.

    Args:
        error: What went wrong.
        request_id: What the answer to the request is called, there and in the log.
    """
    if isinstance(error, _Refusal):
        status = error.status_code
        headers = {"connection": "close"} if status in _UNREAD else None
        return JSONResponse(
            body_of(status, error.detail, param=error.param, code=error.code), status, headers
        )
    if isinstance(error, HTTPException):
        return JSONResponse(body_of(error.status_code, error.detail), error.status_code, error.headers)
    if isinstance(error, ClientDisconnect):
        return Response(status_code=_CLIENT_CLOSED)
    if isinstance(error, TunekitError):
        return _answer_of(error, request_id)
    _log.error("%s: answered 500", request_id or "no request", exc_info=error)
    return JSONResponse(body_of(500, _untold(request_id)), 500)


def _answer_of(error: TunekitError, request_id: str) -> Response:
    status, text = status_of(error), told(error)
    if status >= 500:
        _log.warning("%s: answered %d: %s", request_id or "no request", status, error)
    code, param = code_of(error)
    return JSONResponse(body_of(status, text or _untold(request_id), param=param, code=code), status)


def _untold(request_id: str) -> str:
    return f"{UNTOLD} Its log says why under {request_id}." if request_id else UNTOLD


def told_as_error(error: TunekitError, request_id: str) -> TunekitError:
    """The error with what a caller may read of it, for who shows its words elsewhere than in the answer's error."""
    if text := told(error):
        return BackendError(text, hint="change what it names", backend=error.backend)
    _log.warning("%s: %s", request_id, error)
    return BackendError(_untold(request_id), hint="try again later", backend=error.backend)


async def answer(request: Request, error: Exception) -> Response:
    """`response_of` as Starlette's exception handler."""
    if isinstance(error, HTTPException) and not isinstance(error, _Refusal) and error.status_code == 404:
        # No route: said as the original says it, and why.
        asked = f"{request.method} {request.url.path[:_PATH_CHARACTERS]}"
        error = _Refusal(404, f"Invalid URL ({asked}): this server does not have it.", code="unknown_url")
    return response_of(error, request_id_of(request))


def request_id_of(request: Request) -> str:
    """What the answer to a request will be called; "" outside of the guard."""
    found: str = getattr(request.state, "request_id", "")
    return found


def status_of(error: TunekitError) -> int:
    """The HTTP status of one of our errors. A refusal of a backend that no retry will change is the caller's."""
    status = next((status for kind, status in _STATUSES if isinstance(error, kind)), 500)
    if not told(error):
        return status if status >= 500 else 500  # nothing that the caller could change
    return 400 if status == 502 and not error.retryable and not getattr(error, "ambiguous", False) else status


def code_of(error: TunekitError) -> tuple[str | None, str | None]:
    """The code of one of our errors, the original's where it has one, and which parameter was to blame."""
    if not told(error):
        return None, None
    if isinstance(error, NotFoundError) and "model" in error.details:
        return "model_not_found", None
    return error.code, error.details.get("param", error.field if isinstance(error, DataError) else None)


def _type(status: int) -> str:
    if status == 429:
        return "rate_limit_error"
    return "invalid_request_error" if status < 500 else "server_error"
