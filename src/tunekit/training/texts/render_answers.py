"""Answers to one prompt, in tokens: the prompt that they share, and what each adds. Knows judged examples; no model.

Every answer is written as a whole text by `render` (by `pairs` for an encoder-decoder), so that it stands in training
as it would in SFT and in serving. Here the texts are only cut where the answers begin.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile
from typing import TypeAlias

from tunekit.errors import DataError
from tunekit.examples import (
    ChatExample,
    CompletionExample,
    Example,
    Message,
    PreferenceExample,
    UnpairedExample,
)
from tunekit.training.models.families import Family
from tunekit.training.texts import render
from tunekit.training.texts.pairs import render_pair
from tunekit.training.texts.rows import Tokens
from tunekit.training.texts.template import Template

Judged: TypeAlias = PreferenceExample | UnpairedExample


def render_answers(
    template: Template, example: Judged, prompt_format: render.ResolvedFormat, family: Family
) -> tuple[tuple[int, ...], tuple[Tokens, ...]]:
    """Token ids of a prompt, and its answers: chosen and rejected, or the one that was judged.

    Only assistant turns of the answers are learned, each with its end-of-turn token.

    Args:
        template: The model's tokenizer.
        example: What people preferred, or judged.
        prompt_format: How a question with one plain answer is written; any other conversation is a chat.
        family: Of the model that reads them.

    Raises:
        DataError: As for `render.render_example`, or nothing of an answer can be learned; the message names the row.
        ModelError: The example is a chat and the tokenizer has no chat template.
    """
    texts = texts_of(example, prompt_format)
    if family == "encoder-decoder":
        pairs = [render_pair(template, text, prompt_format) for text in texts]
        prompt, answers = pairs[0][0], tuple(answer for _, answer in pairs)
    else:
        whole = [render.render_example(template, text, prompt_format) for text in texts]
        with render.naming(example):
            prompt = tuple(_prompt(template, texts[0], example, prompt_format))
        # Some templates open an answer with tokens that a finished chat does not have (an empty thought), and words may
        # merge over the border. The texts are what is learned, so the answers begin where the first of them leaves the
        # prompt.
        shared = min(_common(prompt, text.ids) for text in whole)
        prompt = prompt[:shared]
        answers = tuple(_from(text, shared) for text in whole)
    _require_targets(example, answers)
    return prompt, answers


def texts_of(example: Example, prompt_format: render.ResolvedFormat) -> list[Example]:
    """An example as SFT would learn each of its answers; an example of SFT is returned as it is.

    Args:
        example: Any example.
        prompt_format: "text" writes one question with one plain answer as a completion.
    """
    match example:
        case PreferenceExample():
            answers = [example.chosen, example.rejected]
        case UnpairedExample():
            answers = [example.completion]
        case _:
            return [example]
    question = _question(example, answers) if prompt_format == "text" else None
    if question is not None:
        return [
            CompletionExample(id=example.id, prompt=question, completion=str(answer)) for answer in answers
        ]
    # What stands in the prompt was said already; its turns are not learned.
    before = [message.replace(weight=0.0) for message in example.messages]
    return [
        ChatExample(id=example.id, messages=(*before, *_turns(answer)), tools=example.tools)
        for answer in answers
    ]


def _question(example: Judged, answers: Sequence[str | tuple[Message, ...]]) -> str | None:
    """The prompt as a text, if it is no more than one, and neither are the answers."""
    if example.tools or not all(isinstance(answer, str) for answer in answers):
        return None
    if not example.messages:
        return ""
    (message, *more) = example.messages
    plain = Message(role="user", content=message.content)
    return message.content if message.replace(weight=1.0) == plain and not more else None


def _turns(answer: str | tuple[Message, ...]) -> tuple[Message, ...]:
    return (Message(role="assistant", content=answer),) if isinstance(answer, str) else answer


def _prompt(
    template: Template, text: Example, example: Judged, prompt_format: render.ResolvedFormat
) -> list[int]:
    asked = text.prompt if isinstance(text, CompletionExample) else example.messages
    return render.render_prompt(template, asked, prompt_format, tools=example.tools)


def _common(one: Sequence[int], other: Sequence[int]) -> int:
    """Length of the longest common prefix."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))


def _from(text: Tokens, start: int) -> Tokens:
    return Tokens(ids=text.ids[start:], weights=text.weights[start:], row=text.row)


def _require_targets(example: Judged, answers: Sequence[Tokens]) -> None:
    names = ("chosen", "rejected") if isinstance(example, PreferenceExample) else ("completion",)
    for name, answer in zip(names, answers, strict=True):
        if not answer.target_count:
            raise DataError(
                f"row {example.id!r}: nothing of {name!r} can be learned: it has no assistant turn of weight above 0",
                field=name,
                hint="give both answers an assistant turn that is learned, or leave the row out",
            )
