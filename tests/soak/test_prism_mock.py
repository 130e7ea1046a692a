"""Our client against Prism as a host: every call that it makes is held to OpenAI's description, by somebody else.

Prism answers with examples of the description, or with values that it draws; it knows no account, so what it answers
does not hang together. What can be made of it is read, and the rest is a typed error with a reason.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.unit.backends.openai.backends import submitted
from tests.unit.backends.openai.calls import Hasty
from tests.unit.backends.openai.test_backend import GRADER, PREFERENCES, PROMPTS
from tunekit import DPO, RFT, Sampling, TuneSpec
from tunekit.backends.base import GenerateRequest, ScoreRequest
from tunekit.backends.openai import OpenAIBackend, account, scoring
from tunekit.backends.openai.endpoint import Endpoint
from tunekit.backends.openai.http import HttpTransport
from tunekit.backends.openai.jobs import Jobs
from tunekit.backends.openai.transport import Call, Reply
from tunekit.errors import TunekitError

QUESTIONS = [GenerateRequest(prompt="what is it")]
WANDB = [{"type": "wandb", "wandb": {"project": "p", "tags": ["a"]}}]
FULL = TuneSpec(
    name="support",
    epochs=2,
    batch_size=8,
    seed=7,
    options={"learning_rate_multiplier": 1.5, "metadata": {"team": "a"}, "integrations": WANDB},
)
REINFORCED = TuneSpec(method=RFT(grader=GRADER), options={"reasoning_effort": "low", "eval_samples": 3})


# A list of the examples says that there is more of it, behind the one item that it has, and goes round in a circle; no
# example is a table, a stream of events or two vectors; and the example of a job is one that has just begun.
REASONS = (
    "there is more of it",
    "a result file that cannot be read",
    "the stream ended",
    "no vector for each",
    "did not echo",
    "has no model",
    "is still going on",
    "is validating",
)


@dataclass(slots=True, kw_only=True)
class Watching:
    """A transport that notes what was called, and what Prism found in a request."""

    transport: HttpTransport
    violations: list[str] = field(default_factory=list)
    called: set[str] = field(default_factory=set)

    async def send(self, call: Call) -> Reply:
        self.note(call)
        try:
            reply = await self.transport.send(call)
        except TunekitError as error:
            if error.details.get("status") in (400, 401, 415, 422):
                self.violations.append(f"{call.method} {call.path}: {error}")
            raise
        found = json.loads(reply.headers.get("sl-violations", "[]"))
        self.violations += [str(item) for item in found if item["location"][0] == "request"]
        return reply

    async def stream(self, call: Call) -> AsyncIterator[bytes]:
        self.note(call)
        async for piece in self.transport.stream(call):
            yield piece

    def note(self, call: Call) -> None:
        made = f"{call.method} {call.path}"
        known = (route for route in CALLED if re.fullmatch(route.replace("/_", "/[^/]+"), made))
        self.called.add(next(known, made))

    async def aclose(self) -> None:
        await self.transport.aclose()


CALLED = {
    "GET /files",
    "POST /files",
    "GET /files/_/content",
    "POST /fine_tuning/jobs",
    "GET /fine_tuning/jobs",
    "GET /fine_tuning/jobs/_",
    "GET /fine_tuning/jobs/_/events",
    "GET /fine_tuning/jobs/_/checkpoints",
    "POST /fine_tuning/jobs/_/cancel",
    "POST /fine_tuning/jobs/_/pause",
    "POST /fine_tuning/jobs/_/resume",
    "GET /fine_tuning/checkpoints/_/permissions",
    "POST /fine_tuning/checkpoints/_/permissions",
    "DELETE /fine_tuning/checkpoints/_/permissions/_",
    "GET /models",
    "GET /models/_",
    "DELETE /models/_",
    "POST /chat/completions",
    "POST /completions",
    "POST /embeddings",
    "POST /batches",
    "GET /batches/_",
    "POST /batches/_/cancel",
}


JOB = "string"
"""What the mock calls every job: the client refuses an answer about another one than it asked for."""


def every_call(backend: OpenAIBackend, transport: Watching) -> list[Callable[[], Awaitable[Any]]]:
    """Whatever the client can do."""

    async def streamed() -> list[Any]:
        return [piece async for piece in backend.stream("m", QUESTIONS[0], Sampling())]

    return [
        lambda: submitted(backend, spec=FULL),
        lambda: submitted(backend, spec=TuneSpec(method=DPO(beta=0.3)), train=PREFERENCES),
        lambda: submitted(backend, model="o9", spec=REINFORCED, train=PROMPTS, validation=PROMPTS),
        lambda: backend.snapshot(JOB),
        lambda: backend.events(JOB, None),
        lambda: backend.find("run-1"),
        lambda: Jobs(transport=transport).tagged("run-1"),
        lambda: backend.cancel(JOB),
        lambda: backend.pause(JOB),
        lambda: backend.resume(JOB),
        lambda: backend.checkpoints(JOB),
        lambda: backend.results(JOB),
        lambda: backend.artifact(JOB),
        lambda: backend.delete_artifacts(JOB),
        lambda: backend.generate("m", QUESTIONS, Sampling(stop=("x",))),
        streamed,
        lambda: backend.generate("davinci-002", QUESTIONS, Sampling(stop=("x",))),
        lambda: scoring.score(transport, "m", [ScoreRequest(prompt="a", choices=("b", "c"))], at_once=1),
        lambda: backend.embed("m", ["a", "b"]),
        lambda: backend.batches.begin("m", QUESTIONS, Sampling()),
        lambda: backend.batches.begin("davinci-002", QUESTIONS, Sampling()),
        lambda: backend.batches.begin_embeddings("m", ["a", "b"]),
        lambda: backend.batches.of("batch_1"),
        lambda: backend.batches.cancel("batch_1"),
        lambda: backend.batches.answers("batch_1"),
        backend.jobs,
        backend.models,
        backend.tuned_models,
        lambda: account.model(transport, "gpt-4.1"),
        lambda: backend.delete_model("ft:x"),
        lambda: backend.permissions("ft:x:ckpt-step-1"),
        lambda: backend.permit("ft:x:ckpt-step-1", ["proj_1"]),
        lambda: backend.forbid("ft:x:ckpt-step-1", "cp_1"),
    ]


async def drive(url: str) -> tuple[Watching, list[TunekitError]]:
    """Make every call once; whatever is not a typed error comes out."""
    http = HttpTransport(Endpoint(url, key="sk-of-the-support-team"), clock=Hasty(), deadline_s=20.0)
    transport = Watching(transport=http)
    backend = OpenAIBackend(base_url=url, transport=transport, files_expire_after_s=3600)
    errors: list[TunekitError] = []
    for call in every_call(backend, transport):
        try:
            await call()
        except TunekitError as error:
            errors.append(error)
    await backend.aclose()
    return transport, errors


@pytest.mark.soak
async def test_no_call_of_the_client_is_refused_as_invalid(prism: Any) -> None:
    with prism("mock", "--errors") as url:
        transport, errors = await drive(url)
    assert transport.violations == []
    assert CALLED - transport.called == set()
    assert all(error.message and error.hint for error in errors)
    assert all(any(reason in error.message for reason in REASONS) for error in errors)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(1, 6))
async def test_whatever_values_come_are_read_or_a_typed_error(prism: Any, seed: int) -> None:
    with prism("mock", "--dynamic", "--seed", f"{seed}") as url:
        transport, errors = await drive(url)
    assert transport.violations == []
    assert all(error.message and error.hint for error in errors)
