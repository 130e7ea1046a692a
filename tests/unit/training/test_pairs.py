"""What an encoder reads and a decoder writes, in tokens."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

from tunekit.errors import DataError, ModelError
from tunekit.examples import ChatExample, CompletionExample, Example, LabelledExample, Message, ToolCall
from tunekit.testing.tiny_models import make_tiny_t5
from tunekit.training.models import load
from tunekit.training.texts.pairs import render_pair, render_source, render_target

TEMPLATE = (
    "{% for message in messages %}{{ message['role'] + ': ' + message['content'] }}"
    "{% if message['role'] == 'assistant' %}{{ eos_token }}{% endif %}{{ '\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ 'assistant: ' }}{% endif %}"
)
THINKING = (
    "{% for message in messages %}{% if message['role'] == 'assistant' %}"
    "{% generation %}{{ message['content'] + eos_token }}{% endgeneration %}"
    "{% else %}{{ message['content'] }}{% endif %}{% endfor %}{% if add_generation_prompt %}{{ '<think>' }}{% endif %}"
)
USER, ANSWER = Message(role="user", content="ask"), Message(role="assistant", content="yes")
SYSTEM = Message(role="system", content="Be brief.")


@pytest.fixture(scope="module")
def t5(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return load.load_tokenizer(make_tiny_t5(tmp_path_factory.mktemp("models") / "t5"))


@pytest.fixture(scope="module")
def chatty(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The tokenizer of an encoder-decoder that was tuned for chats, as T5Gemma's are."""
    path: Path = make_tiny_t5(tmp_path_factory.mktemp("models") / "chatty")
    tokenizer = load.load_tokenizer(path)
    tokenizer.chat_template = TEMPLATE
    return tokenizer


def written(tokenizer: Any, example: Example, prompt_format: str = "auto") -> tuple[str, str]:
    prompt, answer = render_pair(tokenizer, example, prompt_format)
    assert answer.row == example.id
    assert all(answer.weights)
    return tokenizer.decode(list(prompt)), tokenizer.decode(list(answer.ids))


def chat(*messages: Message, **fields: Any) -> ChatExample:
    return ChatExample(id="r", messages=messages, **fields)


@pytest.mark.parametrize(
    "example", [CompletionExample(id="r", prompt="ask", completion="yes"), chat(USER, ANSWER)]
)
def test_both_sides_end_and_every_token_of_the_answer_is_learned(t5: Any, example: Example) -> None:
    assert written(t5, example) == ("ask</s>", "yes</s>")


def test_training_and_serving_write_the_same(t5: Any, chatty: Any) -> None:
    for tokenizer in (t5, chatty):
        for prompt in ("ask", (USER,)):
            answer = CompletionExample(id="r", prompt="ask", completion="yes")
            read, learned = render_pair(tokenizer, answer if prompt == "ask" else chat(USER, ANSWER))
            assert list(read) == render_source(tokenizer, prompt)
            assert list(learned.ids) == render_target(tokenizer, "yes", prompt)


def test_an_answer_that_ends_itself_ends_once(t5: Any) -> None:
    assert written(t5, CompletionExample(id="r", prompt="ask", completion="yes</s>"))[1] == "yes</s>"


def test_answers_begin_and_end_as_the_tokenizer_has_it(t5: Any) -> None:
    """BART's texts begin with a token too, and its decoder was taught to write it."""
    from tokenizers import processors

    tokenizer = copy.deepcopy(t5)
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="<unk> $A </s>", special_tokens=[("<unk>", 2), ("</s>", 1)]
    )
    example = CompletionExample(id="r", prompt="ask", completion="yes")
    assert written(tokenizer, example) == ("<unk>ask</s>", "<unk>yes</s>")


def test_the_weight_of_an_answer_is_kept(t5: Any) -> None:
    _, half = render_pair(t5, chat(USER, ANSWER.replace(weight=0.5)))
    assert set(half.weights) == {0.5}
    _, silent = render_pair(t5, chat(USER, ANSWER.replace(weight=0.0)))
    assert (silent.target_count, silent.silent_turns) == (0, 1)


def test_text_parts_are_text(t5: Any) -> None:
    parts = ({"type": "text", "text": "ask"},)
    assert written(t5, chat(USER.replace(parts=parts), ANSWER)) == ("ask</s>", "yes</s>")


def test_a_chat_template_writes_prompt_and_answer(chatty: Any) -> None:
    expected = ("system: Be brief.\nuser: ask\nassistant: ", "yes</s>")
    assert written(chatty, chat(SYSTEM, USER, ANSWER)) == expected
    completion = CompletionExample(id="r", prompt="ask", completion="yes")
    assert written(chatty, completion) == ("user: ask\nassistant: ", "yes</s>")
    assert written(chatty, completion, "text") == ("ask</s>", "yes</s>")
    before = (USER, ANSWER.replace(weight=0.0), USER)
    assert written(chatty, chat(*before, ANSWER))[1] == "yes</s>"


def test_a_template_that_opens_answers_otherwise_is_refused(chatty: Any) -> None:
    tokenizer = copy.deepcopy(chatty)
    tokenizer.chat_template = THINKING
    with pytest.raises(ModelError, match="opens an answer with other tokens"):
        render_pair(tokenizer, chat(USER, ANSWER))


@pytest.mark.parametrize(
    ("example", "message"),
    [
        (chat(SYSTEM, USER, ANSWER), "has the turns system, user, and the model has no chat template"),
        (chat(USER, ANSWER, USER, ANSWER), "no prompt with one answer"),
        (chat(USER), "no prompt with one answer"),
        (chat(ANSWER), "no prompt with one answer"),
        (chat(USER, ANSWER, tools=({"function": {"name": "f"}},)), "has tools"),
        (chat(USER.replace(name="Bob"), ANSWER), "the user turn has more than a text"),
        (chat(USER, ANSWER.replace(reasoning="hm")), "the assistant turn has more than a text"),
        (
            chat(USER, ANSWER.replace(tool_calls=(ToolCall(id="c", name="f", arguments="{}"),))),
            "the assistant turn has more",
        ),
        (chat(USER.replace(parts=({"type": "image_url"},)), ANSWER), "the user turn has more than a text"),
        (LabelledExample(id="r", text="a", label="b"), "not from a labelled example"),
        (CompletionExample(id="r", prompt="\ud800", completion="b"), "half of a surrogate pair"),
        (CompletionExample(id="r", prompt="a", completion="\ud800"), "half of a surrogate pair"),
    ],
)
def test_what_would_be_a_guess_is_refused(t5: Any, example: Example, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        render_pair(t5, example)
    assert caught.value.message.startswith("row 'r': ")
    assert caught.value.hint
