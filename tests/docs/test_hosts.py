"""The page about hosts says what the profiles say: each has its section, with its dates, key and address."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tunekit.backends.openai import hosts

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "guides" / "hosts.md").read_text(encoding="utf-8")
ALL_SECTIONS = dict(
    re.findall(r"^## [^\n]*\{ #(\w+) \}\n(.*?)(?=^## |\Z)", PAGE, flags=re.MULTILINE | re.DOTALL)
)

SECTIONS = {name: text for name, text in ALL_SECTIONS.items() if name != "money"}


def test_each_host_has_its_section_and_its_row() -> None:
    assert list(SECTIONS) == list(hosts.NAMES)
    assert re.findall(r"^\| \[`(\w+)`\]\(#\w+\)", PAGE, flags=re.MULTILINE) == list(hosts.NAMES)


@pytest.mark.parametrize("name", hosts.NAMES)
def test_its_facts_are_on_the_page(name: str) -> None:
    host, section = hosts.host_of(name), SECTIONS[name]
    facts = [
        host.base_url,
        host.training_ends,
        *host.key_variables,
        *host.fields,
        *host.hyperparameters,
        *host.needs_query,
    ]
    assert [fact for fact in facts if fact and fact not in section and fact != host_address(host)] == []
    assert host.as_of in PAGE
    row = next(line for line in PAGE.splitlines() if line.startswith(f"| [`{name}`]"))
    if host.key_header != "authorization":
        assert f"`{host.key_header}`" in row
    assert ("its tag" in row) == (host.finds_by == "metadata" or name == "generic")
    for method in host.methods if name != "portkey" else ():
        assert method.upper() in row


def host_address(host: hosts.Host) -> str:
    """OpenAI's own address is told by nobody, because everybody has it."""
    return host.base_url if host.name == "openai" else ""


@pytest.mark.parametrize("name", ["openai", "foundry"])
def test_dates_of_models_are_those_of_the_profile(name: str) -> None:
    host = hosts.host_of(name)
    of_models = {day for facts in host.models.values() for day in (facts.training_ends, facts.answers_end)}
    told = set(re.findall(r"\d{4}-\d\d-\d\d", SECTIONS[name]))
    assert told <= of_models | {host.training_ends, host.as_of}
