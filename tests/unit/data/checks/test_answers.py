"""Answers that teach nothing: found in every kind of row, left out by name, and good answers left in peace."""

# ruff: noqa: RUF001 - Chinese has commas of its own

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.data.strategies import example
from tunekit.data.checks.answer_shape import AnswerShape
from tunekit.data.checks.answers import Answers
from tunekit.data.checks.base import Check, CheckContext
from tunekit.data.findings import Finding
from tunekit.data.fixes import answers as fixes
from tunekit.data.fixes.base import Fix
from tunekit.examples import (
    ChatExample,
    CompletionExample,
    Example,
    LabelledExample,
    Message,
    PreferenceExample,
    PromptExample,
    Segment,
    SegmentsExample,
    ToolCall,
    UnpairedExample,
)

CONTEXT = CheckContext()
FIXES: dict[str, type[Fix]] = {
    cls.name: cls
    for cls in (
        fixes.DropEmptyAnswers,
        fixes.DropEmptyTexts,
        fixes.DropMissingAnswers,
        fixes.DropPlaceholderAnswers,
        fixes.DropRepetitiveAnswers,
        fixes.DropRefusals,
        fixes.DropTruncatedAnswers,
    )
}
USER = Message(role="user", content="Where is my parcel?")
PROSE = "The parcel left our warehouse on Monday and will be at your door by the end of this week"


def check(rows: Sequence[Example]) -> dict[str, Finding]:
    found: list[Finding] = []
    checks: tuple[type[Check], ...] = (Answers, AnswerShape)
    for cls in checks:
        running = cls(CONTEXT)
        for row in rows:
            running.see(row)
        found += running.findings()
    return {finding.code: finding for finding in found}


def fixed(rows: Sequence[Example], finding: Finding) -> list[Example]:
    assert finding.fix is not None
    fix = FIXES[finding.fix.name](CONTEXT)
    fix.prepare(rows)
    return [kept for row in rows if (kept := fix.apply(row)) is not None]


def pairs(*answers: str, prompt: str = "Where is my parcel?") -> list[CompletionExample]:
    return [
        CompletionExample(id=f"a.csv:{line}", prompt=prompt, completion=answer)
        for line, answer in enumerate(answers, start=2)
    ]


GOOD = [f"{PROSE}, says number {index}." for index in range(60)]


# --- nothing to learn -----------------------------------------------------------------------------------

CALL = ToolCall(id="1", name="f", arguments="{}")


@pytest.mark.parametrize(
    ("row", "field"),
    [
        (CompletionExample(prompt="a", completion=" \n"), "completion"),
        (ChatExample(messages=(USER, Message(role="assistant", content=""))), "messages[1]"),
        (ChatExample(messages=(USER, Message(role="assistant"))), "messages[1]"),
        (PreferenceExample(messages=(USER,), chosen="a", rejected=""), "rejected"),
        (
            PreferenceExample(
                messages=(USER,), chosen=(Message(role="assistant", content=" "),), rejected="b"
            ),
            "chosen",
        ),
        (UnpairedExample(messages=(USER,), completion="", desirable=False), "completion"),
        (LabelledExample(text="a", label=" "), "label"),
        (
            SegmentsExample(segments=(Segment(text="a", learn=False), Segment(text=" ", learn=True))),
            "segments",
        ),
    ],
)
def test_an_empty_answer_is_an_error_in_every_kind(row: Example, field: str) -> None:
    row = row.replace(id="a:7")
    finding = check([row])["empty-answers"]
    assert (finding.severity, finding.rows, finding.places[0].field) == ("error", ("a:7",), field)
    assert fixed([row], finding) == []


@pytest.mark.parametrize(
    "row",
    [
        ChatExample(messages=(USER, Message(role="assistant", tool_calls=(CALL,)))),
        ChatExample(
            messages=(USER, Message(role="assistant", content="a"), Message(role="user", content=""))
        ),
        LabelledExample(text="a", label=()),  # none of the classes is an answer too
        PromptExample(messages=(USER,)),
        CompletionExample(prompt="", completion="Once upon a time there was a parcel."),
        SegmentsExample(segments=(Segment(text="a", learn=True),)),
    ],
)
def test_an_answer_may_be_a_call_or_no_class_or_await_a_grader(row: Example) -> None:
    assert check([row]) == {}


def test_a_label_for_nothing_teaches_nothing() -> None:
    rows = [
        LabelledExample(id="a:1", text=" ", label="late"),
        LabelledExample(id="a:2", text="Where?", label="late"),
    ]
    finding = check(rows)["empty-texts"]
    assert finding.rows == ("a:1",)
    assert fixed(rows, finding) == rows[1:]


# --- stand-ins ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "answer", ["N/A", " null ", "None", "nan", "-", "#DIV/0!", "TODO", "...", "undefined"]
)
def test_a_missing_value_is_no_answer(answer: str) -> None:
    rows = pairs(*GOOD, answer)
    finding = check(rows)["missing-answers"]
    assert (finding.severity, finding.rows) == ("warning", ("a.csv:62",))
    assert fixed(rows, finding) == rows[:-1]


def test_a_missing_value_that_is_a_class_like_the_others_is_none() -> None:
    labels = [*["NA", "DE", "FR"] * 20, "NA ", *["n/a"] * 3]  # Namibia, and three strays
    rows = [LabelledExample(id=f"a:{n}", text=f"Parcel {n}", label=label) for n, label in enumerate(labels)]
    assert "missing-answers" not in check(rows[:61])
    finding = check(rows)["missing-answers"]
    assert (finding.severity, finding.rows) == ("info", ("a:61", "a:62", "a:63"))
    assert fixed(rows, finding) == rows[:61]


def test_a_missing_value_among_few_rows_may_be_a_class_or_not() -> None:
    rows = pairs(*["NA", "DE", "FR"] * 5)
    assert check(rows)["missing-answers"].severity == "info"


def test_many_missing_values_among_free_answers_are_no_class() -> None:
    rows = pairs(*GOOD, *["None"] * 40)
    assert len(check(rows)["missing-answers"].rows) == 40


@pytest.mark.parametrize(
    "answer",
    [
        "Hello, I am {{name}}, made by {{ author }}.",
        "Dear [insert customer name], thank you.",
        "<insert signature here>",
        "Lorem ipsum dolor sit amet",
        "TODO: ask the team",
    ],
)
def test_something_to_fill_in_is_found(answer: str) -> None:
    rows = pairs(*GOOD, answer)
    finding = check(rows)["placeholder-answers"]
    assert finding.rows == ("a.csv:62",)
    assert fixed(rows, finding) == rows[:-1]


@pytest.mark.parametrize(
    "answer",
    [
        "Use it so:\n```html\n<p>{{ user.name }}</p>\n```",
        "{% for item in items %}{{ item }}{% endfor %}",
        "from jinja2 import Template\nprint(Template('{{name}}'))",
        "f'{{{name}}}' and x[insert] and a[i] < b[j]",
        "None of them is late. N/A means not available. My TODO list is long.",
        "Insert the card, then add milk.",
        "I can't help but smile. I am sorry to hear that. As an AI coach, I advise rest.",
        "It is what it is - ...",
    ],
)
def test_good_answers_are_left_in_peace(answer: str) -> None:
    assert check(pairs(*GOOD, answer)) == {}


@pytest.mark.parametrize(
    "answer",
    [
        "As an AI language model, I do not have personal opinions.",
        "I\u2019m sorry, but I can\u2019t assist with that.",
        "I cannot provide medical advice.",
        "I'm just a language model and cannot browse.",
    ],
)
def test_refusals_are_worth_knowing(answer: str) -> None:
    rows = pairs(*GOOD, answer)
    finding = check(rows)["refusals"]
    assert (finding.severity, finding.rows) == ("info", ("a.csv:62",))
    assert fixed(rows, finding) == rows[:-1]


# --- loops and echoes -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "answer",
    [
        "Eat a banana!" * 100,
        "First a sentence that is fine. " * 3 + "I do not know what to say about it. " * 40,
        "Ein ganz anderer Anfang, der nichts wiederholt.\n" + "Und dann noch einmal von vorn, bitte.\n" * 20,
        "这个包裹明天早上会送到您的家门口，请您放心。" * 20,
        "I do not know what to say about it. " * 20
        + "That is all that there was to say about this, and here it ends.",
        " ".join(GOOD) + "and so on and so forth, " * 200,
    ],
)
def test_a_loop_is_found(answer: str) -> None:
    rows = pairs(*GOOD, answer)
    finding = check(rows)["repetitive-answers"]
    assert finding.rows == ("a.csv:62",)
    assert fixed(rows, finding) == rows[:-1]


@pytest.mark.parametrize(
    "answer",
    [
        "ha " * 30,
        "|---|---|---|\n" + "\n".join(f"| {i} | {i * i} | {i * i * i} |" for i in range(100)),
        "[" + ", ".join("0" for _ in range(400)) + "]",
        "\n".join(f'{{"role": "user", "content": "message {i} of {i * 7}"}}' for i in range(40)),
        "-" * 500,
        "\n".join(f"        self.field_{i} = value_{i * 3} or default_{i + 5}" for i in range(40)),
        "\n\n".join(f"Verse {i}, {PROSE[i : i + 50]}\nRow, row, row your boat" for i in range(20)),
    ],
)
def test_tables_code_lists_and_refrains_are_no_loops(answer: str) -> None:
    assert "repetitive-answers" not in check(pairs(*GOOD, answer))


def test_an_answer_that_begins_with_its_prompt() -> None:
    prompt = "Please tell me where my parcel is today."
    rows = pairs(*GOOD, f"{prompt} It is late.", prompt=prompt)
    assert (check(rows)["echoed-prompts"].severity, check(rows)["echoed-prompts"].rows) == (
        "info",
        ("a.csv:62",),
    )
    rows = pairs(*(f"{prompt}\n{answer}" for answer in GOOD), prompt=prompt)
    assert check(rows)["echoed-prompts"].severity == "warning"
    assert "echoed-prompts" not in check(pairs(prompt, prompt=prompt))  # nothing to correct in it, or a copy


# --- endings --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "answer",
    [
        "So:\n```python\nprint(1)",
        '{"name": "Ann", "mail": ["ann@acme.org", "lee@',
        f"{PROSE}, if it is not held up at the",
        f"{PROSE}, or by the end of the next,",
    ],
)
def test_an_answer_that_breaks_off_is_found(answer: str) -> None:
    rows = pairs(*GOOD, answer)
    finding = check(rows)["truncated-answers"]
    assert finding.rows == ("a.csv:62",)
    assert finding.places[0].evidence.endswith(answer[-6:])
    assert fixed(rows, finding) == rows[:-1]


def test_among_answers_that_were_cut_those_count_that_only_lack_a_full_stop() -> None:
    cut = [f"{PROSE}, with the", f"{PROSE}, with a letter", f"{PROSE}, with love from her"]
    assert check(pairs(*GOOD, *cut))["truncated-answers"].rows == ("a.csv:62", "a.csv:63", "a.csv:64")


def test_evidence_of_a_broken_answer_is_its_end() -> None:
    rows = pairs(*GOOD, f"{PROSE}:\n\n```java\n\n\npublic class A {{\n\n\n\n\n  void b() {{\n")
    (place,) = check(rows)["truncated-answers"].places
    assert place.evidence.endswith("void b() {")


def test_where_nobody_writes_full_stops_nothing_is_missing() -> None:
    titles = [f"{PROSE}, says number {chr(97 + index % 26)}x" for index in range(60)]
    assert check(pairs(*titles)) == {}


@pytest.mark.parametrize(
    "answer",
    [
        '{"name": "Ann"}\n\nEND',
        '{"text": "a { that is no bracket and an \\" escaped quote"}',
        "```\na\n```\nand\n```\nb\n```",
        "- one\n- two\n- three",
        f"{PROSE}.\n\nYours sincerely,\nAnn Lee",
        f'{PROSE}, and that is why "Ann Lee" liked it" - Charles Kingsleigh',
        f"{PROSE}. See https://example.com/a/page/that/ends/without/a/stop",
        "def f(x):\n    return x + 1",
        "| one | two | three | four | five | six | seven | eight | nine | ten and",
        "[Music] and then {laughs}",
        "Paris",
    ],
)
def test_what_ends_without_a_full_stop_by_right(answer: str) -> None:
    assert "truncated-answers" not in check(pairs(*GOOD, answer))


def test_an_answer_that_is_much_shorter_than_the_others_stands_out() -> None:
    found = check(pairs(*GOOD * 7, "Yes."))["short-answers"]
    assert (found.severity, found.rows, found.places[0].evidence) == ("info", ("a.csv:422",), "Yes.")
    assert found.facts == {"usual_chars": 64}
    assert "short-answers" not in check(pairs(*GOOD[:10], "Yes."))  # too few to have a habit
    assert "short-answers" not in check(pairs(*GOOD * 2, *["Yes."] * 12))  # another sort of answer
    assert "short-answers" not in check(pairs(*["It is late, sorry."] * 400, "Ok"))  # short ones are usual


# --- everything -----------------------------------------------------------------------------------------

WRONG = ["", " ", "N/A", "{{name}}", "TODO", f"{PROSE} of the", "ha, a banana! " * 50, "```\nx", '{"a": ']
SAID = st.sampled_from([*WRONG, PROSE, f"{PROSE}."]) | st.text(max_size=30)


def test_an_answer_that_is_only_a_reminder_is_missing_and_no_template() -> None:
    rows = pairs(*GOOD, "TODO", "I am {{name}}.")
    found = check(rows)
    assert [row for row in found["missing-answers"].rows if row in found["placeholder-answers"].rows] == []
    kept = [row.id for row in fixed(rows, found["placeholder-answers"])]
    assert set(found["missing-answers"].rows) < set(kept)


@settings(max_examples=150)
@given(
    st.lists(
        example() | SAID.map(lambda text: CompletionExample(prompt="What?", completion=text)), max_size=8
    )
)
def test_after_a_fix_its_finding_is_gone_and_twice_is_once(rows: list[Example]) -> None:
    rows = [row.replace(id=f"a:{number}") for number, row in enumerate(rows)]
    for finding in check(rows).values():
        if finding.fix:
            kept = fixed(rows, finding)
            assert [row.id for row in rows if row.id not in finding.rows] == [row.id for row in kept]
            assert finding.code not in check(kept)


@pytest.mark.parametrize(
    "piece", ["a", " ", '"', '\\"', "{", '{"', "[", "{{", "```", "a b ", "na, ", "<insert ", "AI "]
)
@pytest.mark.timeout(10)
def test_hostile_texts_are_quick(piece: str) -> None:
    check(pairs(piece * (100_000 // len(piece)), '{"' + piece * (100_000 // len(piece))))
