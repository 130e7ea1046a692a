"""Errors as OpenAI's clients read them. Knows statuses, types and codes; not which route went wrong."""

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


def response_of(error: Exception) -> Response:
    """The answer to a request that failed with this error. Unknown errors are logged and told nothing about."""
    if isinstance(error, _Refusal):
        status = error.status_code
        return JSONResponse(body_of(status, error.detail, param=error.param, code=error.code), status)
    if isinstance(error, HTTPException):
        return JSONResponse(body_of(error.status_code, error.detail), error.status_code, error.headers)
    if isinstance(error, ClientDisconnect):
        return Response(status_code=_CLIENT_CLOSED)
    if isinstance(error, TunekitError):
        status = status_of(error)
        if status >= 500:
            _log.warning("answered %d: %s", status, error)
        return JSONResponse(body_of(status, _text(error), code=error.code), status)
    _log.error("answered 500", exc_info=error)
    return JSONResponse(body_of(500, "The server had an error while processing your request."), 500)


async def answer(request: Request, error: Exception) -> Response:
    """`response_of` as Starlette's exception handler."""
    return response_of(error)


def status_of(error: TunekitError) -> int:
    """The HTTP status of one of our errors. A refusal of a backend that no retry will change is the caller's."""
    status = next((status for kind, status in _STATUSES if isinstance(error, kind)), 500)
    return 400 if status == 502 and not error.retryable and not getattr(error, "ambiguous", False) else status


def _text(error: TunekitError) -> str:
    # Paths of this machine are none of the caller's business, so a DataError goes without its own.
    return f"{error.message} ({error.hint})" if error.hint else error.message


def _type(status: int) -> str:
    if status == 429:
        return "rate_limit_error"
    if status == 401:
        return "authentication_error"
    return "invalid_request_error" if status < 500 else "server_error"
