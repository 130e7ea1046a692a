"""Several requests at once: one round at work, one job for each request, and nobody's rows lost."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import tunekit as tk
from tests.unit.retrain.rounds.products import Host, product, rows


def test_two_services_that_ask_for_the_same_get_one_round(tmp_path: Path) -> None:
    host = Host(0.9)
    start = threading.Barrier(4)

    def service(_: int) -> tk.Round:
        retrainer = product(tmp_path, host)
        start.wait()
        return retrainer.run(rows("a"))

    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(service, range(4)))
    assert len({each.round_id for each in done}) == 1 and done[0].promoted
    assert host.counters.jobs == 1 and host.counters.submits == 1


def test_requests_that_wait_become_one_with_the_rows_of_all(tmp_path: Path) -> None:
    host = Host(0.7, 0.9)
    retrainer = product(tmp_path, host)
    asked = [retrainer.request(rows(name)) for name in "abc"]
    assert {each.state for each in asked} == {tk.RoundState.REQUESTED}
    (done,) = {each.round_id: each for each in retrainer.resume()}.values()
    assert done.round_id == asked[-1].round_id and done.promoted
    assert done.amounts is not None and done.amounts.new == 150 and host.counters.jobs == 1
    first = retrainer.rounds.get(asked[0].round_id)
    assert (first.state, first.coalesced_into) == (tk.RoundState.COALESCED, done.round_id)
    assert retrainer.run(rows("a")) == done, "who asks for the old one is told of the one that has its rows"


def test_different_requests_from_one_loop(tmp_path: Path) -> None:
    host = Host(0.6, 0.7, 0.8, 0.9, 0.95)

    async def scene() -> list[tk.Round]:
        return await asyncio.gather(*(product(tmp_path, host).run_async(rows(name)) for name in "abcde"))

    done = asyncio.run(scene())
    assert host.counters.jobs <= 5 and all(each.state.is_over for each in done)
    rounds = product(tmp_path, host).rounds
    assert all(each.state.is_over for each in rounds.list())
    last = next(each for each in rounds.list() if each.promoted)
    assert last.amounts is not None and rounds.registry.resolve("bot@champion") == last.model
    assert rounds.registry.version("bot@champion").facts["batches"] == 5, "the rows of all"
