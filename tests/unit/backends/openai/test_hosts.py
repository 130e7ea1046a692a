"""The host profiles are facts that hold together, and an address decides whose facts apply."""

from __future__ import annotations

from datetime import date

import pytest

from tunekit.backends.base import Backend
from tunekit.backends.openai.hosts import NAMES, address, host_of, read_host, serving
from tunekit.data.profiles import profile_of
from tunekit.errors import SpecError


@pytest.mark.parametrize("name", NAMES)
def test_profile_holds_together(name: str) -> None:
    host = host_of(name)
    assert host.name == name
    assert date.fromisoformat(host.as_of) >= date(2026, 11, 22)
    assert profile_of(host.data_rules).shape
    assert host.base_url.startswith("https://") or host.base_url_looks_like
    assert all(hasattr(Backend, verb) for verb in host.verbs)
    assert host.capabilities().methods == host.methods <= {"sft", "dpo", "rft"}
    if host.finds_by == "metadata":
        assert host.metadata


@pytest.mark.parametrize("name", NAMES)
def test_every_date_is_one_and_no_model_answers_shorter_than_it_trains(name: str) -> None:
    for facts in host_of(name).models.values():
        days = [date.fromisoformat(day) for day in (facts.training_ends, facts.answers_end) if day]
        assert days == sorted(days)


def test_longest_name_of_a_family_decides() -> None:
    openai = host_of("openai")
    assert openai.model("gpt-4.1-nano-2025-04-14").answers_end == "2026-10-23"
    assert openai.model("gpt-4o-2024-05-13").answers_end == "2026-10-23"
    assert openai.model("gpt-4o-2024-08-06").answers_end == "2027-01-14"


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("", "openai"),
        ("https://api.openai.com/v1", "openai"),
        ("https://us.api.openai.com/v1", "openai"),
        ("https://api.openai.com.evil.example/v1", "generic"),
        ("http://127.0.0.1:8000/v1", "generic"),
    ],
)
def test_dates_of_openai_are_held_against_openai_alone(url: str, name: str) -> None:
    host = serving("openai", url)
    assert host.name == name
    assert "OPENAI_API_KEY" in host.key_variables


def test_other_hosts_keep_their_own_keys() -> None:
    assert "OPENAI_API_KEY" not in host_of("nebius").key_variables


def test_address_is_the_callers_or_the_hosts() -> None:
    assert address(host_of("openai"), "") == "https://api.openai.com/v1"
    assert address(host_of("nebius"), "https://x.example/v1/") == "https://x.example/v1"
    with pytest.raises(SpecError, match="no base_url") as caught:
        address(host_of("foundry"), "")
    assert "openai.azure.com" in caught.value.hint
    with pytest.raises(SpecError, match="base_url is"):
        address(host_of("generic"), "localhost:8000")


def test_unknown_host_and_broken_profile_are_refused() -> None:
    with pytest.raises(SpecError, match="host is 'foundri'") as caught:
        host_of("foundri")
    assert "foundry" in caught.value.hint
    with pytest.raises(SpecError, match="unknown field"):
        read_host(b'{"name":"x","title":"x","as_of":"","source":"","methods":[],"verbs":[],"colour":"red"}')
