"""Batches: every question is answered once, as its own route would answer it, whoever is killed or asks to stop."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Sequence
from typing import Any

import pytest

from tests.unit.server.hosting import Host, Serve, soon
from tunekit import Sampling, Usage
from tunekit.backends import GenerateRequest, Generation
from tunekit.server import Limits
from tunekit.server.rows import BatchRow
from tunekit.server.service import Service
from tunekit.testing import ScriptedBackend

CHAT = "/v1/chat/completions"
ENDED = ("completed", "failed", "cancelled", "expired")


class Model(ScriptedBackend):
    """A backend that counts its questions, and answers so many before it waits to be let go on."""

    def __init__(self, answers: int = 10**6) -> None:
        super().__init__(generate=lambda prompt: "")
        self.asked: list[str] = []
        self.answers = answers

    async def generate(
        self, model: str, requests: Sequence[GenerateRequest], sampling: Sampling
    ) -> list[Generation]:
        (request,) = requests
        text = str(request.prompt if isinstance(request.prompt, str) else request.prompt[-1].content)
        self.asked.append(text)
        while len(self.asked) > self.answers:  # noqa: ASYNC110 - there is no event: a test lets it go on
            await asyncio.sleep(0.01)
        usage = Usage(input_tokens=1, output_tokens=1)
        return [Generation(text=f"said {text}", finish_reason="stop", usage=usage)]


def question(at: int, *, url: str = CHAT, **more: Any) -> dict[str, Any]:
    body = {"model": "base", "messages": [{"role": "user", "content": f"q{at}"}], **more}
    return {"custom_id": f"id-{at}", "method": "POST", "url": url, "body": body}


async def begun(host: Host, questions: Sequence[Any], endpoint: str = CHAT, **more: Any) -> dict[str, Any]:
    data = b"".join(json.dumps(item).encode() + b"\n" for item in questions)
    file = await host.upload(data, purpose="batch")
    body = {"input_file_id": file["id"], "endpoint": endpoint, "completion_window": "24h", **more}
    return host.good(await host.caller.post("/batches", json=body))


async def ended(host: Host, batch: dict[str, Any]) -> dict[str, Any]:
    async with asyncio.timeout(20):
        while True:
            seen = await host.get(f"/batches/{batch['id']}")
            if seen["status"] in ENDED:
                return seen
            await asyncio.sleep(0.02)


async def lines(host: Host, file_id: str) -> dict[str, Any]:
    text = (await host.caller.get(f"/files/{file_id}/content")).text
    found = [json.loads(line) for line in text.splitlines()]
    assert len({line["custom_id"] for line in found}) == len(found)
    return {line["custom_id"]: line["response"] for line in found}


async def test_answers_are_kept_as_long_as_was_asked(host: Host) -> None:
    keep = {"anchor": "created_at", "seconds": 7200}
    done = await ended(host, await begun(host, [question(0)], output_expires_after=keep))
    file = await host.get(f"/files/{done['output_file_id']}")
    assert file["expires_at"] - file["created_at"] == 7200
    body = {"input_file_id": done["input_file_id"], "endpoint": CHAT, "completion_window": "24h"}
    for wrong in ({**keep, "seconds": 1}, {**keep, "anchor": "now"}):
        answer = await host.caller.post("/batches", json={**body, "output_expires_after": wrong})
        assert answer.json()["error"]["param"].startswith("output_expires_after")


async def test_every_question_has_its_answer(serve: Serve) -> None:
    host = serve(Model())
    questions = [*(question(at) for at in range(20)), question(20, temperature=9), question(21, stream=True)]
    questions.append(question(22, model="ft:base:sales::00000000"))
    batch = await begun(host, questions, metadata={"run": "a"})
    assert (batch["status"], batch["metadata"]) == ("validating", {"run": "a"})
    done = await ended(host, batch)
    assert (done["status"], done["request_counts"]) == (
        "completed",
        {"total": 23, "completed": 20, "failed": 3},
    )
    answers = await lines(host, done["output_file_id"])
    assert answers["id-7"]["body"]["choices"][0]["message"]["content"] == "said q7"
    assert {answer["status_code"] for answer in answers.values()} == {200}
    refusals = await lines(host, done["error_file_id"])
    shown = {name: (item["status_code"], item["body"]["error"]["param"]) for name, item in refusals.items()}
    assert shown == {"id-20": (400, "temperature"), "id-21": (400, "stream"), "id-22": (404, None)}
    assert (await host.get(f"/files/{done['output_file_id']}"))["purpose"] == "batch_output"


async def test_another_process_asks_only_what_has_no_answer(serve: Serve) -> None:
    model = Model(answers=12)
    host = serve(model)
    batch = await begun(host, [question(at) for at in range(20)])
    await soon(lambda: len(model.asked) == 16)
    await host.app.state.background.aclose()  # 8 are written; of the next 8 some were answered, and lost
    (row,) = host.app.state.service.ledger.page(BatchRow, tenant="support", limit=9).rows
    assert row.completed == 8
    other = Model()
    done = await ended(serve(other), batch)
    assert done["request_counts"] == {"total": 20, "completed": 20, "failed": 0}
    assert len(other.asked) == 12
    assert len(await lines(host, done["output_file_id"])) == 20


async def test_what_was_cut_in_the_middle_of_a_line_is_asked_again(serve: Serve) -> None:
    model = Model(answers=12)
    host = serve(model)
    batch = await begun(host, [question(at) for at in range(20)])
    await soon(lambda: len(model.asked) == 16)
    await host.app.state.background.aclose()
    service: Service = host.app.state.service
    (path,) = (path for path in service.disk.path("").iterdir() if b"batch_req_" in path.read_bytes())
    path.write_bytes(path.read_bytes()[:-30])
    done = await ended(serve(other := Model()), batch)
    assert (done["status"], len(other.asked)) == ("completed", 13)
    assert len(await lines(host, done["output_file_id"])) == 20


async def test_what_is_answered_before_a_cancel_is_kept(serve: Serve) -> None:
    model = Model(answers=12)
    host = serve(model)
    batch = await begun(host, [question(at) for at in range(30)])
    await soon(lambda: len(model.asked) == 16)
    asked = host.good(await host.caller.post(f"/batches/{batch['id']}/cancel"))
    assert asked["status"] == "cancelling"
    model.answers = 99
    done = await ended(host, batch)
    assert (done["status"], done["request_counts"]["completed"]) == ("cancelled", 16)
    assert len(await lines(host, done["output_file_id"])) == 16
    assert "already" in host.refused(await host.caller.post(f"/batches/{batch['id']}/cancel"), 400)


async def test_a_day_is_all_it_has(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    model = Model(answers=0)
    host = serve(model)
    batch = await begun(host, [question(at) for at in range(10)])
    await soon(lambda: len(model.asked) == 8)
    monkeypatch.setattr(Service, "now", lambda service: time.time() + 24 * 3600 + 1)
    model.answers = 99
    assert (await ended(host, batch))["status"] == "expired"
    assert len(model.asked) == 8


@pytest.mark.parametrize(
    ("questions", "said"),
    [
        ([], "no question"),
        ([question(1), question(1)], "line 2: the custom_id 'id-1' stands there twice"),
        ([question(1, url="/v1/embeddings")], "line 1: it is not POST /v1/chat/completions"),
        ([question(1), {"custom_id": "a"}], "line 2: Missing required parameter: 'method'."),
        ([3], "line 1: The JSON body of the request is not an object."),
        ([question(at) for at in range(4)], "more than 3 questions"),
    ],
)
async def test_a_file_that_is_wrong_asks_nothing(serve: Serve, questions: list[Any], said: str) -> None:
    model = Model()
    host = serve(model, limits=Limits(batch_questions=3))
    done = await ended(host, await begun(host, questions))
    assert (done["status"], model.asked) == ("failed", [])
    assert said in done["errors"]["data"][0]["message"]


async def test_what_is_wrong_is_named(serve: Serve) -> None:
    host = serve(Model(answers=0), limits=Limits(tenant_batches=1))
    file, training = await host.upload(b"{}\n", purpose="batch"), await host.upload()
    good = {"input_file_id": file["id"], "endpoint": CHAT, "completion_window": "24h"}
    for body, param in (
        ({"input_file_id": "file-of-nobody"}, "input_file_id"),
        ({"input_file_id": training["id"]}, "input_file_id"),
        ({"endpoint": "/v1/responses"}, "endpoint"),
        ({"completion_window": "1h"}, "completion_window"),
    ):
        host.refused(await host.caller.post("/batches", json={**good, **body}), 400, param)
    batch = await begun(host, [question(1)])
    assert "1 batches" in host.refused(await host.caller.post("/batches", json=good), 429)
    assert [item["id"] for item in (await host.get("/batches"))["data"]] == [batch["id"]]
    host.refused(await host.caller.get(f"/batches?after={file['id']}"), 404)


async def test_too_many_batches_that_come_at_once(serve: Serve) -> None:
    host = serve(Model(answers=0), limits=Limits(tenant_batches=2))
    file = await host.upload(json.dumps(question(1)).encode(), purpose="batch")
    body = {"input_file_id": file["id"], "endpoint": CHAT, "completion_window": "24h"}
    answers = await asyncio.gather(*(host.caller.post("/batches", json=body) for _ in range(12)))
    assert sorted(answer.status_code for answer in answers) == [200] * 2 + [429] * 10
