"""Many calls through random faults: nothing done twice that is ONCE, nothing untyped, nothing past its deadline."""

from __future__ import annotations

import asyncio
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

pytestmark = [
    pytest.mark.usefixtures("torn"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

OVERRUN_S = 1.0


@pytest.mark.parametrize("seed", [1, 2])
async def test_150_calls_through_random_faults(seed: int) -> None:
    await through_faults(seed, 150, deadline_s=0.5)


@pytest.mark.soak
async def test_10000_calls_through_random_faults() -> None:
    await through_faults(3, 10_000, deadline_s=1.0)


async def through_faults(seed: int, calls: int, *, deadline_s: float) -> None:
    random = Random(seed)
    with FaultyServer(ok, endless(random)) as server:
        one = transport(server, deadline_s=deadline_s, drain_s=0.2, draw=random.random)
        numbers = iter(range(calls))
        found = await asyncio.gather(*(several(one, numbers, seed, deadline_s) for _ in range(8)))
        await one.aclose()
        took = Counter(
            dict(request.query)["n"] for request in server.runs if dict(request.query).get("once") == "1"
        )
    ends = [end for some in found for end in some]
    kinds = Counter(kind for _, kind, _ in ends)
    assert len(ends) == calls
    assert max(overrun_s for _, _, overrun_s in ends) < OVERRUN_S
    assert set(took.values()) <= {1}, "a call that is ONCE took effect twice"
    for number, kind, _ in ends:
        if kind == "refused" and str(number) in took:
            raise AssertionError(f"call {number} took effect, and its error says for certain that it did not")
    assert min(kinds["done"], kinds["refused"], kinds["in doubt"]) > calls / 100, kinds


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
