"""Scripts and languages: exceptions are found, and what a dataset is about is none."""

# ruff: noqa: RUF001 - letters of other scripts that look alike are what is tested

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.data.strategies import example
from tunekit.data.checks.base import CheckContext
from tunekit.data.checks.languages import Languages
from tunekit.data.findings import Finding
from tunekit.data.patterns.scripts import script_of
from tunekit.examples import ChatExample, CompletionExample, Example, LabelledExample, Message, ToolCall

ENGLISH = ("Where is my parcel today?", "It will arrive tomorrow morning.")
CHINESE = ("我的包裹今天在哪里，什么时候到？", "您的包裹明天早上就会到达。")


def check(rows: Sequence[Example], context: CheckContext | None = None) -> dict[str, Finding]:
    running = Languages(context or CheckContext())
    for row in rows:
        running.see(row)
    return {finding.code: finding for finding in running.findings()}


def pairs(*rows: tuple[str, str]) -> list[CompletionExample]:
    return [
        CompletionExample(id=f"a.csv:{line}", prompt=prompt, completion=completion)
        for line, (prompt, completion) in enumerate(rows, start=2)
    ]


@pytest.mark.parametrize(
    ("text", "script"),
    [
        ("Where is my parcel?", "Latin"),
        ("Où êtes-vous allé hier soir ?", "Latin"),
        ("Chúng tôi muốn được giúp đỡ", "Latin"),
        ("Где моя посылка сегодня?", "Cyrillic"),
        ("Πού είναι το δέμα μου;", "Greek"),
        ("איפה החבילה שלי היום?", "Hebrew"),
        ("أين طردي اليوم من فضلك؟", "Arabic"),
        ("मेरा पार्सल आज कहाँ है?", "Devanagari"),
        ("என் பார்சல் எங்கே உள்ளது", "Tamil"),
        ("พัสดุของฉันอยู่ที่ไหน", "Thai"),
        ("내 소포는 어디에 있나요", "Hangul"),
        ("我的包裹在哪里", "Han"),
        ("私の荷物はどこですか", "Japanese"),
        ("アップデート", "Japanese"),
        ("print('hello, world')", "Latin"),
        ("iPhone 15", None),
        ("1234 + 5678 = 6912", None),
        ("", None),
        ("我的 parcel 在 station 那里 today", None),
    ],
)
def test_the_script_of_a_text(text: str, script: str | None) -> None:
    assert script_of(text) == script


def test_one_language_is_no_finding() -> None:
    assert check(pairs(*[ENGLISH] * 30)) == {}
    assert check(pairs(*[CHINESE] * 30)) == {}


def test_a_translation_is_no_finding() -> None:
    assert check(pairs(*[(CHINESE[0], ENGLISH[0])] * 30)) == {}


def test_an_answer_in_another_language_is_found_where_that_is_not_usual() -> None:
    found = check(pairs(*[ENGLISH] * 20, (ENGLISH[0], CHINESE[1]), *[ENGLISH] * 20))
    finding = found.pop("answer-in-another-language")
    assert found == {}
    assert (finding.severity, finding.rows) == ("warning", ("a.csv:22",))
    assert [(place.field, place.evidence) for place in finding.places] == [("completion", CHINESE[1])]
    assert finding.facts == {"languages": {"Latin": 40, "Latin > Han": 1}}


def test_rows_in_a_rare_language_are_worth_knowing() -> None:
    found = check(pairs(*[ENGLISH] * 20, CHINESE, *[ENGLISH] * 20, CHINESE))
    finding = found.pop("mixed-languages")
    assert found == {}
    assert (finding.severity, finding.rows) == ("info", ("a.csv:22", "a.csv:43"))


def test_two_common_languages_are_named_without_rows() -> None:
    finding = check(pairs(*[ENGLISH] * 20, *[CHINESE] * 10))["mixed-languages"]
    assert (finding.severity, finding.rows) == ("info", ())
    assert finding.facts == {"languages": {"Latin": 20, "Han": 10}}


def test_the_last_answer_counts_and_calls_and_system_prompts_do_not() -> None:
    def chat(*turns: Message) -> ChatExample:
        return ChatExample(id="a:1", messages=(Message(role="system", content=ENGLISH[0]), *turns))

    call = ToolCall(
        id="1", name="look_up_the_parcel", arguments='{"parcel_number": "a long text in English"}'
    )
    chinese = chat(
        Message(role="user", content=CHINESE[0]),
        Message(role="assistant", tool_calls=(call,)),
        Message(role="tool", content=CHINESE[0], tool_call_id="1"),
        Message(role="assistant", content=CHINESE[1]),
    )
    assert check([chinese] * 30) == {}


def test_labels_are_in_no_language() -> None:
    assert (
        check([LabelledExample(id=f"a:{i}", text=CHINESE[0], label="delivery_problem") for i in range(30)])
        == {}
    )


def test_a_detector_tells_languages_of_one_script_apart() -> None:
    def language_of(text: str) -> str | None:
        return "de" if "Paket" in text else "en" if "parcel" in text else None

    german = ("Where is my parcel?", "Ihr Paket kommt morgen.")
    rows = pairs(*[("Where is my parcel?", "Your parcel will come.")] * 30, german)
    assert check(rows) == {}
    finding = check(rows, CheckContext(language_of=language_of))["answer-in-another-language"]
    assert finding.rows == ("a.csv:32",)
    assert finding.facts == {"languages": {"en": 30, "en > de": 1}}


@given(st.lists(example(), max_size=6))
def test_rows_of_every_kind_can_be_seen(rows: list[Example]) -> None:
    for finding in check(rows).values():
        assert set(finding.rows) <= {row.id for row in rows}
