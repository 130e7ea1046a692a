"""The official `openai` package against our server on a real socket, with the local backend training a tiny model.

One server and one life for all tests, since each run of the trainer takes seconds.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import openai
import pytest

from tests.processes import eventually
from tests.wire.serving import Described, serving
from tunekit import SFT, LoRA, Settings, TuneSpec
from tunekit.server import Served, create_app
from tunekit.testing.tiny_models import make_tiny_llama

if TYPE_CHECKING:
    from openai.types.fine_tuning import FineTuningJob

KEY = "sk-of-the-support-team"
OTHER = "sk-of-another-team-"
ENDED = ("succeeded", "failed", "cancelled")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("sdk")


@pytest.fixture(scope="module")
def described(folder: Path) -> Described:
    target = f"local:{make_tiny_llama(folder / 'tiny')}"
    spec = TuneSpec(method=SFT(adapter=LoRA(rank=8)), learning_rate=1e-4)
    app = create_app(
        {"gpt-4.1-mini": Served(target=target, spec=spec)},
        keys={KEY: "support", OTHER: "sales"},
        settings=Settings(home=folder / "home"),
    )
    return Described(app)


@pytest.fixture(scope="module")
def url(described: Described) -> Iterator[str]:
    with serving(described) as url:
        yield url
    assert described.problems == []


@pytest.fixture(scope="module")
def client(url: str) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=url, api_key=KEY, max_retries=0) as client:
        yield client


def rows(count: int) -> bytes:
    turns = [
        [{"role": "user", "content": f"say {at}"}, {"role": "assistant", "content": f"{at}!"}]
        for at in range(count)
    ]
    return b"".join(json.dumps({"messages": messages}).encode() + b"\n" for messages in turns)


def uploaded(client: openai.OpenAI, count: int = 12) -> str:
    return client.files.create(file=("train.jsonl", rows(count)), purpose="fine-tune").id


def ended(client: openai.OpenAI, job: FineTuningJob) -> FineTuningJob:
    eventually(lambda: is_in(client, job.id, *ENDED), timeout_s=90.0, every_s=0.1)
    return client.fine_tuning.jobs.retrieve(job.id)


def is_in(client: openai.OpenAI, job_id: str, *statuses: str) -> bool:
    return client.fine_tuning.jobs.retrieve(job_id).status in statuses


@pytest.fixture(scope="module")
def tuned(client: openai.OpenAI) -> FineTuningJob:
    """A job that was followed from upload to its end, through a pause."""
    file = client.files.create(file=("train.jsonl", rows(40)), purpose="fine-tune")
    held_out = client.files.create(file=("valid.jsonl", rows(4)), purpose="fine-tune")
    job = client.fine_tuning.jobs.create(
        model="gpt-4.1-mini",
        training_file=file.id,
        validation_file=held_out.id,
        suffix="tickets",
        seed=7,
        metadata={"team": "a"},
        method={
            "type": "supervised",
            "supervised": {
                "hyperparameters": {"n_epochs": 2, "batch_size": 4, "learning_rate_multiplier": 2.0}
            },
        },
    )
    assert job.status == "validating_files"
    eventually(lambda: is_in(client, job.id, "running"), timeout_s=60.0)
    client.fine_tuning.jobs.pause(job.id)
    eventually(lambda: is_in(client, job.id, "paused", *ENDED), timeout_s=60.0)
    assert is_in(client, job.id, "paused"), "it ended before it could be paused: give it more to do"
    client.fine_tuning.jobs.resume(job.id)
    return ended(client, job)


def test_a_job_ends_with_a_model(client: openai.OpenAI, tuned: FineTuningJob) -> None:
    assert (tuned.status, tuned.error) == ("succeeded", None)
    assert tuned.fine_tuned_model
    assert tuned.fine_tuned_model.startswith("ft:gpt-4.1-mini:support:tickets:")
    assert tuned.trained_tokens
    assert (tuned.seed, tuned.metadata, tuned.organization_id) == (7, {"team": "a"}, "support")
    assert tuned.hyperparameters.n_epochs == 2
    assert tuned.fine_tuned_model in [model.id for model in client.models.list()]


def test_events_come_newest_first_and_page_by_page(client: openai.OpenAI, tuned: FineTuningJob) -> None:
    found = list(client.fine_tuning.jobs.list_events(tuned.id, limit=7))
    assert len({event.id for event in found}) == len(found) > 7
    assert found[0].message == f"New fine-tuned model created: {tuned.fine_tuned_model}"
    assert found[-1].message == f"Created fine-tuning job: {tuned.id}"
    steps = [
        int(event.message.split("/")[0][len("Step ") :])
        for event in found
        if "training loss" in event.message
    ]
    assert steps == list(range(len(steps), 0, -1))


def test_checkpoints_and_result_files(client: openai.OpenAI, tuned: FineTuningJob) -> None:
    (last,) = client.fine_tuning.jobs.checkpoints.list(tuned.id).data
    assert last.fine_tuned_model_checkpoint == tuned.fine_tuned_model
    assert last.step_number == 20
    assert last.metrics.train_loss and last.metrics.valid_loss
    table = client.files.content(tuned.result_files[0]).text.splitlines()
    assert table[0].startswith("step,train_loss,")
    assert table[-1].startswith("20,")


def test_the_tuned_model_answers(client: openai.OpenAI, tuned: FineTuningJob) -> None:
    model = str(tuned.fine_tuned_model)
    whole = client.chat.completions.create(
        model=model, messages=[{"role": "user", "content": "hi"}], max_tokens=4, n=2
    )
    assert [choice.index for choice in whole.choices] == [0, 1]
    assert whole.usage and 2 <= whole.usage.completion_tokens <= 8
    stream = client.chat.completions.create(
        model=model,
        messages=[{"role": "user", "content": "hi"}],
        max_completion_tokens=4,
        temperature=0,
        stream=True,
        stream_options={"include_usage": True},
    )
    chunks = list(stream)
    said = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    same = client.chat.completions.create(
        model=model, messages=[{"role": "user", "content": "hi"}], max_completion_tokens=4, temperature=0
    )
    assert said == same.choices[0].message.content
    assert chunks[-2].choices[0].finish_reason == "length"
    assert chunks[-1].usage and chunks[-1].usage.completion_tokens == 4


def test_completions_and_embeddings(client: openai.OpenAI) -> None:
    answer = client.completions.create(model="gpt-4.1-mini", prompt=["a", "b"], max_tokens=3)
    assert len(answer.choices) == 2
    stream = client.completions.create(
        model="gpt-4.1-mini", prompt="a", max_tokens=3, temperature=0, stream=True
    )
    assert [chunk.choices[0].finish_reason for chunk in stream][-1] == "length"
    by_default = client.embeddings.create(model="gpt-4.1-mini", input=["a", "b"])  # as base64
    as_floats = client.embeddings.create(model="gpt-4.1-mini", input=["a", "b"], encoding_format="float")
    assert len(by_default.data) == 2
    assert by_default.data[1].embedding == pytest.approx(as_floats.data[1].embedding, rel=1e-6)


def test_a_completion_goes_on_with_the_text_as_it_is(client: openai.OpenAI, tuned: FineTuningJob) -> None:
    for model in ("gpt-4.1-mini", str(tuned.fine_tuned_model)):
        text = client.completions.create(model=model, prompt="hi")
        chat = client.chat.completions.create(
            model=model, messages=[{"role": "user", "content": "hi"}], max_tokens=1
        )
        assert text.usage and chat.usage
        assert text.usage.prompt_tokens < chat.usage.prompt_tokens
        assert text.usage.completion_tokens <= 16


def test_the_numbers_that_were_used_are_shown(client: openai.OpenAI, tuned: FineTuningJob) -> None:
    assert tuned.hyperparameters.model_dump() == {
        "n_epochs": 2,
        "batch_size": 4,
        "learning_rate_multiplier": 2.0,
    }
    job = client.fine_tuning.jobs.create(model="gpt-4.1-mini", training_file=uploaded(client), seed=3)
    used = ended(client, job).hyperparameters
    assert isinstance(used.n_epochs, int) and isinstance(used.batch_size, int)
    assert used.learning_rate_multiplier == 1


def test_errors_have_the_codes_that_products_look_at(url: str, client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as unknown:
        client.chat.completions.create(model="nope", messages=[{"role": "user", "content": "hi"}])
    assert unknown.value.code == "model_not_found"
    with pytest.raises(openai.BadRequestError) as long:
        client.chat.completions.create(
            model="gpt-4.1-mini", messages=[{"role": "user", "content": "word " * 5000}]
        )
    assert (long.value.code, long.value.param) == ("context_length_exceeded", "messages")
    with pytest.raises(openai.BadRequestError) as embedded:
        client.embeddings.create(model="gpt-4.1-mini", input="word " * 5000)
    assert (embedded.value.code, embedded.value.param) == ("context_length_exceeded", "input")
    with (
        openai.OpenAI(base_url=url, api_key="sk-nobody", max_retries=0) as nobody,
        pytest.raises(openai.AuthenticationError) as key,
    ):
        nobody.models.list()
    assert (key.value.code, key.value.type) == ("invalid_api_key", "invalid_request_error")


def test_a_batch(client: openai.OpenAI, tuned: FineTuningJob) -> None:
    body = {"model": tuned.fine_tuned_model, "messages": [{"role": "user", "content": "hi"}], "max_tokens": 2}
    lines = [
        {"custom_id": f"id-{at}", "method": "POST", "url": "/v1/chat/completions", "body": body}
        for at in range(3)
    ]
    data = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
    file = client.files.create(file=("questions.jsonl", data), purpose="batch")
    batch = client.batches.create(
        input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h"
    )
    eventually(lambda: client.batches.retrieve(batch.id).status == "completed", every_s=0.1)
    assert [item.id for item in client.batches.list()] == [batch.id]
    answers = client.files.content(str(client.batches.retrieve(batch.id).output_file_id)).text
    assert sorted(json.loads(line)["custom_id"] for line in answers.splitlines()) == ["id-0", "id-1", "id-2"]
    with pytest.raises(openai.BadRequestError, match="already"):
        client.batches.cancel(batch.id)


def test_another_key_sees_nothing_of_it(url: str, client: openai.OpenAI, tuned: FineTuningJob) -> None:
    with openai.OpenAI(base_url=url, api_key=OTHER, max_retries=0) as other:
        assert [model.id for model in other.models.list()] == ["gpt-4.1-mini"]
        assert not list(other.files.list())
        assert not list(other.fine_tuning.jobs.list())
        for look in (
            lambda: other.fine_tuning.jobs.retrieve(tuned.id),
            lambda: other.fine_tuning.jobs.list_events(tuned.id),
            lambda: other.fine_tuning.jobs.checkpoints.list(tuned.id),
            lambda: other.fine_tuning.jobs.cancel(tuned.id),
            lambda: other.files.retrieve(tuned.training_file),
            lambda: other.files.content(tuned.result_files[0]),
            lambda: other.models.retrieve(str(tuned.fine_tuned_model)),
            lambda: other.models.delete(str(tuned.fine_tuned_model)),
            lambda: other.chat.completions.create(
                model=str(tuned.fine_tuned_model), messages=[{"role": "user", "content": "hi"}]
            ),
        ):
            with pytest.raises(openai.NotFoundError):
                look()
        with pytest.raises(openai.BadRequestError, match="does not exist"):
            other.fine_tuning.jobs.create(model="gpt-4.1-mini", training_file=tuned.training_file)


def test_a_job_is_cancelled(client: openai.OpenAI) -> None:
    job = client.fine_tuning.jobs.create(model="gpt-4.1-mini", training_file=uploaded(client))
    client.fine_tuning.jobs.cancel(job.id)
    assert ended(client, job).status == "cancelled"
    with pytest.raises(openai.BadRequestError, match="already"):
        client.fine_tuning.jobs.pause(job.id)


def test_a_file_that_cannot_be_trained_on_fails_the_job(client: openai.OpenAI) -> None:
    file = client.files.create(file=("bad.jsonl", b'{"messages": 3}\n'), purpose="fine-tune")
    job = ended(client, client.fine_tuning.jobs.create(model="gpt-4.1-mini", training_file=file.id))
    assert job.status == "failed"
    assert job.error and (job.error.code, job.error.param) == ("invalid_training_file", "training_file")
    assert "'bad.jsonl' line 1 messages" in str(job.error.message)


def test_a_large_file_comes_in_parts(client: openai.OpenAI) -> None:
    data = rows(500)
    upload = client.uploads.upload_file_chunked(
        file=data,
        filename="big.jsonl",
        bytes=len(data),
        mime_type="text/jsonl",
        purpose="fine-tune",
        part_size=10_000,
    )
    assert upload.status == "completed"
    assert upload.file
    assert client.files.content(upload.file.id).content == data


def test_graders(client: openai.OpenAI) -> None:
    grader = {
        "type": "string_check",
        "name": "right",
        "operation": "eq",
        "input": "{{sample.output_text}}",
        "reference": "{{item.answer}}",
    }
    client.fine_tuning.alpha.graders.validate(grader=grader)  # type: ignore[arg-type]
    done = client.fine_tuning.alpha.graders.run(
        grader=grader,  # type: ignore[arg-type]
        model_sample="4",
        item={"answer": "4"},
    )
    assert done.reward == 1.0
    with pytest.raises(openai.BadRequestError, match="python"):
        client.fine_tuning.alpha.graders.validate(grader={"type": "python", "name": "p", "source": "x"})


def test_deleting(client: openai.OpenAI, tuned: FineTuningJob, folder: Path) -> None:  # the last
    artifacts = list(folder.glob("home/runs/*/artifact"))
    assert client.models.delete(str(tuned.fine_tuned_model)).deleted
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve(str(tuned.fine_tuned_model))
    assert client.fine_tuning.jobs.retrieve(tuned.id).status == "succeeded"
    assert list(client.fine_tuning.jobs.list_events(tuned.id))
    assert client.files.delete(tuned.training_file).deleted
    with pytest.raises(openai.NotFoundError):
        client.files.content(tuned.training_file)
    eventually(lambda: sum(artifact.parent.exists() for artifact in artifacts) == len(artifacts) - 1)


def test_an_old_key_is_no_key(url: str) -> None:
    with (
        openai.OpenAI(base_url=url, api_key="sk-nobody", max_retries=0) as client,
        pytest.raises(openai.AuthenticationError) as caught,
    ):
        client.models.list()
    assert caught.value.code == "invalid_api_key"
    assert caught.value.request_id
    assert caught.value.response.headers["openai-version"] == "2020-10-01"
