"""Rows that are longer than the model takes: an error, left out, or without the beginning of their prompts."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.training.conftest import MakeRun, events, train
from tunekit.errors import DataError
from tunekit.examples import (
    ChatExample,
    CompletionExample,
    Message,
    PreferenceExample,
    PromptExample,
    ToolCall,
)
from tunekit.spec import DPO, RFT, LoRA
from tunekit.testing.tiny_models import CHAT_TEMPLATE, make_tiny_llama
from tunekit.training.models.load import load_tokenizer
from tunekit.training.objectives.reinforcement import Reinforcing
from tunekit.training.objectives.texts import Texts
from tunekit.training.run.rundir import RunDirectory
from tunekit.training.shortening import shorten
from tunekit.training.texts.rows import Answers, Tokens
from tunekit.training.texts.template import Template

LONG = CompletionExample(id="long", prompt="x" * 300, completion="the answer")
SHORT = [CompletionExample(id=f"short-{n}", prompt="ask", completion="answer") for n in range(4)]
ENDLESS = CompletionExample(id="endless", prompt="ask", completion="y" * 300)


def test_an_error_names_the_rows_and_the_ways_out(make_run: MakeRun) -> None:
    with pytest.raises(DataError, match=r"1 of 5 training rows .*'long'") as caught:
        train(make_run([*SHORT, LONG]))
    assert "too_long='drop' or 'truncate_prompt', or take a model" in (caught.value.hint or "")


@pytest.mark.parametrize(("too_long", "other"), [("drop", "truncate_prompt"), ("truncate_prompt", "drop")])
def test_the_policy_in_use_is_not_advised_and_max_length_only_where_it_helps(
    make_run: MakeRun, too_long: str, other: str
) -> None:
    for max_length, way in (
        (None, "or take a model with a longer context"),
        (99, "or raise max_length (the model"),
    ):
        with pytest.raises(DataError) as caught:
            train(make_run([ENDLESS], name=str(max_length), too_long=too_long, max_length=max_length))
        hint = caught.value.hint or ""
        assert f"set too_long={other!r}, {way}" in hint
        assert repr(too_long) not in hint


@pytest.mark.parametrize("too_long", ["drop", "truncate_prompt"])
def test_what_was_done_is_said(make_run: MakeRun, too_long: str) -> None:
    run = make_run([*SHORT, LONG], too_long=too_long, epochs=1)
    train(run)
    (report,) = [event.report for event in events(run, "preflight")]
    assert any("'long'" in warning for warning in report["warnings"])
    assert report["rows"] == (4 if too_long == "drop" else 5)
    assert report["longest"] <= 256


def test_the_answer_is_whole_and_the_end_of_the_prompt_stays(make_run: MakeRun) -> None:
    run = make_run([LONG], too_long="truncate_prompt", epochs=1)
    train(run)
    (report,) = [event.report for event in events(run, "preflight")]
    assert "⟦the answer<|im_end|>⟧" in report["sample"]
    assert report["longest"] == 256


@pytest.mark.parametrize("too_long", ["truncate_prompt", "error"])
def test_an_answer_is_never_cut(make_run: MakeRun, too_long: str) -> None:
    with pytest.raises(DataError, match="'endless'"):
        train(make_run([*SHORT, ENDLESS], too_long=too_long))


def test_rows_that_are_all_too_long_are_an_error_even_if_they_may_be_left_out(make_run: MakeRun) -> None:
    with pytest.raises(DataError, match="1 of 1 training rows"):
        train(make_run([LONG], too_long="drop"))


@given(prompt=st.integers(1, 20), answer=st.integers(1, 5), cut=st.integers(1, 30), shared=st.booleans())
def test_cutting_keeps_targets_and_the_nearest_context(
    prompt: int, answer: int, cut: int, shared: bool
) -> None:
    begin, context, said = 0, tuple(range(prompt)), tuple(range(100, 100 + answer))
    if shared:
        row = Answers(id="", prompt=context, answers=(tokens(said, answer),), weight=1.0)
    else:
        row = Answers(id="", answers=(tokens(context + said, answer),), weight=1.0)
    found = row.without_beginning(cut, begin=begin)
    if found is None:
        assert cut >= prompt
        return
    ids = found.prompt + found.answers[0].ids
    assert found.longest == row.longest - cut
    assert ids[-answer:] == said
    assert ids[0] == begin
    assert list(ids[1:-answer]) == list(context[1 + cut :])
    assert found.target_count == row.target_count


def tokens(ids: tuple[int, ...], learned: int) -> Tokens:
    return Tokens(ids=ids, weights=(0.0,) * (len(ids) - learned) + (1.0,) * learned)


TOOL = {"type": "function", "function": {"name": "weather", "parameters": {}}}
WITH_TOOLS = (
    "{% for tool in tools or [] %}{{ '<|im_start|>tools ' + tool.function.name + '<|im_end|>' }}{% endfor %}"
    + CHAT_TEMPLATE.replace(
        "{% generation %}{{",
        "{% generation %}{% for call in message.tool_calls or [] %}{{ call.function.name }}{% endfor %}{{",
    )
)
SYSTEM = Message(role="system", content="be brief")
CALL = Message(role="assistant", tool_calls=(ToolCall(id="1", name="weather", arguments="{}"),))


def sample(run: RunDirectory) -> str:
    train(run)
    (report,) = [event.report for event in events(run, "preflight")]
    assert report["longest"] <= 256
    return str(report["sample"])


def test_a_chat_loses_what_its_oldest_messages_say_and_nothing_else(
    make_run: MakeRun, tmp_path: Path
) -> None:
    model = make_tiny_llama(tmp_path / "tools", chat_template=WITH_TOOLS)
    first = Message(role="user", content="x" * 90)
    then = Message(role="user", content="y" * 200 + "Weather in Oslo?")
    said = Message(role="assistant", content="old", weight=0.0)
    row = ChatExample(id="chat", messages=(SYSTEM, first, said, then, CALL), tools=(TOOL,))
    text = sample(run := make_run([row], model=model, too_long="truncate_prompt", epochs=1))
    assert text.startswith(
        "<|im_start|>tools weather<|im_end|><|im_start|>system\nbe brief<|im_end|>\n<|im_start|>user\n<|im_end|>\n"
        "<|im_start|>assistant\n<|im_end|>\n<|im_start|>user\ny"
    )
    assert text.endswith("yWeather in Oslo?<|im_end|>\n<|im_start|>assistant\n⟦weather<|im_end|>⟧\n")
    (report,) = [event.report for event in events(run, "preflight")]
    assert report["longest"] == 256
    kept = text.index("Weather in") - text.index("user\ny") - len("user\n")
    lost = len(first.content or "") + len("old") + 200 - kept
    assert any(
        "1 of 1 training rows" in said and f"{lost} tokens in all" in said and "'chat'" in said
        for said in report["warnings"]
    )


def test_a_pair_written_as_a_chat_keeps_the_words_of_the_template(make_run: MakeRun) -> None:
    text = sample(make_run([LONG], too_long="truncate_prompt", epochs=1))
    assert text.startswith("<|im_start|>user\nxxx")


def test_the_prompt_of_a_preference_is_shortened_for_both_answers(make_run: MakeRun) -> None:
    row = PreferenceExample(
        id="pair",
        messages=(SYSTEM, Message(role="user", content="z" * 300)),
        chosen="yes, that",
        rejected="no",
    )
    text = sample(make_run([row], method=DPO(adapter=LoRA(rank=4)), too_long="truncate_prompt", epochs=1))
    assert text.startswith("<|im_start|>system\nbe brief<|im_end|>\n<|im_start|>user\nzzz")


def test_a_grader_reads_the_question_as_it_was(make_run: MakeRun) -> None:
    row = PromptExample(
        id="ask", messages=(SYSTEM, Message(role="user", content="q" * 300)), reference={"a": "b"}
    )
    grader = {
        "type": "string_check", "name": "s", "input": "{{item.messages[1].content}}", "reference": "q" * 300,
        "operation": "eq",
    }  # fmt: skip
    method = RFT(adapter=LoRA(rank=4), grader=grader, max_tokens=4, group_size=2)
    run = make_run([row], method=method, too_long="truncate_prompt", epochs=1)
    texts = Texts(
        template=Template.of(load_tokenizer(run.plan().model)), prompt_format="chat", family="decoder"
    )
    objective = Reinforcing.of(method, texts, [row], print)
    rows = [objective.row(row)]
    (cut,) = shorten(
        rows,
        100,
        rows=rows,
        bodies=run.examples("train"),
        objective=objective,
        texts=texts,
        limit=lambda what: nullcontext(),
    )
    assert cut is not None
    assert cut.longest == 100
    assert cut.item["messages"][1]["content"] == "q" * 300


def test_tools_and_rules_that_are_too_long_alone_are_an_error(make_run: MakeRun) -> None:
    rules = Message(role="system", content="r" * 300)
    row = ChatExample(
        id="rules",
        messages=(rules, Message(role="user", content="hi"), CALL.replace(content="ok", tool_calls=())),
    )
    with pytest.raises(DataError, match=r"even where their prompts say next to nothing .*'rules'"):
        train(make_run([row], too_long="truncate_prompt"))
