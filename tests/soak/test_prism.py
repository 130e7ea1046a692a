"""A second opinion on our wire: Prism, a proxy that holds requests and answers to OpenAI's description.

It looks at both sides: at what the official package sends, and at what our server answers.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest

from tests.processes import eventually
from tests.wire.serving import serving
from tunekit import Settings
from tunekit.server import create_app
from tunekit.testing import ScriptedBackend

KEY = "sk-of-the-support-team"
CHAT: Any = [{"role": "user", "content": "hi"}]
GRADER: Any = {"type": "string_check", "name": "g", "operation": "eq", "input": "a", "reference": "b"}
DEVIATIONS = (
    # The bytes of a file are described as a text in JSON; the service sends them as they are.
    ("/content", "media type"),
    # Prism reads a stream of events as if it were one object.
    ("/chat/completions", "Response body must be object"),
)


@pytest.fixture
def url(prism: Any, tmp_path: Path) -> Iterator[str]:
    """Our server behind the proxy."""
    backend = ScriptedBackend(generate=lambda prompt: "four")
    app = create_app(
        {"base": "scripted:base"},
        keys={KEY: "a"},
        backends=[backend],
        settings=Settings(home=tmp_path / "home"),
    )
    with serving(app) as upstream, prism("proxy", upstream) as url:
        yield url


@pytest.mark.soak
def test_a_whole_life_has_no_violation(url: str) -> None:
    violations: list[str] = []
    calls = 0

    def look(response: httpx2.Response) -> None:
        nonlocal calls
        calls += 1
        for found in json.loads(response.headers.get("sl-violations", "[]")):
            path, said = response.request.url.path, found["message"]
            if not any(path.endswith(end) and text in said for end, text in DEVIATIONS):
                violations.append(f"{response.request.method} {path}: {found}")

    hooked = httpx2.Client(event_hooks={"response": [look]})
    with openai.OpenAI(base_url=url, api_key=KEY, max_retries=0, http_client=hooked) as client:
        live(client)
    assert violations == []
    assert calls > 20


def live(client: openai.OpenAI) -> None:
    row = b'{"messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "yo"}]}\n'
    file = client.files.create(file=("train.jsonl", row * 12), purpose="fine-tune")
    client.files.retrieve(file.id)
    client.files.content(file.id)
    assert list(client.files.list())
    job = client.fine_tuning.jobs.create(
        model="base",
        training_file=file.id,
        suffix="s",
        seed=3,
        metadata={"team": "a"},
        method={"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 1}}},
    )
    eventually(lambda: client.fine_tuning.jobs.retrieve(job.id).status == "succeeded", every_s=0.1)
    model = str(client.fine_tuning.jobs.retrieve(job.id).fine_tuned_model)
    assert list(client.fine_tuning.jobs.list(limit=2))
    assert list(client.fine_tuning.jobs.list_events(job.id, limit=3))
    assert list(client.fine_tuning.jobs.checkpoints.list(job.id))
    assert list(client.models.list())
    client.models.retrieve(model)
    client.chat.completions.create(model=model, messages=CHAT)
    assert list(client.chat.completions.create(model=model, messages=CHAT, stream=True))
    client.completions.create(model="base", prompt="a")
    upload = client.uploads.create(bytes=3, filename="a", mime_type="b", purpose="batch")
    part = client.uploads.parts.create(upload.id, data=b"abc")
    client.uploads.complete(upload.id, part_ids=[part.id])
    client.uploads.cancel(client.uploads.create(bytes=3, filename="a", mime_type="b", purpose="batch").id)
    client.fine_tuning.alpha.graders.run(grader=GRADER, model_sample="a")
    client.fine_tuning.alpha.graders.validate(grader=GRADER)
    question = {"custom_id": "a", "method": "POST", "url": "/v1/chat/completions"}
    line = json.dumps({**question, "body": {"model": model, "messages": CHAT}}).encode()
    questions = client.files.create(file=("questions.jsonl", line), purpose="batch")
    batch = client.batches.create(
        input_file_id=questions.id, endpoint="/v1/chat/completions", completion_window="24h"
    )
    eventually(lambda: client.batches.retrieve(batch.id).status == "completed", every_s=0.1)
    assert list(client.batches.list())
    client.models.delete(model)
    client.files.delete(file.id)
