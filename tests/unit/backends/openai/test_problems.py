"""What errors of hosts become: typed, in a person's words, with what programs need, whatever their bodies hold."""

from __future__ import annotations

import json
import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.backends.openai.calls import cancel, once, read
from tunekit.backends.openai.problems import Problem, Refusal, read_problem, refused
from tunekit.backends.openai.transport import Call
from tunekit.errors import BackendError, NotFoundError, TunekitError

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=400),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["error", "message", "code", "type", "detail", "msg", "param"]), inner
        )
    ),
    max_leaves=12,
)


def error(status: int, body: bytes = b"", call: Call | None = None, request_id: str = "") -> TunekitError:
    headers = {"x-request-id": request_id}
    refusal = Refusal(status=status, headers=headers, problem=read_problem(headers, body))
    return refused(refusal, call or once(), host="api.example.com", backend="openai")


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"error": {"message": "no", "code": "c", "type": "t", "param": "p"}}, ("no", "c", "t", "p")),
        ({"error": {"message": "no", "code": None, "param": None}}, ("no", "", "", "")),
        ({"error": {"message": "no", "code": 42}}, ("no", "42", "", "")),
        ({"error": "no"}, ("no", "", "", "")),
        ({"message": "no", "code": "c"}, ("no", "c", "", "")),
        ({"detail": "no"}, ("no", "", "", "")),
        ({"detail": [{"msg": "no", "loc": ["body"]}, {"msg": "nor that"}]}, ("no; nor that", "", "", "")),
        ("no", ("no", "", "", "")),
        ([{"message": "no"}], ("no", "", "", "")),
        ({"error": {}}, ("", "", "", "")),
        (None, ("", "", "", "")),
        (7, ("", "", "", "")),
    ],
)
def test_bodies_of_the_dialect_and_of_others(body: Any, said: tuple[str, ...]) -> None:
    problem = read_problem({}, json.dumps(body).encode())
    assert (problem.message, problem.code, problem.kind, problem.param) == said


@given(st.integers(300, 599), values | st.binary(max_size=200))
def test_any_body_becomes_a_typed_error_on_one_line(status: int, body: Any) -> None:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    found = error(status, raw)
    assert isinstance(found, (BackendError, NotFoundError))
    assert found.hint and len(found.message) < 700
    assert found.message.splitlines() == [found.message] and found.message.encode()
    assert found.details["status"] == status
    assert str(pickle.loads(pickle.dumps(found))) == str(found)


def test_a_page_shows_its_title() -> None:
    page = b"<!DOCTYPE html><html><title>\nSign in\n</title><body>" + b"x" * 60_000
    problem = read_problem({"content-type": "text/html"}, page)
    assert problem == Problem(message='a web page "Sign in"', is_page=True)
    assert "base_url" in error(403, page).hint
    assert read_problem({}, b"<" * 60_000).is_page


@pytest.mark.parametrize("status", [303, 408, 409, 500, 502, 503, 504, 529])
def test_statuses_after_which_it_may_have_taken_effect(status: int) -> None:
    for call, in_doubt in ((once(), True), (cancel(), True), (read(), False)):
        found = error(status, call=call)
        assert isinstance(found, BackendError)
        assert found.ambiguous is in_doubt
        assert found.retryable is (status != 303)


@pytest.mark.parametrize("status", [301, 302, 307, 308, 400, 401, 402, 403, 405, 413, 415, 422, 429, 451])
def test_statuses_that_are_a_certain_no(status: int) -> None:
    found = error(status)
    assert isinstance(found, BackendError) and not found.ambiguous
    assert found.retryable is (status == 429)


def test_what_programs_need_is_in_the_details() -> None:
    body = {"error": {"message": "bad", "code": "c", "type": "t", "param": "method.type"}}
    found = error(400, json.dumps(body).encode(), request_id="req_7")
    assert found.details == {
        "status": 400,
        "method": "POST",
        "path": "/fine_tuning/jobs",
        "request_id": "req_7",
        "code": "c",
        "type": "t",
        "param": "method.type",
    }
    assert "bad (about method.type) [request req_7]" in found.message
    assert found.backend == "openai"


def test_a_model_that_is_unknown_is_not_found_whatever_the_status() -> None:
    assert isinstance(error(400, b'{"error": {"message": "x", "code": "model_not_found"}}'), NotFoundError)


def test_no_money_is_not_a_matter_of_waiting() -> None:
    found = error(429, b'{"error": {"message": "x", "type": "insufficient_quota"}}')
    assert not found.retryable and "money" in found.hint


def test_only_the_host_itself_can_say_that_there_is_nothing() -> None:
    page = b"<html><title>404 default backend</title></html>"
    found = error(404, page, call=read())
    assert isinstance(found, BackendError) and found.retryable, "a proxy's page, borne like its restart"
    missing = json.dumps({"error": {"message": "gone", "code": "model_not_found"}}).encode()
    assert isinstance(error(404, missing), NotFoundError) and isinstance(error(400, missing), NotFoundError)
    broken = error(500, missing)
    assert isinstance(broken, BackendError) and broken.ambiguous, "whatever it says, it may have begun"
