"""Submissions over real sockets to a host that misbehaves: never two jobs for one, nothing untyped, nothing late."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from random import Random

import pytest

from tests.unit.backends.openai.calls import transport
from tests.wire import faults
from tests.wire.exchange import Request, Response
from tests.wire.faults import NONE, Fault, FaultyServer
from tests.wire.random_faults import any_fault
from tests.wire.service import Service
from tunekit import FineTuneJob, TuneSpec
from tunekit._clock import SystemClock
from tunekit._settings import Settings
from tunekit.backends.openai.backend import OpenAIBackend
from tunekit.errors import BackendError, TunekitError
from tunekit.events import JobState
from tunekit.store.memory import MemoryStore
from tunekit.testing import tiny_dataset

CREATE = ("POST", "/v1/fine_tuning/jobs")
LATEST_S = 20.0


class Impatient(SystemClock):
    """Time as it is, but pauses are very short."""

    async def sleep(self, seconds: float) -> None:
        await super().sleep(seconds / 200)


class Host:
    """A host in one test: a service, a server before it, and the backend that speaks to it.

    Args:
        service: What there is at the host.
        server: How it is reached.
        home: Where nothing is kept.
        finds_by_tag: Whether the host can look for tags.
        deadline_s: For each call.
        store: Where submissions are remembered.
    """

    def __init__(
        self,
        service: Service,
        server: FaultyServer,
        home: Path,
        *,
        finds_by_tag: bool,
        deadline_s: float = 0.3,
        store: MemoryStore | None = None,
    ) -> None:
        self.service, self.server, self.store = service, server, store or MemoryStore()
        self.settings = Settings(home=home, submit_timeout_s=3.0)
        self.http = transport(server, deadline_s=deadline_s, drain_s=0.1, clock=Impatient())
        # The profile of OpenAI looks for tags, that of any other host for names of files.
        where = None if finds_by_tag else "http://127.0.0.1:9/v1"
        self.backend = OpenAIBackend(transport=self.http, clock=Impatient(), base_url=where)

    async def submit(self, number: int) -> FineTuneJob:
        return await FineTuneJob.submit_async(
            tiny_dataset(rows=10, name=f"data {number}"),
            "openai:base",
            TuneSpec(seed=number),
            backend=self.backend,
            store=self.store,
            settings=self.settings,
        )

    def jobs_of(self, run_id: str) -> list[str]:
        """Ids of the jobs that bear a run's tag."""
        jobs = list(self.service.jobs.values())
        return [job.body["id"] for job in jobs if job.body["metadata"]["tunekit_run"] == run_id]


@pytest.mark.parametrize("finds_by_tag", [True, False], ids=["by-tag", "by-file"])
async def test_20_submissions_through_random_faults(tmp_path: Path, finds_by_tag: bool) -> None:
    await through_faults(tmp_path, 20, Random(11), finds_by_tag=finds_by_tag)


@pytest.mark.soak
@pytest.mark.timeout(3600)
async def test_500_submissions_through_random_faults(tmp_path: Path) -> None:
    await through_faults(tmp_path, 500, Random(12), finds_by_tag=True)


async def through_faults(home: Path, count: int, random: Random, *, finds_by_tag: bool) -> None:
    storm = Storm(random)
    service = Service(reveal=1)
    with FaultyServer(service, storm) as server:
        host = Host(service, server, home, finds_by_tag=finds_by_tag)
        at_once = asyncio.Semaphore(6)
        ends = await asyncio.gather(*(attempt(host, number, at_once) for number in range(count)))
        storm.is_over = True
        await host.http.aclose()
        calm = Host(service, server, home, finds_by_tag=finds_by_tag, deadline_s=5.0, store=host.store)
        with suppress(TunekitError):  # the server chose its next fault before the storm was over
            await calm.backend.models()
        jobs = [await calm.submit(number) for number in range(count)]
        await calm.http.aclose()
    assert max(Counter(job.body["metadata"]["tunekit_run"] for job in service.jobs.values()).values()) == 1
    assert max(Counter(file["filename"] for file in service.files.values()).values()) == 1
    assert len(service.jobs) == count, (
        "whatever became of the first attempt, in the end there is one job for each"
    )
    assert {job.ref for job in jobs} == {f"openai:{job_id}" for job_id in service.jobs}
    assert set(ends) >= {"accepted", "refused"}, "neither all went well nor all went wrong"


class Storm(Iterator[Fault]):
    """Faults at every second request, until it is over."""

    def __init__(self, random: Random) -> None:
        self.is_over = False
        self._random = random

    def __next__(self) -> Fault:
        return NONE if self.is_over or self._random.random() < 0.6 else any_fault(self._random)


async def attempt(host: Host, number: int, at_once: asyncio.Semaphore) -> str:
    """How one submission ended, held against what the host really has."""
    async with at_once:
        begun = time.monotonic()
        try:
            job = await host.submit(number)
        except TunekitError:
            return "refused"
        finally:
            assert time.monotonic() - begun < LATEST_S
        record = job.record
        assert record is not None
        if record.state is JobState.UNKNOWN:
            return "unknown"
        assert host.jobs_of(job.run_id) == [record.job_id]
        return "accepted"


@pytest.mark.parametrize(
    "fault",
    [
        faults.LOST_REPLY,
        faults.CLOSED_REPLY,
        faults.RESET_IN_REPLY,
        faults.TRUNCATED,
        faults.STALL,
        faults.late(1.0),
        faults.answer(Response(status=500), runs=True),
        faults.answer(faults.HTML, runs=True),
    ],
    ids=lambda fault: fault.name,
)
@pytest.mark.parametrize("finds_by_tag", [True, False], ids=["by-tag", "by-file"])
async def test_job_whose_reply_never_comes_whole_is_adopted(
    tmp_path: Path, fault: Fault, finds_by_tag: bool
) -> None:
    service = Service(reveal=1)
    # Files are listed, uploaded; then the job is made.
    with FaultyServer(service, [NONE, NONE, fault]) as server:
        host = Host(service, server, tmp_path, finds_by_tag=finds_by_tag)
        job = await host.submit(1)
        await host.http.aclose()
        creates = [item for item in server.seen if (item.request.method, item.request.path) == CREATE]
    assert [f"openai:{job_id}" for job_id in service.jobs] == [job.ref]
    assert len(creates) == 1


async def test_job_that_is_refused_for_certain_is_refused_at_once(tmp_path: Path) -> None:
    closed = Response.of({"error": {"message": "winding down", "code": "training_not_available"}}, status=403)
    with FaultyServer(Service(), [NONE, NONE, faults.answer(closed)]) as server:
        host = Host(Service(), server, tmp_path, finds_by_tag=True)
        with pytest.raises(BackendError, match="winding down") as caught:
            await host.submit(1)
        await host.http.aclose()
        assert len(server.seen) == 3
    assert "local" in caught.value.hint and not caught.value.retryable


def test_a_service_that_made_two_would_be_found_out() -> None:
    """The counts above can fail: they are of what arrived at the host, not of what it answered."""
    service = Service()
    service.keep("data.jsonl", b"{}\n")
    body = b'{"model": "base", "training_file": "file-1", "metadata": {"tunekit_run": "run-1"}}'
    for _ in range(2):
        service(Request(method="POST", path="/v1/fine_tuning/jobs", body=body))
    assert Counter(job.body["metadata"]["tunekit_run"] for job in service.jobs.values()) == {"run-1": 2}
