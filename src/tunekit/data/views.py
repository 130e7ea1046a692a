"""One view of all example kinds: what the model reads, what it should answer, and every text with its field.

Checks of texts stand on this and so work for every kind. Knows the kinds; nothing of what a text should look like.

| kind | input | answer |
|---|---|---|
| chat | the turns before the last assistant turn | that turn: reasoning, content, tool calls |
| completion | prompt | completion |
| preference | the conversation | the better answer |
| unpaired | the conversation | the completion, good or bad |
| prompt | the conversation | the reference |
| labelled | text | the label, or all labels |
| segments | what is only read | what is learned |

Texts of one side are joined by line breaks. Tool definitions, images and meta columns are not texts.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeAlias

from tunekit.examples import (
    ChatExample,
    CompletionExample,
    Example,
    LabelledExample,
    Message,
    PreferenceExample,
    PromptExample,
    SegmentsExample,
    UnpairedExample,
)

FieldText: TypeAlias = tuple[str, str, bool]
"""Field, such as `"messages[1].content"`; its text; whether the model is trained to say it."""


def texts(example: Example) -> Iterator[FieldText]:
    """Every text of the row, in order, with its field.

    The third value says whether it is an answer that the model is trained to say: a turn of weight 0, a rejected
    answer, an undesirable completion and a reference are not.

    Examples:
        >>> list(texts(CompletionExample(prompt="2+2", completion="4")))
        [('prompt', '2+2', False), ('completion', '4', True)]
    """
    if isinstance(example, ChatExample):
        yield from turn_texts(example.messages, "messages")
    elif isinstance(example, CompletionExample):
        yield "prompt", example.prompt, False
        yield "completion", example.completion, True
    elif isinstance(example, LabelledExample):
        yield "text", example.text, False
        yield from _label_texts(example.label)
    elif isinstance(example, SegmentsExample):
        for index, segment in enumerate(example.segments):
            yield f"segments[{index}].text", segment.text, segment.learn
    else:
        yield from _unanswered(turn_texts(example.messages, "messages"))
        yield from _judged_texts(example)


def input_text(example: Example) -> str:
    """What the model reads, as one text; "" for raw text, which has no input.

    Examples:
        >>> input_text(CompletionExample(prompt="2+2", completion="4"))
        '2+2'
    """
    if isinstance(example, CompletionExample):
        return example.prompt
    if isinstance(example, LabelledExample):
        return example.text
    if isinstance(example, SegmentsExample):
        return "\n".join([segment.text for segment in example.segments if not segment.learn])
    turns = example.messages
    return _joined(turns[: last_answer(turns)] if isinstance(example, ChatExample) else turns)


def answer_text(example: Example) -> str:
    r"""What the model should answer, as one text; of a preference the better answer.

    Examples:
        >>> answer_text(LabelledExample(text="Where is my parcel?", label=("delivery", "late")))
        'delivery\nlate'
    """
    if isinstance(example, CompletionExample):
        return example.completion
    if isinstance(example, LabelledExample):
        return example.label if isinstance(example.label, str) else "\n".join(example.label)
    if isinstance(example, SegmentsExample):
        return "\n".join([segment.text for segment in example.segments if segment.learn])
    if isinstance(example, ChatExample):
        last = last_answer(example.messages)
        return _joined(example.messages[last : last + 1])
    if isinstance(example, PromptExample):
        return "\n".join(_plain(value) for value in example.reference.values())
    said = example.chosen if isinstance(example, PreferenceExample) else example.completion
    return said if isinstance(said, str) else _joined(said)


def with_ids(examples: Iterable[Example]) -> Iterator[Example]:
    """The same rows; those without an id are called by their position, so that findings can tell them apart.

    Examples:
        >>> [row.id for row in with_ids([CompletionExample(prompt="a", completion="b")] * 2)]
        ['#1', '#2']
    """
    for position, example in enumerate(examples, start=1):
        yield example if example.id else example.replace(id=f"#{position}")


def last_answer(turns: Sequence[Message]) -> int:
    """Position of the last assistant turn; `len(turns)` where there is none."""
    for index in range(len(turns) - 1, -1, -1):
        if turns[index].role == "assistant":
            return index
    return len(turns)


def asked(turns: Sequence[Message]) -> Sequence[Message]:
    """The turns before the last answer; none where nobody asks in them, or a shared system prompt would join rows."""
    before = turns[: last_answer(turns)]
    return before if any(turn.role in ("user", "tool") for turn in before) else ()


def turn_texts(turns: Iterable[Message], field: str) -> Iterator[FieldText]:
    """The texts of a conversation that stands in `field`: reasoning, content, tool calls of each turn."""
    for index, turn in enumerate(turns):
        learned = turn.role == "assistant" and turn.weight > 0
        if turn.reasoning is not None:
            yield f"{field}[{index}].reasoning", turn.reasoning, learned
        if turn.content is not None:
            yield f"{field}[{index}].content", turn.content, learned
        for number, call in enumerate(turn.tool_calls):
            function = f"{field}[{index}].tool_calls[{number}].function"
            yield f"{function}.name", call.name, learned
            yield f"{function}.arguments", call.arguments, learned


def _judged_texts(example: PreferenceExample | UnpairedExample | PromptExample) -> Iterator[FieldText]:
    if isinstance(example, PreferenceExample):
        yield from _answer_texts(example.chosen, "chosen", True)
        yield from _answer_texts(example.rejected, "rejected", False)
    elif isinstance(example, UnpairedExample):
        yield from _answer_texts(example.completion, "completion", example.desirable)
    else:
        for name, value in example.reference.items():
            yield f"reference.{name}", _plain(value), False


def _answer_texts(said: str | tuple[Message, ...], field: str, learned: bool) -> Iterator[FieldText]:
    if isinstance(said, str):
        yield field, said, learned
    elif learned:
        yield from turn_texts(said, field)
    else:
        yield from _unanswered(turn_texts(said, field))


def _unanswered(found: Iterable[FieldText]) -> Iterator[FieldText]:
    return ((field, text, False) for field, text, _ in found)


def _label_texts(label: str | tuple[str, ...]) -> Iterator[FieldText]:
    if isinstance(label, str):
        yield "label", label, True
    else:
        for index, name in enumerate(label):
            yield f"label[{index}]", name, True


def _joined(turns: Sequence[Message]) -> str:
    return "\n".join([text for _, text, _ in turn_texts(turns, "")])


def _plain(value: Any) -> str:
    # default=str: a date that a caller put into a reference is shown, not refused.
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
