"""Prompts and answers of an encoder-decoder, which reads the one and writes the other. Knows tokens; no batch, no loss.

Where the tokenizer has a chat template, `render` writes both as it does for a decoder, and the text is cut where the
answer begins. Without one, each is a text of its own, with the special tokens that the tokenizer puts around a text;
a chat is then understood where it is one question and one answer, and refused where it is more.
"""

from __future__ import annotations

from collections.abc import Sequence

from tunekit.errors import DataError
from tunekit.examples import ChatExample, CompletionExample, Example, Message
from tunekit.training.texts import render
from tunekit.training.texts.rows import Tokens
from tunekit.training.texts.template import Template, Tokenizer, Tools


def render_pair(
    tokenizer: Tokenizer | Template, example: Example, prompt_format: str = "auto"
) -> tuple[tuple[int, ...], Tokens]:
    """Token ids of a prompt for an encoder, and of its answer for the decoder, which ends it with a stop token.

    Args:
        tokenizer: The model's own tokenizer, or its `Template`.
        example: A `CompletionExample`, or a `ChatExample` of which only the last turn is learned.
        prompt_format: As for `render.render_example`.

    Raises:
        DataError: It is no prompt with one answer, or as for `render.render_example`; the message names the row.
        ModelError: As for `render_target`.
    """
    template = Template.of(tokenizer)
    with render.naming(example):
        prompt, answer, tools = _prompt_and_answer(example)
    if _is_chat(template, prompt, prompt_format):
        whole = render.render_example(template, example, prompt_format)
        source = render.render_prompt(template, prompt, prompt_format, tools=tools)
        return tuple(source), render.answer_behind(source, whole)
    with render.naming(example):
        source, ids = render_source(template, prompt, "text", tools=tools), _target(template, _plain(answer))
    weights, silent = (answer.weight,) * len(ids), int(answer.weight == 0.0)
    return tuple(source), Tokens(ids=tuple(ids), weights=weights, row=example.id, silent_turns=silent)


def render_source(
    tokenizer: Tokenizer | Template,
    prompt: str | Sequence[Message],
    prompt_format: str = "auto",
    *,
    tools: Tools = (),
) -> list[int]:
    """Token ids of a prompt as the encoder reads it.

    Args:
        tokenizer: The model's own tokenizer, or its `Template`.
        prompt: A text, or the messages of a chat so far; without a chat template, one user message.
        prompt_format: As for `render.render_prompt`.
        tools: Tool definitions for the template.

    Raises:
        DataError: The prompt is more than a text and there is no template to write it, or it is empty.
        ModelError: As for `render.render_prompt`.
    """
    template = Template.of(tokenizer)
    if _is_chat(template, prompt, prompt_format):
        return render.render_prompt(template, prompt, prompt_format, tools=tools)
    text = _one_text(prompt, tools)
    template.encode(text)  # refuses what is no Unicode
    ids = list(template.tokenizer(text)["input_ids"])
    if not ids:
        raise DataError("the prompt is empty", hint="give the model at least one token to start from")
    return ids


def render_target(
    tokenizer: Tokenizer | Template,
    answer: str,
    prompt: str | Sequence[Message],
    prompt_format: str = "auto",
    *,
    tools: Tools = (),
    prompt_ids: Sequence[int] | None = None,
) -> list[int]:
    """Token ids of an answer as the decoder writes it, stop token included; arguments as for `render.render_answer`.

    Raises:
        DataError: The answer cannot be written.
        ModelError: The template writes a finished chat in such a way that it does not begin with the prompt.
    """
    template = Template.of(tokenizer)
    if _is_chat(template, prompt, prompt_format):
        return render.render_answer(
            template, answer, prompt, prompt_format, tools=tools, prompt_ids=prompt_ids
        )
    return _target(template, answer)


def _target(template: Template, text: str) -> list[int]:
    template.encode(text)  # refuses what is no Unicode
    # A target may be written with other special tokens than a source: BART begins one, mBART names its language.
    ids = list(template.tokenizer(text_target=text)["input_ids"])
    eos = template.tokenizer.eos_token_id
    while ids[-2:] == [eos, eos]:  # the text may end itself, as in the "text" format of a decoder
        ids = ids[:-1]
    return render.ended(template, ids)


def _is_chat(template: Template, prompt: str | Sequence[Message], prompt_format: str) -> bool:
    """Whether the chat template writes the prompt: any chat that it can, and texts where they are to be chats."""
    if isinstance(prompt, str):
        return bool(prompt) and render.resolve_format(template, prompt_format) == "chat"
    return template.has_chat


def _prompt_and_answer(example: Example) -> tuple[str | Sequence[Message], Message, Tools]:
    if isinstance(example, CompletionExample):
        return example.prompt, Message(role="assistant", content=example.completion), ()
    if not isinstance(example, ChatExample):
        raise DataError(
            f"an encoder-decoder learns from a prompt and its completion, not from a {example.kind} example",
            hint="use completion examples, or chats with one question and one answer",
        )
    *before, last = example.messages
    learned = [message for message in before if message.role == "assistant" and message.weight != 0.0]
    if last.role != "assistant" or learned or not before:
        raise DataError(
            f"a chat of the turns {', '.join(message.role for message in example.messages[:6])} is no prompt with one "
            "answer, which is what an encoder-decoder learns from",
            field="messages",
            hint="make each answer an example of its own, or train a decoder (Llama, Qwen)",
        )
    return before, last, example.tools


def _one_text(prompt: str | Sequence[Message], tools: Tools) -> str:
    """The text that a prompt is. How a system prompt or tools go beside it would be a guess."""
    if isinstance(prompt, str):
        return prompt
    if tools or [message.role for message in prompt] != ["user"]:
        has = "tools" if tools else f"the turns {', '.join(message.role for message in prompt[:6])}"
        raise DataError(
            f"the prompt has {has}, and the model has no chat template that says how to write them",
            field="messages",
            hint="write the whole prompt into one user message, or use prompt/completion rows",
        )
    return _plain(prompt[0])


def _plain(message: Message) -> str:
    """The text of a message that is nothing but a text."""
    said = Message(role=message.role, content=message.content, weight=message.weight, parts=message.parts)
    if (
        message.content is None
        or message != said
        or any(part.get("type") != "text" for part in message.parts)
    ):
        raise DataError(
            f"the {message.role} turn has more than a text (a name, pictures, a thought or calls), and the model has "
            "no chat template that says how to write it",
            field="messages",
            hint="write it into the content, or train a model with a chat template",
        )
    return message.content
