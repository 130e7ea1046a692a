"""The pages about hosts say what the profiles say: each host has its row and its page, with its facts and dates."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.docs.host_pages import PAGES, page_of, with_table
from tunekit.backends.openai import hosts

GUIDE = (Path(__file__).resolve().parents[2] / "docs" / "guides" / "hosts.md").read_text(encoding="utf-8")
ROWS = dict(re.findall(r"^\| \[`(\w+)`\]\(\.\./hosts/\1\.md\) (.*)$", GUIDE, flags=re.MULTILINE))


def test_each_host_has_its_row_and_its_page() -> None:
    assert list(ROWS) == list(hosts.NAMES)
    assert {page.stem for page in PAGES.glob("*.md")} == set(hosts.NAMES)


@pytest.mark.parametrize("name", hosts.NAMES)
def test_its_page_has_the_facts_of_the_profile(name: str) -> None:
    text = page_of(name).read_text(encoding="utf-8")
    assert text == with_table(text, hosts.host_of(name)), "run: python -m tests.docs.host_pages"


@pytest.mark.parametrize("name", hosts.NAMES)
def test_its_row_has_what_one_must_know_first(name: str) -> None:
    host, row = hosts.host_of(name), ROWS[name]
    if host.key_header != "authorization":
        assert f"`{host.key_header}`" in row
    assert ("its tag" in row) == (host.finds_by == "metadata" or name == "generic")
    for method in host.methods if name != "portkey" else ():
        assert method.upper() in row


@pytest.mark.parametrize("name", hosts.NAMES)
def test_dates_in_the_text_are_those_of_the_profile(name: str) -> None:
    host = hosts.host_of(name)
    known = {day for facts in host.models.values() for day in (facts.training_ends, facts.answers_end)}
    known |= {host.training_ends, host.as_of, *re.findall(r"\d{4}-\d\d-\d\d", " ".join(host.notes))}
    text, _, _ = page_of(name).read_text(encoding="utf-8").partition("<!-- host:")
    assert set(re.findall(r"\d{4}-\d\d-\d\d", text)) <= known
