"""Too few rows, rows without differences, and columns that are not learned from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from tunekit.data.checks.base import Check, CheckContext
from tunekit.data.checks.columns import Columns
from tunekit.data.checks.run import run
from tunekit.data.checks.size import Size
from tunekit.data.findings import Finding
from tunekit.examples import CompletionExample, Example, LabelledExample, Message, PreferenceExample


def check(rows: Sequence[Example], what: type[Check]) -> dict[str, Finding]:
    return {finding.code: finding for finding in run(rows, [what], CheckContext())[-1]}


def pairs(count: int, prompt: str = "p{}", completion: str = "c{}", **meta: Any) -> list[CompletionExample]:
    return [
        CompletionExample(id=f"a:{i}", prompt=prompt.format(i), completion=completion.format(i), meta=meta)
        for i in range(count)
    ]


@pytest.mark.parametrize(("count", "severity"), [(1, "warning"), (9, "warning"), (10, "info"), (99, "info")])
def test_few_rows(count: int, severity: str) -> None:
    found = check(pairs(count), Size)["few-rows"]
    assert (found.severity, found.facts) == (severity, {"rows": count})
    assert f"{count} row" in found.message


def test_enough_rows() -> None:
    assert check(pairs(100), Size) == {}


def test_identical_prompts_and_completions_are_errors() -> None:
    found = check(pairs(100, prompt="What is it?"), Size)
    assert {code: finding.severity for code, finding in found.items()} == {"identical-prompts": "error"}
    assert "What is it?" in found["identical-prompts"].message
    assert check(pairs(100, completion="A thing."), Size).keys() == {"identical-completions"}


def test_one_row_or_no_prompts_are_not_called_identical() -> None:
    assert check(pairs(1), Size).keys() == {"few-rows"}
    assert check(pairs(100, prompt=""), Size) == {}
    assert check([LabelledExample(id=f"a:{i}", text="t", label="l") for i in range(100)], Size) == {}


def test_blank_prompts_among_others_are_a_warning() -> None:
    rows = [*pairs(2), *pairs(2, prompt=""), *pairs(1, prompt=" \n")]
    rows = [row.replace(id=f"b:{number}") for number, row in enumerate(rows, start=1)]
    found = check(rows, Size)["blank-prompts"]
    assert (found.severity, found.rows) == ("warning", ("b:3", "b:4", "b:5"))
    assert "3 of 5 prompts are blank" in found.message
    assert "blank-prompts" not in check(pairs(5, prompt=""), Size)  # text that is only continued


def test_columns_kept_aside_are_named_once() -> None:
    rows = [*pairs(2, day="Mon"), *pairs(1, day="Tue", id="7")]
    found = check(rows, Columns)
    assert found.keys() == {"extra-columns"}
    assert found["extra-columns"].severity == "info"
    assert found["extra-columns"].facts == {"columns": {"day": 3, "id": 1}}
    assert "'day', 'id'" in found["extra-columns"].message


@pytest.mark.parametrize("name", ["Completion", " completion", "completion ", "COMPLETION"])
def test_a_second_column_of_the_same_name_is_a_warning(name: str) -> None:
    meta: Mapping[str, Any] = {name: "x"}
    found = check([CompletionExample(prompt="p", completion="c", meta=meta)], Columns)["column-twice"]
    assert (found.severity, found.facts) == ("warning", {"column": name, "field": "completion"})


def test_a_name_that_merely_holds_another_is_no_warning() -> None:
    # prepare_data warned about every extra column, because a name contains itself.
    assert check(pairs(1, prompt_id="1", completion_time="2"), Columns).keys() == {"extra-columns"}
    assert check(pairs(1), Columns) == {}


def test_a_system_prompt_that_is_left_out_is_a_warning() -> None:
    found = check(pairs(2, system_prompt="Be brief."), Columns)["extra-columns"]
    assert found.severity == "warning"
    assert 'input="{system_prompt}\\n\\n{question}"' in found.message


@pytest.mark.parametrize("name", ["context", "Choices", "options", "passage"])
def test_what_a_question_is_about_is_missed_when_it_is_left_out(name: str) -> None:
    told: dict[str, Any] = {name: ["Berlin", "Bonn"]}
    found = check(pairs(2, **told), Columns)["extra-columns"]
    assert found.severity == "warning"
    assert f"so the model never reads what {name!r} tells it" in found.message


def test_preferences_that_repeat_the_chosen_conversation_are_no_warning() -> None:
    turn = Message(role="user", content="Hi")
    row = PreferenceExample(messages=(turn,), chosen="a", rejected="b", meta={"messages": [], "Chosen": "a"})
    codes = [finding.facts.get("field") for finding in [check([row], Columns)["column-twice"]]]
    assert codes == ["chosen"]
