"""Faults by chance, for long runs. Knows which of them a call that is ONCE can come to no harm by."""

from __future__ import annotations

from random import Random

from tests.wire import faults
from tests.wire.exchange import Response
from tests.wire.faults import Fault, answer

SIMPLE = (
    faults.NONE,
    *faults.BROKEN,
    faults.STALL,
    faults.STALL_IN_REPLY,
    faults.STALL_UNSEEN,
    answer(faults.HTML),
    answer(faults.HTML, runs=True),
    faults.drip(0.001),
    faults.late(0.05),
    faults.refused(0.02),
    faults.throttled(),
    faults.throttled({"retry-after-ms": "5"}),
    faults.throttled({"retry-after": "0"}),
    faults.redirected("/elsewhere"),
    faults.redirected("http://127.0.0.2:9/"),
    faults.redirected("//["),
)
REFUSALS = (301, 400, 401, 403, 404, 413, 422, 429)
"""Who answers with these has done nothing, or is beyond all help."""
FAILURES = (303, 408, 409, 500, 502, 503, 504, 529)
ODD_BODIES = (
    b"",
    b"null",
    b"[]",
    b'{"error": 7}',
    b'{"error": {}}',
    b'{"error": "no"}',
    b"\xff\xfe",
    b'{"error":',
)
HINTS: tuple[dict[str, str], ...] = (
    {},
    {"retry-after-ms": "5"},
    {"x-should-retry": "true"},
    {"retry-after": "nonsense"},
)


def any_fault(random: Random) -> Fault:
    """A fault, or none."""
    kind = random.random()
    if kind < 0.7:
        return random.choice(SIMPLE)
    headers = random.choice(HINTS)
    if kind < 0.85:
        status, runs = random.choice(REFUSALS), False
    else:
        status, runs = random.choice(FAILURES), random.random() < 0.5
    return answer(Response(status=status, headers=headers, body=random.choice(ODD_BODIES)), runs=runs)
