"""What the model sees and what it learns, token by token; and that serving sees the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunekit.errors import DataError, ModelError, SpecError
from tunekit.examples import ChatExample, CompletionExample, LabelledExample, Message, ToolCall
from tunekit.testing.tiny_models import CHAT_TEMPLATE, make_tiny_llama
from tunekit.training.models import load
from tunekit.training.texts.reading import text_of
from tunekit.training.texts.render import (
    is_served_as_trained,
    render_answer,
    render_example,
    render_prompt,
    resolve_format,
)
from tunekit.training.texts.rows import Tokens
from tunekit.training.texts.template import Template, stop_ids

PLAIN = CHAT_TEMPLATE.replace("{% generation %}", "").replace("{% endgeneration %}", "")
# The answer is tagged and its end is not.
END_OUTSIDE = CHAT_TEMPLATE.replace(
    "{% generation %}{{ (message['content'] or '') + '<|im_end|>' }}{% endgeneration %}",
    "{% generation %}{{ message['content'] or '' }}{% endgeneration %}{{ '<|im_end|>' }}",
)
# Earlier answers lose what stands before "=>", as reasoning templates do with their thoughts.
REWRITES = PLAIN.replace(
    "{{ (message['content'] or '') + '<|im_end|>' }}{% else %}",
    "{% if loop.last %}{{ message['content'] + '<|im_end|>' }}"
    "{% else %}{{ message['content'].split('=>')[-1] + '<|im_end|>' }}{% endif %}{% else %}",
)
# No turn ever ends.
ENDLESS = (
    "{% for m in messages %}{{ '[' + m.role + ']' + m.content }}{% endfor %}"
    "{% if add_generation_prompt %}[assistant]{% endif %}"
)

CHAT = (
    Message(role="system", content="be brief"),
    Message(role="user", content="one?"),
    Message(role="assistant", content="uno"),
    Message(role="user", content="two?"),
    Message(role="assistant", content="dos"),
)


@pytest.fixture(scope="module")
def tokenizer(llama: Path) -> Any:
    return load.load_tokenizer(llama)


@pytest.fixture(scope="module")
def with_template(llama: Path) -> Any:
    def make(template: str | None) -> Any:
        tokenizer = load.load_tokenizer(llama)
        tokenizer.chat_template = template
        return tokenizer

    return make


def learned(tokenizer: Any, tokens: Tokens) -> str:
    return str(tokenizer.decode([i for i, weight in zip(tokens.ids, tokens.weights, strict=True) if weight]))


@pytest.mark.parametrize(
    "template", [CHAT_TEMPLATE, PLAIN, END_OUTSIDE], ids=["tagged", "plain", "end outside"]
)
def test_every_answer_with_its_end_is_learned_and_nothing_else(with_template: Any, template: str) -> None:
    tokenizer = with_template(template)
    tokens = render_example(tokenizer, ChatExample(messages=CHAT))
    assert learned(tokenizer, tokens) == "uno<|im_end|>dos<|im_end|>"
    assert tokenizer.decode(list(tokens.ids)) == tokenizer.apply_chat_template(
        [{"role": m.role, "content": m.content} for m in CHAT], tokenize=False
    )


@pytest.mark.parametrize(
    "template", [CHAT_TEMPLATE, PLAIN, END_OUTSIDE], ids=["tagged", "plain", "end outside"]
)
def test_a_message_of_weight_zero_is_not_learned(with_template: Any, template: str) -> None:
    tokenizer = with_template(template)
    messages = (*CHAT[:2], Message(role="assistant", content="uno", weight=0.0), *CHAT[3:])
    tokens = render_example(tokenizer, ChatExample(messages=messages))
    assert learned(tokenizer, tokens) == "dos<|im_end|>"


def test_weights_between(tokenizer: Any) -> None:
    messages = (*CHAT[:2], Message(role="assistant", content="uno", weight=0.25), *CHAT[3:])
    tokens = render_example(tokenizer, ChatExample(messages=messages))
    assert sorted(set(tokens.weights)) == [0.0, 0.25, 1.0]
    assert tokens.weights.count(0.25) == len("uno") + 1


def test_a_template_that_rewrites_history_is_cut_at_the_end_of_turn(with_template: Any) -> None:
    tokenizer = with_template(REWRITES)
    messages = (
        CHAT[1],
        Message(role="assistant", content="think=>uno"),
        CHAT[3],
        Message(role="assistant", content="think=>dos"),
    )
    tokens = render_example(tokenizer, ChatExample(messages=messages))
    assert learned(tokenizer, tokens) == "uno<|im_end|>think=>dos<|im_end|>"


def test_a_template_whose_past_changes_is_refused_with_the_row(with_template: Any) -> None:
    counts = "{{ messages | length }}" + PLAIN
    with pytest.raises(DataError, match=r"row 'r7': message 2: .* not a prefix") as caught:
        render_example(with_template(counts), ChatExample(id="r7", messages=CHAT))
    assert "{% generation %}" in caught.value.hint


def test_a_template_without_an_end_gets_the_end_of_sequence(with_template: Any) -> None:
    tokenizer = with_template(ENDLESS)
    assert Template.of(tokenizer).end_of_turn is None
    tokens = render_example(tokenizer, ChatExample(messages=CHAT[1:3]))
    assert learned(tokenizer, tokens) == "uno<|endoftext|>"


def test_a_template_that_refuses_says_why(with_template: Any) -> None:
    tokenizer = with_template("{{ raise_exception('roles must alternate') }}")
    with pytest.raises(DataError, match=r"row 'x': .*roles must alternate"):
        render_example(tokenizer, ChatExample(id="x", messages=CHAT))


def test_a_chat_without_an_answer_has_nothing_to_learn(tokenizer: Any) -> None:
    assert render_example(tokenizer, ChatExample(messages=CHAT[:2])).target_count == 0


def test_tool_arguments_reach_the_template_as_an_object(with_template: Any) -> None:
    tokenizer = with_template(
        "{% for m in messages if m.tool_calls %}{{ m.tool_calls[0].function.arguments.city }}{% endfor %}"
    )
    call = ToolCall(id="1", name="weather", arguments='{"city": "Oslo"}')
    chat = ChatExample(messages=(CHAT[1], Message(role="assistant", tool_calls=(call,))))
    assert tokenizer.decode(render_prompt(tokenizer, chat.messages)) == "Oslo"


def test_text_that_is_not_unicode_names_its_row(tokenizer: Any) -> None:
    with pytest.raises(DataError, match=r"row 'r1': .*surrogate"):
        render_example(tokenizer, CompletionExample(id="r1", prompt="a", completion="\ud83d"))


class TestCompletions:
    """Prompt and completion."""

    def test_auto_writes_a_chat_where_there_is_a_template(self, tokenizer: Any) -> None:
        pair = render_example(tokenizer, CompletionExample(prompt="one?", completion="uno"))
        chat = render_example(tokenizer, ChatExample(messages=CHAT[1:3]))
        assert (pair.ids, pair.weights) == (chat.ids, chat.weights)

    def test_auto_writes_text_where_there_is_none(self, with_template: Any) -> None:
        tokens = render_example(with_template(None), CompletionExample(prompt="one?", completion="uno"))
        assert with_template(None).decode(list(tokens.ids)) == "one?uno<|endoftext|>"

    @pytest.mark.parametrize("prompt_format", ["auto", "chat", "text"])
    def test_an_empty_prompt_is_raw_text(self, tokenizer: Any, prompt_format: str) -> None:
        tokens = render_example(tokenizer, CompletionExample(prompt="", completion="prose"), prompt_format)
        assert tokenizer.decode(list(tokens.ids)) == "prose<|endoftext|>"
        assert tokens.weights == (0.0, 1.0, 1.0, 1.0, 1.0, 1.0)

    def test_text_ends_once(self, tokenizer: Any) -> None:
        tokens = render_example(tokenizer, CompletionExample(prompt="a", completion="b<|endoftext|>"), "text")
        assert tokenizer.decode(list(tokens.ids)) == "ab<|endoftext|>"

    def test_chat_without_a_template_is_an_error(self, with_template: Any) -> None:
        with pytest.raises(SpecError, match="no chat template"):
            resolve_format(with_template(None), "chat")
        with pytest.raises(ModelError, match="no chat template"):
            render_prompt(with_template(None), CHAT[:2])

    def test_other_kinds_are_refused(self, tokenizer: Any) -> None:
        with pytest.raises(DataError, match="labelled"):
            render_example(tokenizer, LabelledExample(text="a", label="b"))


class TestBeginningOfSequence:
    """Tokenizers that add one, templates that write one, and never two."""

    @pytest.fixture
    def bos_tokenizer(self, llama: Path) -> Any:
        from tokenizers.processors import TemplateProcessing

        tokenizer = load.load_tokenizer(llama)
        tokenizer.bos_token = "<|im_start|>"
        tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
            single="<|im_start|> $A", pair="<|im_start|> $A $B", special_tokens=[("<|im_start|>", 2)]
        )
        return tokenizer

    def test_text_gets_one(self, bos_tokenizer: Any) -> None:
        tokens = render_example(bos_tokenizer, CompletionExample(prompt="a", completion="b"), "text")
        assert tokens.ids[0] == 2
        assert tokens.ids.count(2) == 1
        assert learned(bos_tokenizer, tokens) == "b<|endoftext|>"

    def test_a_chat_gets_only_its_templates(self, bos_tokenizer: Any, tokenizer: Any) -> None:
        assert render_prompt(bos_tokenizer, CHAT) == render_prompt(tokenizer, CHAT)

    def test_text_that_has_one_gets_no_second(self, bos_tokenizer: Any) -> None:
        assert render_prompt(bos_tokenizer, "<|im_start|>a", "text").count(2) == 1


def sentencepiece(kind: str) -> Any:
    """As of Llama 2 or Mistral: every text is read with a space before it, and rare characters as bytes."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    words = [
        "<unk>",
        "</s>",
        *(f"<0x{byte:02X}>" for byte in range(256)),
        "▁",
        "c",
        "a",
        "t",
        "▁c",
        "at",
        "▁cat",
    ]
    merges = [("▁", "c"), ("a", "t"), ("▁c", "at")]
    vocabulary = {word: at for at, word in enumerate(words)}
    backend = Tokenizer(models.BPE(vocab=vocabulary, merges=merges, unk_token="<unk>", byte_fallback=True))
    if kind == "prepended":
        backend.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    else:
        backend.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
    backend.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    return PreTrainedTokenizerFast(tokenizer_object=backend, eos_token="</s>", unk_token="<unk>")


class TestAnAnswerThatContinuesAText:
    """Prompt and answer are one text, with no space between them that nobody wrote."""

    @pytest.mark.parametrize("kind", ["prepended", "metaspace"])
    @given(
        prompt=st.text("cat é🙂\n.", min_size=1, max_size=8).filter(lambda text: text[0] != " "),
        answer=st.text("cat é🙂\n.", max_size=8),
    )
    @settings(max_examples=60)
    def test_both_together_read_as_they_were_written(self, kind: str, prompt: str, answer: str) -> None:
        tokenizer = sentencepiece(kind)
        tokens = render_example(tokenizer, CompletionExample(prompt=prompt, completion=answer))
        assert tokenizer.decode(tokens.ids, skip_special_tokens=True) == prompt + answer
        asked = render_prompt(tokenizer, prompt)
        assert text_of(tokenizer, tokens.ids[len(asked) :], before=asked) == answer

    @pytest.mark.parametrize("kind", ["prepended", "metaspace"])
    def test_a_word_behind_a_space_is_one_token(self, kind: str) -> None:
        tokenizer = sentencepiece(kind)
        pieces = [
            tokenizer.convert_ids_to_tokens(render_answer(tokenizer, said, "a")) for said in (" cat", "cat")
        ]
        assert pieces == [["▁cat", "</s>"], ["c", "at", "</s>"]]

    @pytest.mark.parametrize("kind", ["prepended", "metaspace"])
    def test_a_text_without_a_prompt_begins_as_texts_do(self, kind: str) -> None:
        tokenizer = sentencepiece(kind)
        tokens = render_example(tokenizer, CompletionExample(prompt="", completion="cat"))
        assert tokenizer.convert_ids_to_tokens(list(tokens.ids)) == ["▁cat", "</s>"]

    def test_bytes_are_read_as_before(self, tokenizer: Any) -> None:
        template = Template.of(tokenizer)
        assert not template.adds_space
        assert template.encode_behind("\n a") == template.encode("\n a")


TEXT = st.text(st.characters(codec="utf-8", exclude_characters="<|>"), min_size=1, max_size=12)


@pytest.mark.parametrize("prompt_format", ["chat", "text"])
@given(prompt=TEXT, answer=TEXT)
def test_the_prompt_served_is_the_prompt_trained(
    tokenizer: Any, prompt_format: str, prompt: str, answer: str
) -> None:
    """Train/serve parity: an example is its prompt's tokens, then exactly the tokens that `score` scores."""
    tokens = render_example(tokenizer, CompletionExample(prompt=prompt, completion=answer), prompt_format)
    served = render_prompt(tokenizer, prompt, prompt_format)
    scored = render_answer(tokenizer, answer, prompt, prompt_format)
    assert list(tokens.ids[: len(served) + len(scored)]) == served + scored
    assert [at for at, weight in enumerate(tokens.weights) if weight] == list(
        range(len(served), len(served) + len(scored))
    )
    assert tokenizer.decode(scored[:-1]) == answer
    assert scored[-1] in stop_ids(tokenizer)


def test_a_prompt_that_is_served_differently_is_noticed(with_template: Any) -> None:
    thinks = CHAT_TEMPLATE.replace("<|im_start|>assistant\\n' }}", "<|im_start|>assistant\\n<think>' }}")
    assert thinks != CHAT_TEMPLATE
    pair = CompletionExample(prompt="a", completion="b")
    for example in (pair, ChatExample(messages=CHAT)):
        assert is_served_as_trained(with_template(CHAT_TEMPLATE), example)
        assert not is_served_as_trained(with_template(thinks), example)
    assert is_served_as_trained(with_template(thinks), pair, "text")


def test_stop_ids_join_tokenizer_template_and_config(tokenizer: Any) -> None:
    assert stop_ids(tokenizer) == (1, 3)
    assert stop_ids(tokenizer, extra=(9, 1)) == (1, 3, 9)


def test_a_model_without_a_template_can_be_made(tmp_path: Path) -> None:
    assert load.load(make_tiny_llama(tmp_path / "m", chat_template=None)).prompt_format == "text"


GREETING = (Message(role="assistant", content="hello"),)


@pytest.mark.parametrize("template", [CHAT_TEMPLATE, PLAIN, END_OUTSIDE, ENDLESS])
def test_a_chat_may_begin_with_an_answer(with_template: Any, template: str) -> None:
    tokenizer = with_template(template)
    greeting = ChatExample(messages=GREETING)
    tokens = render_example(tokenizer, greeting)
    assert learned(tokenizer, tokens).removesuffix("<|im_end|>").removesuffix("<|endoftext|>") == "hello"
    assert is_served_as_trained(tokenizer, greeting)


def test_what_a_template_writes_before_a_first_answer_is_not_learned(with_template: Any) -> None:
    tokenizer = with_template("<|im_start|>system\nYou are nice.<|im_end|>\n" + PLAIN)
    tokens = render_example(tokenizer, ChatExample(messages=(*GREETING, *CHAT[1:])))
    assert learned(tokenizer, tokens) == "hello<|im_end|>uno<|im_end|>dos<|im_end|>"


def test_a_prompt_without_messages_is_refused_by_name(tokenizer: Any) -> None:
    with pytest.raises(DataError, match="the prompt has no messages") as caught:
        render_prompt(tokenizer, ())
    assert caught.value.field == "messages"
