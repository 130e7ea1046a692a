r"""Separators, stop sequences, leading spaces and shared text of plain-text prompts: found and mended.

Through the checks and fixes that `Dataset.check` and `Dataset.fix` run. Chats and raw text have none of these.
"""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunekit.data.checks import run as checks
from tunekit.data.checks.affixes import PromptFormat
from tunekit.data.checks.base import CheckContext
from tunekit.data.findings import Finding
from tunekit.data.fixes import run as fixes
from tunekit.data.marks import mark_of
from tunekit.examples import ChatExample, CompletionExample, Example, Message

TEXT = CheckContext(prompt_format="text")
SEPARATOR = "\n\n###\n\n"


def pairs(*rows: tuple[str, str]) -> list[CompletionExample]:
    return [
        CompletionExample(id=f"a.csv:{line}", prompt=prompt, completion=completion)
        for line, (prompt, completion) in enumerate(rows, start=2)
    ]


def prompts(*texts: str) -> list[CompletionExample]:
    return pairs(*((text, f" It is number {index}, as said.\n") for index, text in enumerate(texts)))


def completions(*texts: str) -> list[CompletionExample]:
    return pairs(*((f"Question number {index} ->", text) for index, text in enumerate(texts)))


def check(rows: Sequence[Example], context: CheckContext = TEXT) -> dict[str, Finding]:
    return {finding.code: finding for finding in checks.run(rows, [PromptFormat], context)[-1]}


def fix(rows: Sequence[Example], *names: str) -> list[CompletionExample]:
    mended, _ = fixes.run(rows, names, TEXT)
    assert fixes.run(mended, names, TEXT)[0] == mended  # twice is once
    return [row for row in mended if isinstance(row, CompletionExample)]


CLEAN = pairs(
    (f"Where is it?{SEPARATOR}", " On its way.\n"), (f"Is it lost, or not?{SEPARATOR}", " It is not.\n")
)


def test_well_formed_prompts_have_no_findings() -> None:
    assert check(CLEAN) == {}


@pytest.mark.parametrize("context", [CheckContext(), CheckContext(prompt_format="chat")])
def test_nothing_of_this_is_a_matter_of_chats(context: CheckContext) -> None:
    rows = prompts("Where is my parcel?", "Where is my other parcel?")
    assert check(rows, context) == {}


def test_rows_of_other_kinds_and_raw_text_are_left_alone() -> None:
    chat = ChatExample(
        id="b:1", messages=(Message(role="user", content="hi"), Message(role="assistant", content="ho"))
    )
    raw = CompletionExample(id="b:2", prompt="", completion="Once upon a time")
    assert check([chat, raw]) == {}
    names = (
        "add-separator",
        "add-stop",
        "add-leading-space",
        "strip-prompt-prefix",
        "strip-completion-prefix",
    )
    assert fixes.run([chat, raw], names, TEXT)[0] == (chat, raw)


# --- separators -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("texts", "separator"),
    [
        (["late", "lost"], " ->"),
        (["late\nvery", "lost"], SEPARATOR),  # an arrow is for one line
        (["late -> lost", "lost"], SEPARATOR),  # nobody may have written it before
        (["late ### so", "lost -> a"], "\n\n===\n\n"),
        (["ends in a dash -", "ends in #", "=", "a\n"], "\n\n### =>\n\n"),  # they would run into one another
    ],
)
def test_a_separator_that_no_prompt_holds_is_added(texts: list[str], separator: str) -> None:
    rows = prompts(*texts)
    found = check(rows)["no-separator"]
    assert (found.severity, found.rows, found.fix and found.fix.name) == ("warning", (), "add-separator")
    mended = fix(rows, "add-separator")
    assert [row.prompt for row in mended] == [text + separator for text in texts]
    assert not {"no-separator", "missing-separator"} & check(mended).keys()


def test_the_separator_that_most_prompts_have_is_added_to_the_others() -> None:
    rows = prompts(*(f"number {index}{SEPARATOR}" for index in range(8)), "bare", "half\n\n###")
    found = check(rows)["missing-separator"]
    assert found.rows == ("a.csv:10", "a.csv:11")
    assert [place.evidence for place in found.places] == ["bare", r"half\n\n###"]
    assert found.facts == {"separator": SEPARATOR}
    assert "2 of 10 prompts do not end with" in found.message
    mended = fix(rows, "add-separator")
    assert mended[8].prompt == f"bare{SEPARATOR}"
    assert mended[:8] == rows[:8]
    assert "missing-separator" not in check(mended)


@pytest.mark.parametrize(
    "ending",
    ["goes", " thing", "?", ".", ". ", "tive", "!!", "210", " --", "__", "...", "`", '"', ")", "e", " "],
)
def test_what_prompts_happen_to_end_in_is_no_separator(ending: str) -> None:
    assert "no-separator" in check(prompts(*(f"{word}{ending}" for word in ("where it", "how it", "so it"))))


@pytest.mark.parametrize(
    "ending",
    [
        " ->",
        "=>",
        "\n",
        SEPARATOR,
        "\n---\n",
        "\nAnswer:",
        "\n### Response:\n",
        "[/INST]",
        " Agent:",
        "\n回答：",  # noqa: RUF001  # the colon of Chinese text
    ],
)
def test_what_is_written_as_a_separator_is_one(ending: str) -> None:
    assert (
        not {"no-separator", "missing-separator"} & check(prompts(*(f"so {i}{ending}" for i in "abc"))).keys()
    )


def test_the_words_before_a_separator_are_not_part_of_it() -> None:
    rows = prompts(*(f"number {index} about a thing ->" for index in range(4)), "bare")
    assert check(rows)["missing-separator"].facts == {"separator": " ->"}


def test_spaces_before_a_separator_are_the_business_of_each_prompt() -> None:
    rows = prompts("where  ->", "when  ->", "why  ->", "how ->", "bare")
    assert check(rows)["missing-separator"].facts == {"separator": " ->"}
    assert check(rows)["missing-separator"].rows == ("a.csv:6",)


def test_line_breaks_separate_nothing_where_prompts_have_several_lines() -> None:
    assert "no-separator" in check(prompts("a\nb\n", "c\nd\n", "e\n"))
    assert "no-separator" not in check(prompts("a\n", "c\n", "e\n"))


def test_a_separator_inside_a_prompt_is_told() -> None:
    rows = prompts(f"one{SEPARATOR}", f"two{SEPARATOR}three{SEPARATOR}", f"four{SEPARATOR}")
    found = check(rows)["separator-inside"]
    assert (found.rows, found.fix) == (("a.csv:3",), None)
    assert r"two\n\n###\n\n" in found.places[0].evidence


# --- stop sequences -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("texts", "stop"),
    [
        ([" It is late.", " Not lost!"], "\n"),
        ([" two\nlines", " one"], " END"),
        ([" two\nlines and END", " one #"], "***"),
        ([" two\nlines and END", " one ### *"], "+++"),
    ],
)
def test_a_stop_sequence_that_no_completion_holds_is_added(texts: list[str], stop: str) -> None:
    rows = completions(*texts)
    assert (
        check(rows)["no-stop"].severity == "info"
    )  # a trainer may well add a token of its own, as ours does
    mended = fix(rows, "add-stop")
    assert [row.completion for row in mended] == [text + stop for text in texts]
    assert not {"no-stop", "missing-stop"} & check(mended).keys()


def test_the_stop_sequence_that_most_completions_have_is_added_to_the_others() -> None:
    rows = completions(*(f" number {index}\n\nEND\n\n" for index in range(5)), " bare")
    found = check(rows)["missing-stop"]
    assert (found.rows, found.facts) == (("a.csv:7",), {"stop": "\n\nEND\n\n"})
    assert fix(rows, "add-stop")[-1].completion == " bare\n\nEND\n\n"


def test_an_answer_that_would_be_cut_at_the_stop_sequence_is_told() -> None:
    rows = completions(" a END", " b END c END", " d END")
    assert check(rows)["stop-inside"].rows == ("a.csv:3",)


@pytest.mark.parametrize("endings", [("positive", "negative"), ("10210", "90210"), ("a note", "a site")])
def test_letters_that_answers_happen_to_share_are_no_stop_sequence(endings: tuple[str, str]) -> None:
    assert "no-stop" in check(completions(*(f" {text}" for text in endings)))


def test_classes_need_no_stop_sequence() -> None:
    rows = pairs(*((f"{index} is what ->", " ham" if index % 3 else " spam") for index in range(12)))
    assert check(rows) == {}


# --- shared text ----------------------------------------------------------------------------------------

INSTRUCTION = "Say what this is about: "


def test_an_instruction_in_front_of_all_prompts_is_told_and_stripped_by_name() -> None:
    rows = prompts(f"{INSTRUCTION}the parcel ->", f"{INSTRUCTION}the bill ->")
    found = check(rows)["common-prompt-prefix"]
    assert found.severity == "info"
    assert found.facts == {"text": "Say what this is about: the ", "characters": 28}
    assert [row.prompt for row in fix(rows, "strip-prompt-prefix")] == ["parcel ->", "bill ->"]
    assert fixes.run(rows, (), TEXT)[0] == tuple(rows)  # never unasked


def test_words_are_never_cut() -> None:
    rows = prompts("Classify this: delivery ->", "Classify this: deliberate ->")
    assert [row.prompt for row in fix(rows, "strip-prompt-prefix")] == ["delivery ->", "deliberate ->"]


def test_a_prompt_that_is_only_the_instruction_keeps_it() -> None:
    rows = prompts(f"{INSTRUCTION}x", INSTRUCTION)
    assert all(row.prompt.strip() for row in fix(rows, "strip-prompt-prefix"))


def test_an_instruction_without_spaces_is_not_taken_off_a_prompt_that_is_nothing_else() -> None:
    instruction = "请把下面的句子翻译成英语并且说明理由。"
    assert [
        row.prompt for row in fix(prompts(f"{instruction}一", f"{instruction}二"), "strip-prompt-prefix")
    ] == ["一", "二"]
    rows = prompts(f"{instruction}一", instruction)
    assert fix(rows, "strip-prompt-prefix") == rows


def test_short_or_equal_prompts_share_no_instruction() -> None:
    assert "common-prompt-prefix" not in check(prompts("Parcel: a ->", "Parcel: b ->"))
    assert "common-prompt-prefix" not in check(prompts(f"{INSTRUCTION}a ->", f"{INSTRUCTION}a ->"))


def test_a_long_shared_ending_is_told() -> None:
    ending = "\nWhat is the intent of this message?\n\n###\n\n"
    rows = prompts(f"late{ending}", f"lost{ending}")
    assert check(rows)["common-prompt-suffix"].facts["text"] == "What is the intent of this message?"


@pytest.mark.parametrize(
    ("texts", "stripped"),
    [
        ([" Answer: yes", " Answer: no"], [" yes", " no"]),
        (["Answer: yes", "Answer: no"], ["yes", "no"]),
        (["The answer is => yes\n", "The answer is => no\n"], ["yes\n", "no\n"]),
        (["Intent: Label: a", "Intent: Label: b"], ["a", "b"]),
    ],
)
def test_a_caption_of_all_completions_is_told_and_stripped_by_name(
    texts: list[str], stripped: list[str]
) -> None:
    rows = completions(*texts)
    found = check(rows)["common-completion-prefix"]
    assert found.fix and found.fix.safety == "semantic"
    mended = fix(rows, "strip-completion-prefix")
    assert [row.completion for row in mended] == stripped
    assert "common-completion-prefix" not in check(mended)


@pytest.mark.parametrize(
    "labels",
    [
        ("label", "label_b"),
        ("class_1", "class_2", "class_3"),
        (" label", " label_b"),
        ("new york", "new jersey"),
        ("intent:refund", "intent:delivery"),
        ('{"intent": "a"}', '{"intent": "b"}'),
        ("positive", "positively"),
        ("Answer: ", "Answer: yes"),
    ],
)
def test_labels_are_never_cut(labels: tuple[str, ...]) -> None:
    rows = completions(*labels)
    assert "common-completion-prefix" not in check(rows)
    assert fix(rows, "strip-completion-prefix") == rows


# --- spaces ---------------------------------------------------------------------------------------------


def test_a_leading_space_is_advice_for_all_and_a_warning_for_some() -> None:
    found = check(completions("yes.\n", "not at all.\n"))["no-leading-space"]
    assert (found.severity, found.rows) == ("info", ())
    rows = completions(" yes.\n", "not at all.\n", " maybe.\n")
    found = check(rows)["no-leading-space"]
    assert (found.severity, found.rows) == ("warning", ("a.csv:3",))
    mended = fix(rows, "add-leading-space")
    assert [row.completion for row in mended] == [" yes.\n", " not at all.\n", " maybe.\n"]
    assert "no-leading-space" not in check(mended)


def test_a_completion_without_text_gets_no_space() -> None:
    rows = completions("", "yes")
    assert [row.completion for row in fix(rows, "add-leading-space")] == ["", " yes"]


# --- whatever people write ------------------------------------------------------------------------------

PIECE = st.sampled_from(
    [
        "a",
        "lost parcel",
        " ",
        "\n",
        " ->",
        SEPARATOR,
        "*",
        "**",
        "***",
        "=",
        "#",
        " END",
        "Answer: ",
        "\nA:",
        "<",
        "x",
    ]
)
WRITTEN = st.lists(PIECE, min_size=1, max_size=4).map("".join)
NAMES = (
    "add-separator",
    "add-stop",
    "add-leading-space",
    "strip-prompt-prefix",
    "strip-completion-prefix",
)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(WRITTEN, WRITTEN), min_size=1, max_size=7), st.sampled_from(NAMES))
def test_fixing_twice_is_fixing_once_and_no_row_is_lost(texts: list[tuple[str, str]], name: str) -> None:
    rows = pairs(*texts)
    mended = fix(rows, name)
    assert [row.id for row in mended] == [row.id for row in rows]
    assert all(row.prompt.strip() for row, old in zip(mended, rows, strict=True) if old.prompt.strip())
    found = check(mended)
    assert not any(finding.fix and finding.fix.name == name for finding in found.values())


@settings(max_examples=150, deadline=None)
@given(
    st.text(alphabet="\n -=>#*[]<|/>AENDa:\u3000。", max_size=60), st.sampled_from(["prompt", "completion"])
)
def test_a_mark_is_an_end_of_its_text(text: str, role: str) -> None:
    mark = mark_of(text, role)  # type: ignore[arg-type]
    assert text.endswith(mark)
    assert len(mark) <= 40
