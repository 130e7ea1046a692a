"""What a host that says no means: from status, headers and body to a typed error. Knows no connection.

Bodies are not trusted: they are cut, control characters are taken out, and any shape of JSON, or none, will do.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from tunekit.backends import registry
from tunekit.backends.openai.transport import Call, Safety, request_id
from tunekit.data.wording import brief
from tunekit.errors import (
    TOO_LONG,
    BackendError,
    DeadlineError,
    InvalidError,
    NotFoundError,
    TunekitError,
)

_SHOWN_CHARS = 300
_TITLE = re.compile(r"<(?:title|h1)[^>]{0,100}>([^<]{1,120})", re.IGNORECASE)
# Control characters, halves of pairs that no file can hold, and what turns the direction of a line around.
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufeff]+")

LASTING_CODES = frozenset({"insufficient_quota", "billing_hard_limit_reached", "billing_not_active"})
"""A 429 with one of these does not pass by waiting: there is no money."""
NO_TRAINING_CODES = frozenset({"training_not_available", "training_not_supported"})
_ABSENT_CODES = frozenset({"model_not_found", "DeploymentNotFound"})

# The host may have begun: a timeout, a conflict with what it has begun, "see what came of it" (RFC 9110, 15.4.4).
_UNCERTAIN = frozenset({303, 408, 409, 425})


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """What a host said beside its status.

    Attributes:
        message: In its words, cut; or what kind of body it was.
        code: Its code, such as "insufficient_quota".
        kind: Its word for the kind of error.
        param: The field of the request that it is about.
        is_page: Whether a web page came in place of an answer.
    """

    message: str = ""
    code: str = ""
    kind: str = ""
    param: str = ""
    is_page: bool = False

    @property
    def is_lasting(self) -> bool:
        """Whether waiting does not help, whatever the status."""
        return self.code in LASTING_CODES or self.kind in LASTING_CODES


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """An answer that is no good one.

    Attributes:
        status: Its status.
        headers: Names in lower case.
        problem: What its body says.
        told_s: How long the host asks to wait, if it does.
        notes: What else is to be said, such as how often it was tried.
    """

    status: int
    headers: Mapping[str, str]
    problem: Problem
    told_s: float | None = None
    notes: str = ""

    @property
    def request_id(self) -> str:
        """What the host calls this exchange."""
        return shown(request_id(self.headers), 100)

    def told(self, told_s: float | None, notes: str) -> Refusal:
        """The same, with what became of it."""
        return replace(self, told_s=told_s, notes=notes)


def read_problem(headers: Mapping[str, str], body: bytes) -> Problem:
    """What the body of an error says.

    Args:
        headers: Of the answer.
        body: Its first 64 KiB.

    Examples:
        >>> read_problem({}, b'{"error": {"message": "no such file", "code": "missing"}}').message
        'no such file'
        >>> read_problem({"content-type": "text/html"}, b"<title>502 Bad Gateway</title>").message
        'a web page "502 Bad Gateway"'
    """
    text = body.decode("utf-8", errors="replace").lstrip("\ufeff \t\r\n")
    if text[:1] == "<" or "html" in headers.get("content-type", ""):
        title = _TITLE.search(text)
        return Problem(message=f'a web page "{shown(title[1], 80)}"' if title else "a web page", is_page=True)
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return Problem(message=shown(text))
    return _of_json(value)


def _of_json(value: Any) -> Problem:
    whole = value if isinstance(value, dict) else {}
    error = whole.get("error")
    # Others of this dialect put these beside each other, or a text in place of the object.
    inner = error if isinstance(error, dict) else whole
    found = map(_words, (inner.get("message"), error, whole.get("message"), whole.get("detail")))
    message = next(filter(None, found), "")
    return Problem(
        message=message or ("" if isinstance(value, dict) else _words(value)),
        code=_word(inner.get("code")),
        kind=_word(inner.get("type")),
        param=_word(inner.get("param")),
    )


def _words(value: Any) -> str:
    if isinstance(value, list):  # FastAPI's "detail"
        return shown("; ".join(_words(item) for item in value[:3]))
    if isinstance(value, dict):
        return _words(value.get("msg") or value.get("message") or "")
    return shown(value) if isinstance(value, str) else ""


def _word(value: Any) -> str:
    return shown(str(value), 80) if isinstance(value, (str, int)) and not isinstance(value, bool) else ""


def shown(text: str, most: int = _SHOWN_CHARS) -> str:
    """A host's words on one line, and not too many of them."""
    line = _UNPRINTABLE.sub(" ", text[: most + 1]).strip()
    return line if len(line) <= most else line[: most - 3] + "..."


def refused(refusal: Refusal, call: Call, *, host: str, backend: str) -> TunekitError:
    """The error for an answer that is no good one.

    Args:
        refusal: The answer.
        call: What was asked.
        host: Whom.
        backend: The name that the error bears.
    """
    problem, status = refusal.problem, refusal.status
    said = f": {problem.message}" if problem.message else ""
    about = f" (about {problem.param})" if problem.param else ""
    request = f" [request {refusal.request_id}]" if refusal.request_id else ""
    message = f"{host} answered {status} to {call.method} {call.path}{said}{about}{request}{refusal.notes}"
    hint, retryable = _advice(refusal, call.safety, backend)
    details = _details(refusal, call)
    # A page of 404 is a proxy's, which knows nothing of what was asked for; nor does a host that has broken.
    if (status == 404 and not problem.is_page) or (problem.code in _ABSENT_CODES and 400 <= status < 500):
        return NotFoundError(message, hint=hint, backend=backend, details=details)
    if problem.code == TOO_LONG:
        return InvalidError(message, hint="shorten the prompt", backend=backend, details=details)
    return BackendError(
        message,
        ambiguous=_is_uncertain(status) and call.safety is not Safety.READ,
        hint=hint,
        backend=backend,
        retryable=retryable,
        details=details,
    )


def _details(refusal: Refusal, call: Call) -> dict[str, Any]:
    problem = refusal.problem
    facts = {
        "status": refusal.status,
        "method": call.method,
        "path": call.path,
        "request_id": refusal.request_id,
        "code": problem.code,
        "type": problem.kind,
        "param": problem.param,
        "retry_after_s": refusal.told_s,
    }
    return {name: value for name, value in facts.items() if value not in ("", None)}


def _advice(refusal: Refusal, safety: Safety, backend: str) -> tuple[str, bool]:
    """A hint, and whether the same call may succeed later."""
    status, problem = refusal.status, refusal.problem
    if problem.code in NO_TRAINING_CODES:
        return f"this account can start no training there any more; {_elsewhere(backend)}", False
    if problem.is_lasting:
        return (
            "there is no money left on this account: add some, or raise its limit; waiting does not help",
            False,
        )
    if status == 429:
        wait = f"{refusal.told_s:.0f} s" if refusal.told_s else "a while"
        return f"the host asks for fewer calls: try again after {wait}", True
    if _is_uncertain(status):
        later = "try again later; if it stays so, ask whoever runs the host, naming the request"
        look = "look whether it was done before you try again"
        return look if safety is Safety.ONCE else later, status != 303
    if problem.is_page or status < 300:
        what = "a web page" if problem.is_page else "no JSON"
        # In place of a good answer it may be there for the moment alone.
        return (
            f"that is {what}: check base_url, and whether a proxy or a login stands before the host",
            status < 300 or (status == 404 and safety is Safety.READ),
        )
    return _REFUSALS.get(status, "change what the message names; the same call would be refused again"), False


def _is_uncertain(status: int) -> bool:
    return status in _UNCERTAIN or status >= 500


_LOOK = "it may have taken effect all the same: look before you try again"
_REFUSALS = {
    401: "the key was not accepted: check that it is whole, not expired and meant for this host",
    403: "the key may not do that: check its project, its role and the model",
    404: "check the id, the project that the key belongs to, and base_url",
    413: "send less at once",
    **dict.fromkeys(
        (301, 302, 307, 308), "give the address that it names as base_url, if it is the right one"
    ),
}


def _elsewhere(backend: str) -> str:
    names = registry.others(backend)
    return f"also installed here: {', '.join(names)}" if names else "no other backend is installed here"


def lost(call: Call, *, reached: bool, reason: str, host: str, backend: str) -> BackendError:
    """The error for a call to which no whole answer came.

    Args:
        call: What was asked.
        reached: Whether a byte of it may have left this machine.
        reason: What happened, and how often.
        host: Whom.
        backend: The name that the error bears.
    """
    is_open = reached and call.safety is not Safety.READ
    return BackendError(
        f"{host} gave no whole answer to {call.method} {call.path}: {reason}",
        ambiguous=is_open,
        hint=_LOOK
        if reached and call.safety is Safety.ONCE
        else "check the address, the network and any proxy",
        backend=backend,
        retryable=not is_open or call.safety is not Safety.ONCE,
        details={"method": call.method, "path": call.path, "reached": reached},
    )


def overdue(
    call: Call, *, reached: bool, deadline_s: float, reason: str, host: str, backend: str
) -> DeadlineError:
    """The error for a call whose time was up before a whole answer came. Takes what `lost` takes, and the time."""
    is_open = reached and call.safety is Safety.ONCE
    return DeadlineError(
        f"{host} gave no whole answer to {call.method} {call.path} within {deadline_s:g} s: {reason}",
        hint=_LOOK if is_open else call.late_hint or "allow it more time, or try again later",
        backend=backend,
        retryable=not is_open,
        details={"method": call.method, "path": call.path, "reached": reached, "deadline_s": deadline_s},
    )


def elsewhere(location: str, *, host: str, backend: str) -> BackendError:
    """The error for a redirect to where the key must not go."""
    return BackendError(
        f"{host} sends the call on to {brief(location)}, and a key goes to no other host",
        hint="if that is the right place, give it as base_url",
        backend=backend,
    )


def too_large(call: Call, most_bytes: int, *, host: str, backend: str) -> BackendError:
    """The error for an answer that has no end."""
    return BackendError(
        f"{host} answered {call.method} {call.path} with more than {most_bytes:,} bytes",
        ambiguous=call.safety is not Safety.READ,
        hint="ask for less at once, or read it as a stream",
        backend=backend,
        details={"method": call.method, "path": call.path, "most_bytes": most_bytes},
    )
