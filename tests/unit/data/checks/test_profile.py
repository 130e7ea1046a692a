"""Rows against targets: each finding is one target's, and names the row; what is not known is told, not guessed."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tests.unit.data.checks.looking import assistant, calls, chat, look, result, system, user
from tunekit.data.checks.base import CheckContext
from tunekit.data.checks.images import Images
from tunekit.data.checks.profile import TargetRules
from tunekit.data.fixes.run import run
from tunekit.data.profiles import profile_of
from tunekit.data.profiles.profile import NAMES
from tunekit.data.writers import json_lines
from tunekit.examples import (
    CompletionExample,
    Example,
    LabelledExample,
    Message,
    PreferenceExample,
    PromptExample,
    UnpairedExample,
    message_to_dict,
)

GOOD = chat(system(), user(), assistant())


def many(*last: Example) -> list[Example]:
    """Sixteen good rows, and then these."""
    rows = [*[GOOD] * 16, *last]
    return [row.replace(id=f"a.jsonl:{number}") for number, row in enumerate(rows, start=1)]


def broken(target: str, *last: Example) -> dict[str, tuple[str, ...]]:
    """What stands against the target, with the rows."""
    report = look(many(*last), TargetRules, targets=(target,))
    assert {finding.target for finding in report} <= {target}
    return {finding.code: finding.rows for finding in report.errors}


SEVENTEEN = ("a.jsonl:17",)


def test_one_row_passes_here_and_not_there() -> None:
    rows = many(
        chat(user(), assistant(weight=0.5)), PreferenceExample(messages=(user(),), chosen="a", rejected="b")
    )
    report = look(rows[:17], TargetRules, targets=("local", "together", "foundry"))
    assert report.passes("local")
    assert not report.passes("together") and not report.passes("foundry")
    finding = report["target-weights"]
    assert (finding.rows, finding.target) == (SEVENTEEN, "together")
    assert str(finding.places[0]) == "a.jsonl:17:messages[1].weight"
    assert finding.message == "1 row: together knows the weights 0 and 1 only"


@pytest.mark.parametrize(
    "target", ["openai", "foundry", "nebius", "together", "fireworks", "mistral", "local"]
)
def test_plain_chats_pass_wherever_chats_are_trained(target: str) -> None:
    assert broken(target) == {}


@pytest.mark.parametrize(
    ("row", "breaks"),
    [
        (
            chat(user(), assistant(), assistant("Bye.")),
            {"foundry": "target-repeated-roles", "together": "target-repeated-roles"},
        ),
        (chat(user(), user("Hello?"), assistant()), {"together": "target-repeated-roles"}),
        (
            chat(user(), assistant(), user("Thanks!")),
            {"foundry": "target-end", "nebius": "target-end"},
        ),
        (chat(user(), calls(("1", "f", "{}"))), {"nebius": "target-end-call"}),
        (
            chat(Message(role="developer", content="Be brief."), user(), assistant()),
            {
                "together": "target-roles",
                "fireworks": "target-roles",
                "mistral": "target-roles",
            },
        ),
        (chat(assistant("Hi!"), user(), assistant()), {"together": "target-first-role"}),
        (
            chat(user(), assistant(weight=0.5)),
            dict.fromkeys(("openai", "foundry", "together", "fireworks", "mistral"), "target-weights"),
        ),
        (chat(user(), assistant(weight=0.0), user(), assistant()), {}),
        # No answer at all is wrong for everybody, so it is no target's rule.
        (chat(system(), user()), {}),
        (
            chat(user(), calls(("1", "f", "{}"), ("2", "f", "{}")), result("1"), result("2"), assistant()),
            {"together": "target-repeated-roles"},
        ),
    ],
)
def test_what_each_target_refuses(row: Example, breaks: dict[str, str]) -> None:
    for target in ("openai", "foundry", "nebius", "together", "fireworks", "mistral", "local"):
        wanted = {breaks[target]: SEVENTEEN} if target in breaks else {}
        assert broken(target, row) == wanted, target


@pytest.mark.parametrize(
    ("target", "row", "code"),
    [
        ("bedrock", chat(user(), assistant()), "target-kind"),
        ("openai", PreferenceExample(messages=(user(),), chosen="a", rejected="b"), "target-mixed"),
        ("nebius", PreferenceExample(messages=(user(),), chosen="a", rejected="b"), "target-kind"),
        ("local", PreferenceExample(messages=(user(),), chosen="a", rejected="b"), "target-mixed"),
        ("openai:davinci-002", chat(user(), assistant()), "target-kind"),
    ],
)
def test_kinds_of_rows(target: str, row: Example, code: str) -> None:
    assert code in broken(target, row)


def test_the_local_trainer_takes_the_kinds_of_all_its_methods() -> None:
    one_of_each: list[Example] = [
        LabelledExample(id="a:1", text="a", label="b"),
        PreferenceExample(id="a:2", messages=(user(),), chosen="a", rejected="b"),
        UnpairedExample(id="a:3", messages=(user(),), completion="a", desirable=True),
        PromptExample(id="a:4", messages=(user(),), reference={"answer": "a"}),
    ]
    assert all(look([row], TargetRules, targets=("local",)).passes("local") for row in one_of_each)
    both: list[Example] = [chat(user(), assistant()), CompletionExample(id="a:5", prompt="a", completion="b")]
    assert look(both, TargetRules, targets=("local",)).passes("local")


def test_a_kind_that_can_be_converted_says_how() -> None:
    pairs: list[Example] = [
        CompletionExample(id="a:1", prompt="a", completion="b"),
        LabelledExample(id="a:2", text="a", label="b"),
    ]
    finding = look(pairs, TargetRules, targets=("openai",))["target-kind"]
    assert finding.rows == ("a:1", "a:2")
    assert "'completion', 'labelled'" in finding.message and "to_chat()" in finding.message
    text = look([LabelledExample(id="a:2", text="a", label="b")], TargetRules, targets=("base",))[
        "target-kind"
    ]
    assert "to_completion()" in text.message


def test_numbers_of_rows() -> None:
    nine = many()[:9]
    report = look(nine, TargetRules, targets=("openai", "fireworks"))
    assert report["target-rows"].facts == {"rows": 9, "min_rows": 10, "as_of": profile_of("openai").as_of}
    assert report.passes("fireworks") and not report.passes("openai")
    prompts = [
        PromptExample(id=f"a:{n}", messages=(user(),), reference={"reference_answer": n})
        for n in range(20_001)
    ]
    assert look(prompts, TargetRules, targets=("bedrock",))["target-rows"].facts["max_rows"] == 20_000


def test_the_size_of_the_file_is_counted_as_it_would_be_written(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = many()
    written = sum(
        len(json_lines.line({"messages": [message_to_dict(turn) for turn in row.messages]}, row.id))
        for row in rows
        if row.kind == "chat" and hasattr(row, "messages")
    )
    for limit, fits in ((written, True), (written - 1, False)):
        profile = msgspec.structs.replace(profile_of("openai"), max_file_bytes=limit)
        check = TargetRules(CheckContext(profiles=(profile,)))
        for row in rows:
            check.see(row.replace(meta={"column": "x" * 1000}))
        found = [finding for finding in check.findings() if finding.code == "target-file"]
        assert [finding.facts["bytes"] for finding in found] == ([] if fits else [written])


def test_what_the_grader_needs() -> None:
    fine = [
        PromptExample(id=f"a:{n}", messages=(user(),), reference={"reference_answer": "x"})
        for n in range(100)
    ]
    bad = PromptExample(id="a:100", messages=(user(),), reference={"answer": "x"})
    report = look([*fine, bad], TargetRules, targets=("bedrock",))
    assert report["target-reference"].rows == ("a:100",)
    assert report["target-reference"].places[0].evidence == "answer"


def test_answers_of_preferences() -> None:
    row = PreferenceExample(
        id="a:1", messages=(user(),), chosen=(calls(("1", "f", "{}")), result("1"), assistant()), rejected="b"
    )
    report = look([row] * 10, TargetRules, targets=("together", "openai"))
    assert (report["target-answers"].target, report["target-answers"].places[0].evidence) == (
        "together",
        "3 messages",
    )


def test_what_is_not_established_is_told() -> None:
    row = chat(user(name="ann"), assistant(reasoning="because"))
    report = look(many(row), TargetRules, targets=("foundry", "local"))
    told = {
        (finding.target, finding.facts["feature"]) for finding in report if finding.code == "target-unknown"
    }
    assert told == {("foundry", "names"), ("foundry", "reasoning"), ("local", "reasoning")}
    assert report.passes("foundry")


def test_columns_that_are_not_written_are_told() -> None:
    rows = [row.replace(meta={"day": "Mon"}) for row in many()]
    report = look(rows, TargetRules, targets=("openai", "local"))
    assert [finding.target for finding in report if finding.code == "target-columns"] == ["openai"]
    assert report["target-columns"].facts["columns"] == {"day": 16}


def test_a_key_that_a_target_knows_is_no_stray_column() -> None:
    rows = [row.replace(meta={"parallel_tool_calls": False}) for row in many()]
    report = look(rows, TargetRules, targets=("openai", "together"))
    assert [finding.target for finding in report if finding.code == "target-columns"] == ["together"]


def test_what_ends_is_told_and_what_has_ended_is_a_warning() -> None:
    report = look(many(), TargetRules, targets=("openai", "openai:gpt-4.1-nano-2025-04-14"))
    ends = [finding for finding in report if finding.code == "target-ending"]
    assert [(finding.severity, finding.facts["date"]) for finding in ends] == [
        ("info", "2027-01-06"),
        ("info", "2027-01-14"),
        ("warning", "2026-10-23"),
    ]


def test_turns_that_a_target_refuses_can_be_mended() -> None:
    context = CheckContext(profiles=(profile_of("foundry"),))
    rows = many(chat(user(), assistant(), assistant("Bye.")), chat(user(), assistant(), user("Thanks!")))
    report = look(rows, TargetRules, targets=("foundry",))
    names = sorted(fix.name for fix in report.fixes)
    assert names == ["drop-trailing-turns", "merge-turns"]
    mended, _ = run(rows, names, context)
    assert look(mended, TargetRules, targets=("foundry",)).passes("foundry")


def test_the_same_rows_give_the_same_report() -> None:
    rows = many(chat(user(name="ann"), assistant(weight=0.5)))
    first, second = (look(rows, TargetRules, targets=NAMES).to_json() for _ in range(2))
    assert first == second


# --- images ---------------------------------------------------------------------------------------

PNG = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUg=="


def shown(url: Any = PNG, text: str = "What is it?") -> Message:
    part = {"type": "image_url", "image_url": {"url": url}}
    return user(text, parts=({"type": "text", "text": text}, part))


@pytest.mark.parametrize(
    ("url", "evidence"),
    [
        (None, "there is no address and no data"),
        (" ", "there is no address and no data"),
        ("cat.png", "neither an http address nor image data"),
        ("data:image/png,abc", "image data must read data:image/<type>;base64"),
        ("data:text/plain;base64,aGk=", "the data are text/plain, no image"),
        ("data:;base64,aGk=", "the data are of no stated type, no image"),
        ("data:image/png;base64,", "the image data are empty"),
        ("data:image/png;base64,/9j/4AAQ", "the data are image/jpeg, not image/png"),
    ],
)
def test_images_that_cannot_be_read(url: Any, evidence: str) -> None:
    finding = look([chat(shown(url), assistant())], Images)["image-reference"]
    assert finding.places[0].field == "messages[0].content[1]"
    assert finding.places[0].evidence.startswith(evidence[:30])


@pytest.mark.parametrize("url", [PNG, "https://example.com/cat.png", "data:image/jpg;base64,/9j/4AAQ"])
def test_images_that_can(url: str) -> None:
    assert not len(look([chat(shown(url), assistant())], Images))


def test_images_belong_to_the_user() -> None:
    row = chat(user(), assistant("Here.", parts=shown().parts))
    assert look([row], Images)["image-in-answer"].places[0].evidence == "assistant"


@pytest.mark.parametrize(
    ("row", "fits"),
    [
        (chat(user("<image>What is it?"), assistant(), meta={"images": ["a.png"]}), True),
        (chat(user("<image><image>What?"), assistant(), meta={"images": ["a.png"]}), False),
        (chat(user("<image>What is it?"), assistant()), False),
        (chat(shown(text="<image>What is it?"), assistant()), True),
        (chat(user("What is it?"), assistant(), meta={"image": "a.png"}), True),
    ],
)
def test_placeholders_have_their_images(row: Example, fits: bool) -> None:
    assert ("image-placeholder" in look([row], Images)) is not fits


@pytest.mark.parametrize(
    ("target", "row", "code"),
    [
        ("openai:gpt-3.5-turbo-0125", chat(shown(), assistant()), "target-images"),
        ("nebius", chat(shown(), assistant()), "target-images"),
        ("together", chat(shown("https://example.com/cat.png"), assistant()), "target-image-form"),
        ("openai", chat(*[shown()] * 11, assistant()), "target-image-count"),
        (
            "openai",
            chat(shown("data:image/png;base64," + "A" * 13_400_000), assistant()),
            "target-image-bytes",
        ),
    ],
)
def test_images_that_a_target_does_not_take(target: str, row: Example, code: str) -> None:
    report = look([row], Images, targets=(target,))
    assert report[code].target == target
    assert not report.passes(target)


def test_images_in_a_column_would_be_left_behind() -> None:
    row = chat(user("<image>What is it?"), assistant(), meta={"images": ["a.png"]})
    report = look([row], Images, targets=("openai", "local"))
    assert report["target-images-beside"].target == "openai"
    assert report.passes("local") and not report.passes("openai")


def test_foundry_takes_more_images_than_openai() -> None:
    report = look([chat(*[shown()] * 11, assistant())], Images, targets=("openai", "foundry"))
    assert report.passes("foundry") and not report.passes("openai")
