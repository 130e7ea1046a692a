"""How a question is put: a text or a chat with named fields, or a function. Knows one item; no model and no file."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from string import Formatter
from typing import Any, TypeAlias

from tunekit._canonical import fingerprint
from tunekit.backends.base import Prompt
from tunekit.data.messages import conversation
from tunekit.data.wording import brief, listed, nearest
from tunekit.errors import DataError, SpecError
from tunekit.evaluation.items import Item
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
    message_to_dict,
)

Turns: TypeAlias = Sequence[Message | Mapping[str, Any]]
TemplateFunction: TypeAlias = Callable[[Example], str | Turns]
TemplateLike: TypeAlias = str | Turns | TemplateFunction
ANSWER = "answer"
"""The field after which a model goes on: filled in a demonstration, cut off in a question."""


@dataclass(frozen=True, slots=True)
class Template:
    r"""A way to put a question, read once and filled for each item.

    Args:
        source: Text with fields in braces, such as `"Ticket: {text}\nTeam: {answer}"`; chat turns with such contents;
            or a function that is given the example without its answer. Fields are `prompt` (the whole question), `text`
            of a labelled row, and the columns in `meta`. `{{` is a brace. What follows the last field of a text is
            `{answer}`, on a line of its own where the text does not say.

    Raises:
        SpecError: It is none of the three, or its braces are no fields.

    Examples:
        >>> from tunekit.evaluation.items import items_of
        >>> (item,) = items_of([LabelledExample(text="It is late", label="delivery")])
        >>> template = Template("Ticket: {text}\nTeam: {answer}")
        >>> template.question(item)
        'Ticket: It is late\nTeam:'
        >>> template.solved(item)
        'Ticket: It is late\nTeam: delivery'
    """

    source: TemplateLike

    def __post_init__(self) -> None:
        if isinstance(self.source, str):
            _check_answer_is_last(self.source)
        elif not callable(self.source):
            object.__setattr__(self, "source", _chat_template(self.source))

    @property
    def hash(self) -> str:
        """Of the text or the turns; of a function, whose inside is its author's to version, its qualified name."""
        if isinstance(self.source, str):
            return fingerprint({"text": self.source})
        if callable(self.source):
            name = getattr(self.source, "__qualname__", type(self.source).__qualname__)
            return fingerprint({"function": f"{getattr(self.source, '__module__', '')}.{name}"})
        return fingerprint({"turns": [message_to_dict(turn) for turn in _turns(self.source)]})

    def question(self, item: Item) -> Prompt:
        """What the model is asked.

        Raises:
            SpecError: The item has no field of a name, or the function failed or gave no prompt.
        """
        if isinstance(self.source, str):
            return _filled(_before_answer(self.source), item)
        if callable(self.source):
            return _asked_by(self.source, item)
        return tuple(turn.replace(content=_filled(turn.content or "", item)) for turn in _turns(self.source))

    def solved(self, item: Item) -> str:
        """A text template with its answer, as a demonstration shows it."""
        reference = item.reference or ""
        if isinstance(self.source, str) and _ends_with_answer(self.source):
            return _filled(self.source.rstrip().removesuffix(f"{{{ANSWER}}}"), item) + reference
        return f"{self.question(item)}\n{reference}"


def values_of(item: Item) -> dict[str, str]:
    """The fields that a template may name, with their values. The answer is none of them."""
    fields = {name: _as_text(value) for name, value in item.example.meta.items()}
    fields["prompt"] = as_text(item.prompt)
    if isinstance(item.example, LabelledExample):
        fields["text"] = item.example.text
    return fields


def as_text(prompt: Prompt) -> str:
    """A question as one text: of a single turn what it says, of several with the role before each."""
    if isinstance(prompt, str):
        return prompt
    if len(prompt) == 1:
        return prompt[0].content or ""
    return "\n".join(f"{turn.role}: {turn.content or ''}" for turn in prompt)


def unanswered(example: Example) -> Example:
    """The example as a template function sees it: without its answer."""
    match example:
        case CompletionExample():
            return example.replace(completion="")
        case LabelledExample():
            return example.replace(label="")
        case PreferenceExample():
            return example.replace(chosen="", rejected="")
        case UnpairedExample():
            return example.replace(completion="")
        case PromptExample():
            return example.replace(reference={})
        case ChatExample(messages=messages):
            last = max((at for at, turn in enumerate(messages) if turn.role == "assistant"), default=0)
            return example.replace(messages=messages[:last])
        case SegmentsExample():
            return example  # no test has one; see `items_of`


def _asked_by(function: TemplateFunction, item: Item) -> Prompt:
    try:
        found = function(unanswered(item.example))
        return found if isinstance(found, str) else _turns(found)
    except Exception as error:
        raise SpecError(
            f"the template function has no prompt for item {brief(item.id)}: {type(error).__name__}: {error}",
            hint="it is given the example without its answer, and returns a text or a list of messages",
        ) from error


def _chat_template(source: object) -> tuple[Message, ...]:
    turns = _turns(source)
    if any(ANSWER in _fields(turn.content or "") for turn in turns):
        raise SpecError(
            f"{{{ANSWER}}} stands in a chat template",
            hint="leave it out: the answer is the assistant turn that follows",
        )
    return turns


def _turns(source: object) -> tuple[Message, ...]:
    if isinstance(source, Mapping) or not isinstance(source, Iterable):
        raise SpecError(
            f"a template is text, a list of messages or a function, not {brief(source)}",
            hint='write "Ticket: {text}", or [{"role": "user", "content": "{prompt}"}]',
        )
    try:
        plain = [message_to_dict(turn) if isinstance(turn, Message) else turn for turn in source]
        return conversation(plain, "template")
    except DataError as error:
        raise SpecError(f"the chat template is none: {error.message}", hint=error.hint) from error


def _pieces(text: str) -> list[tuple[str, str | None]]:
    """Literal text, each followed by a field or by nothing."""
    try:
        parsed = list(Formatter().parse(text))
    except ValueError as error:
        raise _broken(text, str(error)) from error
    for _, field, form, conversion in parsed:
        if field is not None and (not field.isidentifier() or form or conversion):
            raise _broken(text, f"{{{field}}} is no name of a field")
    return [(literal, field) for literal, field, _, _ in parsed]


def _broken(text: str, why: str) -> SpecError:
    return SpecError(
        f"template {brief(text)}: {why}", hint="write fields as {name}, and a brace itself as {{ or }}"
    )


def _fields(text: str) -> list[str]:
    return [field for _, field in _pieces(text) if field is not None]


def _check_answer_is_last(text: str) -> None:
    fields = _fields(text)
    if fields.count(ANSWER) > 1 or (ANSWER in fields and not _ends_with_answer(text)):
        raise SpecError(
            f"{{{ANSWER}}} is not at the end of template {brief(text)}",
            hint="the model goes on where the template ends: move it there, or leave it out",
        )


def _ends_with_answer(text: str) -> bool:
    return bool(pieces := _pieces(text.rstrip())) and pieces[-1][1] == ANSWER


def _before_answer(text: str) -> str:
    # A space before the answer belongs to its first token; left there, models say something else.
    return text.rstrip().removesuffix(f"{{{ANSWER}}}").rstrip() if _ends_with_answer(text) else text


def _filled(text: str, item: Item) -> str:
    values, parts = values_of(item), []
    for literal, field in _pieces(text):
        if field is not None and field not in values:
            raise SpecError(
                f"template {brief(text)}: item {brief(item.id)} has no field {brief(field)}",
                hint=nearest(field, values) or f"there are: {listed(sorted(values))}",
            )
        parts += [literal, "" if field is None else values[field]]
    return "".join(parts)


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
