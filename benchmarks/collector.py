"""What does the Collector add to a request, and does anything planted in the traffic get through?

    python benchmarks/collector.py [--requests 20000] [--connections 8]

A FastAPI application under uvicorn on loopback, in a process of its own, and clients in this one. Its handler answers
at once; half the blocks of requests go to the handler that also records, in turns, so that both meet the same machine.
Prompts have 2,000 characters, every tenth with an e-mail address, a telephone number, a card or a key in it; every
tenth answer is corrected.

- `call`: milliseconds of `record` (and `feedback`) inside the handler, as the server's own clock has them.
- `request`: milliseconds as the client sees them, with and without, and requests per second.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import httpx

from tunekit.retrain.collecting import Collector

BLOCK = 1000
WORDS = "where is my parcel and when will it come because I need it before Monday said the shop on the phone"
PLANTED = ("ann.lee@acme.org", "+49 170 1234567", "4539 1488 0343 6467", "AKIAQ7RWLDM3TZ5XKJ2P")
SERVER = """
import sys, time
import uvicorn
from fastapi import FastAPI
from tunekit.retrain.collecting import Collector

app, took = FastAPI(), []
collector = Collector("bench", directory=sys.argv[2], strict=True)

@app.post("/plain")
async def plain(body: dict):
    return {"answer": body["prompt"][::-1]}

@app.post("/collected")
async def collected(body: dict):
    answer = body["prompt"][::-1]
    began = time.perf_counter()
    turn = collector.record(body["prompt"], answer, model="bench@1", user=body["user"])
    if body["correct"]:
        collector.feedback(turn, correction=body["prompt"])
    took.append(time.perf_counter() - began)
    return {"answer": answer}

@app.get("/took")
async def calls():
    return took

uvicorn.run(app, port=int(sys.argv[1]), log_level="error")
"""


def prompt(draw: random.Random, number: int) -> str:
    """About 2,000 characters; every tenth with something that must not be kept."""
    words = draw.choices(WORDS.split(), k=430)
    if number % 10 == 0:
        words[draw.randrange(len(words))] = PLANTED[number // 10 % len(PLANTED)]
    return " ".join(words)[:2000]


async def block(
    client: httpx.AsyncClient, path: str, bodies: Sequence[dict[str, object]], at_once: int
) -> list[float]:
    """Seconds of each request."""
    took, waiting = [], iter(bodies)

    async def work() -> None:
        for body in waiting:
            began = time.perf_counter()
            (await client.post(path, json=body)).raise_for_status()
            took.append(time.perf_counter() - began)

    await asyncio.gather(*(work() for _ in range(at_once)))
    return took


async def measured(
    url: str, requests: int, at_once: int
) -> tuple[dict[str, list[float]], dict[str, float], list[float]]:
    """Seconds of requests and of whole blocks for each handler, and seconds of the calls."""
    draw = random.Random(0)
    took: dict[str, list[float]] = {"/plain": [], "/collected": []}
    spent = dict.fromkeys(took, 0.0)
    async with httpx.AsyncClient(base_url=url, timeout=30) as client:
        for _ in range(500):
            with_server = await _is_up(client)
            if with_server:
                break
            await asyncio.sleep(0.02)
        for _ in range(max(1, requests // BLOCK)):
            bodies = [
                {"prompt": prompt(draw, n), "user": f"u-{n % 50}", "correct": n % 10 == 5}
                for n in range(BLOCK)
            ]
            for path in took:
                began = time.perf_counter()
                took[path] += await block(client, path, bodies, at_once)
                spent[path] += time.perf_counter() - began
        calls: list[float] = (await client.get("/took")).json()
    return took, spent, calls


async def _is_up(client: httpx.AsyncClient) -> bool:
    try:
        return (await client.get("/took")).is_success
    except httpx.TransportError:
        return False


def percentiles(seconds: Sequence[float]) -> str:
    """p50, p99, p99.9 and the longest, in milliseconds."""
    cuts = statistics.quantiles(seconds, n=1000, method="inclusive")
    shown = {"p50": cuts[499], "p99": cuts[989], "p99.9": cuts[998], "longest": max(seconds)}
    return "  ".join(f"{name} {value * 1000:7.3f} ms" for name, value in shown.items())


def leaks(directory: Path) -> int:
    """How often something planted is in a file or in a row."""
    collector = Collector("bench", directory=directory, strict=True)
    rows = "".join(map(repr, (*collector.sft(), *collector.preferences())))
    written = "".join(path.read_bytes().decode("latin-1") for path in directory.iterdir())
    return sum(
        text.count(secret) + text.count(secret.replace(" ", ""))
        for text in (rows, written)
        for secret in PLANTED
    )


def main() -> None:
    """Print what was measured."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--requests", type=int, default=20_000, help="to each handler (default %(default)s)")
    parser.add_argument("--connections", type=int, default=8, help="at once (default %(default)s)")
    options = parser.parse_args()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as home:
        directory = Path(home) / "bench"
        server = subprocess.Popen([sys.executable, "-c", SERVER, str(port), str(directory)])
        try:
            took, spent, calls = asyncio.run(
                measured(f"http://127.0.0.1:{port}", options.requests, options.connections)
            )
        finally:
            server.kill()
            server.wait()
        print(
            f"{len(calls):,} turns, {options.connections} connections at once; the server was killed at the end"
        )
        print(f"call                  {percentiles(calls)}")
        for path, seconds in took.items():
            print(f"request {path:13} {percentiles(seconds)}  {len(seconds) / spent[path]:7.0f} requests/s")
        found = Collector("bench", directory=directory, strict=True).counts()
        print(
            f"kept {found.turns:,} of {len(calls):,}; planted values found in files or datasets: {leaks(directory)}"
        )


if __name__ == "__main__":
    main()
