"""The fix engine: which fixes run, what each sees, what the report says; over fixes made for these tests."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Iterator
from typing import Any

import pytest

from tunekit.data.checks.base import CheckContext
from tunekit.data.fixes import catalogue
from tunekit.data.fixes.base import Fix
from tunekit.data.fixes.run import FixedRows, run
from tunekit.errors import SpecError
from tunekit.examples import ChatExample, CompletionExample, Example, LabelledExample, Message

CHAT, TEXT = CheckContext(), CheckContext(prompt_format="text")


class Strip(Fix):
    name, safety, says = "strip", "lossless", "Takes spaces off the ends of completions."

    def apply(self, example: Example) -> Example | None:
        if isinstance(example, CompletionExample) and example.completion != example.completion.strip():
            return example.replace(completion=example.completion.strip())
        return example


class Copy(Fix):
    """Gives back equal but not identical rows: nothing has changed."""

    name, safety, says = "copy", "lossless", "Copies."

    def apply(self, example: Example) -> Example | None:
        return example.replace()


class DropRepeats(Fix):
    """Remembers rows while it is applied."""

    name, safety, says = "drop-repeats", "lossy", "Leaves out repeated rows."

    def __init__(self, context: CheckContext) -> None:
        super().__init__(context)
        self.first: dict[Example, str] = {}

    def apply(self, example: Example) -> Example | None:
        return example if self.first.setdefault(example, example.id) == example.id else None

    def reason(self, example: Example) -> str:
        return f"repeats {self.first[example]}"


class AddCount(Fix):
    """Looks at all rows first: what it writes shows how many it saw."""

    name, safety, says = "add-count", "semantic", "Writes the number of rows after each prompt."
    rows = 0

    def prepare(self, examples: Iterable[Example]) -> None:
        self.rows = sum(1 for _ in examples)

    def apply(self, example: Example) -> Example | None:
        assert isinstance(example, CompletionExample)
        return example.replace(prompt=f"{example.prompt} of {self.rows}")


class AddArrow(Fix):
    name, safety, says = "add-arrow", "lossless", "Ends prompts with an arrow."
    prompt_format = "text"

    def apply(self, example: Example) -> Example | None:
        assert isinstance(example, CompletionExample)
        return example if example.prompt.endswith("->") else example.replace(prompt=example.prompt + "->")


class Redact(Fix):
    name, safety, says = "redact", "semantic", "Hides keys."
    hides = True

    def apply(self, example: Example) -> Example | None:
        assert isinstance(example, CompletionExample)
        return example.replace(prompt=example.prompt.replace("hunter2", "[key]"))


@pytest.fixture(autouse=True)
def fixes(monkeypatch: pytest.MonkeyPatch) -> None:
    known = (Strip, Copy, DropRepeats, AddCount, AddArrow, Redact)
    monkeypatch.setattr(catalogue, "builtin", lambda: known)


def row(number: int, prompt: str, completion: str) -> CompletionExample:
    return CompletionExample(id=f"a.csv:{number}", prompt=prompt, completion=completion)


ROWS = (row(2, "a", "x"), row(3, "a", "x "), row(4, "b", "y"))


def ids(rows: Iterable[Example]) -> list[str]:
    return [example.id for example in rows]


def test_without_names_the_lossless_fixes_run_and_only_those_that_changed_something_are_told() -> None:
    rows, report = run(ROWS, (), CHAT)
    assert rows == (row(2, "a", "x"), row(3, "a", "x"), row(4, "b", "y"))
    assert [fix.name for fix in report.fixes] == ["strip"]
    assert report.fixes[0].changed == ("a.csv:3",)
    assert ROWS[1].completion == "x "  # what came before is untouched


def test_untouched_rows_stay_the_very_same_objects() -> None:
    rows, _ = run(ROWS, ["strip"], CHAT)
    assert rows[0] is ROWS[0] and rows[2] is ROWS[2]


def test_names_run_exactly_those_and_lossless_names_the_group() -> None:
    rows, report = run(ROWS, ["drop-repeats"], CHAT)
    assert ids(rows) == ["a.csv:2", "a.csv:3", "a.csv:4"]  # "x " is not "x" before it is stripped
    assert [str(fix) for fix in report.fixes] == ["drop-repeats (lossy): nothing to do"]

    rows, report = run(ROWS, ["drop-repeats", "lossless"], CHAT)
    assert ids(rows) == ["a.csv:2", "a.csv:4"]  # in the catalogue's order: first strip, then drop
    assert [fix.name for fix in report.fixes] == ["strip", "drop-repeats"]
    assert str(report.fixes[1].reasons[0]) == "a.csv:3: left out: repeats a.csv:2"


def test_a_fix_sees_the_rows_as_they_are_now() -> None:
    rows, _ = run(ROWS, ["add-count", "drop-repeats", "strip"], CHAT)
    assert [example.prompt for example in rows if isinstance(example, CompletionExample)] == [
        "a of 2",
        "b of 2",
    ]


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("drop-repeat", "did you mean 'drop-repeats'?"),
        ("loss-less", "did you mean 'lossless'?"),
        ("xyz", "fixes are 'strip', 'copy', 'drop-repeats', 'add-count', 'add-arrow', 'redact'"),
        (["strip"], "fixes are 'strip', 'copy', 'drop-repeats', 'add-count', 'add-arrow', 'redact'"),
        (None, "fixes are 'strip', 'copy', 'drop-repeats', 'add-count', 'add-arrow', 'redact'"),
    ],
)
def test_an_unknown_fix(name: Any, hint: str) -> None:
    with pytest.raises(SpecError, match="there is no fix") as caught:
        run(ROWS, [name], CHAT)
    assert caught.value.hint == hint


def test_plain_text_fixes_never_touch_what_becomes_chats() -> None:
    rows, _ = run(ROWS, (), CHAT)
    assert not any(
        example.prompt.endswith("->") for example in rows if isinstance(example, CompletionExample)
    )
    rows, _ = run(ROWS, (), TEXT)
    assert all(example.prompt.endswith("->") for example in rows if isinstance(example, CompletionExample))
    with pytest.raises(SpecError, match="'add-arrow' is for prompts of plain text") as caught:
        run(ROWS, ["add-arrow"], CHAT)
    assert 'target="base"' in caught.value.hint


def test_the_report_for_people_and_for_programs() -> None:
    _, report = run(ROWS, ["lossless", "drop-repeats"], CHAT)
    assert str(report) == (
        "3 rows -> 2 rows\n"
        "strip (lossless): 1 row changed\n"
        "  a.csv:3:completion: 'x ' -> 'x'\n"
        "drop-repeats (lossy): 1 row left out\n"
        "  a.csv:3: left out: repeats a.csv:2"
    )
    assert report.diff() == (
        "@@ a.csv:3:completion (strip)\n-'x '\n+'x'\n@@ a.csv:3 (drop-repeats)\n-left out: repeats a.csv:2"
    )
    assert json.loads(report.to_json()) == report.to_dict()
    assert report.to_dict()["fixes"][0] == {
        "name": "strip",
        "safety": "lossless",
        "says": "Takes spaces off the ends of completions.",
        "changed": ["a.csv:3"],
        "left_out": [],
        "changes": [{"row": "a.csv:3", "field": "completion", "before": "x ", "after": "x"}],
        "reasons": [],
    }


def test_nothing_to_do_is_said() -> None:
    _, report = run([row(2, "a", "x")], (), CHAT)
    assert str(report) == "1 row, none changed"
    assert not report.changed_anything
    assert run([], (), CHAT)[0] == ()


def test_the_report_shows_twenty_changes_of_each_fix_unless_told_but_counts_all() -> None:
    many = [row(number, "p", f"{number} ") for number in range(30)]
    _, report = run(many, (), CHAT)
    assert (len(report.fixes[0].changed), len(report.fixes[0].changes)) == (30, 20)
    _, report = run(many, (), CHAT, max_changes=None)
    assert len(report.fixes[0].changes) == 30


def test_evidence_is_the_place_of_the_change_and_never_more_than_40_characters() -> None:
    _, report = run([row(2, "p", "word " * 1_000)], (), CHAT)
    change = report.fixes[0].changes[0]
    assert change.before.endswith("word ") and change.after.endswith("word")
    assert max(len(change.before), len(change.after)) <= 40


def test_a_fix_that_hides_does_not_show_what_it_took_away() -> None:
    _, report = run([row(2, "login hunter2", "ok")], ["redact"], CHAT)
    assert "hunter2" not in report.to_json() + str(report) + report.diff()
    assert "[key]" in report.diff()


def test_paths_lead_into_messages_labels_and_meta() -> None:
    class Shout(Fix):
        name, safety, says = "shout", "semantic", "Shouts."

        def apply(self, example: Example) -> Example | None:
            if isinstance(example, ChatExample):
                last = example.messages[-1]
                loud = last.replace(content=(last.content or "").upper())
                return example.replace(messages=(*example.messages[:-1], loud))
            if isinstance(example, LabelledExample):
                return example.replace(label=("A", "B"), meta={"day": "MON"})
            return ChatExample(id=example.id, messages=())

    rows: list[Example] = [
        ChatExample(
            id="a:1",
            messages=(Message(role="user", content="hi"), Message(role="assistant", content="yes")),
        ),
        LabelledExample(id="a:2", text="t", label=("a", "B"), meta={"day": "mon"}),
        row(4, "p", "c"),
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(catalogue, "builtin", lambda: (Shout,))
        _, report = run(rows, ["shout"], CHAT)
    assert [
        (change.row, change.field, change.before, change.after) for change in report.fixes[0].changes
    ] == [
        ("a:1", "messages[1].content", "yes", "YES"),
        ("a:2", "meta.day", "mon", "MON"),
        ("a:2", "label[0]", "a", "A"),
        ("a.csv:4", "", "completion", "chat"),
    ]


class Source:
    """Rows that can be read again and again, and how often they were."""

    def __init__(self, rows: Iterable[Example]) -> None:
        self.rows = tuple(rows)
        self.passes = 0

    def __iter__(self) -> Iterator[Example]:
        self.passes += 1
        return iter(self.rows)


ALL = ["strip", "drop-repeats", "add-count"]


def test_a_stream_is_mended_as_a_dataset_is_every_time_that_it_is_read() -> None:
    rows, report = run(ROWS, ALL, CHAT)
    source = Source(ROWS)
    stream = FixedRows(source, ALL, CHAT)
    assert source.passes == 0  # nothing is read before it is asked for
    for passes in (2, 3):  # one to look, one to mend; then only to mend
        assert tuple(stream) == rows
        assert stream.report == report
        assert source.passes == passes


class DropOddPlaces(Fix):
    """Looks at all rows and remembers where it is while it is applied."""

    name, safety, says = "drop-odd-places", "lossy", "Leaves out every second row."
    odd: frozenset[int] = frozenset()

    def prepare(self, examples: Iterable[Example]) -> None:
        self.odd = frozenset(place for place, _ in enumerate(examples) if place % 2)
        self.at = -1

    def apply(self, example: Example) -> Example | None:
        self.at += 1
        return None if self.at in self.odd else example


def test_every_pass_of_a_stream_begins_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogue, "builtin", lambda: (DropOddPlaces, DropRepeats, AddCount))
    stream = FixedRows(Source(ROWS), ["drop-odd-places", "drop-repeats", "add-count"], CHAT)
    assert ids(stream) == ids(stream) == ["a.csv:2", "a.csv:4"]


def test_what_a_fix_holds_need_not_be_copyable(monkeypatch: pytest.MonkeyPatch) -> None:
    class Locked(Strip):
        def __init__(self, context: CheckContext) -> None:
            super().__init__(context)
            self.lock = threading.Lock()  # as tokenizers and clients hold

    monkeypatch.setattr(catalogue, "builtin", lambda: (Locked, AddCount))
    assert tuple(FixedRows(Source(ROWS), ["strip", "add-count"], CHAT))[1].id == "a.csv:3"


def test_a_stream_is_lazy_and_its_report_grows() -> None:
    stream = FixedRows(Source(ROWS), ["strip"], CHAT)
    rows = iter(stream)
    next(rows)
    assert (stream.report.rows_before, stream.report.fixes[0].count) == (1, 0)
    list(rows)
    assert (stream.report.rows_after, stream.report.fixes[0].count) == (3, 1)


def test_rows_that_can_be_read_once_suffice_where_no_fix_looks_first() -> None:
    assert ids(FixedRows(iter(ROWS), ["strip", "drop-repeats"], CHAT)) == ["a.csv:2", "a.csv:4"]
    with pytest.raises(SpecError, match="cannot be fixed by 'add-count'") as caught:
        FixedRows(iter(ROWS), ALL, CHAT)
    assert "Dataset" in caught.value.hint
