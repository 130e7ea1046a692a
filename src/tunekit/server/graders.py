"""Routes of /fine_tuning/alpha/graders: one is checked, or run on one answer. Knows the wire; not how it grades."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

from pydantic import Field, JsonValue
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tunekit.backends.base import GenerateRequest
from tunekit.data.messages import conversation
from tunekit.errors import TunekitError
from tunekit.graders import Grade, GradeError, Grader, Judge, JudgeReply, JudgeRequest, Sample
from tunekit.graders.flags import Unreadable
from tunekit.graders.multi import Multi
from tunekit.graders.templates import Template
from tunekit.graders.text_similarity import TextSimilarity
from tunekit.server.limits import Limits
from tunekit.server.problems import invalid, request_id_of, told_as_error
from tunekit.server.reading import Body, json_body
from tunekit.server.recipes import characters_of, require_grader, require_grader_characters
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
    judge = _judge(service, request)
    lane = _lane(request)
    grader = await service.slowly(
        lane, require_grader, body.grader, service.limits, param="grader", judge=judge
    )
    await service.slowly(lane, grader.close)
    return JSONResponse({"grader": {**body.grader, "name": grader.name}})


async def run(request: Request) -> Response:
    """Grade one answer."""
    service = service_of(request)
    body = await json_body(request, RunGrader, service.limits)
    judge = _judge(service, request)
    lane = _lane(request)
    grader = await service.slowly(
        lane, require_grader, body.grader, service.limits, param="grader", judge=judge
    )
    began = time.monotonic()
    try:
        await service.slowly(lane, _require_measure, grader, body, service.limits)
        grade = await service.slowly(lane, grader.grade, Sample(body.model_sample), body.item)
    finally:
        await service.slowly(lane, grader.close)
    return JSONResponse(_shown(grader, body.grader, grade, time.monotonic() - began))


def _lane(request: Request) -> str:
    return f"graders of {tenant_of(request)}"


def _require_measure(grader: Grader, body: RunGrader, limits: Limits) -> None:
    """Refuse what would keep this machine busy: a small request may repeat a long text many times."""
    sample, characters = Sample(body.model_sample), characters_of(body.grader)
    for variable in grader.variables():
        if characters > limits.grader_characters:
            break
        characters += _length(Template((variable,)), sample, body.item)
    require_grader_characters(characters, limits)
    pairs = sum(
        _length(one.input, sample, body.item) * _length(one.reference, sample, body.item)
        for one in _similarities(grader)
    )
    if pairs > limits.grader_pairs:
        raise invalid(
            f"The grader would compare more than {limits.grader_pairs} pairs of characters.",
            code="grader_too_large",
        )


def _similarities(grader: Grader) -> Iterator[TextSimilarity]:
    for one in grader.graders.values() if isinstance(grader, Multi) else [grader]:
        if isinstance(one, TextSimilarity):
            yield one


def _length(template: Template, sample: Sample, item: Mapping[str, Any]) -> int:
    try:
        return len(template.render(sample, item))
    except (Unreadable, RecursionError):
        return 0  # nothing is read; the grade says so


def _judge(service: Service, caller: Request) -> Judge:
    """Asks a model that the caller may use. Called in a thread; the model is asked on this event loop."""
    loop, tenant, request_id = asyncio.get_running_loop(), tenant_of(caller), request_id_of(caller)

    def ask(request: JudgeRequest) -> JudgeReply:
        asked = _judged(service, tenant, request, request_id)
        return asyncio.run_coroutine_threadsafe(asked, loop).result(_JUDGE_S)

    return ask


async def _judged(service: Service, tenant: str, request: JudgeRequest, request_id: str) -> JudgeReply:
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
    try:
        (answer,) = await backend.generate(reference.id, [GenerateRequest(prompt=prompt)], sampling)
    except TunekitError as error:
        raise told_as_error(error, request_id) from None
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
