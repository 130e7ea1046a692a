"""Whether a call that went wrong is made again, and when. A pure decision: knows no socket, no clock, no chance.

The order of hints is that of OpenAI's own clients: `x-should-retry`, then `retry-after-ms`, then `retry-after` in
seconds or as a date. What differs: a call that is ONCE is only made again when nothing of it can have taken effect, and
a host that asks to wait for less than we would (0 s, say) does not make us hurry.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC
from email.utils import parsedate_to_datetime

from tunekit.backends.openai.quota import FAILED_COST, THROTTLED_COST
from tunekit.backends.openai.transport import Safety

FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 8.0
LONGEST_TOLD_S = 120.0
"""What a host may ask to wait; of more, the caller is told."""
CONFLICT_TRIES = 3
"""A 409 may be a lock that is soon free, or a conflict that stays."""
PAGE_TRIES = 5
"""A page in place of a good answer may be a proxy's for the moment, or what a wrong address has to say; this many tries
last for some seconds. Whoever waits for a job tries longer."""

_EVER = 1e9  # "inf" is no number of JSON, in which errors may be kept
_LASTING = {501, 505}  # "not implemented" and "HTTP version not supported" do not pass


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of an attempt that did not go well.

    Attributes:
        reached: Whether a byte of the request may have left this machine.
        status: Of the answer; None if there was none, or only a part.
        headers: Of the answer, names in lower case.
        lasting: Whether the answer says of itself that waiting does not help, as an empty account does.
    """

    reached: bool
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    lasting: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What to do.

    Attributes:
        wait_s: Seconds until the next attempt; None ends the call here.
        why: Why it ends; empty where the outcome says enough.
        told_s: How long the host asked to wait, if it did.
        cost: What the next attempt costs of the process's quota.
    """

    wait_s: float | None
    why: str = ""
    told_s: float | None = None
    cost: int = FAILED_COST


def decide(
    outcome: Outcome, *, safety: Safety, tries: int, left_s: float, now_s: float, draw: float
) -> Verdict:
    """Whether to make a call again.

    Args:
        outcome: What came of the last attempt.
        safety: What may be done with the call.
        tries: How many attempts there were, that one included.
        left_s: Seconds until the call's deadline.
        now_s: Unix time, to read dates by.
        draw: A number from 0 to 1 by chance, so that callers that fell together do not come back together.

    Examples:
        >>> lost = Outcome(reached=True)
        >>> decide(lost, safety=Safety.READ, tries=1, left_s=60, now_s=0, draw=1.0).wait_s
        0.5
        >>> decide(lost, safety=Safety.ONCE, tries=1, left_s=60, now_s=0, draw=1.0).wait_s is None
        True
    """
    told_s = told_wait_s(outcome.headers, now_s)
    if not _may_repeat(outcome, safety, tries):
        return Verdict(wait_s=None, told_s=told_s)
    if told_s is not None and told_s > LONGEST_TOLD_S:
        return Verdict(
            wait_s=None, told_s=told_s, why=f"it asks to wait {told_s:.0f} s, which is too long here"
        )
    wait_s = max(_backoff_s(tries, draw), (told_s or 0.0) * (1 + draw / 10))
    if wait_s >= left_s:
        why = f"the next attempt would be in {wait_s:.1f} s, after the deadline"
        return Verdict(wait_s=None, told_s=told_s, why=why)
    return Verdict(
        wait_s=wait_s, told_s=told_s, cost=THROTTLED_COST if outcome.status == 429 else FAILED_COST
    )


def _may_repeat(outcome: Outcome, safety: Safety, tries: int) -> bool:
    advice = outcome.headers.get("x-should-retry", "").strip().lower()
    if outcome.lasting or advice == "false":
        return False
    if safety is Safety.ONCE:
        # Whoever is throttled was not let in; any other answer may come from something that has begun.
        return not outcome.reached or outcome.status == 429
    if outcome.status is None or advice == "true":
        return True
    if outcome.status == 409:
        return tries < CONFLICT_TRIES
    if outcome.status < 300:
        return safety is Safety.READ and tries < PAGE_TRIES
    return outcome.status in (408, 425, 429) or (outcome.status >= 500 and outcome.status not in _LASTING)


def _backoff_s(tries: int, draw: float) -> float:
    longest_s = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** min(tries - 1, 10))
    return longest_s * (0.5 + draw / 2)


def told_wait_s(headers: Mapping[str, str], now_s: float) -> float | None:
    """How long a host asks to wait; None if it does not say, or says nothing that makes sense.

    Examples:
        >>> told_wait_s({"retry-after-ms": "1500", "retry-after": "9"}, 0)
        1.5
        >>> told_wait_s({"retry-after": "Thu, 01 Jan 1970 00:00:30 GMT"}, 10)
        20.0
    """
    milliseconds = _number(headers.get("retry-after-ms", ""))
    if milliseconds is not None:
        return milliseconds / 1000
    text = headers.get("retry-after", "")
    seconds = _number(text)
    return seconds if seconds is not None else _until(text, now_s)


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return min(value, _EVER) if value >= 0 else None  # which leaves out what is not a number


def _until(date: str, now_s: float) -> float | None:
    try:
        then = parsedate_to_datetime(date[:64])
        return max(0.0, then.replace(tzinfo=then.tzinfo or UTC).timestamp() - now_s)
    except (ValueError, TypeError, IndexError, OverflowError, OSError):
        return None  # whatever else it says, it is no date
