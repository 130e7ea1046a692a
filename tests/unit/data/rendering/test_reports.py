"""Reports for people: every finding is there, and hostile data show as text. Knows lines and pages."""

from __future__ import annotations

import html.parser
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunekit import CheckReport, Dataset, Finding
from tunekit.data.findings import Place, ProposedFix
from tunekit.data.rendering.figures import bar, sparkline
from tunekit.data.rendering.lines import WIDTH
from tunekit.data.summary import Lengths, Summary

HOSTILE = "</title><script>alert(1)</script><img src=x onerror=alert(1)>\x1b[31m'\""


def report(text: str) -> CheckReport:
    finding = Finding(
        code="odd",
        severity="error",
        message=f"odd: {text}",
        rows=(f"{text}:1", f"{text}:2"),
        places=(Place(row=f"{text}:1", field=text, evidence=text),),
        fix=ProposedFix(name="mend", safety="lossy", says=text),
        target=text,
    )
    lengths = Lengths(longest=9, total=30, buckets=(0, 1, 2, 0, 3))
    summary = Summary(kinds={"chat": 6}, classes={text: 4, "b": 2}, read=lengths, answered=lengths)
    return CheckReport(
        name=text, rows=6, findings=(finding,), targets=(text,), source={"delimiter": text}, summary=summary
    )


class _Tags(html.parser.HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes.update(name for name, _ in attrs)

    def handle_data(self, data: str) -> None:
        self.text += data


def test_hostile_data_are_only_text_in_a_page() -> None:
    page = _Tags()
    page.feed(report(HOSTILE).to_html())
    assert not page.tags & {"script", "img", "iframe", "link"}
    assert not {name for name in page.attributes if name.startswith("on") or name in ("src", "href")}
    assert "<script>alert(1)</script>" in page.text


@given(st.text(min_size=1, max_size=60))
def test_pages_are_well_formed_and_repeatable(text: str) -> None:
    made = report(text)
    assert made.to_html() == made.to_html()
    _Tags().feed(made.to_html())
    json.loads(made.to_json())
    str(made)


def test_lines_fit_a_terminal_and_say_everything() -> None:
    rows = [{"prompt": f"{n} parcels", "completion": "many" if n % 5 else "few"} for n in range(60)]
    rows += rows[:5]
    made = Dataset.from_records(rows, name="parcels").check("openai")
    said = str(made)
    assert max(map(len, said.splitlines())) <= WIDTH + 40, "only places and fix names may run over"
    for finding in made:
        assert finding.code in said
    assert "2 classes" in said
    assert "openai: does not pass (target-kind" in said


def test_report_answers_programs() -> None:
    made = report("x")
    assert not made.ok
    assert made.errors == made.findings
    assert made["odd"].rows == ("x:1", "x:2")
    assert "odd" in made
    assert "even" not in made
    assert [fix.name for fix in made.fixes] == ["mend"]
    assert not made.passes("x")
    with pytest.raises(KeyError):
        made["even"]
    with pytest.raises(KeyError):
        made.passes("elsewhere")
    assert made.to_dict()["targets"] == {"x": False}


@given(st.floats(0, 1), st.integers(1, 60))
def test_bars_grow_with_their_share(share: float, width: int) -> None:
    drawn = bar(share, width)
    assert len(drawn) <= width
    assert bool(drawn) == (share > 0)


@given(st.lists(st.integers(0, 10**9), max_size=30))
def test_sparklines_have_a_character_for_each_count(counts: list[int]) -> None:
    line = sparkline(counts)
    assert len(line) == len(counts)
    assert [mark == " " for mark in line] == [count == 0 for count in counts]
    if any(counts):
        assert line[counts.index(max(counts))] == "█"


def test_lengths_are_those_of_prompts_and_of_answers_good_or_bad() -> None:
    pair = Dataset.from_records([{"prompt": "abc", "chosen": "12345", "rejected": "a long bad answer"}])
    assert (pair.check().summary.read.total, pair.check().summary.answered.total) == (3, 5)
    verdicts = pair.to_unpaired().check().summary
    assert (verdicts.read.total, verdicts.answered.total) == (6, 22)
    graded = Dataset.from_records([{"messages": [{"role": "user", "content": "abc"}], "answer": "five!"}])
    assert (graded.check().summary.read.total, graded.check().summary.answered.total) == (3, 0)
