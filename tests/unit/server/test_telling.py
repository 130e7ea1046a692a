"""What of an error a tenant may read: what they got wrong, and nothing of the machine. The rest is in the log."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest

from tests.unit.server.hosting import LINE, Host, Serve
from tunekit.backends.base import Failure, Prompt
from tunekit.errors import (
    BackendError,
    DataError,
    InvalidError,
    MissingExtraError,
    ModelError,
    NotFoundError,
    RefError,
    StorageError,
    TunekitError,
)
from tunekit.events import JobState, Notice, StateChanged
from tunekit.testing import ScriptedBackend
from tunekit.testing.scripted import training_script

SECRET = "/srv/of-the-operator"
ASKED = {"model": "base", "messages": [{"role": "user", "content": "2+2?"}]}

OPERATORS = [
    ModelError(f"no model directory at '{SECRET}/nowhere'", hint="give a directory that holds config.json"),
    StorageError(f"cannot write '{SECRET}/file-1'", hint="free some space, or point TUNEKIT_HOME elsewhere"),
    MissingExtraError("torch", extra="local"),
    RefError(f"{SECRET} is not a Target", hint="..."),
    NotFoundError("'acme/hidden' is neither a directory here nor a model of the hub", backend="local"),
    BackendError("api.example answered 401: the key sk-upstream is bad", details={"status": 401}),
]


def raising(error: TunekitError) -> ScriptedBackend:
    def generate(prompt: Prompt) -> str:
        raise error

    return ScriptedBackend(generate=generate)


@pytest.mark.parametrize("error", OPERATORS, ids=lambda error: type(error).__name__)
async def test_what_is_wrong_with_the_machine_is_logged_and_not_told(
    serve: Serve, error: TunekitError, caplog: pytest.LogCaptureFixture
) -> None:
    host = serve(raising(error))
    answer = await host.caller.post("/chat/completions", json=ASKED)
    assert answer.status_code >= 500
    told = answer.json()["error"]
    request_id = answer.headers["x-request-id"]
    assert told["type"] == "server_error"
    assert told["message"].startswith("The server had an error") and request_id in told["message"]
    (logged,) = [record.message for record in caplog.records if request_id in record.message]
    assert error.message in logged


@pytest.mark.parametrize(
    "error",
    [
        InvalidError("a prompt of 9 tokens is too long", hint="shorten it"),
        DataError("unknown role '/help'", hint="roles are 'user'"),
        BackendError("the host refuses this chat", details={"status": 400}),
    ],
)
async def test_what_the_caller_got_wrong_is_told(serve: Serve, error: TunekitError) -> None:
    host = serve(raising(error))
    answer = await host.caller.post("/chat/completions", json=ASKED)
    assert error.message in host.refused(answer, 400)


async def test_a_hint_for_the_operator_stays_with_the_operator(serve: Serve) -> None:
    host = serve(raising(InvalidError("too long", hint=f"see '{SECRET}/log'")))
    answer = await host.caller.post("/chat/completions", json=ASKED)
    assert host.refused(answer, 400) == "too long"


@pytest.mark.parametrize("error", OPERATORS, ids=lambda error: type(error).__name__)
async def test_a_batch_and_a_grader_tell_no_more(serve: Serve, error: TunekitError) -> None:
    host = serve(raising(error))
    refusal = await refusal_in_a_batch(host)
    assert refusal["request_id"] in refusal["body"]["error"]["message"]
    asked = [{"role": "user", "content": "rate"}]
    grader = {"type": "score_model", "name": "g", "model": "base", "input": asked}
    graded = await host.caller.post(
        "/fine_tuning/alpha/graders/run", json={"grader": grader, "model_sample": "a", "item": {}}
    )
    for text in (json.dumps(refusal), graded.text):
        assert "The server had an error" in text
        assert not [word for word in (SECRET, "torch", "acme", "upstream", "TUNEKIT") if word in text]


async def refusal_in_a_batch(host: Host) -> dict[str, Any]:
    """The answer to a question that is asked in a batch, where it is an error."""
    question = {"custom_id": "a", "method": "POST", "url": "/v1/chat/completions", "body": ASKED}
    file = await host.upload(json.dumps(question).encode(), "questions.jsonl", purpose="batch")
    body = {
        "input_file_id": file["id"],
        "endpoint": "/v1/chat/completions",
        "completion_window": "24h",
    }
    batch = host.good(await host.caller.post("/batches", json=body))
    async with asyncio.timeout(20):
        while batch["status"] != "completed":
            await asyncio.sleep(0.02)
            batch = await host.get(f"/batches/{batch['id']}")
    line = (await host.caller.get(f"/files/{batch['error_file_id']}/content")).json()
    said: dict[str, Any] = line["response"]
    return said


async def test_a_failed_job_tells_no_paths(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    script = [
        Notice(id="0", at=0.0, message=f"reading '{SECRET}/weights'", data={"path": SECRET, "step": 3}),
        *training_script(end=JobState.FAILED)[:-1],
        StateChanged(id="9", at=9.0, state=JobState.FAILED, message=f"cannot save '{SECRET}/a': disk full"),
    ]
    failure = Failure(message=f"cannot save '{SECRET}/a'", hint="free some space", code="storage")
    host = serve(ScriptedBackend(script=script, failure=failure))
    job = await host.ended(await host.create())
    seen: list[Any] = [job, await host.get(f"/fine_tuning/jobs/{job['id']}/events")]
    assert SECRET not in json.dumps(seen)
    assert job["error"]["code"] == "server_error"
    assert job["id"] in job["error"]["message"]
    assert any(SECRET in record.message and job["id"] in record.message for record in caplog.records)
    assert "cannot save '...': disk full" in json.dumps(seen)


async def test_a_file_that_is_no_data_is_named_as_its_owner_does(
    host: Host,
) -> None:
    file = await host.upload(b'{"messages": [{"role": "/help", "content": "a"}]}\n' + LINE)
    job = await host.ended(await host.create(training_file=file["id"]))
    assert job["error"]["code"] == "invalid_training_file"
    assert "'train.jsonl' line 1 messages[0].role: unknown role '/help'" in job["error"]["message"]


async def test_a_row_that_training_refuses_is_a_line_of_the_file(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    failure = Failure(
        message="", hint="shorten it, set too_long='drop', or call tunekit", code="invalid-data"
    )
    backend = ScriptedBackend(script=training_script(end=JobState.FAILED), failure=failure)
    host = serve(backend)
    file = await host.upload()
    message = f"2 rows are too long: '{file['id']}:2', '{file['id']}:3'"
    monkeypatch.setattr(backend, "_failure", replace(failure, message=message))
    error = (await host.ended(await host.create(training_file=file["id"])))["error"]
    said = "2 rows are too long: line 2 of 'train.jsonl', line 3 of 'train.jsonl' (shorten it)"
    assert error == {"code": "invalid_training_file", "message": said, "param": "training_file"}


async def test_an_unknown_id_is_shown_as_it_was_sent(host: Host) -> None:
    for path, name in (
        ("/files/", "file-00c1d2e3f4a5b6c7d8e9f0a1"),
        ("/fine_tuning/jobs/", "ftjob-AbC123dEf456GhI789jKl012"),
        ("/batches/", "batch_00c1d2e3f4a5b6c7d8e9f0a1"),
    ):
        assert f"'{name}'" in host.refused(await host.caller.get(path + name), 404)
    secret = "sk-proj-" + "a1B2c3D4e5F6g7H8i9J0" * 2
    assert secret not in host.refused(await host.caller.get(f"/files/{secret}"), 404)
    body = {"model": "base", "training_file": "file-00c1d2e3f4a5b6c7d8e9f0a1"}
    answer = await host.caller.post("/fine_tuning/jobs", json=body)
    assert "'file-00c1d2e3f4a5b6c7d8e9f0a1'" in host.refused(answer, 400, "training_file")
