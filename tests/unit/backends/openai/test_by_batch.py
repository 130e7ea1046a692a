"""Large evaluations as batches: paid for once, whatever the host does while they are waited for or fetched."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.unit.backends.openai.backends import backend_of
from tests.wire.exchange import Request, Response
from tests.wire.inprocess import InProcess
from tests.wire.service import Service
from tunekit import Dataset, Evaluator
from tunekit.backends.base import GenerateRequest, Generation, PartialError
from tunekit.backends.openai import by_batch
from tunekit.backends.openai.backend import OpenAIBackend
from tunekit.errors import EvaluationError, NotFoundError, UnsupportedError
from tunekit.evaluation.results import Evaluation
from tunekit.evaluation.scorers import ExactMatch
from tunekit.spec import Sampling

COUNT = 100
QUESTIONS = [GenerateRequest(prompt=f"question {number}") for number in range(COUNT)]
REFUSED = {"status_code": 400, "body": {"error": {"message": "content filter", "code": "content_filter"}}}
BUSY = {"status_code": 503, "body": {"error": {"message": "overloaded"}}}
PAGE = Response(headers={"content-type": "text/html"}, body=b"<html>one moment</html>")


def refusal(status: int) -> Response:
    return Response.of({"error": {"message": "not now"}}, status=status)


def evaluate(backend: OpenAIBackend) -> Evaluation:
    rows = Dataset.from_records([{"prompt": f"{n}", "completion": f"answer to {n}"} for n in range(COUNT)])
    evaluator = Evaluator(rows, scorers=[ExactMatch()], batch_size=50_000, max_error_rate=0.02, cache=False)
    return evaluator.run("openai:ft:x", backend=backend)


def asked_singly(service: Service) -> int:
    return len(service.bodies("POST", "/chat/completions"))


def answering(service: Service, response: dict[str, Any], places: range) -> Callable[[Request], Response]:
    """A host whose batches say this of these questions."""

    def handler(request: Request) -> Response:
        found = service(request)
        if not request.path.endswith("/content"):
            return found
        lines = [json.loads(line) for line in found.body.splitlines()]
        lines = [
            line | {"response": response} if int(line["custom_id"]) in places else line for line in lines
        ]
        return Response(body=b"\n".join(json.dumps(line).encode() for line in lines))

    return handler


def looking(service: Service, *first: Response, **said: Any) -> Callable[[Request], Response]:
    """A host that answers the first looks at a batch with these, and later ones with that."""
    answers = iter(first)

    def handler(request: Request) -> Response:
        found = service(request)
        if request.method != "GET" or not request.path.startswith("/v1/batches/"):
            return found
        return next(answers, None) or Response.of(json.loads(found.body) | said)

    return handler


def test_evaluator_takes_the_cheap_path(transport: InProcess, service: Service) -> None:
    service.slow_looks = 5
    report = evaluate(backend_of(transport, batch_from=COUNT))
    assert (report["exact_match"].value.estimate, report.warnings) == (1.0, ())
    assert (len(service.batches), asked_singly(service)) == (1, 0)


@pytest.mark.parametrize(
    ("status", "made"),
    [("in_progress", 1), ("completed", 1), ("failed", 2), ("cancelling", 2), ("EXPIRED", 2)],
)
def test_an_evaluation_that_is_run_again_goes_on_with_its_batch(
    transport: InProcess, service: Service, status: str, made: int
) -> None:
    """The process that began the batch died; whoever comes next finds it by what it asks."""
    first = evaluate(backend_of(transport, batch_from=COUNT))
    (batch,) = service.batches.values()
    batch["created_at"] = int(time.time()) - 3600
    # The list says where it stood; a look at it, that it has ended.
    transport.handler = listing_says(service, status)
    again = evaluate(backend_of(transport, batch_from=COUNT))
    assert len(service.batches) == made
    assert [item.answer for item in again.items] == [item.answer for item in first.items]
    batch["created_at"] -= 48 * 3600
    transport.handler = service
    evaluate(backend_of(transport, batch_from=COUNT))
    assert len(service.batches) == made + 1  # of another day


def listing_says(service: Service, status: str) -> Callable[[Request], Response]:
    """A host whose list of batches says this of all of them."""

    def handler(request: Request) -> Response:
        found = service(request)
        if request.method != "GET" or request.path != "/v1/batches":
            return found
        body = json.loads(found.body)
        return Response.of(body | {"data": [batch | {"status": status} for batch in body["data"]]})

    return handler


def test_a_host_that_lists_no_batches_is_asked_all_the_same(
    transport: InProcess, service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    def handler(request: Request) -> Response:
        lists = request.method == "GET" and request.path == "/v1/batches"
        return refusal(404) if lists else service(request)

    transport.handler = handler
    assert evaluate(backend_of(transport, batch_from=COUNT))["exact_match"].value.estimate == 1.0
    assert "nobody knows whether these questions were handed in before" in caplog.text


def test_the_case_of_a_status_is_no_reason_to_wait_for_ever(transport: InProcess, service: Service) -> None:
    transport.handler = looking(service, status="COMPLETED")
    assert evaluate(backend_of(transport, batch_from=COUNT))["exact_match"].value.estimate == 1.0


def test_few_are_asked_at_once(transport: InProcess, service: Service) -> None:
    evaluate(backend_of(transport, batch_from=COUNT + 1))
    assert (len(service.batches), asked_singly(service)) == (0, COUNT)


def test_refused_question_costs_itself_alone(transport: InProcess, service: Service) -> None:
    transport.handler = answering(service, REFUSED, range(17, 18))
    report = evaluate(backend_of(transport, batch_from=10))
    metric = report["exact_match"]
    assert (metric.n_errors, metric.value.n, metric.value.estimate) == (1, COUNT - 1, 1.0)
    assert "content filter" in report.items[17].errors["exact_match"]
    assert (len(service.batches), asked_singly(service)) == (1, 0)


async def test_answers_are_kept_where_some_have_none(transport: InProcess, service: Service) -> None:
    transport.handler = answering(service, REFUSED, range(3, 5))
    with pytest.raises(PartialError, match="2 of 100 requests") as caught:
        await backend_of(transport, batch_from=10).generate("ft:x", QUESTIONS, Sampling())
    texts = [found.text for found in caught.value.outcomes if isinstance(found, Generation)]
    assert texts == [f"answer to question {number}" for number in range(COUNT) if number not in (3, 4)]


def test_what_the_host_was_too_busy_for_is_asked_again_and_said(
    transport: InProcess, service: Service
) -> None:
    transport.handler = answering(service, BUSY, range(10))
    report = evaluate(backend_of(transport, batch_from=10))
    assert (report["exact_match"].value.estimate, report["exact_match"].n_errors) == (1.0, 0)
    (warning,) = report.warnings
    (batch_id,) = service.batches
    assert warning.startswith("10 of 100 answers: asked outside batch") and batch_id in warning
    assert asked_singly(service) == 10


def test_many_without_an_answer_are_not_asked_at_full_price(transport: InProcess, service: Service) -> None:
    transport.handler = answering(service, BUSY, range(11))
    assert evaluate(backend_of(transport, batch_from=10))["exact_match"].n_errors == 11
    assert asked_singly(service) == 0


def test_those_that_cannot_be_asked_again_leave_the_others_alone(
    transport: InProcess, service: Service
) -> None:
    within = answering(service, BUSY, range(2))
    transport.handler = lambda request: (
        refusal(500) if request.path.endswith("/chat/completions") else within(request)
    )
    assert evaluate(backend_of(transport, batch_from=10))["exact_match"].n_errors == 2


@pytest.mark.parametrize("odd", [PAGE, refusal(401), refusal(404), refusal(503)])
def test_look_that_fails_is_borne(transport: InProcess, service: Service, odd: Response) -> None:
    transport.handler = looking(service, odd, odd, odd)
    report = evaluate(backend_of(transport, batch_from=10))
    assert (report["exact_match"].value.estimate, report.warnings) == (1.0, ())
    assert (len(service.batches), asked_singly(service)) == (1, 0)


async def test_batch_that_is_given_up_on_is_named_and_can_be_fetched_later(
    transport: InProcess, service: Service
) -> None:
    transport.handler = looking(service, *[refusal(401)] * 100)
    backend = backend_of(transport, batch_from=10)
    began_s = backend.clock.now()
    with pytest.raises(PartialError, match="for an hour: not now") as caught:
        await backend.generate("ft:x", QUESTIONS, Sampling())
    assert 3600 <= backend.clock.now() - began_s < 2 * 3600
    batch_id = caught.value.details["batch_id"]
    assert batch_id in caught.value.hint and asked_singly(service) == 0
    transport.handler = service
    assert len(await backend.batches.answers(batch_id)) == COUNT


def test_given_up_batch_ends_an_evaluation_and_nothing_is_asked_again(
    transport: InProcess, service: Service
) -> None:
    transport.handler = looking(service, *[PAGE] * 100)
    with pytest.raises(EvaluationError, match="items all failed") as caught:
        evaluate(backend_of(transport, batch_from=10))
    assert next(iter(service.batches)) in caught.value.hint
    assert (len(service.batches), asked_singly(service)) == (1, 0)


async def test_batch_without_an_end_is_left_after_a_day(transport: InProcess, service: Service) -> None:
    transport.handler = looking(service, status="in_progress")
    with pytest.raises(PartialError, match="'in_progress' after 25 hours"):
        await backend_of(transport, batch_from=10).generate("ft:x", QUESTIONS, Sampling())
    assert asked_singly(service) == 0


def test_batch_that_fails_as_a_whole_is_not_asked_at_full_price(
    transport: InProcess, service: Service
) -> None:
    errors = {"data": [{"code": "token_limit_exceeded", "message": "enqueued token limit reached"}]}
    transport.handler = looking(service, status="failed", errors=errors, output_file_id=None)
    with pytest.raises(UnsupportedError, match="enqueued token limit reached") as caught:
        evaluate(backend_of(transport, batch_from=10))
    assert "batch_from" in caught.value.hint
    assert asked_singly(service) == 0


async def test_batch_that_somebody_stopped_keeps_what_it_has(transport: InProcess, service: Service) -> None:
    within = looking(service, status="cancelled")
    transport.handler = lambda request: (
        Response(body=b"\n".join(within(request).body.splitlines()[:95]))
        if request.path.endswith("/content")
        else within(request)
    )
    with pytest.raises(PartialError, match=r"5 of 100 requests have no answer.*'cancelled'"):
        await backend_of(transport, batch_from=10).generate("ft:x", QUESTIONS, Sampling())
    assert asked_singly(service) == 0, "who stops a batch does not want the rest of it"


@pytest.mark.parametrize("status", [400, 401, 500])
def test_batch_that_is_not_taken_is_not_asked_at_full_price(
    transport: InProcess, service: Service, status: int
) -> None:
    transport.handler = lambda request: (
        refusal(status) if (request.method, request.path) == ("POST", "/v1/batches") else service(request)
    )
    with pytest.raises(EvaluationError, match="items all failed"):
        evaluate(backend_of(transport, batch_from=10))
    assert asked_singly(service) == 0


def test_host_without_batches_says_so(transport: InProcess, service: Service) -> None:
    transport.handler = lambda request: (
        refusal(404) if request.path.startswith("/v1/batches") else service(request)
    )
    with pytest.raises(NotFoundError):
        evaluate(backend_of(transport, batch_from=10))
    assert asked_singly(service) == 0


async def test_second_batch_that_fails_leaves_the_answers_of_the_first(
    transport: InProcess, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(by_batch, "MAX_QUESTIONS", 60)
    transport.handler = lambda request: (
        refusal(404)
        if (request.method, request.path) == ("POST", "/v1/batches") and service.batches
        else service(request)
    )
    with pytest.raises(PartialError, match="40 of 100"):
        await backend_of(transport, batch_from=10).generate("ft:x", QUESTIONS, Sampling())


async def test_answers_beyond_the_questions_are_nobodys(transport: InProcess, service: Service) -> None:
    def more(request: Request) -> Response:
        response = service(request)
        if not request.path.endswith("/content"):
            return response
        line = json.loads(response.body.splitlines()[0]) | {"custom_id": "777"}
        return Response(body=response.body + json.dumps(line).encode())

    transport.handler = more
    answers = await backend_of(transport, batch_from=1).generate("ft:x", QUESTIONS, Sampling())
    assert len(answers) == COUNT


async def test_who_leaves_is_told_the_batch(
    transport: InProcess, service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    within, looked = looking(service, status="in_progress"), asyncio.Event()

    def handler(request: Request) -> Response:
        if request.path.startswith("/v1/batches/"):
            looked.set()
        return within(request)

    transport.handler = handler
    work = asyncio.create_task(backend_of(transport, batch_from=1).generate("ft:x", QUESTIONS, Sampling()))
    await looked.wait()
    with caplog.at_level(logging.WARNING):
        work.cancel()
        with pytest.raises(asyncio.CancelledError):
            await work
    assert next(iter(service.batches)) in caplog.text
