"""Many calls through random faults: nothing done twice that is ONCE, nothing untyped, nothing past its deadline."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from random import Random

import pytest

from tests.unit.backends.openai.calls import ok, transport
from tests.wire.exchange import Request, Response
from tests.wire.faults import Fault, FaultyServer
from tests.wire.random_faults import any_fault
from tunekit.backends.openai.http import HttpTransport
from tunekit.backends.openai.transport import Call, FilePart, Safety
from tunekit.errors import BackendError, DeadlineError, TunekitError

OVERRUN_S = 1.0
_log = logging.getLogger(__name__)


@pytest.mark.parametrize("seed", [1, 2])
async def test_150_calls_through_random_faults(seed: int) -> None:
    await through_faults(seed, 150, deadline_s=0.5)


@pytest.mark.soak
@pytest.mark.timeout(1800)
async def test_10000_calls_through_random_faults() -> None:
    await through_faults(3, 10_000, deadline_s=1.0)


async def through_faults(seed: int, calls: int, *, deadline_s: float) -> None:
    random = Random(seed)
    with FaultyServer(ok, endless(random)) as server:
        one = transport(server, deadline_s=deadline_s, drain_s=0.2, draw=random.random)
        stalls_s = [0.0]
        beat = asyncio.create_task(beating(stalls_s))
        numbers = iter(range(calls))
        found = await asyncio.gather(*(several(one, numbers, seed, deadline_s) for _ in range(8)))
        beat.cancel()
        await one.aclose()
        took = Counter(
            dict(request.query)["n"] for request in server.runs if dict(request.query).get("once") == "1"
        )
    ends = [end for some in found for end in some]
    kinds = Counter(kind for _, kind, _ in ends)
    assert len(ends) == calls
    # Where other processes keep the whole event loop from running, no call in it can end.
    assert max(overrun_s for _, _, overrun_s in ends) < OVERRUN_S + max(stalls_s)
    assert set(took.values()) <= {1}, "a call that is ONCE took effect twice"
    for number, kind, _ in ends:
        if kind == "refused" and str(number) in took:
            raise AssertionError(f"call {number} took effect, and its error says for certain that it did not")
    assert min(kinds["done"], kinds["refused"], kinds["in doubt"]) > calls / 100, kinds
    latest_s = max(overrun_s for _, _, overrun_s in ends)
    told = "%d calls: %s; at most %.2f s late, and the loop stood still for %.2f s at most"
    _log.info(told, calls, dict(kinds), latest_s, max(stalls_s))


async def beating(stalls_s: list[float]) -> None:
    """Note by how much a pause of 10 ms was longer than that, where it was longest so far."""
    while True:
        begun = time.monotonic()
        await asyncio.sleep(0.01)
        stalls_s[0] = max(stalls_s[0], time.monotonic() - begun - 0.01)


def endless(random: Random) -> Iterator[Fault]:
    while True:
        yield any_fault(random)


async def several(
    one: HttpTransport, numbers: Iterator[int], seed: int, deadline_s: float
) -> list[tuple[int, str, float]]:
    """Calls one after the other: the number of each, how it ended, and by how much it was late."""
    ends = []
    for number in numbers:
        random = Random(seed + number)
        call = random_call(number, random)
        end = streamed if random.random() < 0.2 else ended
        kind, longest_s = await end(one, call)
        ends.append((number, kind, longest_s - deadline_s))
    return ends


async def ended(one: HttpTransport, call: Call) -> tuple[str, float]:
    """How a call ended, and how long it took."""
    begun = time.monotonic()
    try:
        await one.send(call)
        kind = "done"
    except TunekitError as error:
        kind = kind_of(error)
    return kind, time.monotonic() - begun


async def streamed(one: HttpTransport, call: Call) -> tuple[str, float]:
    """How a stream ended, and how long its longest silence was."""
    times = [time.monotonic()]
    try:
        async for _ in one.stream(call):
            times.append(time.monotonic())  # noqa: PERF401 (what came before an error counts, too)
        kind = "done"
    except TunekitError as error:
        kind = kind_of(error)
    times.append(time.monotonic())
    return kind, max(later - sooner for sooner, later in pairwise(times))


def kind_of(error: TunekitError) -> str:
    assert error.hint
    in_doubt = isinstance(error, DeadlineError) or (isinstance(error, BackendError) and error.ambiguous)
    return "in doubt" if in_doubt else "refused"


def random_call(number: int, random: Random) -> Call:
    safety = random.choice(list(Safety))
    query = (("n", str(number)), ("once", str(int(safety is Safety.ONCE))))
    if safety is Safety.READ:
        return Call(method="GET", path="/jobs", safety=safety, query=query)
    content = random.randbytes(random.choice([0, 10, 100_000]))
    file = FilePart(
        field="file", filename="a", content_type="text/plain", source=content, length=len(content)
    )
    if random.random() < 0.3:
        return Call(method="POST", path="/files", safety=safety, query=query, form=(("a", "b"),), file=file)
    return Call(method="POST", path="/jobs", safety=safety, query=query, body={"a": "b" * len(content)})


def test_a_server_that_runs_what_it_refuses_would_be_found_out() -> None:
    """The test above can fail: a handler that is run by a 400 is a call that took effect and said that it did not."""
    liar = Fault(name="liar", instead=Response(status=400), runs=True)

    async def main() -> list[tuple[str, list[Request]]]:
        with FaultyServer(ok, [liar]) as server:
            one = transport(server)
            call = Call(method="POST", path="/jobs", safety=Safety.ONCE, query=(("n", "0"), ("once", "1")))
            kind, _ = await ended(one, call)
            await one.aclose()
            return [(kind, server.runs)]

    ((kind, runs),) = asyncio.run(main())
    assert kind == "refused" and len(runs) == 1
