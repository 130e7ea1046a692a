"""`tunekit models`, as a person or a script meets it, against a host on this machine."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.wire.faults import FaultyServer
from tests.wire.service import Service
from tunekit.cli import main

TUNED = "ft:gpt-4.1-mini-2025-04-14:acme:tickets:A1"
KEY = "sk-canary-1234567890abcdef"


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    service = Service()
    with FaultyServer(service) as server:
        monkeypatch.setenv("TUNEKIT_OPENAI_BASE_URL", f"{server.url}/v1")
        monkeypatch.setenv("TUNEKIT_OPENAI_API_KEY", KEY)
        yield service


def shown(service: Service, name: str, shutdown: str | None = None) -> None:
    service.models[name] = {
        "id": name,
        "object": "model",
        "created": 1_790_000_000,
        "owned_by": "acme",
        "shutdown_date": shutdown,
    }


def test_a_table_for_people(service: Service, capsys: pytest.CaptureFixture[str]) -> None:
    shown(service, "gpt-9")
    shown(service, TUNED, "2001-01-01")
    assert main(["models"]) == 0
    header, row = capsys.readouterr().out.splitlines()
    assert header.split("  ")[0] == "MODEL" and header.endswith("DAYS LEFT")
    assert row.split() == [TUNED, "gpt-4.1-mini-2025-04-14", "2026-09-21", "2001-01-01", "0"]


def test_json_for_programs(service: Service, capsys: pytest.CaptureFixture[str]) -> None:
    shown(service, TUNED)
    assert main(["models", "--json"]) == 0
    printed = capsys.readouterr()
    document = json.loads(printed.out)
    (found,) = document["models"]
    assert document["missing"] == []
    assert found["id"] == TUNED and found["days_left"] is None and found["is_listed"]
    assert KEY not in printed.out + printed.err


def test_what_could_not_be_looked_at_is_said(service: Service, capsys: pytest.CaptureFixture[str]) -> None:
    shown(service, TUNED)
    shown(service, "a\nmodel with an odd name")
    service.refuses = lambda path: path.endswith("/fine_tuning/jobs")
    assert main(["models"]) == 0
    _, row, warning = capsys.readouterr().out.splitlines()
    assert row.startswith(TUNED) and warning.startswith("warning: the fine-tuning jobs could not be listed")


def test_what_a_proxy_asks_for_goes_with_every_call(
    service: Service, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["models", "--query", "custom_llm_provider=openai"]) == 0
    assert service.requests and all(
        ("custom_llm_provider", "openai") in request.query for request in service.requests
    )
    assert main(["models", "--query", "custom_llm_provider"]) == 1
    assert "is no NAME=VALUE" in capsys.readouterr().err


def test_an_empty_account_says_so(service: Service, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models"]) == 0
    assert capsys.readouterr().out == "no tuned models\n"


def test_without_a_key_it_says_what_to_set(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    assert main(["models"]) == 1
    assert "OPENAI_API_KEY" in capsys.readouterr().err
