"""The name of a task in what a model reads. Knows prompts of every kind; not what tasks there are.

Training rows, test rows and questions of a product all go through `ask`: a model that is asked otherwise than it was
trained answers worse, and nothing else would say so.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from string import Formatter
from typing import Literal, TypeAlias, TypeVar

from tunekit.data.arguments import one_of, optional_text, text
from tunekit.data.wording import brief, listed
from tunekit.errors import DataError, SpecError
from tunekit.examples import CompletionExample, Example, LabelledExample, Message, SegmentsExample

Where: TypeAlias = Literal["input", "system"]
Asked = TypeVar("Asked", str, tuple[Message, ...], str | tuple[Message, ...])

_TO_CHAT = "call to_chat() first, or use where='input'"


def keyed(
    examples: Iterable[Example], key: str, *, where: Where, task: str | None, task_key: str
) -> Iterator[Example]:
    """Rows with the name of their task in their input. The promises are in `Dataset.with_task`."""
    text("task_key", task_key, such_as="task")
    optional_text("task", task, such_as="topic")
    check(key, where)
    for position, example in enumerate(examples, start=1):
        name = task if task is not None else example.meta.get(task_key)
        row = example.id or f"#{position}"
        if not isinstance(name, str) or not name:
            known = listed(map(str, example.meta)) or "no meta columns"
            raise DataError(
                f"row {row!r} has {brief(name)} as its task",
                field=task_key,
                hint=f"pass task=, or name the column with task_key=; the row has {known}",
            )
        try:
            yield _keyed(example, key, name, where).replace(meta={**example.meta, task_key: name})
        except DataError as error:
            raise DataError(f"row {row!r} {error.message}", hint=error.hint) from None


def ask(prompt: Asked, task: str, key: str = "{task}: ", *, where: Where = "input") -> Asked:
    """A question of your product, put as `Dataset.with_task` put those that the model was trained on.

    Args:
        prompt: A text, or the turns of a chat.
        task: Name of the task.
        key: As in `Dataset.with_task`.
        where: As in `Dataset.with_task`.

    Raises:
        SpecError: An argument is wrong.
        DataError: The prompt has the key already, or no place for it.

    Examples:
        >>> ask("My parcel is late", "topic")
        'topic: My parcel is late'
        >>> [turn.content for turn in ask((Message(role="user", content="Hi"),), "topic", where="system", key="{task}")]
        ['topic', 'Hi']
    """
    check(key, where)
    text("task", task, such_as="topic")
    return _asked(prompt, key.replace("{task}", task), where)


def check(key: str, where: Where) -> None:
    """Refuse a key that does not name the task.

    Raises:
        SpecError: It does not, or there is no such place.
    """
    one_of("where", where, ("input", "system"))
    text("key", key, such_as="{task}: ")
    try:
        fields = [name for _, name, *_ in Formatter().parse(key) if name is not None]
    except ValueError:
        fields = []
    if fields != ["task"] or key.count("{task}") != 1 or "{{" in key or "}}" in key:
        raise SpecError(f"key is {brief(key)}", hint="write {task} once where its name goes: '{task}: '")


def _keyed(example: Example, key: str, task: str, where: Where) -> Example:
    written = key.replace("{task}", task)
    if isinstance(example, LabelledExample):
        return example.replace(text=_asked(example.text, written, where))
    if isinstance(example, CompletionExample):
        return example.replace(prompt=_asked(example.prompt, written, where))
    if isinstance(example, SegmentsExample):
        raise DataError("is a text in segments", hint="call with_task() before to_segments()")
    return example.replace(messages=_asked(example.messages, written, where))


def _asked(prompt: Asked, written: str, where: Where) -> Asked:
    if isinstance(prompt, str):
        if where == "system":
            raise DataError("is no chat, so it has no system message", hint=_TO_CHAT)
        return _before(prompt, written)
    turns = tuple(prompt)
    return _as_system(turns, written) if where == "system" else _in_first_user_turn(turns, written)


def _as_system(turns: Sequence[Message], written: str) -> tuple[Message, ...]:
    if not turns or turns[0].role not in ("system", "developer"):
        return (Message(role="system", content=written), *turns)
    first = turns[0]
    if (first.content or "").partition("\n\n")[0] == written:
        raise _twice(written)
    parts = ({"type": "text", "text": f"{written}\n\n"}, *first.parts) if first.parts else ()
    return (first.replace(content=f"{written}\n\n{first.content or ''}", parts=parts), *turns[1:])


def _in_first_user_turn(turns: Sequence[Message], written: str) -> tuple[Message, ...]:
    at = next((at for at, turn in enumerate(turns) if turn.role == "user"), None)
    if at is None:
        raise DataError("has no user turn", hint="use where='system'")
    turn = turns[at]
    parts = ({"type": "text", "text": written}, *turn.parts) if turn.parts else ()
    keyed_turn = turn.replace(content=_before(turn.content or "", written), parts=parts)
    return (*turns[:at], keyed_turn, *turns[at + 1 :])


def _before(prompt: str, written: str) -> str:
    if prompt.startswith(written):
        raise _twice(written)
    return written + prompt


def _twice(written: str) -> DataError:
    return DataError(
        f"begins with {brief(written)} already", hint="call with_task() once, before or after mixing"
    )
