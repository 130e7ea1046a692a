"""One submission is one job and one file, whatever is lost on the way and however a host looks for it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.unit.backends.openai.backends import MODEL, backend_of, creates, submit, submitted
from tests.wire.account import STARTED_AT, Refusal
from tests.wire.exchange import Request, Response
from tests.wire.inprocess import InProcess
from tests.wire.service import Service
from tunekit import Settings, TuneSpec
from tunekit.backends.openai.backend import OpenAIBackend
from tunekit.backends.openai.transport import Call, Reply
from tunekit.errors import BackendError, UnknownOutcomeError
from tunekit.events import JobState
from tunekit.store.memory import MemoryStore


@pytest.fixture
def backend(transport: InProcess) -> OpenAIBackend:
    return backend_of(transport)


@pytest.mark.parametrize("options", [{}, {"base_url": "http://127.0.0.1:9/v1"}], ids=["by-tag", "by-file"])
def test_lost_reply_is_looked_up_and_adopted(
    transport: InProcess, service: Service, options: dict[str, str]
) -> None:
    service.page_size = 2
    for number in range(5):  # the job is on the last page
        service.keep(f"other-{number}.jsonl", b"{}\n")
    transport.loses = creates
    job = submit(backend_of(transport, **options))
    assert [f"openai:{job_id}" for job_id in service.jobs] == [job.ref]
    assert len(service.bodies("POST", "/fine_tuning/jobs")) == 1


@pytest.mark.parametrize("options", [{}, {"base_url": "http://127.0.0.1:9/v1"}], ids=["by-tag", "by-file"])
async def test_find_looks_to_the_end_and_finds_no_other(
    transport: InProcess, service: Service, options: dict[str, str]
) -> None:
    service.page_size = 2
    backend = backend_of(transport, **options)
    ids = [await submitted(backend, f"run-{number}") for number in range(7)]
    assert [await backend.find(f"run-{number}") for number in range(7)] == ids
    assert await backend.find("run-7") is None
    assert await backend.find("run") is None


async def test_host_that_drops_tags_is_seen_through(transport: InProcess, service: Service) -> None:
    backend = backend_of(transport, base_url="http://127.0.0.1:9/v1")
    job_id = await submitted(backend)
    service.jobs[job_id].body["metadata"] = None
    assert await backend.find("run-1") == job_id


async def test_host_that_passes_filters_over_finds_the_right_job(
    transport: InProcess, service: Service
) -> None:
    backend = backend_of(transport)
    ids = [await submitted(backend, f"run-{number}") for number in range(3)]

    def deaf(request: Request) -> Response:
        query = tuple(item for item in request.query if not item[0].startswith("metadata"))
        return service(
            Request(method=request.method, path=request.path, query=query, headers=request.headers)
        )

    transport.handler = deaf
    assert await backend.find("run-1") == ids[1]
    assert await backend.find("run-9") is None


async def test_of_two_jobs_with_one_key_the_oldest_that_lives_counts(
    backend: OpenAIBackend, service: Service
) -> None:
    service.reveal = 1
    ids = [await submitted(backend) for _ in range(3)]
    assert await backend.find("run-1") == ids[0]
    await backend.cancel(ids[0])
    assert await backend.find("run-1") == ids[1]


def test_outcome_that_nothing_proves_is_unknown_and_never_sent_again(
    transport: InProcess, service: Service
) -> None:
    def blind(request: Request) -> Response:
        response = service(request)
        is_listing = (request.method, request.path) == ("GET", "/v1/fine_tuning/jobs")
        return Response.of({"error": {"message": "down"}}, status=503) if is_listing else response

    transport.handler, transport.loses = blind, creates
    job = submit(backend_of(transport))
    assert job.snapshot().state is JobState.UNKNOWN
    with pytest.raises(UnknownOutcomeError):
        job.wait()
    assert len(service.jobs) == 1
    transport.handler, transport.loses = service, lambda call: False
    assert job.snapshot().job_id in service.jobs


def test_refusal_is_final_and_names_what_was_said(transport: InProcess, service: Service) -> None:
    service.refusals.append(Refusal(403, "the platform is winding down", "training_not_available"))
    with pytest.raises(BackendError, match="winding down") as caught:
        submit(backend_of(transport))
    assert not caught.value.retryable and service.jobs == {}


def test_upload_that_fails_makes_no_job_and_says_so(transport: InProcess, service: Service) -> None:
    broken = Response.of({}, status=500)
    transport.handler = lambda request: broken if request.path == "/v1/files" else service(request)
    with pytest.raises(BackendError, match="no job was made") as caught:
        submit(backend_of(transport))
    assert caught.value.retryable and not caught.value.ambiguous


@pytest.mark.parametrize("body", [{}, [], {"id": ""}])
def test_reply_that_names_no_job_is_looked_up(transport: InProcess, service: Service, body: Any) -> None:
    def odd(request: Request) -> Response:
        response = service(request)
        created = (request.method, request.path) == ("POST", "/v1/fine_tuning/jobs")
        return Response.of(body) if created else response

    transport.handler = odd
    job = submit(backend_of(transport))
    assert [f"openai:{job_id}" for job_id in service.jobs] == [job.ref]


class SlowUpload(InProcess):
    """A host to which an upload takes longer than a submission may."""

    async def send(self, call: Call) -> Reply:
        if (call.method, call.path) == ("POST", "/files"):
            await asyncio.sleep(0.5)
        return await InProcess.send(self, call)


def test_upload_that_takes_longer_than_a_submission_may_is_joined_and_not_begun_again(
    service: Service, tmp_path: Path
) -> None:
    transport = SlowUpload(handler=service)
    job = submit(backend_of(transport), settings=Settings(home=tmp_path, submit_timeout_s=0.3))
    assert [f"openai:{job_id}" for job_id in service.jobs] == [job.ref]
    assert sum((call.method, call.path) == ("POST", "/files") for call in transport.calls) == 1


async def test_upload_that_nobody_waits_for_ends_with_the_backend(service: Service) -> None:
    transport = SlowUpload(handler=service)
    backend = backend_of(transport)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(submitted(backend), timeout=0.1)
    await backend.aclose()
    assert service.files == {} and transport.at_once == 0


# --- hosts where a job is found by its file -----------------------------------------------------------


class Forgetful:
    """A host that keeps no tags, and whose first answer to a creation is lost, with or without a job made.

    Args:
        service: The host.
        makes: Whether the first creation makes a job.
        file_of: What the host makes of the id of a job's file.
        name_of: What it makes of a file's name.
    """

    def __init__(
        self,
        service: Service,
        *,
        makes: bool = True,
        file_of: Callable[[str], str] = str,
        name_of: Callable[[str], str] = str,
    ) -> None:
        service.described = None  # what it keeps and renames is its own
        self.service, self.makes, self.file_of, self.name_of = service, makes, file_of, name_of
        self.creations = 0
        self.is_down = False

    def __call__(self, request: Request) -> Response:
        if self.is_down and request.method == "GET" and "/jobs" in request.path:
            return Response.of({"error": {"message": "firewall"}}, status=403)
        if (request.method, request.path) != ("POST", "/v1/fine_tuning/jobs"):
            response = self.service(request)
            self._renamed()
            return response
        self.creations += 1
        lost = Response.of({"error": {"message": "gone"}}, status=502)
        if self.creations == 1 and not self.makes:
            return lost
        response = self.service(request)
        for job in self.service.jobs.values():
            job.body["metadata"] = None
            if job.body["training_file"] in self.service.files:
                job.body["training_file"] = self.file_of(job.body["training_file"])
        return lost if self.creations == 1 else response

    def _renamed(self) -> None:
        for file in self.service.files.values():
            file["filename"] = self.name_of(file["filename"])


HERE = {"base_url": "http://127.0.0.1:9/v1"}
LITELLM = {"host": "litellm", **HERE, "query": {"custom_llm_provider": "openai"}}


def at_provider(file_id: str) -> str:
    return f"provider-{file_id}"


def renamed(_: str) -> str:
    return "upload.jsonl"


@pytest.mark.parametrize("options", [HERE, LITELLM], ids=["generic", "litellm"])
@pytest.mark.parametrize(
    "odd", [{"file_of": at_provider}, {"name_of": renamed}], ids=["other ids in jobs", "renames files"]
)
def test_lost_reply_where_the_file_leads_nowhere_is_unknown(
    transport: InProcess, service: Service, options: dict[str, Any], odd: dict[str, Any]
) -> None:
    transport.handler = Forgetful(service, **odd)
    job = submit(backend_of(transport, **options))
    assert job.snapshot().state is JobState.UNKNOWN
    assert len(service.jobs) == 1


FOUNDRY = {"host": "foundry", **HERE}


@pytest.mark.parametrize(
    ("options", "spec"),
    [
        (HERE, TuneSpec()),
        ({**FOUNDRY, "files_expire_after_s": 3600}, TuneSpec(options={"trainingType": "Standard"})),
    ],
    ids=["generic", "foundry"],
)
@pytest.mark.parametrize("is_gone", [True, False], ids=["file gone", "file there"])
def test_submitting_again_once_the_file_is_gone_makes_no_second_job(
    transport: InProcess, service: Service, options: dict[str, Any], spec: TuneSpec, is_gone: bool
) -> None:
    host = transport.handler = Forgetful(service)
    host.is_down = True
    backend, store = backend_of(transport, **options), MemoryStore()
    assert submit(backend, spec, store=store).snapshot().state is JobState.UNKNOWN
    host.is_down = False
    if is_gone:
        service.files.clear()
    again = submit(backend, spec, store=store)
    assert len(service.jobs) == 1
    assert again.snapshot().state is (JobState.UNKNOWN if is_gone else JobState.SUCCEEDED)


def others(service: Service, number: int, *, with_file: bool = True, **more: Any) -> None:
    """A job that somebody else has made."""
    file = service.keep(more.pop("filename", "theirs.jsonl"), b"{}\n" * number)
    body = {"model": MODEL, "training_file": file["id"]}
    service.create_job(Request(method="POST", path="/", body=json.dumps(body).encode()))
    list(service.jobs.values())[-1].body.update(more)
    if not with_file:
        del service.files[file["id"]]


def test_jobs_that_are_seen_to_be_of_others_do_not_stand_in_the_way(
    transport: InProcess, service: Service
) -> None:
    others(service, 1)
    others(service, 2, with_file=False, metadata={"tunekit_run": "run-of-another"})
    others(service, 3, filename="tunekit-0a1b-run-of-another.jsonl")
    others(service, 4, with_file=False, created_at=STARTED_AT - 7 * 86400)
    transport.handler = host = Forgetful(service, makes=False)
    kept = [job.body["metadata"] for job in service.jobs.values() if job.body.get("metadata")]
    job = submit(backend_of(transport, **HERE))
    assert kept and job.snapshot().job_id in service.jobs
    assert (host.creations, len(service.jobs)) == (2, 5)


async def test_one_job_that_may_be_ours_is_named(transport: InProcess, service: Service) -> None:
    others(service, 1, with_file=False)
    service.described = None
    with pytest.raises(BackendError, match="whose it is") as caught:
        await backend_of(transport, **HERE).find("run-1")
    assert next(iter(service.jobs)) in caught.value.message
