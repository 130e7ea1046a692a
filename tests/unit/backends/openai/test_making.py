"""What a backend is made of: a key that nobody sees, an address, and the facts about a host."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.backends.openai.backends import backend_of, submitted
from tests.unit.backends.openai.calls import ok
from tests.wire import faults
from tests.wire.faults import FaultyServer
from tests.wire.inprocess import InProcess
from tests.wire.service import Service
from tunekit import Sampling
from tunekit.backends.base import GenerateRequest
from tunekit.backends.openai.backend import OpenAIBackend
from tunekit.backends.openai.connecting import with_query
from tunekit.errors import DeadlineError, SpecError


def test_key_is_read_when_it_is_made_and_shown_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TUNEKIT_OPENAI_API_KEY", raising=False)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-canary-1234567890")
    backend = OpenAIBackend()
    assert "canary" not in repr(vars(backend)) + repr(backend)
    monkeypatch.delenv("OPENAI_API_KEY")
    with pytest.raises(SpecError, match="no API key") as caught:
        OpenAIBackend()
    assert "OPENAI_API_KEY" in caught.value.hint


def test_key_of_openai_goes_to_no_other_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-canary-1234567890")
    with pytest.raises(SpecError, match="no API key for Nebius"):
        OpenAIBackend(host="nebius")


def test_address_may_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    backend = OpenAIBackend()
    assert repr(backend) == "<OpenAIBackend generic at http://127.0.0.1:9/v1>"
    assert backend.capabilities.sunset is None


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"base_url": "http://api.example.com/v1"}, "in the clear"),
        ({"host": "litellm", "base_url": "http://localhost:4000/v1"}, "custom_llm_provider"),
        ({"host": "foundry"}, "no base_url"),
        ({"files_expire_after_s": 60}, "files_expire_after_s is 60"),
        ({"requests_at_once": 0}, "requests_at_once is 0"),
        ({"answer_timeout_s": 0}, "answer_timeout_s is 0"),
        ({"answer_timeout_s": float("nan")}, "answer_timeout_s is nan"),
    ],
)
def test_what_cannot_work_is_refused_at_once(options: dict[str, Any], said: str) -> None:
    with pytest.raises(SpecError, match=said) as caught:
        OpenAIBackend(api_key="sk-canary-1234567890", **options)
    assert caught.value.hint and "canary" not in str(caught.value)


async def test_parameters_of_a_proxy_go_with_every_call(service: Service) -> None:
    service.described = None
    inner = InProcess(handler=service)
    transport = with_query(inner, (("custom_llm_provider", "openai"),))
    backend = OpenAIBackend(host="litellm", base_url="http://localhost:4000/v1", transport=transport)
    job_id = await submitted(backend)
    await backend.events(job_id, None)
    assert all(("custom_llm_provider", "openai") in call.query for call in inner.calls)
    assert not any(call.path.endswith("/events") for call in inner.calls), "it lists none"


async def test_an_answer_gets_more_time_than_any_other_call(transport: InProcess) -> None:
    for options, given_s in (({}, 600.0), ({"answer_timeout_s": 5.0}, 5.0)):
        backend = backend_of(transport, **options)
        await backend.generate("m", [GenerateRequest(prompt="hi")], Sampling())
        assert [piece async for piece in backend.stream("m", GenerateRequest(prompt="hi"), Sampling())]
        await backend.embed("m", ["hi"])
        await backend.tuned_models()
        asked = [call for call in transport.calls if call.method == "POST"]
        assert {call.deadline_s for call in asked} == {given_s}
        assert {call.deadline_s for call in transport.calls if call not in asked} == {None}
        transport.calls.clear()


async def test_an_answer_that_comes_too_late_says_which_knob_there_is() -> None:
    with FaultyServer(ok, [faults.late(5.0)]) as server:
        backend = OpenAIBackend(base_url=f"{server.url}/v1", answer_timeout_s=0.2)
        with pytest.raises(DeadlineError, match=r"within 0\.2 s") as caught:
            await backend.generate("m", [GenerateRequest(prompt="hi")], Sampling())
        await backend.aclose()
    assert "answer_timeout_s" in caught.value.hint and caught.value.retryable
