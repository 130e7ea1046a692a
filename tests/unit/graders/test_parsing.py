"""Grader JSON: OpenAI's own examples are read, and whatever is wrong is said at once, with its path."""

from __future__ import annotations

import math
import sys
from typing import Any

import pytest

from tunekit.errors import MissingExtraError, SpecError, UnsupportedError
from tunekit.graders import Grade, GradeError, JudgeReply, JudgeRequest, Sample, parse
from tunekit.graders.multi import Multi

NAME: dict[str, Any] = {
    "type": "string_check",
    "name": "name",
    "input": "get_acceptors",
    "reference": "{{sample.output_tools[0].function.name}}",
    "operation": "eq",
}
ARGUMENTS: dict[str, Any] = {
    "type": "string_check",
    "name": "arguments",
    "input": '{"smiles": "{{item.smiles}}"}',
    "reference": "{{sample.output_tools[0].function.arguments}}",
    "operation": "eq",
}
TOOLS: dict[str, Any] = {
    "type": "multi",
    "graders": {"function_name": NAME, "arguments": ARGUMENTS},
    "calculate_output": "0.5 * function_name + 0.5 * arguments",
}
SCORE: dict[str, Any] = {
    "type": "score_model",
    "name": "my_score_model",
    "input": [
        {"role": "system", "content": "You are an expert grader."},
        {
            "role": "user",
            "content": "Reference: {{ item.reference_answer }}. Model answer: {{ sample.output_text }}",
        },
    ],
    "pass_threshold": 0.5,
    "model": "o4-mini-2025-04-16",
    "range": [0, 1],
    "sampling_params": {"max_completions_tokens": 32768, "top_p": 1, "reasoning_effort": "medium"},
}
LABEL: dict[str, Any] = {
    "type": "label_model",
    "name": "mood",
    "model": "m",
    "input": [
        {
            "role": "user",
            "type": "message",
            "content": {"type": "input_text", "text": "{{sample.output_text}}"},
        }
    ],
    "labels": ["good", "bad", "ugly"],
    "passing_labels": ["good"],
}


def called(name: str, arguments: str) -> Sample:
    return Sample("", ({"id": "1", "type": "function", "function": {"name": name, "arguments": arguments}},))


def test_tool_calls_are_graded_as_in_the_guide() -> None:
    grader = parse(TOOLS)
    assert grader.grade(called("get_acceptors", '{"smiles": "CC"}'), {"smiles": "CC"}).value == 1.0
    found = grader.grade(called("get_acceptors", "{}"), {"smiles": "CC"})
    assert found.value == 0.5
    assert {name: part.value for name, part in found.parts.items()} == {
        "function_name": 1.0,
        "arguments": 0.0,
    }
    missing = grader.grade(Sample("no call"), {"smiles": "CC"})
    assert missing.value is None and missing.error is not None and missing.error.blames_answer


@pytest.mark.parametrize("graders", [[NAME, ARGUMENTS], {"name": NAME, "arguments": ARGUMENTS}])
def test_graders_of_a_multi_are_a_map_or_a_list(graders: Any) -> None:
    grader = parse(
        {"type": "multi", "name": "m", "graders": graders, "calculate_output": "min(name, arguments)"}
    )
    assert isinstance(grader, Multi) and list(grader.graders) == ["name", "arguments"]


def test_a_single_grader_as_in_the_schema() -> None:
    grader = parse({"type": "multi", "name": "m", "graders": NAME, "calculate_output": "1 - name"})
    assert grader.grade(called("other", "{}"), {}).value == 1.0


def test_a_formula_without_a_value_is_an_error() -> None:
    grader = parse({"type": "multi", "name": "m", "graders": [NAME], "calculate_output": "1 / name"})
    found = grader.grade(called("other", "{}"), {})
    assert found.error is not None and found.error.flag == "formula_parse_error"
    assert found.parts["name"].value == 0.0


def test_a_fault_of_the_grader_hides_behind_none_of_the_answer() -> None:
    both = {**TOOLS, "calculate_output": "arguments + function_name"}
    found = parse(both).grade(Sample("no call"), {})
    assert found.error is not None and found.error.flag == "invalid_variable_error"


def judged(body: dict[str, Any], reply: JudgeReply | Exception) -> tuple[Grade, list[JudgeRequest]]:
    asked: list[JudgeRequest] = []

    def judge(request: JudgeRequest) -> JudgeReply:
        asked.append(request)
        if isinstance(reply, Exception):
            raise reply
        return reply

    return parse(body, judge=judge).grade(Sample("0.9"), {"reference_answer": 1.0}), asked


def test_a_judge_is_asked_what_the_json_says() -> None:
    found, (request,) = judged(SCORE, JudgeReply('{"steps": [], "result": 0.25}'))
    assert found == Grade.of(0.25)
    assert request.model == "o4-mini-2025-04-16"
    assert request.messages[1] == {"role": "user", "content": "Reference: 1.0. Model answer: 0.9"}
    assert request.sampling == {"max_completions_tokens": 32768, "top_p": 1, "reasoning_effort": "medium"}
    assert request.schema["required"] == ["steps", "result"]


@pytest.mark.parametrize(
    ("body", "reply", "value"),
    [
        (SCORE, '{"result": 7}', 1.0),
        (SCORE, '{"result": -7}', 0.0),
        (SCORE, "0.5", 0.5),
        ({**SCORE, "range": [-5, 5]}, '{"result": -3}', -3.0),
        (LABEL, '{"result": "good"}', 1.0),
        (LABEL, '{"result": "ugly"}', 0.0),
        (LABEL, "bad", 0.0),
    ],
)
def test_verdicts(body: dict[str, Any], reply: str, value: float) -> None:
    assert judged(body, JudgeReply(reply))[0] == Grade.of(value)


@pytest.mark.parametrize("reply", ["1", '{"result": 1}', '"1"', '{"result": "1"}'])
def test_labels_that_look_like_numbers(reply: str) -> None:
    rating = {**LABEL, "labels": ["1", "2", "true"], "passing_labels": ["1"]}
    assert judged(rating, JudgeReply(reply))[0] == Grade.of(1.0)
    assert judged(rating, JudgeReply("true"))[0] == Grade.of(0.0)
    for other in ("null", "{}", "1.0", "3"):
        assert judged(rating, JudgeReply(other))[0].value is None


@pytest.mark.parametrize(
    ("body", "reply", "flag"),
    [
        (SCORE, JudgeReply("very good"), "model_grader_parse_error"),
        (SCORE, JudgeReply('{"result": "0.5"}'), "model_grader_parse_error"),
        (SCORE, JudgeReply('{"result": true}'), "model_grader_parse_error"),
        (SCORE, JudgeReply(f'{{"result": 1{"0" * 400}}}'), "model_grader_parse_error"),
        (SCORE, JudgeReply("{}"), "model_grader_parse_error"),
        (SCORE, JudgeReply(refusal="I cannot"), "model_grader_refusal_error"),
        (SCORE, RuntimeError("503"), "model_grader_server_error"),
        (LABEL, JudgeReply('{"result": "fine"}'), "model_grader_parse_error"),
        (LABEL, JudgeReply('{"result": ["good"]}'), "model_grader_parse_error"),
    ],
)
def test_no_verdict_is_no_grade(body: dict[str, Any], reply: Any, flag: str) -> None:
    found, _ = judged(body, reply)
    assert found.value is None and found.error is not None and found.error.flag == flag


@pytest.mark.parametrize(
    "body", [SCORE, LABEL, {**TOOLS, "graders": {"function_name": SCORE, "arguments": LABEL}}]
)
def test_without_a_judge_it_is_said_at_once(body: dict[str, Any]) -> None:
    with pytest.raises(UnsupportedError, match="needs a judge") as caught:
        parse(body)
    assert "RFT on this machine has none" in caught.value.hint


@pytest.mark.parametrize(
    ("body", "problems"),
    [
        ({}, ["type is missing"]),
        ({"type": "string-check"}, ["type is 'string-check'", "did you mean 'string_check'"]),
        ({"type": "string_check"}, ["input is missing", "reference is missing", "operation is missing"]),
        ({**NAME, "operation": "neq"}, ["operation is 'neq', not one of 'eq', 'ne'"]),
        (
            {**NAME, "input": "{{item}}", "reference": 4},
            ["input is wrong", "reference is a number, not text"],
        ),
        ({**NAME, "inputs": "x"}, ["inputs is not a field; did you mean 'input'?"]),
        (
            {**TOOLS, "calculate_output": "0.5 * functionname"},
            ["names 'functionname'", "did you mean 'function_name'"],
        ),
        ({**TOOLS, "calculate_output": "0.5 * a)"}, ["calculate_output is wrong: ')' is too much"]),
        ({**TOOLS, "graders": {"a": TOOLS}, "calculate_output": "a"}, ["graders.a.type is 'multi' inside"]),
        (
            {**TOOLS, "graders": {"a b": NAME}, "calculate_output": "1"},
            ["the name 'a b', which a formula cannot use"],
        ),
        ({**TOOLS, "graders": {"min": NAME}, "calculate_output": "1"}, ["the name 'min'"]),
        ({**TOOLS, "graders": [NAME, NAME], "calculate_output": "name"}, ["has 'name' more than once"]),
        ({**TOOLS, "graders": {}, "calculate_output": "1"}, ["graders has no grader in it"]),
        ({**TOOLS, "graders": {"a": "x"}, "calculate_output": "a"}, ["graders.a is text, not an object"]),
        (
            {
                **TOOLS,
                "graders": {"a": {**NAME, "operation": 1}, "b": {"type": "python"}},
                "calculate_output": "a*b",
            },
            ["graders.a.operation is a number", "graders.b.source is missing"],
        ),
        ({**SCORE, "range": [1, 0]}, ["range is [1, 0]"]),
        ({**SCORE, "range": [0, math.inf]}, ["range is [0, inf]"]),
        ({**SCORE, "range": [0, 10**400]}, ["range is [0, 10000"]),
        ({**NAME, "pass_threshold": 10**400}, ["pass_threshold is 10000"]),
        ({**SCORE, "sampling_params": {"max_tokens": 5}}, ["sampling_params.max_tokens is not a field"]),
        (
            {
                **SCORE,
                "sampling_params": {
                    "temperature": "hot",
                    "top_p": 0,
                    "seed": 1.5,
                    "max_completions_tokens": 0,
                },
            },
            [
                "sampling_params.seed is 1.5, not a whole number",
                "sampling_params.top_p is 0, not a number above 0, up to 1",
                "sampling_params.temperature is 'hot', not a number from 0 to 2",
                "sampling_params.max_completions_tokens is 0, not a whole number of 1 or more",
            ],
        ),
        (
            {**SCORE, "sampling_params": {"temperature": True, "reasoning_effort": 3}},
            ["temperature is True, not a number", "reasoning_effort is 3, not text"],
        ),
        ({**SCORE, "input": []}, ["input is not a list of messages"]),
        ({**SCORE, "input": [{"role": "robot", "content": "x"}]}, ["input[0].role is 'robot'"]),
        ({**SCORE, "input": [{"role": "user", "content": "{{x}}"}]}, ["input[0].content is wrong"]),
        (
            {**SCORE, "input": [{"role": "user", "content": [{"type": "input_image"}]}]},
            ["input[0].content is not text"],
        ),
        ({**LABEL, "passing_labels": ["fine"]}, ["passing_labels has 'fine', which labels has not"]),
        ({**LABEL, "labels": "good"}, ["labels is not a list of texts"]),
    ],
)
def test_problems_are_named_by_their_paths(body: dict[str, Any], problems: list[str]) -> None:
    with pytest.raises(SpecError) as failed:
        parse(body, judge=lambda request: JudgeReply("1"))
    for problem in problems:
        assert problem in failed.value.message


@pytest.mark.parametrize("body", [None, [], "x", 4])
def test_what_is_no_object_is_refused(body: Any) -> None:
    with pytest.raises(SpecError, match="not an object"):
        parse(body)


def test_an_item_that_nests_too_deep_is_an_error() -> None:
    deep: list[Any] = []
    for _ in range(2 * sys.getrecursionlimit()):  # which Hypothesis moves while its tests run
        deep = [deep]
    found = parse({**NAME, "reference": "{{item.x}}"}).grade(Sample(""), {"x": deep})
    assert found.error is not None and found.error.flag == "other_error"


def test_null_is_left_out() -> None:
    assert parse({**NAME, "pass_threshold": None, "x-comment": None}).pass_threshold is None
    assert parse({**NAME, "pass_threshold": 1}).pass_threshold == 1.0


def test_a_missing_field_of_the_item_is_found_before_anything_is_graded() -> None:
    grader = parse(TOOLS)
    assert grader.missing({"smiles": "CC"}) == []
    assert grader.missing({"other": 1}) == ["item.smiles: item has no 'smiles'"]


def test_the_error_record_has_the_fields_of_the_original() -> None:
    record = GradeError(flag="model_grader_server_error", detail="503").record()
    assert len(record) == 14
    assert [name for name, value in record.items() if value] == [
        "model_grader_server_error",
        "model_grader_server_error_details",
    ]


def test_a_metric_without_its_library_is_said_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "sacrebleu", None)
    body = {
        "type": "text_similarity",
        "name": "s",
        "input": "a",
        "reference": "b",
        "evaluation_metric": "bleu",
    }
    with pytest.raises(MissingExtraError, match=r"tunekit\[graders\]"):
        parse(body)


def test_cosine_takes_what_the_host_embeds_with() -> None:
    body = {
        "type": "text_similarity",
        "name": "s",
        "input": "{{sample.output_text}}",
        "reference": "b",
        "evaluation_metric": "cosine",
    }
    vectors = {"a": [1.0, 0.0], "b": [1.0, 1.0], "c": [0.0, 0.0]}
    grader = parse(body, embed=lambda texts: [vectors[text] for text in texts])
    assert grader.grade(Sample("a"), {}).value == pytest.approx(math.sqrt(0.5))
    flat, unknown = grader.grade(Sample("c"), {}), grader.grade(Sample("d"), {})
    assert flat.error is not None and flat.error.flag == "model_grader_parse_error"
    assert unknown.error is not None and unknown.error.flag == "model_grader_server_error"
    with pytest.raises(UnsupportedError, match="embeddings"):
        parse(body)
