"""Our client of OpenAI's API beside the official package: a large upload, and many jobs polled at once.

    python benchmarks/client.py [--megabytes 2000] [--jobs 1000] [--polls 3] [--quick]

Both talk to one server on the loopback, a process of its own that throws away what it is sent. Each measurement is a
process of its own too; the clients take turns, and the tables show every turn. Each client is as its makers ship it:
ours sends four parts of an upload at a time after a checksum of the whole file, and opens up to 100 connections; the
package sends one part after the other, and opens up to 1,000.

A beat in the same event loop says what a product's other work would feel: it is due every 5 ms, and by how much it
came late is a stall. Memory is watched from a thread, against what the process held after a first call.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib.metadata
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import psutil

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import JSONResponse

KEY = "sk-of-a-benchmark"
TURNS = 2
BEAT_S = 0.005
WATCH_S = 0.005
PART_BYTES = 64_000_000


def main() -> None:
    """Start the server, measure, print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--megabytes", type=int, default=2000)
    parser.add_argument("--jobs", type=int, default=1000)
    parser.add_argument("--polls", type=int, default=3, help="how often each job is polled")
    parser.add_argument("--quick", action="store_true", help="200 MB, 100 jobs, 3 polls: shows that it works")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--child", nargs=3, metavar=("CLIENT", "TASK", "URL"), help=argparse.SUPPRESS)
    said = parser.parse_args()
    if said.quick:
        said.megabytes, said.jobs, said.polls = 200, 100, 3
    if said.serve:
        return serve()
    if said.child:
        name, task, url = said.child
        return asyncio.run(report(name, task, url, said))
    with discarding() as url:
        show_uploads(url, said)
        show_polls(url, said)


def show_uploads(url: str, said: argparse.Namespace) -> None:
    print(f"\nUpload of {said.megabytes:,} MB in parts of {PART_BYTES / 1e6:,.0f} MB\n")
    print(
        "| client | turn | seconds | MB per second | cpu-seconds | memory grew by, MB | longest stall, ms |"
    )
    print("|---|---|---|---|---|---|---|")
    for turn in range(TURNS):
        for client in CLIENTS:
            cost = measured(client, "upload", url, said)
            print(
                f"| {titled(client)} | {turn + 1} | {cost['seconds']:.1f}"
                f" | {said.megabytes / cost['seconds']:,.0f} | {cost['cpu_seconds']:.1f}"
                f" | {cost['grew_mb']:,.0f} | {1000 * cost['stall_s']:,.0f} |"
            )


def show_polls(url: str, said: argparse.Namespace) -> None:
    calls = said.jobs * said.polls
    print(f"\n{said.jobs:,} jobs polled at once on one pool, {said.polls} times each\n")
    print("| client | turn | calls per second | cpu-ms a call | memory grew by, MB | longest stall, ms |")
    print("|---|---|---|---|---|---|")
    for turn in range(TURNS):
        for client in CLIENTS:
            cost = measured(client, "poll", url, said)
            print(
                f"| {titled(client)} | {turn + 1} | {calls / cost['seconds']:,.0f}"
                f" | {1000 * cost['cpu_seconds'] / calls:.2f} | {cost['grew_mb']:,.0f}"
                f" | {1000 * cost['stall_s']:,.0f} |"
            )


def titled(client: str) -> str:
    return "tunekit" if client == "tunekit" else f"{client} {importlib.metadata.version(client)}"


# --- measuring --------------------------------------------------------------------------------------


@dataclass
class Cost:
    """What a piece of work took."""

    seconds: float = 0.0
    cpu_seconds: float = 0.0
    grew_mb: float = 0.0
    stall_s: float = 0.0


def measured(client: str, task: str, url: str, said: argparse.Namespace) -> dict[str, float]:
    """Run a task in a process of its own."""
    sizes = [f"--megabytes={said.megabytes}", f"--jobs={said.jobs}", f"--polls={said.polls}"]
    command = [sys.executable, __file__, "--child", client, task, url, *sizes]
    answer: dict[str, float] = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    return answer


async def report(name: str, task: str, url: str, said: argparse.Namespace) -> None:
    """In the child: run the task and print what it took."""
    client = CLIENTS[name](url)
    await client.poll("ftjob-0")  # imports and the first connection are not what is measured
    if task == "poll":
        cost = await costing(lambda: poll_all(client, said.jobs, said.polls))
    else:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "train.jsonl")
            size_bytes = said.megabytes * 1_000_000
            await asyncio.to_thread(write_holes, path, size_bytes)
            cost = await costing(lambda: client.upload(path, size_bytes))
    await client.aclose()
    print(json.dumps(vars(cost)))


def write_holes(path: Path, size_bytes: int) -> None:
    """A file that takes no room: the disk is not what is measured."""
    with path.open("wb") as file:
        file.truncate(size_bytes)


async def poll_all(client: Client, jobs: int, polls: int) -> None:
    async def follow(job_id: str) -> None:
        for _ in range(polls):
            assert await client.poll(job_id) == job_id

    await asyncio.gather(*(follow(f"ftjob-{at}") for at in range(jobs)))


async def costing(work: Callable[[], Awaitable[object]]) -> Cost:
    cost = Cost()
    beat = asyncio.create_task(beating(cost))
    await asyncio.sleep(10 * BEAT_S)  # the beat is there before the work
    with watching_memory(cost):
        began, cpu_began = time.monotonic(), time.process_time()
        await work()
        cost.seconds, cost.cpu_seconds = time.monotonic() - began, time.process_time() - cpu_began
    await asyncio.sleep(2 * BEAT_S)  # a stall at the very end is still one
    beat.cancel()
    return cost


async def beating(cost: Cost) -> None:
    while True:
        began = time.monotonic()
        await asyncio.sleep(BEAT_S)
        cost.stall_s = max(cost.stall_s, time.monotonic() - began - BEAT_S)


@contextmanager
def watching_memory(cost: Cost) -> Iterator[None]:
    process, ended = psutil.Process(), threading.Event()
    before = process.memory_info().rss

    def watch() -> None:
        while not ended.wait(WATCH_S):
            cost.grew_mb = max(cost.grew_mb, (process.memory_info().rss - before) / 1e6)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


# --- the clients ------------------------------------------------------------------------------------


class Client(Protocol):
    """What is asked of both."""

    async def upload(self, path: Path, size_bytes: int) -> None:
        """Send a file through the uploads API."""
        ...

    async def poll(self, job_id: str) -> str:
        """Retrieve a job and give its id."""
        ...

    async def aclose(self) -> None:
        """Let go of the connections."""
        ...


class Tunekit:
    """The backend's own calls, on its own transport."""

    def __init__(self, url: str) -> None:
        from tunekit.backends.openai.endpoint import Endpoint
        from tunekit.backends.openai.http import HttpTransport
        from tunekit.backends.openai.jobs import Jobs

        self._transport = HttpTransport(Endpoint(url, key=KEY))
        self._jobs = Jobs(transport=self._transport)

    async def upload(self, path: Path, size_bytes: int) -> None:
        """As `Client.upload`."""
        from tunekit.backends.openai import uploads
        from tunekit.backends.openai.datafiles import DataFile

        file = DataFile(path=path, filename=path.name, size_bytes=size_bytes)
        await uploads.in_parts(
            self._transport, file, purpose="fine-tune", expires_after={}, part_bytes=PART_BYTES
        )

    async def poll(self, job_id: str) -> str:
        """As `Client.poll`."""
        return (await self._jobs.of(job_id)).id

    async def aclose(self) -> None:
        """As `Client.aclose`."""
        await self._transport.aclose()


class Official:
    """The asynchronous client of the `openai` package."""

    def __init__(self, url: str) -> None:
        import openai

        self._client = openai.AsyncOpenAI(base_url=url, api_key=KEY)

    async def upload(self, path: Path, size_bytes: int) -> None:
        """As `Client.upload`."""
        await self._client.uploads.upload_file_chunked(
            file=path,
            mime_type="application/jsonl",
            purpose="fine-tune",
            bytes=size_bytes,
            part_size=PART_BYTES,
        )

    async def poll(self, job_id: str) -> str:
        """As `Client.poll`."""
        return (await self._client.fine_tuning.jobs.retrieve(job_id)).id

    async def aclose(self) -> None:
        """As `Client.aclose`."""
        await self._client.close()


CLIENTS: dict[str, Callable[[str], Client]] = {"tunekit": Tunekit, "openai": Official}


# --- the server -------------------------------------------------------------------------------------


@contextmanager
def discarding() -> Iterator[str]:
    """The server in a process of its own; gives its base URL."""
    with subprocess.Popen(
        [sys.executable, __file__, "--serve"], stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


def serve() -> None:
    """In the child: print the address and answer until the end."""
    import socket

    import uvicorn

    # Named TCP, or asyncio does not switch Nagle's algorithm off, and each answer on a kept connection takes 40 ms.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(2048)
        print(f"http://127.0.0.1:{listening.getsockname()[1]}/v1", flush=True)
        config = uvicorn.Config(discarder(), log_level="warning", access_log=False, lifespan="off")
        uvicorn.Server(config).run(sockets=[listening])


def discarder() -> Starlette:
    """Takes everything, keeps nothing but counts of bytes, and has every job that it is asked for."""
    from starlette.applications import Starlette
    from starlette.responses import JSONResponse
    from starlette.routing import Route

    received = Received()

    async def begin(request: Request) -> JSONResponse:
        return JSONResponse(received.begin(await request.json()))

    async def part(request: Request) -> JSONResponse:
        upload_id = request.path_params["upload_id"]
        async for piece in request.stream():
            received.count(upload_id, len(piece))
        return JSONResponse(
            {"id": "part_1", "object": "upload.part", "created_at": 1, "upload_id": upload_id}
        )

    async def complete(request: Request) -> JSONResponse:
        return JSONResponse(received.complete(request.path_params["upload_id"]))

    async def job(request: Request) -> JSONResponse:
        return JSONResponse(a_job(request.path_params["job_id"]))

    return Starlette(
        routes=[
            Route("/v1/uploads", begin, methods=["POST"]),
            Route("/v1/uploads/{upload_id}/parts", part, methods=["POST"]),
            Route("/v1/uploads/{upload_id}/complete", complete, methods=["POST"]),
            Route("/v1/fine_tuning/jobs/{job_id}", job),
        ]
    )


@dataclass
class Received:
    """How much of each upload has come."""

    announced: list[dict[str, Any]] = field(default_factory=list)
    counts: list[int] = field(default_factory=list)

    def begin(self, body: dict[str, Any]) -> dict[str, Any]:
        """A new upload."""
        self.announced.append(body)
        self.counts.append(0)
        return self._upload(len(self.counts) - 1, "pending")

    def count(self, upload_id: str, size_bytes: int) -> None:
        """More of one came."""
        self.counts[int(upload_id.removeprefix("upload_"))] += size_bytes

    def complete(self, upload_id: str) -> dict[str, Any]:
        """The upload with its file; fails where bytes are missing."""
        at = int(upload_id.removeprefix("upload_"))
        assert self.counts[at] >= self.announced[at]["bytes"], "an upload came short"
        facts = {name: self.announced[at][name] for name in ("filename", "purpose", "bytes")}
        file = {"id": f"file-{at}", "object": "file", "created_at": 1, "status": "processed", **facts}
        return self._upload(at, "completed") | {"file": file}

    def _upload(self, at: int, status: str) -> dict[str, Any]:
        facts = {name: self.announced[at][name] for name in ("filename", "purpose", "bytes")}
        times = {"created_at": 1, "expires_at": 3601}
        return {"id": f"upload_{at}", "object": "upload", "status": status, **times, **facts}


def a_job(job_id: str) -> dict[str, Any]:
    """A job as OpenAI describes one that is running."""
    return {
        "id": job_id,
        "object": "fine_tuning.job",
        "created_at": 1,
        "model": "gpt-4.1-mini-2025-04-14",
        "status": "running",
        "training_file": "file-1",
        "validation_file": None,
        "fine_tuned_model": None,
        "finished_at": None,
        "trained_tokens": None,
        "error": {},
        "result_files": [],
        "seed": 7,
        "hyperparameters": {"n_epochs": 3, "batch_size": 8, "learning_rate_multiplier": 2.0},
        "organization_id": "org-1",
        "metadata": {},
    }


if __name__ == "__main__":
    main()
