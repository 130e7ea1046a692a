"""A job's whole life at a host of the dialect, with every request held to OpenAI's description."""

from __future__ import annotations

import base64
from collections.abc import Callable

import pytest

from tests.unit.backends.openai.backends import MODEL, backend_of, submit, submitted
from tests.wire.exchange import Response
from tests.wire.fine_tuning import training
from tests.wire.inprocess import InProcess
from tests.wire.service import Service
from tunekit import FineTuneJob, TuneSpec
from tunekit.backends.openai.backend import OpenAIBackend
from tunekit.data.dataset import Dataset
from tunekit.errors import (
    BackendError,
    JobFailedError,
    NotFoundError,
    PreflightError,
    SpecError,
    UnsupportedError,
)
from tunekit.events import CheckpointSaved, Evaluated, JobState, Notice, StateChanged, Step
from tunekit.spec import DPO, RFT
from tunekit.store.memory import MemoryStore
from tunekit.testing import tiny_dataset


@pytest.fixture
def backend(transport: InProcess) -> OpenAIBackend:
    return backend_of(transport)


# --- a job's life -------------------------------------------------------------------------------------


def test_job_is_made_followed_and_ends_with_a_model(backend: OpenAIBackend, service: Service) -> None:
    service.reveal = 2
    job = submit(backend, TuneSpec(name="support"), validation=tiny_dataset(rows=10, name="held-out"))
    seen = list(job.events())
    assert job.result() == f"openai:{job.snapshot().model}"
    assert [event.state for event in seen if isinstance(event, StateChanged)] == [
        JobState.QUEUED,
        JobState.RUNNING,
        JobState.SUCCEEDED,
    ]
    assert [event.step for event in seen if isinstance(event, Step)] == [1, 2, 3]
    assert {type(event) for event in seen} >= {Evaluated, Notice}
    assert isinstance(seen[-1], StateChanged)
    assert job.snapshot().usage.trained_tokens == 1234  # type: ignore[union-attr]
    (body,) = service.bodies("POST", "/fine_tuning/jobs")
    assert body["suffix"] == "support" and body["metadata"]["tunekit_run"] == job.run_id
    assert set(service.files) > {body["training_file"], body["validation_file"]}


def test_stream_goes_on_from_its_cursor_in_another_process(backend: OpenAIBackend, service: Service) -> None:
    service.reveal = 1
    job = submit(backend)
    stream = job.events()
    first = [next(stream) for _ in range(4)]
    again = FineTuneJob.attach(job.ref, backend=backend_of(InProcess(handler=service)), store=MemoryStore())
    rest = list(again.events(stream.cursor))
    assert [event.id for event in [*first, *rest]] == [event.id for event in job.events()]


def test_failure_is_typed_and_says_what_to_do(service: Service, transport: InProcess) -> None:
    error = {"code": "invalid_training_file", "message": "line 3 is wrong", "param": "training_file"}
    service.script = lambda: training(end={"status": "failed", "error": error})
    job = submit(backend_of(transport))
    with pytest.raises(JobFailedError, match="line 3 is wrong") as caught:
        job.result()
    assert "Dataset.check" in caught.value.hint
    assert caught.value.details["code"] == "invalid_training_file"


async def test_cancel_pause_and_resume(backend: OpenAIBackend, service: Service) -> None:
    service.reveal = 3
    job_id = await submitted(backend)
    assert (await backend.snapshot(job_id)).state is JobState.RUNNING
    await backend.pause(job_id)
    assert (await backend.snapshot(job_id)).state is JobState.PAUSED
    await backend.resume(job_id)
    await backend.cancel(job_id)
    assert (await backend.snapshot(job_id)).state is JobState.CANCELLED
    for verb in (backend.cancel, backend.pause, backend.resume):
        await verb(job_id)  # an ended job is left as it is


async def test_cancel_that_is_refused_for_a_live_job_is_an_error(
    backend: OpenAIBackend, service: Service, transport: InProcess
) -> None:
    service.reveal = 1
    job_id = await submitted(backend)
    refused = Response.of({"error": {"message": "not yours"}}, status=403)
    transport.handler = lambda request: refused if request.path.endswith("/cancel") else service(request)
    with pytest.raises(BackendError, match="not yours"):
        await backend.cancel(job_id)


async def test_checkpoints_come_oldest_first_and_the_artifact_is_an_address(
    backend: OpenAIBackend, service: Service
) -> None:
    job_id = await submitted(backend)
    service.reveal = 1
    with pytest.raises(NotFoundError, match="no model"):
        await backend.artifact(job_id)
    service.reveal = 0
    await backend.snapshot(job_id)
    assert [name[-6:] for name in await backend.checkpoints(job_id)] == ["step-2", "step-3"]
    assert (await backend.artifact(job_id)).startswith("https://api.openai.com/v1/models/ft%3A")


@pytest.mark.parametrize(
    "disguise", [bytes, base64.b64encode, base64.encodebytes, lambda data: b"\xef\xbb\xbf" + data]
)
async def test_result_files_are_rows_of_numbers(
    backend: OpenAIBackend, service: Service, disguise: Callable[[bytes], bytes]
) -> None:
    job_id = await submitted(backend)
    await backend.snapshot(job_id)
    (file_id,) = service.jobs[job_id].body["result_files"]
    service.contents[file_id] = disguise(b"step,train_loss,valid_mean_token_accuracy\n1,0.5,\n2,0.25,0.9\n")
    assert await backend.results(job_id) == (
        {"step": 1.0, "train_loss": 0.5},
        {"step": 2.0, "train_loss": 0.25, "valid_mean_token_accuracy": 0.9},
    )


async def test_every_job_of_the_account_is_listed(backend: OpenAIBackend, service: Service) -> None:
    service.page_size = 2
    ours = [await submitted(backend, f"run-{number}") for number in range(5)]
    assert [job.id for job in await backend.jobs()] == ours[::-1]
    assert (await backend.jobs())[0].raw["model"] == MODEL


async def test_permissions_of_a_checkpoint(backend: OpenAIBackend, service: Service) -> None:
    name = "ft:gpt-4.1:acme::x:ckpt-step-2"
    (given,) = await backend.permit(name, ["proj_1"])
    assert [item.project_id for item in await backend.permissions(name)] == ["proj_1"]
    await backend.forbid(name, given.id)
    assert await backend.permissions(name) == ()


async def test_models_are_listed_and_removed(backend: OpenAIBackend, service: Service) -> None:
    service.models["ft:a:b"] = {
        "id": "ft:a:b",
        "object": "model",
        "created": 1,
        "owned_by": "acme",
        "shutdown_date": "2027-01-14",
    }
    (model,) = await backend.models()
    assert (model.id, model.shutdown_date) == ("ft:a:b", "2027-01-14")
    await backend.delete_model("ft:a:b")
    assert await backend.models() == ()
    with pytest.raises(NotFoundError):
        await backend.delete_model("ft:a:b")


async def test_deleting_leaves_what_others_need(backend: OpenAIBackend, service: Service) -> None:
    service.reveal = 1
    other = await submitted(backend, "run-2")
    job_id = await submitted(backend)
    with pytest.raises(SpecError, match="still going on"):
        await backend.delete_artifacts(job_id)
    service.reveal = 0
    await backend.snapshot(job_id)
    theirs = service.jobs[other].body["training_file"]
    await backend.delete_artifacts(job_id)
    assert (list(service.files), service.models) == ([theirs], {})
    await backend.cancel(other)
    await backend.delete_artifacts(job_id)
    assert service.files == {}


async def test_deleting_keeps_files_that_are_not_ours(backend: OpenAIBackend, service: Service) -> None:
    job_id = await submitted(backend)
    await backend.snapshot(job_id)
    service.files[service.jobs[job_id].body["training_file"]]["filename"] = "mine.jsonl"
    await backend.delete_artifacts(job_id)
    assert [file["filename"] for file in service.files.values()] == ["mine.jsonl"]


# --- other methods and hosts --------------------------------------------------------------------------

PREFERENCES = Dataset.from_records(
    [{"prompt": f"question {row}", "chosen": "yes", "rejected": "no"} for row in range(12)]
)
PROMPTS = Dataset.from_records(
    [{"messages": [{"role": "user", "content": f"{row}?"}], "reference_answer": "x"} for row in range(12)]
)
GRADER = {
    "type": "string_check",
    "name": "right",
    "operation": "eq",
    "input": "{{sample.output_text}}",
    "reference": "{{item.reference_answer}}",
}


async def test_preferences_and_prompts_are_trained(backend: OpenAIBackend, service: Service) -> None:
    await submitted(backend, "run-dpo", spec=TuneSpec(method=DPO(beta=0.3)), train=PREFERENCES)
    await submitted(
        backend,
        "run-rft",
        model="o9",
        spec=TuneSpec(method=RFT(grader=GRADER)),
        train=PROMPTS,
        validation=PROMPTS,
    )
    dpo, rft = service.bodies("POST", "/fine_tuning/jobs")
    assert dpo["method"]["dpo"]["hyperparameters"]["beta"] == 0.3
    assert b"preferred_output" in service.contents[dpo["training_file"]]
    assert rft["method"]["reinforcement"]["grader"] == GRADER
    assert rft["training_file"] == rft["validation_file"], "equal content is one file"


async def test_foundry_gets_its_own_field_and_byte_order_mark(transport: InProcess, service: Service) -> None:
    service.described = None  # it has what the description has not
    backend = backend_of(transport, host="foundry", base_url="https://acme.openai.azure.com/openai/v1")
    await submitted(backend, spec=TuneSpec(options={"trainingType": "Standard"}))
    (body,) = service.bodies("POST", "/fine_tuning/jobs")
    assert body["trainingType"] == "Standard"
    assert service.contents[body["training_file"]].startswith(b"\xef\xbb\xbf{")


async def test_model_that_needs_a_deployment_says_so(transport: InProcess) -> None:
    backend = backend_of(transport, host="foundry", base_url="https://acme.openai.azure.com/openai/v1")
    transport.handler = lambda request: Response.of({"error": {"message": "no such model"}}, status=404)
    from tunekit.backends.base import GenerateRequest
    from tunekit.spec import Sampling

    with pytest.raises(NotFoundError) as caught:
        await backend.generate("ft:x", [GenerateRequest(prompt="hi")], Sampling())
    assert "deployment" in caught.value.hint


async def test_host_that_keeps_checkpoints_alone_names_the_last_of_them(
    transport: InProcess, service: Service
) -> None:
    service.described = None
    backend = backend_of(transport, host="nebius")
    job_id = await submitted(backend, model="meta-llama/Llama-3.3-70B-Instruct")
    assert service.jobs[job_id].body["training_file"] in service.files
    await backend.snapshot(job_id)
    service.jobs[job_id].body["fine_tuned_model"] = None
    for checkpoint in service.jobs[job_id].checkpoints:
        checkpoint["fine_tuned_model_checkpoint"] = None
    last = service.jobs[job_id].checkpoints[-1]["id"]
    assert (await backend.snapshot(job_id)).model == f"{job_id}:{last}"


async def test_verbs_that_a_host_lacks_are_refused(transport: InProcess) -> None:
    backend = backend_of(transport, host="bedrock", base_url="https://bedrock-mantle.us-west-2.api.aws/v1")
    with pytest.raises(UnsupportedError, match="pause"):
        await backend.pause("ftjob-1")


async def test_what_does_not_fit_is_refused_before_a_byte_is_sent(
    backend: OpenAIBackend, transport: InProcess
) -> None:
    with pytest.raises(PreflightError, match="2026-10-23"):
        await submitted(
            backend, model="o4-mini", spec=TuneSpec(method=RFT(grader=GRADER)), validation=PROMPTS
        )
    assert transport.calls == []


def test_two_hosts_are_two_submissions(transport: InProcess, service: Service) -> None:
    store = MemoryStore()
    submit(backend_of(transport), store=store)
    submit(backend_of(transport, base_url="http://127.0.0.1:9/v1"), store=store)
    assert len(service.jobs) == 2


def test_events_of_a_saved_checkpoint(service: Service, transport: InProcess) -> None:
    said = "Checkpoint created at step 2 with Snapshot ID: ft:x:ckpt-step-2"
    service.script = lambda: [{"event": {"message": said}}, *training()]
    (saved,) = [
        event for event in submit(backend_of(transport)).events() if isinstance(event, CheckpointSaved)
    ]
    assert saved.checkpoint == "ft:x:ckpt-step-2"
