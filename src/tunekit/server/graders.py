"""Routes of /fine_tuning/alpha/graders: one is checked, or run on one answer. Knows the wire; not how it grades."""

from __future__ import annotations

import asyncio
import time
from typing import Annotated, Any

from pydantic import Field, JsonValue
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tunekit.backends.base import GenerateRequest
from tunekit.data.messages import conversation
from tunekit.graders import Grade, GradeError, Grader, Judge, JudgeReply, JudgeRequest, Sample
from tunekit.server.reading import Body, json_body
from tunekit.server.recipes import require_grader
from tunekit.server.service import Service, blocking, service_of, tenant_of
from tunekit.spec import Sampling

_JUDGE_S = 300.0
_NO_ERRORS = {
    name: False if isinstance(value, bool) else None
    for name, value in GradeError(flag="other_error", detail="").record().items()
}


class ValidateGrader(Body):
    """The body of POST .../validate."""

    grader: dict[str, JsonValue]


class RunGrader(Body):
    """The body of POST .../run."""

    grader: dict[str, JsonValue]
    model_sample: Annotated[str, Field(max_length=1_000_000)]
    item: dict[str, JsonValue] = Field(default_factory=dict)
    reference_answer: JsonValue = None


async def validate(request: Request) -> Response:
    """Whether a grader is one."""
    service = service_of(request)
    body = await json_body(request, ValidateGrader, service.limits)
    judge = _judge(service, tenant_of(request))
    grader = await service.slowly(require_grader, body.grader, service.limits, param="grader", judge=judge)
    await service.slowly(grader.close)
    return JSONResponse({"grader": {**body.grader, "name": grader.name}})


async def run(request: Request) -> Response:
    """Grade one answer."""
    service = service_of(request)
    body = await json_body(request, RunGrader, service.limits)
    judge = _judge(service, tenant_of(request))
    grader = await service.slowly(require_grader, body.grader, service.limits, param="grader", judge=judge)
    began = time.monotonic()
    try:
        grade = await service.slowly(grader.grade, Sample(body.model_sample), body.item)
    finally:
        await service.slowly(grader.close)
    return JSONResponse(_shown(grader, body.grader, grade, time.monotonic() - began))


def _judge(service: Service, tenant: str) -> Judge:
    """Asks a model that the caller may use. Called in a thread; the model is asked on this event loop."""
    loop = asyncio.get_running_loop()

    def ask(request: JudgeRequest) -> JudgeReply:
        return asyncio.run_coroutine_threadsafe(_judged(service, tenant, request), loop).result(_JUDGE_S)

    return ask


async def _judged(service: Service, tenant: str, request: JudgeRequest) -> JudgeReply:
    """The model's words. No schema binds them; the grader says if they are not by it."""
    reference = await blocking(service.model, request.model, tenant)
    given, limits = request.sampling, service.limits
    sampling = Sampling(
        max_tokens=min(
            int(given.get("max_completions_tokens") or limits.default_answer_tokens), limits.answer_tokens
        ),
        temperature=float(given.get("temperature") or 0.0),
        top_p=float(given.get("top_p") or 1.0),
        seed=int(given.get("seed") or 0),
    )
    prompt = conversation([dict(message) for message in request.messages])
    backend = service.backend(reference.backend)
    (answer,) = await backend.generate(reference.id, [GenerateRequest(prompt=prompt)], sampling)
    return JudgeReply(text=answer.text)


def _shown(grader: Grader, body: dict[str, Any], grade: Grade, seconds: float) -> dict[str, Any]:
    """A grade on the wire, where a grader that failed has a reward of 0 and says so among its errors."""
    failed = next((item.error for item in (grade, *grade.parts.values()) if item.error is not None), None)
    scores = {name: part.value for name, part in grade.parts.items()} or {grader.name: grade.value}
    return {
        "reward": grade.value or 0.0,
        "metadata": {
            "name": grader.name,
            "type": body["type"],
            "errors": failed.record() if failed is not None else _NO_ERRORS,
            "execution_time": seconds,
            "scores": scores,
            "token_usage": None,
            "sampled_model_name": None,
        },
        "sub_rewards": {name: part.value for name, part in grade.parts.items()},
        "model_grader_token_usage_per_model": {},
    }


ROUTES = [
    Route("/fine_tuning/alpha/graders/validate", validate, methods=["POST"]),
    Route("/fine_tuning/alpha/graders/run", run, methods=["POST"]),
]
