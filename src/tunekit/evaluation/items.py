"""One question of a test, the same for every model. Knows how an example is asked; not how it is answered or scored."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tunekit.backends.base import GenerateRequest, Prompt, ScoreRequest
from tunekit.errors import DataError
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One question of a test with its expected answer.

    Attributes:
        id: Unique within the test: the row id of the example, or its position, such as `"#12"`.
        prompt: What every model under test is asked.
        reference: The expected answer, or None where the example names none.
        tools: Tool definitions offered with the prompt.
        example: The whole example, with its meta columns, for scorers that need more.
        slices: The value of each column by which the test is sliced.
        cluster: The group that it belongs to, where items come in groups.
    """

    id: str
    prompt: Prompt
    reference: str | None
    tools: tuple[Mapping[str, Any], ...] = ()
    example: Example
    slices: Mapping[str, str] = field(default_factory=dict)
    cluster: str | None = None

    def generate_request(self) -> GenerateRequest:
        """The question as a backend takes it."""
        return GenerateRequest(prompt=self.prompt, tools=self.tools)

    def score_request(self, choices: tuple[str, ...]) -> ScoreRequest:
        """The question with candidate answers to be weighed."""
        return ScoreRequest(prompt=self.prompt, choices=choices, tools=self.tools)


def items_of(examples: Iterable[Example]) -> tuple[Item, ...]:
    """The questions of a test set, in its order.

    A chat is asked up to its last assistant turn, which is the reference. Of a preference the chosen answer
    is, of a labelled text the class, or its classes as a JSON list.

    Raises:
        DataError: There is no example, or a chat has no assistant turn.

    Examples:
        >>> items_of([CompletionExample(prompt="My parcel is late", completion="delivery")])[0].reference
        'delivery'
    """
    examples = tuple(examples)
    if not examples:
        raise DataError("the test set is empty", hint="evaluate on at least one example; 200 say much more")
    names = _unique(example.id or f"#{position}" for position, example in enumerate(examples))
    return tuple(_item(name, example) for name, example in zip(names, examples, strict=True))


def _item(name: str, example: Example) -> Item:
    match example:
        case ChatExample():
            return _chat_item(name, example)
        case CompletionExample(prompt=prompt, completion=completion):
            return Item(id=name, prompt=prompt, reference=completion, example=example)
        case PreferenceExample(messages=messages, chosen=chosen, tools=tools):
            return Item(id=name, prompt=messages, reference=_text_of(chosen), tools=tools, example=example)
        case UnpairedExample(messages=messages, completion=completion, desirable=desirable, tools=tools):
            reference = _text_of(completion) if desirable else None
            return Item(id=name, prompt=messages, reference=reference, tools=tools, example=example)
        case PromptExample(messages=messages, tools=tools):
            return Item(id=name, prompt=messages, reference=None, tools=tools, example=example)
        case LabelledExample(text=text, label=label):
            return Item(id=name, prompt=text, reference=_classes(label), example=example)
        case SegmentsExample():
            raise DataError(
                f"test example {name!r} is a text in segments, which asks no single question",
                field="segments",
                hint="convert the rows to prompts with completions",
            )


def _text_of(answer: str | tuple[Message, ...]) -> str | None:
    """What was said in the last turn; a turn that only calls tools says nothing."""
    return answer if isinstance(answer, str) else answer[-1].content


def _classes(label: str | tuple[str, ...]) -> str:
    """The class, or several as a JSON list, sorted: what a classifier that may name several answers with."""
    return label if isinstance(label, str) else json.dumps(sorted(set(label)), ensure_ascii=False)


def _chat_item(name: str, chat: ChatExample) -> Item:
    turns = [position for position, message in enumerate(chat.messages) if message.role == "assistant"]
    if not turns:
        raise DataError(
            f"test example {name!r} has no assistant turn, so there is no answer to compare with",
            field="messages",
            hint="add the expected answer as the last assistant message",
        )
    last = turns[-1]
    return Item(
        id=name,
        prompt=chat.messages[:last],
        reference=chat.messages[last].content,
        tools=chat.tools,
        example=chat,
    )


def _unique(names: Iterable[str]) -> list[str]:
    """The names, with `~2`, `~3` after repeated ones: a table shown twice must not merge two questions."""
    seen: Counter[str] = Counter()
    taken: set[str] = set()
    result = []
    for name in names:
        seen[name] += 1
        unique = name if seen[name] == 1 else f"{name}~{seen[name]}"
        while unique in taken:
            seen[name] += 1
            unique = f"{name}~{seen[name]}"
        taken.add(unique)
        result.append(unique)
    return result
