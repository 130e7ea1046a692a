"""Jobs over the wire: what is asked for becomes a run, once; lists, states and errors are the original's."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import Any

import pytest

from tests.unit.server.hosting import LINE, Host, Serve, soon
from tunekit import (
    Evaluated,
    FineTuneJob,
    JobEvent,
    JobState,
    Notice,
    Settings,
    StateChanged,
    Step,
    StorageError,
)
from tunekit.backends.base import Failure
from tunekit.records import RunRecord
from tunekit.server import Limits
from tunekit.server.rows import ModelRow
from tunekit.testing import ScriptedBackend
from tunekit.testing.scripted import training_script

ENDLESS = training_script()[:-1]
"""Events of a job that runs and never ends."""


async def test_the_same_request_is_the_same_job(host: Host) -> None:
    file = (await host.upload())["id"]
    first = await host.create(training_file=file)
    again = await host.create(training_file=file)
    assert again["id"] == first["id"]
    await host.ended(first)
    assert (await host.create(training_file=file))["status"] == "succeeded"
    assert host.backend.counters.jobs == 1


async def test_the_same_request_at_once_is_the_same_job(host: Host) -> None:
    file = (await host.upload())["id"]
    jobs = await asyncio.gather(*(host.create(training_file=file) for _ in range(10)))
    assert len({job["id"] for job in jobs}) == 1
    await host.ended(jobs[0])
    assert host.backend.counters.jobs == 1


@pytest.mark.parametrize("more", [{"seed": 1}, {"suffix": "b"}, {"metadata": {"run": "2"}}])
async def test_any_difference_makes_another_job(host: Host, more: dict[str, Any]) -> None:
    file = (await host.upload())["id"]
    first, second = await host.create(training_file=file), await host.create(training_file=file, **more)
    assert first["id"] != second["id"]
    await host.ended(first)
    await host.ended(second)
    assert host.backend.counters.jobs == 2


async def test_an_idempotency_key_makes_another_job(host: Host) -> None:
    body = {"model": "base", "training_file": (await host.upload())["id"]}
    ids = set()
    for key in ("a", "b", "a"):
        answer = await host.caller.post("/fine_tuning/jobs", json=body, headers={"idempotency-key": key})
        ids.add(host.good(answer)["id"])
    assert len(ids) == 2


async def test_a_failed_job_is_followed_by_another(serve: Serve) -> None:
    failure = Failure(message="out of memory", hint="take a smaller batch", code="memory")
    host = serve(ScriptedBackend(script=training_script(end=JobState.FAILED), failure=failure))
    file = (await host.upload())["id"]
    first = await host.ended(await host.create(training_file=file))
    assert first["error"] == {
        "code": "memory",
        "message": "out of memory (take a smaller batch)",
        "param": None,
    }
    second = await host.create(training_file=file)
    assert second["id"] != first["id"]
    await host.ended(second)
    assert host.backend.counters.jobs == 2


async def test_deleting_a_model_makes_room_for_another_job(host: Host) -> None:
    file = (await host.upload())["id"]
    first = await host.ended(await host.create(training_file=file))
    host.good(await host.caller.delete(f"/models/{first['fine_tuned_model']}"))
    second = await host.ended(await host.create(training_file=file))
    assert second["fine_tuned_model"] not in (None, first["fine_tuned_model"])
    assert (await host.get(f"/fine_tuning/jobs/{first['id']}"))["status"] == "succeeded"


async def test_a_model_that_is_deleted_twice_at_once_is_deleted(host: Host) -> None:
    done = await host.ended(await host.create())
    path = f"/models/{done['fine_tuned_model']}"
    answers = await asyncio.gather(*(host.caller.delete(path) for _ in range(8)))
    assert {answer.status_code for answer in answers} <= {200, 404}
    assert 200 in {answer.status_code for answer in answers}
    host.refused(await host.caller.get(path), 404)


async def test_nobody_is_sent_to_another_host(host: Host) -> None:
    headers = {"host": "evil.example"}
    for path in ("/files/", "/fine_tuning/jobs/", "/models/"):
        answer = await host.caller.get(path, headers=headers)
        assert (answer.status_code, answer.headers.get("location")) == (404, None)


async def test_two_tenants_with_the_same_data_have_two_runs(host: Host) -> None:
    await host.ended(await host.create())
    file = await host.other.post(
        "/files", data={"purpose": "fine-tune"}, files={"file": ("t.jsonl", LINE * 3)}
    )
    body = {"model": "base", "training_file": host.good(file)["id"]}
    theirs = host.good(await host.other.post("/fine_tuning/jobs", json=body))
    assert [job["id"] for job in host.good(await host.other.get("/fine_tuning/jobs"))["data"]] == [
        theirs["id"]
    ]
    while host.good(await host.other.get(f"/fine_tuning/jobs/{theirs['id']}"))["status"] != "succeeded":
        pass
    assert host.backend.counters.jobs == 2


async def test_pages_of_jobs(host: Host) -> None:
    file = (await host.upload())["id"]
    ids = [
        (await host.create(training_file=file, seed=at, metadata={"n": str(at % 2)}))["id"] for at in range(5)
    ]
    first = await host.get("/fine_tuning/jobs?limit=2")
    assert ([job["id"] for job in first["data"]], first["has_more"]) == (ids[:-3:-1], True)
    rest = await host.get(f"/fine_tuning/jobs?limit=3&after={ids[3]}")
    assert ([job["id"] for job in rest["data"]], rest["has_more"]) == (ids[2::-1], False)
    odd = await host.get("/fine_tuning/jobs?metadata[n]=1")
    assert [job["id"] for job in odd["data"]] == [ids[3], ids[1]]
    assert (await host.get("/fine_tuning/jobs?metadata=null"))["data"] == []
    host.refused(await host.caller.get("/fine_tuning/jobs?after=ftjob-of-nobody"), 404)
    host.refused(await host.caller.get("/fine_tuning/jobs?limit=none"), 400, "limit")


async def test_events_are_copied_once_and_stay(serve: Serve) -> None:
    script: list[JobEvent] = [
        StateChanged(id="1", at=1.0, state=JobState.RUNNING),
        Step(id="2", at=2.0, step=1, total_steps=2, loss=2.0),
        Evaluated(id="3", at=3.0, step=1, metrics={"loss": 1.5, "token_accuracy": 0.5}),
        Notice(id="4", at=4.0, message="slow disk", level="warning"),
        Step(id="5", at=5.0, step=2, total_steps=2, loss=float("nan")),
        StateChanged(id="6", at=6.0, state=JobState.SUCCEEDED),
    ]
    host = serve(ScriptedBackend(script=script, page_size=2))
    job = await host.ended(await host.create())
    page = await host.get(f"/fine_tuning/jobs/{job['id']}/events?limit=100")
    said = [(event["level"], event["message"]) for event in reversed(page["data"])]
    assert said[2:] == [
        ("info", "Fine-tuning job started"),
        ("info", "Step 1/2: training loss=2.00"),
        ("info", "Step 1: validation loss=1.5, token_accuracy=0.5"),
        ("warn", "slow disk"),
        ("info", "Step 2/2: training loss=nan"),
        ("info", "The job has successfully completed"),
        ("info", f"New fine-tuned model created: {job['fine_tuned_model']}"),
    ]
    table = (await host.caller.get(f"/files/{job['result_files'][0]}/content")).text
    assert table.splitlines() == [
        "step,train_loss,train_mean_token_accuracy,valid_loss,valid_mean_token_accuracy",
        "1,2.0,,1.5,0.5",
        "2,,,,",
    ]


async def test_a_job_is_cancelled_while_it_runs(serve: Serve) -> None:
    host = serve(ScriptedBackend(script=ENDLESS))
    job = await host.create()
    await host.until(job, "running")
    host.good(await host.caller.post(f"/fine_tuning/jobs/{job['id']}/cancel"))
    assert (await host.ended(job))["status"] == "cancelled"
    assert host.backend.counters.cancels == 1


async def test_a_job_that_was_not_begun_is_cancelled_at_once(host: Host) -> None:
    job = await host.create()
    found = host.good(await host.caller.post(f"/fine_tuning/jobs/{job['id']}/cancel"))
    assert found["status"] in ("cancelled", "succeeded")  # it may have been faster
    if found["status"] == "cancelled":
        assert host.backend.counters.jobs == 0


async def test_what_a_backend_cannot_do_is_said(serve: Serve) -> None:
    host = serve(ScriptedBackend(script=ENDLESS))
    job = await host.create()
    await host.until(job, "running")
    host.refused(await host.caller.post(f"/fine_tuning/jobs/{job['id']}/pause"), 400, "pause")
    assert "not paused" in host.refused(await host.caller.post(f"/fine_tuning/jobs/{job['id']}/resume"), 400)


OF_SFT = "method.supervised.hyperparameters"


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"model": "nobody"}, None),
        ({"training_file": "file-of-nobody"}, "training_file"),
        ({"validation_file": "file-of-nobody"}, "validation_file"),
        ({"n_epochs": 3}, "n_epochs"),
        ({"suffix": ""}, "suffix"),
        ({"suffix": "x" * 65}, "suffix"),
        *(({"suffix": f"a{character}b"}, "suffix") for character in "\n\0\u202e\u200b"),
        (
            {"method": {"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 0}}}},
            f"{OF_SFT}.n_epochs",
        ),
        ({"hyperparameters": {"n_epochs": 51}}, "hyperparameters.n_epochs"),
        ({"hyperparameters": {"learning_rate_multiplier": 0}}, "hyperparameters.learning_rate_multiplier"),
        ({"hyperparameters": {"learning_rate_multiplier": "x"}}, "hyperparameters.learning_rate_multiplier"),
        ({"seed": -1}, "seed"),
        ({"seed": "7"}, "seed"),
        ({"metadata": {str(at): "" for at in range(17)}}, "metadata"),
        ({"integrations": [{"type": "wandb", "wandb": {"project": "p"}}]}, "integrations"),
        ({"method": {"type": "magic"}}, "method.type"),
        ({"method": {"type": "dpo", "supervised": {}}}, "method.supervised"),
        ({"method": {"type": "reinforcement"}}, "method.reinforcement"),
        ({"method": {"type": "supervised"}, "hyperparameters": {}}, "hyperparameters"),
    ],
)
async def test_what_is_wrong_is_named(host: Host, body: dict[str, Any], param: str | None) -> None:
    file = (await host.upload())["id"]
    answer = await host.caller.post(
        "/fine_tuning/jobs", json={"model": "base", "training_file": file, **body}
    )
    host.refused(answer, 404 if param is None else 400, param)
    assert (await host.get("/fine_tuning/jobs"))["data"] == []


async def test_rows_of_another_kind_fail_the_job(host: Host) -> None:
    job = await host.ended(await host.create(method={"type": "dpo"}))
    assert (job["status"], job["error"]["code"]) == ("failed", "preflight")
    assert host.backend.counters.jobs == 0


async def test_a_refusal_of_the_backend_fails_the_job(serve: Serve) -> None:
    host = serve(ScriptedBackend(faults=["refuse"]))
    job = await host.ended(await host.create())
    assert (job["status"], job["error"]["code"]) == ("failed", "backend")


async def test_a_full_disk_only_delays_a_job(
    host: Host, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, failures = host.app.state.service.store, [StorageError("disk full", hint="free some space")] * 2
    claim = store.claim

    def claimed(draft: RunRecord) -> tuple[RunRecord, bool]:
        if failures:
            raise failures.pop()
        found: tuple[RunRecord, bool] = claim(draft)
        return found

    monkeypatch.setattr(store, "claim", claimed)
    assert (await host.ended(await host.create()))["status"] == "succeeded"
    assert failures == []


async def test_a_lost_answer_makes_no_second_job(serve: Serve) -> None:
    host = serve(ScriptedBackend(faults=["lose_reply"], read_failures=2))
    assert (await host.ended(await host.create()))["status"] == "succeeded"
    assert host.backend.counters.jobs == 1


async def test_too_many_jobs_at_once(serve: Serve) -> None:
    host = serve(ScriptedBackend(script=ENDLESS), limits=Limits(tenant_jobs=2))
    file = (await host.upload())["id"]
    for seed in range(2):
        await host.create(training_file=file, seed=seed)
    answer = await host.caller.post(
        "/fine_tuning/jobs", json={"model": "base", "training_file": file, "seed": 9}
    )
    assert "2 jobs" in host.refused(answer, 429)


async def test_too_many_jobs_that_come_at_once(serve: Serve) -> None:
    host = serve(ScriptedBackend(script=ENDLESS), limits=Limits(tenant_jobs=2))
    body = {"model": "base", "training_file": (await host.upload())["id"]}
    asked = [host.caller.post("/fine_tuning/jobs", json={**body, "seed": seed}) for seed in range(12)]
    answers = await asyncio.gather(*asked)
    assert sorted(answer.status_code for answer in answers) == [200] * 2 + [429] * 10


async def test_a_suffix_with_anything_visible_makes_a_model_that_is_found(host: Host) -> None:
    job = await host.ended(await host.create(suffix="a/../b?c#d%2Fe:f ü"))
    name = job["fine_tuned_model"]
    assert (await host.get(f"/models/{name}"))["id"] == name
    assert host.good(await host.caller.delete(f"/models/{name}"))["deleted"]


async def test_a_tuned_model_is_tuned_further(serve: Serve, settings: Settings) -> None:
    backend = ScriptedBackend()
    backend.__dict__["capabilities"] = replace(backend.capabilities, spec_fields=frozenset({"warm_start"}))
    host = serve(backend)
    first = await host.ended(await host.create())
    second = await host.ended(await host.create(model=first["fine_tuned_model"], suffix="more"))
    assert second["fine_tuned_model"].startswith("ft:base:support:more:")
    run, _ = await FineTuneJob.list_async(settings=settings, backend=backend)
    assert run.spec is not None
    assert (run.target, run.spec.warm_start) == ("scripted:base", "scripted:base-tuned-1")
    host.good(await host.caller.delete(f"/models/{first['fine_tuned_model']}"))
    ledger = host.app.state.service.ledger
    # Gone for its owner; what it left behind stays as long as what was tuned from it.
    await soon(lambda: ledger.find(ModelRow, first["fine_tuned_model"]).due > time.time() + 30)
    host.refused(await host.caller.get(f"/models/{first['fine_tuned_model']}"), 404)


class Saving(ScriptedBackend):
    """A backend that keeps models of the way."""

    def __init__(self) -> None:
        super().__init__(generate=lambda prompt: "four")
        verbs = self.capabilities.verbs | {"checkpoints"}
        self.__dict__["capabilities"] = replace(self.capabilities, verbs=verbs)

    async def checkpoints(self, job_id: str) -> tuple[str, ...]:
        return "saved-step-1", "saved-step-2"


async def test_checkpoints_are_models_too(serve: Serve) -> None:
    host = serve(Saving())
    job = await host.ended(await host.create())
    path = f"/fine_tuning/jobs/{job['id']}/checkpoints"
    found = (await host.get(path))["data"]
    name = job["fine_tuned_model"]
    shown = [(item["fine_tuned_model_checkpoint"], item["step_number"]) for item in found]
    assert shown == [(name, 3), (f"{name}:ckpt-step-2", 2), (f"{name}:ckpt-step-1", 1)]
    assert [item["metrics"]["train_loss"] for item in found] == [pytest.approx(1 / 3), 0.5, 1.0]
    rest = await host.get(f"{path}?limit=1&after={found[0]['id']}")
    assert ([item["id"] for item in rest["data"]], rest["has_more"]) == ([found[1]["id"]], True)
    host.refused(await host.caller.get(f"{path}?after=ftckpt_of_nobody"), 404)
    body = {"model": f"{name}:ckpt-step-1", "messages": [{"role": "user", "content": "hi"}]}
    host.good(await host.caller.post("/chat/completions", json=body))
    assert [model["id"] for model in (await host.get("/models"))["data"]] == ["base", name]
