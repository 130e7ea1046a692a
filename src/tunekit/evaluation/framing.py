"""Whether a tuned model is asked as it was trained: what stands around every question. Knows texts; not models.

A model that learned "Ticket: ... Team:" answers the bare ticket worse, and nothing fails. So what all prompts of the
training data have in common is held against what all prompts of the test have.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from tunekit.backends.base import Prompt
from tunekit.data.wording import brief
from tunekit.errors import DataError
from tunekit.evaluation.items import items_of
from tunekit.examples import Example

LOOKED_AT = 200
"""Prompts of each side that are read."""
_LEAST = 10  # prompts of a side, below which what they share may be chance
_CHANCE = 3  # characters that all may share by chance: a full stop, "? "


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """What all prompts of one side have in common.

    Attributes:
        is_chat: Whether they are chats.
        system: The system message of every one; "" where they have none, or not the same.
        before: Text with which every last turn begins.
        after: Text with which every last turn ends.
    """

    is_chat: bool
    system: str
    before: str
    after: str


def asked_otherwise(train: Iterable[Example], asked: Sequence[Prompt]) -> tuple[str, ...]:
    """How the prompts of a test differ from those that a model was trained on, in words; empty where they do not.

    Args:
        train: Its training data; the first are read.
        asked: Prompts as it is asked them.

    Examples:
        >>> from tunekit.examples import CompletionExample
        >>> rows = [CompletionExample(prompt=f"Ticket: {n} Team:", completion="billing") for n in range(20)]
        >>> asked_otherwise(rows, [f"{n}" for n in range(20)])[0]
        "every prompt of its training begins with 'Ticket: ', and those of this test do not"
    """
    learned, asked = list(_prompts(islice(train, LOOKED_AT))), asked[:LOOKED_AT]
    if min(len(learned), len(asked)) < _LEAST:
        return ()
    trained, tested = _frame(learned), _frame(asked)
    if trained is None or tested is None:
        return ()  # some are chats and some are not
    if trained.is_chat != tested.is_chat:
        words = ("a chat", "plain text") if trained.is_chat else ("plain text", "a chat")
        return (f"every prompt of its training is {words[0]}, and those of this test are {words[1]}",)
    return tuple(_differences(trained, tested, learned, asked))


def _prompts(rows: Iterable[Example]) -> Iterator[Prompt]:
    for row in rows:
        try:
            yield items_of([row])[0].prompt
        except DataError:
            continue  # a chat without an answer is learned from in another way


def _frame(prompts: Sequence[Prompt]) -> Frame | None:
    kinds = {isinstance(prompt, str) for prompt in prompts}
    if len(kinds) > 1:
        return None
    systems = {_system(prompt) for prompt in prompts}
    last = [_last(prompt) for prompt in prompts]
    before = _common_start(last)
    after = _common_start([text[::-1] for text in last])[::-1]
    return Frame(
        is_chat=kinds == {False},
        system=systems.pop() if len(systems) == 1 else "",
        before=before,
        after=after,
    )


def _differences(
    trained: Frame, tested: Frame, learned: Sequence[Prompt], asked: Sequence[Prompt]
) -> Iterator[str]:
    if trained.system != tested.system:
        which = ("its training", "this test") if trained.system else ("this test", "its training")
        system = brief(trained.system or tested.system)
        yield f"every chat of {which[0]} has the system message {system}, and those of {which[1]} do not"
    ways: tuple[tuple[str, str, str, Callable[[str, str], bool]], ...] = (
        ("begins", trained.before, tested.before, str.startswith),
        ("ends", trained.after, tested.after, str.endswith),
    )
    for verb, then, now, has in ways:
        if _tells(then) and not any(has(_last(prompt), then) for prompt in asked):
            yield f"every prompt of its training {verb} with {brief(then)}, and those of this test do not"
        elif _tells(now) and not any(has(_last(prompt), now) for prompt in learned):
            yield f"every prompt of this test {verb} with {brief(now)}, and those of its training do not"


def _common_start(texts: Sequence[str]) -> str:
    first, last = min(texts), max(texts)  # what these two share, all between them share
    length = next((at for at, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), len(first))
    return first[:length]


def _tells(shared: str) -> bool:
    return len(shared) > _CHANCE or "\n" in shared


def _system(prompt: Prompt) -> str:
    first = None if isinstance(prompt, str) or not prompt else prompt[0]
    return (first.content or "") if first is not None and first.role in ("system", "developer") else ""


def _last(prompt: Prompt) -> str:
    return prompt if isinstance(prompt, str) else (prompt[-1].content or "") if prompt else ""
