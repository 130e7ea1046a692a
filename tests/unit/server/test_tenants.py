"""What is one tenant's is not there for another: every route of the table, asked with the ids of somebody else."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.unit.server.hosting import LINE, Host, Serve
from tunekit.data.wording import brief
from tunekit.server.app import ROUTES
from tunekit.testing import ScriptedBackend

if TYPE_CHECKING:
    import httpx

CHAT = [{"role": "user", "content": "hi"}]
GRADER = {"type": "string_check", "name": "g", "operation": "eq", "input": "a", "reference": "b"}
JUDGE = {"type": "score_model", "name": "j", "input": CHAT, "model": "{model}"}
NOBODY = {
    "file_id": "file-000000000000000000000000",
    "upload_id": "upload_000000000000000000000000",
    "job_id": "ftjob-000000000000000000000000",
    "model": "ft:base:support::00000000",
    "part_id": "part_000000000000000000000000",
    "batch_id": "batch_000000000000000000000000",
}
BODIES: dict[str, Any] = {
    "/files": None,
    "/uploads": {"bytes": 10, "filename": "a", "mime_type": "text/jsonl", "purpose": "fine-tune"},
    "/uploads/{upload_id}/parts": None,
    "/uploads/{upload_id}/complete": {"part_ids": ["{part_id}"]},
    "/uploads/{upload_id}/cancel": {},
    "/fine_tuning/jobs": {"model": "base", "training_file": "{file_id}"},
    "/fine_tuning/jobs/{job_id}/cancel": {},
    "/fine_tuning/jobs/{job_id}/pause": {},
    "/fine_tuning/jobs/{job_id}/resume": {},
    "/fine_tuning/alpha/graders/validate": {"grader": GRADER},
    "/batches": {
        "input_file_id": "{file_id}",
        "endpoint": "/v1/chat/completions",
        "completion_window": "24h",
    },
    "/batches/{batch_id}/cancel": {},
    "/fine_tuning/alpha/graders/run": {"grader": JUDGE, "model_sample": "a"},
    "/chat/completions": {"model": "{model}", "messages": CHAT},
    "/completions": {"model": "{model}", "prompt": "hi"},
    "/embeddings": {"model": "{model}", "input": "hi"},
}
"""A body for each route that takes one, naming what it can name; None is a form. A new route needs one here."""
NAMES_NOTHING = ("/files", "/uploads", "/fine_tuning/alpha/graders/validate")
"""Routes that make something of the body alone."""


def table() -> list[tuple[str, str]]:
    """Method and path of every route."""
    return sorted(
        (method, route.path.replace(":path}", "}"))
        for route in ROUTES
        for method in (route.methods or set()) - {"HEAD"}
    )


async def belongings(host: Host) -> dict[str, str]:
    """One of everything, of the first tenant: a job that has ended, its file and model, an upload and its part."""
    job = await host.ended(await host.create())
    body = {"bytes": 4, "filename": "a", "mime_type": "text/jsonl", "purpose": "fine-tune"}
    upload = host.good(await host.caller.post("/uploads", json=body))
    part = await host.caller.post(f"/uploads/{upload['id']}/parts", files={"data": ("a", b"abcd")})
    questions = (await host.upload(b"{}\n", purpose="batch"))["id"]
    batch = host.good(
        await host.caller.post("/batches", json={**BODIES["/batches"], "input_file_id": questions})
    )
    return {
        "batch_id": batch["id"],
        "file_id": job["training_file"],
        "upload_id": upload["id"],
        "job_id": job["id"],
        "model": job["fine_tuned_model"],
        "part_id": host.good(part)["id"],
    }


def filled(template: Any, names: dict[str, str]) -> Any:
    text = json.dumps(template)
    for name, value in names.items():
        text = text.replace(f"{{{name}}}", value)
    return json.loads(text)


async def asked(client: httpx.AsyncClient, method: str, path: str, names: dict[str, str]) -> httpx.Response:
    url = str(filled(path, names))
    how: dict[str, Any] = {}
    if method == "POST" and BODIES[path] is None:
        field = "data" if path.endswith("/parts") else "file"
        how = {"files": {field: ("a", LINE)}, "data": {} if field == "data" else {"purpose": "batch"}}
    elif method == "POST":
        how = {"json": filled(BODIES[path], names)}
    return await client.request(method, url, **how)


def without(answer: httpx.Response, names: dict[str, str]) -> str:
    """What was answered, but for the names that were asked for and the time that it took."""
    text = answer.text
    for name, value in names.items():
        text = text.replace(value, name).replace(brief(value, quote=False), name)
    body = json.loads(text)
    if "metadata" in body:
        body["metadata"].pop("execution_time")
    return json.dumps(body)


@pytest.mark.parametrize(("method", "path"), table())
async def test_what_is_anothers_is_answered_as_what_is_not_there(
    serve: Serve, method: str, path: str
) -> None:
    host = serve(ScriptedBackend(generate=lambda prompt: '{"steps": [], "result": 1.0}'))
    theirs = await belongings(host)
    answer = await asked(host.other, method, path, theirs)
    assert answer.status_code < 500, answer.text
    if method == "GET":
        assert not any(value in answer.text for value in theirs.values() if answer.status_code == 200)
    if "{" in path or path in ("/chat/completions", "/completions", "/embeddings"):
        assert answer.status_code == 404, answer.text
    if method == "POST" and path in ("/fine_tuning/jobs", "/batches"):
        host.refused(answer, 400, "training_file" if path == "/fine_tuning/jobs" else "input_file_id")
    if method != "GET" and path not in NAMES_NOTHING:
        nothing = await asked(host.other, method, path, NOBODY)
        assert (answer.status_code, without(answer, theirs)) == (
            nothing.status_code,
            without(nothing, NOBODY),
        )
    # And nothing has happened to it.
    job = await host.get(f"/fine_tuning/jobs/{theirs['job_id']}")
    assert (job["status"], job["fine_tuned_model"]) == ("succeeded", theirs["model"])
    await host.get(f"/files/{theirs['file_id']}")
    await host.get(f"/models/{theirs['model']}")
    done = await host.caller.post(
        f"/uploads/{theirs['upload_id']}/complete", json={"part_ids": [theirs["part_id"]]}
    )
    host.good(done)


async def test_the_place_in_a_list_is_ones_own(host: Host) -> None:
    theirs = await belongings(host)
    for path, name in (("/files", "file_id"), ("/fine_tuning/jobs", "job_id")):
        answer = await host.other.get(path, params={"after": theirs[name]})
        host.refused(answer, 404)
    mine = await host.ended(await host.create(seed=9, training_file=theirs["file_id"]))
    events = (await host.get(f"/fine_tuning/jobs/{mine['id']}/events"))["data"]
    checkpoints = (await host.get(f"/fine_tuning/jobs/{mine['id']}/checkpoints"))["data"]
    for kind, found in (("events", events), ("checkpoints", checkpoints)):
        # One's own, of another job: the place in one list is none in the other.
        path = f"/fine_tuning/jobs/{theirs['job_id']}/{kind}"
        answer = await host.caller.get(path, params={"after": found[0]["id"]})
        host.refused(answer, 404)


async def test_a_part_of_another_upload_is_no_part(host: Host) -> None:
    theirs = await belongings(host)
    body = {"bytes": 4, "filename": "a", "mime_type": "text/jsonl", "purpose": "fine-tune"}
    mine = host.good(await host.other.post("/uploads", json=body))
    answer = await host.other.post(f"/uploads/{mine['id']}/complete", json={"part_ids": [theirs["part_id"]]})
    host.refused(answer, 400, "part_ids")


async def test_an_idempotency_key_is_a_tenants_own_and_a_requests_own(host: Host) -> None:
    headers = {"idempotency-key": "once"}
    ids = set()
    for caller in (host.caller, host.other):
        form = {"purpose": "fine-tune"}
        file = host.good(await caller.post("/files", data=form, files={"file": ("t.jsonl", LINE * 3)}))
        for seed in (1, 2, 2):
            body = {"model": "base", "training_file": file["id"], "seed": seed}
            ids.add(host.good(await caller.post("/fine_tuning/jobs", json=body, headers=headers))["id"])
    assert len(ids) == 4
