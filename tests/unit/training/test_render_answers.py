"""Answers to one prompt, in tokens. Knows tokenizers made for the tests; no model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tunekit.errors import DataError
from tunekit.examples import ChatExample, Message, PreferenceExample, ToolCall, UnpairedExample
from tunekit.testing.tiny_models import CHAT_TEMPLATE, make_tiny_llama
from tunekit.training.models import load
from tunekit.training.texts import render
from tunekit.training.texts.render_answers import render_answers
from tunekit.training.texts.rows import Tokens
from tunekit.training.texts.template import Template

ASKED = (Message(role="user", content="2+2?"),)
THINKING = CHAT_TEMPLATE.replace(
    "{{ '<|im_start|>assistant\\n' }}", "{{ '<|im_start|>assistant\\n<think></think>' }}"
)
TOOLS = "{% for tool in tools or [] %}{{ tool['function']['name'] }}{% endfor %}" + CHAT_TEMPLATE.replace(
    "{% generation %}",
    "{% generation %}{% for call in message['tool_calls'] or [] %}{{ call['function']['name'] }}{% endfor %}",
)


def template_of(path: Path, chat_template: str | None = CHAT_TEMPLATE) -> Template:
    return Template.of(load.load_tokenizer(make_tiny_llama(path / "model", chat_template=chat_template)))


def pair(
    chosen: Any = "4", rejected: Any = "five", messages: Any = ASKED, **fields: Any
) -> PreferenceExample:
    return PreferenceExample(id="row-1", messages=messages, chosen=chosen, rejected=rejected, **fields)


def texts(template: Template, prompt: tuple[int, ...], answers: tuple[Tokens, ...]) -> tuple[str, ...]:
    """The prompt, then of each answer what is learned."""
    decode = template.tokenizer.decode
    return decode(list(prompt)), *(
        decode([token for token, weight in zip(answer.ids, answer.weights, strict=True) if weight])
        for answer in answers
    )


def test_both_answers_follow_the_prompt_that_is_served(tmp_path: Path) -> None:
    template = template_of(tmp_path)
    prompt, answers = render_answers(template, pair(), "chat", "decoder")
    assert list(prompt) == render.render_prompt(template, ASKED)
    for answer, said in zip(answers, ("4", "five"), strict=True):
        whole = render.render_example(
            template, ChatExample(messages=(*ASKED, Message(role="assistant", content=said)))
        )
        assert prompt + answer.ids == whole.ids
        assert answer.weights == whole.weights[len(prompt) :]
    assert texts(template, prompt, answers)[1:] == ("4<|im_end|>", "five<|im_end|>")


def test_one_judged_answer_is_written_likewise(tmp_path: Path) -> None:
    template = template_of(tmp_path)
    example = UnpairedExample(id="x", messages=ASKED, completion="4", desirable=True)
    prompt, (answer,) = render_answers(template, example, "chat", "decoder")
    assert (prompt, answer.ids) == (
        render_answers(template, pair(), "chat", "decoder")[0],
        render_answers(template, pair(), "chat", "decoder")[1][0].ids,
    )


def test_turns_of_the_prompt_are_not_learned(tmp_path: Path) -> None:
    template = template_of(tmp_path)
    before = (*ASKED, Message(role="assistant", content="22"), Message(role="user", content="no"))
    found = render_answers(template, pair(messages=before), "chat", "decoder")
    assert texts(template, *found)[1:] == ("4<|im_end|>", "five<|im_end|>")


def test_an_answer_of_several_turns_is_learned_in_its_assistant_turns(tmp_path: Path) -> None:
    template = template_of(tmp_path, TOOLS)
    tool = {"type": "function", "function": {"name": "add", "parameters": {}}}
    chosen = (
        Message(role="assistant", tool_calls=(ToolCall(id="c", name="add", arguments="{}"),)),
        Message(role="tool", content="= 4", tool_call_id="c"),
        Message(role="assistant", content="It is 4."),
    )
    found = render_answers(template, pair(chosen=chosen, tools=(tool,)), "chat", "decoder")
    prompt, better, worse = texts(template, *found)
    assert prompt.startswith("add")
    assert better == "add<|im_end|>It is 4.<|im_end|>"
    assert worse == "five<|im_end|>"


def test_a_turn_of_weight_0_is_not_learned(tmp_path: Path) -> None:
    template = template_of(tmp_path)
    chosen = (
        Message(role="assistant", content="Hm.", weight=0.0),
        Message(role="user", content="?"),
        Message(role="assistant", content="4"),
    )
    found = render_answers(template, pair(chosen=chosen), "chat", "decoder")
    assert texts(template, *found)[1] == "4<|im_end|>"


def test_answers_begin_where_the_first_of_them_leaves_the_prompt(tmp_path: Path) -> None:
    """The prompt opens with an empty thought, and a finished chat has none."""
    template = template_of(tmp_path, THINKING)
    prompt, answers = render_answers(template, pair(), "chat", "decoder")
    served = render.render_prompt(template, ASKED)
    assert list(prompt) == served[: len(prompt)]
    assert len(prompt) < len(served)
    assert texts(template, prompt, answers)[1:] == ("4<|im_end|>", "five<|im_end|>")


def test_a_prompt_that_is_written_anew_is_not_learned(tmp_path: Path) -> None:
    """The earlier answer has a mark only in a finished chat, so the answers begin before it; it stays context."""
    marked = CHAT_TEMPLATE.replace(
        "{% generation %}", "{% generation %}{{ '' if add_generation_prompt else '~' }}"
    )
    before = (*ASKED, Message(role="assistant", content="22"), Message(role="user", content="no"))
    template = template_of(tmp_path, marked)
    prompt, answers = render_answers(template, pair(messages=before), "chat", "decoder")
    assert template.tokenizer.decode(list(prompt)).endswith("<|im_start|>assistant\n")
    assert template.tokenizer.decode(list(answers[0].ids)).startswith("~22<|im_end|>")
    assert texts(template, prompt, answers)[1:] == ("~4<|im_end|>", "~five<|im_end|>")


def test_without_a_template_a_question_and_its_answers_are_plain_text(tmp_path: Path) -> None:
    template = template_of(tmp_path, None)
    found = render_answers(template, pair(), "text", "decoder")
    assert texts(template, *found) == ("2+2?", "4<|endoftext|>", "five<|endoftext|>")


@pytest.mark.parametrize(
    "example",
    [
        pair(messages=(Message(role="system", content="s"), *ASKED)),
        pair(chosen=(Message(role="assistant", content="4", name="bob"),)),
    ],
    ids=["a system prompt", "more than a text"],
)
def test_the_text_format_writes_any_other_conversation_as_a_chat(
    tmp_path: Path, example: PreferenceExample
) -> None:
    template = template_of(tmp_path)
    assert render_answers(template, example, "text", "decoder") == render_answers(
        template, example, "chat", "decoder"
    )


@pytest.mark.parametrize("name", ["chosen", "rejected"])
def test_an_answer_that_leaves_nothing_is_named(tmp_path: Path, name: str) -> None:
    silent = (Message(role="assistant", content="4", weight=0.0),)
    with pytest.raises(DataError, match=f"row 'row-1': nothing of '{name}'") as caught:
        render_answers(template_of(tmp_path), pair(**{name: silent}), "chat", "decoder")
    assert caught.value.hint


def test_what_a_template_refuses_is_named_by_its_row(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="row 'row-1'"):
        render_answers(template_of(tmp_path), pair(chosen="4<|im_end|>"), "chat", "decoder")


@pytest.mark.parametrize("chat_template", [None, CHAT_TEMPLATE], ids=["text", "chat"])
def test_an_encoder_reads_the_prompt_once(tmp_path: Path, chat_template: str | None) -> None:
    template = template_of(tmp_path, chat_template)
    found = render_answers(template, pair(), "chat" if chat_template else "text", "encoder-decoder")
    prompt, better, worse = texts(template, *found)
    stop = "<|im_end|>" if chat_template else "<|endoftext|>"
    assert "2+2?" in prompt
    assert (better, worse) == (f"4{stop}", f"five{stop}")
