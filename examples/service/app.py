"""The web application: answers with the model in use, takes new data, retrains beside it.

    SERVICE_...=... uvicorn --factory service.app:create_app --app-dir examples

Endpoints write a request down and return; `worker.carry_on` does the work. Two instances behind one load balancer share
the stores under TUNEKIT_HOME, so the same request at both is one round.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, Header, HTTPException, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

import tunekit as tk
from service.pipeline import SAMPLING, Pipeline, one_of, required
from service.worker import carry_on
from tunekit.backends.openai.webhooks import MAX_BODY_BYTES, WebhookError, receive, sign

MIN_TOKEN_LENGTH = 16
NEW_DATA = "data.new"
"""Type of the webhook that announces a batch: `{"type": "data.new", "data": {"batch": "week_46.jsonl"}}`."""

log = logging.getLogger("service.app")
router = APIRouter()


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """What endpoints need, made once when the application is.

    Attributes:
        pipeline: What is trained.
        retrainer: Its terms.
        operator_token: Who may retrain, approve and roll back (`SERVICE_OPERATOR_TOKEN`).
        webhook_secrets: What senders of new data sign with (`SERVICE_WEBHOOK_SECRET`, "whsec_..."; two of them, with a
            space between, while one is exchanged for the other).
        works_inside: Whether rounds are carried on here (`SERVICE_WORKER=inside`) or by `python -m service.worker`.
    """

    pipeline: Pipeline
    retrainer: tk.Retrainer
    operator_token: bytes = field(repr=False)
    webhook_secrets: tuple[str, ...] = field(repr=False)
    works_inside: bool = True

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Service:
        """Read and check everything, before the first request is taken.

        Raises:
            TunekitError: A variable is missing or wrong.
        """
        token = required(environment, "SERVICE_OPERATOR_TOKEN").encode()
        if len(token) < MIN_TOKEN_LENGTH:
            raise tk.SpecError(
                f"SERVICE_OPERATOR_TOKEN has {len(token)} bytes",
                hint=f"use {MIN_TOKEN_LENGTH} or more that nobody can guess: openssl rand -hex 32",
            )
        webhook_secrets = tuple(required(environment, "SERVICE_WEBHOOK_SECRET").split())
        sign(b"", secret=webhook_secrets, delivery_id="check")  # raises where one is no secret
        pipeline = Pipeline.from_environment(environment)
        return cls(
            pipeline=pipeline,
            retrainer=pipeline.retrainer(),
            operator_token=token,
            webhook_secrets=webhook_secrets,
            works_inside=one_of(environment, "SERVICE_WORKER", ("inside", "apart")) == "inside",
        )

    async def ask_for(self, batch: str, *, key: str, trigger: str) -> dict[str, str]:
        """Write a round down. The same key with the same batch is the same round, at whichever instance it comes."""
        data = await asyncio.to_thread(self.pipeline.batch, batch)
        asked = await self.retrainer.request_async(data, key=key, trigger=trigger)
        return {"round": asked.round_id, "state": str(asked.state)}


def create_app() -> FastAPI:
    """The application, with everything checked."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    app = FastAPI(title="A service that retrains its model", lifespan=_lifespan)
    app.state.service = Service.from_environment()
    app.include_router(router)
    app.add_exception_handler(tk.TunekitError, _refused)
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    service: Service = app.state.service
    if not service.works_inside:
        yield
        return
    working = asyncio.create_task(carry_on(service.retrainer))
    try:
        yield
    finally:
        working.cancel()
        await asyncio.wait({working})  # it gives the lease back, so that another instance goes on at once
        log.info("the worker has stopped")


# --- who asks -------------------------------------------------------------------------------------------


def _service(request: Request) -> Service:
    found: Service = request.app.state.service
    return found


Served = Annotated[Service, Depends(_service)]


def _operator(service: Served, authorization: Annotated[str, Header()] = "") -> None:
    scheme, _, token = authorization.partition(" ")
    # compare_digest takes as long for a wrong token as for the right one: the time tells nothing about it.
    if not hmac.compare_digest(token.strip().encode(), service.operator_token) or scheme.lower() != "bearer":
        raise HTTPException(401, "the operator's token is needed", headers={"WWW-Authenticate": "Bearer"})


OPERATOR = [Depends(_operator)]
Key = Annotated[str, Header(alias="Idempotency-Key", min_length=1, max_length=200)]


async def _body(request: Request) -> bytes:
    """The raw bytes, which the signature is over; anybody may send them, so not more than a webhook has."""
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > MAX_BODY_BYTES:
            raise HTTPException(413, "a webhook is smaller than that")
    return bytes(body)


def _refused(request: Request, error: Exception) -> JSONResponse:
    """What tunekit raised, as an answer: the caller's mistakes with a hint, ours with no more than a code."""
    assert isinstance(error, tk.TunekitError)
    status = next((code for kind, code in _STATUS.items() if isinstance(error, kind)), 502)
    if status >= 500:
        log.error("%s %s: %s", request.method, request.url.path, error)
        return JSONResponse({"error": error.code}, status)
    return JSONResponse({"error": error.code, "message": error.message, "hint": error.hint}, status)


_STATUS: dict[type[tk.TunekitError], int] = {
    WebhookError: 400,
    tk.InvalidError: 422,
    tk.NotFoundError: 404,
    tk.ConflictError: 409,
    tk.StorageError: 503,
    tk.DeadlineError: 503,
}


# --- endpoints ------------------------------------------------------------------------------------------


class Question(BaseModel):
    """What a user asks."""

    model_config = ConfigDict(extra="forbid")
    prompt: str = Field(min_length=1, max_length=8000)


class Wanted(BaseModel):
    """What an operator wants trained."""

    model_config = ConfigDict(extra="forbid")
    batch: str


class Said(BaseModel):
    """A decision of an operator; it stays in the history."""

    model_config = ConfigDict(extra="forbid")
    by: str = "operator"
    reason: str = ""


@router.get("/healthz")
async def healthz() -> dict[str, str]:
    """The process answers. It looks at nothing else: a restart mends no full disk and no host that is away."""
    return {"status": "ok"}


@router.get("/status", dependencies=OPERATOR)
def status(service: Served) -> dict[str, Any]:
    """The model in use, the round at work or with a person, and the last ten."""
    rounds = service.retrainer.rounds
    found = rounds.list(limit=10)
    live = next((each for each in found if not each.state.is_over), None)
    try:
        version = rounds.registry.version(service.pipeline.alias)
        in_use = {"version": version.number, "model": str(version.model)}
    except tk.NotFoundError:
        in_use = None
    return {
        "alias": service.pipeline.alias,
        "in_use": in_use,
        "live": _told(live) if live else None,
        "rounds": [_told(each) for each in found],
    }


@router.post("/answer")
async def answer(service: Served, question: Question) -> dict[str, str]:
    """The answer of the model in use. Put your product's own authentication in front of this one."""
    try:
        # Resolved for each request: that is a look in memory, and a promotion or rollback is seen within a second.
        model = service.retrainer.rounds.registry.resolve(service.pipeline.alias)
    except tk.NotFoundError:
        raise HTTPException(503, "no model was promoted yet", headers={"Retry-After": "60"}) from None
    found = await tk.generate_async(model, question.prompt, sampling=SAMPLING)
    return {"answer": found.text, "model": str(model)}


@router.post("/retrain", status_code=202, dependencies=OPERATOR)
async def retrain(service: Served, wanted: Wanted, idempotency_key: Key) -> dict[str, str]:
    """Ask for a round. Try again with the same key where no answer came: there is one round for it."""
    # The prefix keeps an operator's keys apart from the ids that senders of webhooks choose.
    return await service.ask_for(wanted.batch, key=f"operator:{idempotency_key}", trigger="operator")


@router.post("/webhooks/new-data", status_code=202)
async def new_data(
    service: Served, request: Request, body: Annotated[bytes, Depends(_body)]
) -> dict[str, str]:
    """Take a signed message that a batch is there, by the rules of standardwebhooks.com.

    The signature is over id, time and body. Within five minutes a copy is the same delivery, and so the same round;
    after that it is refused.
    """
    event = receive(request.headers.items(), body, secret=service.webhook_secrets)
    batch = event.data.get("batch")
    if event.type != NEW_DATA or not isinstance(batch, str):
        raise HTTPException(422, f"only {NEW_DATA} with the name of a batch is understood here")
    return await service.ask_for(batch, key=f"webhook:{event.delivery_id}", trigger="webhook")


@router.post("/rounds/{round_id}/approve", dependencies=OPERATOR)
def approve(service: Served, round_id: str, said: Said) -> dict[str, Any]:
    """Say yes to a round that waits for it (`SERVICE_APPROVAL=manual`)."""
    return _told(service.retrainer.rounds.approve(round_id, by=said.by, reason=said.reason))


@router.post("/rollback", dependencies=OPERATOR)
def rollback(service: Served, said: Said, idempotency_key: Key) -> dict[str, Any]:
    """Take the model in use away. The key makes a second try safe: without it, that would go one further back."""
    rounds = service.retrainer.rounds
    move = rounds.rollback(by=said.by, reason=said.reason, key=f"operator:{idempotency_key}")
    return {"alias": service.pipeline.alias, "before": move.before, "after": move.after}


def _told(round_: tk.Round) -> dict[str, Any]:
    return {
        "round": round_.round_id,
        "state": str(round_.state),
        "trigger": round_.trigger,
        "job": round_.job,
        "version": round_.version,
        "reasons": list(round_.reasons),
    }
