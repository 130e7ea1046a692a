"""How the classes of classification-like data are spelled, and how to spell them otherwise. Judges no spelling."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tunekit.data.classes.targets import MAX_CLASS_CHARS, MAX_CLASSES, are_few
from tunekit.data.similarity.keys import text_key
from tunekit.examples import ChatExample, CompletionExample, Example, LabelledExample, Message


def class_texts(example: Example) -> list[tuple[str, str]] | None:
    """The labels of a row with their fields, or its one short answer; None where it has neither.

    Examples:
        >>> class_texts(CompletionExample(prompt="My parcel is late", completion="delivery"))
        [('completion', 'delivery')]
    """
    if isinstance(example, LabelledExample):
        if isinstance(example.label, str):
            return [("label", example.label)]
        return [(f"label[{index}]", label) for index, label in enumerate(example.label)]
    if isinstance(example, CompletionExample):
        return [("completion", example.completion)] if len(example.completion) <= MAX_CLASS_CHARS else None
    answer = _only_answer(example) if isinstance(example, ChatExample) else None
    return None if answer is None else [(f"messages[{answer[0]}].content", answer[1])]


def _only_answer(chat: ChatExample) -> tuple[int, str] | None:
    """Position and text of the one assistant turn, where it is short and plain."""
    answers = [(index, turn) for index, turn in enumerate(chat.messages) if turn.role == "assistant"]
    if len(answers) != 1:
        return None
    index, turn = answers[0]
    plain = not (turn.tool_calls or turn.parts or turn.reasoning)
    if not plain or turn.content is None or len(turn.content) > MAX_CLASS_CHARS:
        return None
    return index, turn.content


def respelled(example: Example, spellings: Mapping[str, str]) -> Example:
    """The row with its labels, or its one short answer, spelled as `spellings` says; the same object if it has none."""
    found = class_texts(example) or []
    if not any(text in spellings for _, text in found):
        return example
    texts = tuple(spellings.get(text, text) for _, text in found)
    if isinstance(example, LabelledExample):
        return example.replace(label=texts[0] if isinstance(example.label, str) else texts)
    if isinstance(example, CompletionExample):
        return example.replace(completion=texts[0])
    if isinstance(example, ChatExample):
        return example.replace(messages=_with_answer(example.messages, texts[0]))
    return example


def _with_answer(turns: Sequence[Message], text: str) -> tuple[Message, ...]:
    return tuple(turn.replace(content=text) if turn.role == "assistant" else turn for turn in turns)


class Spellings:
    """How often each class is spelled which way. Feed it every row once, then ask.

    Attributes:
        counts: How often each spelling occurs, in order of first sight; a label over 100 characters is cut
            and told from others by a hash.
        too_many: Whether there were more spellings than can be classes; then `counts` is empty.
    """

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}
        self.too_many = False
        self._cut: set[str] = set()
        self._rows = self._answers = 0
        self._asks = False
        self._is_open = True

    def see(self, example: Example) -> list[tuple[str, str]]:
        """Take in one row; its class texts with their fields, as far as they count."""
        self._rows += 1
        self._answers += not isinstance(example, LabelledExample)
        self._asks = self._asks or not isinstance(example, CompletionExample) or bool(example.prompt)
        found = class_texts(example) if self._is_open else None
        if found is None:
            self._close()
            return []
        named = [(field, self._named(text)) for field, text in found]
        for _, name in named:
            self.counts[name] = self.counts.get(name, 0) + 1
        if len(self.counts) > MAX_CLASSES:
            self.too_many = True
            self._close()
        return named

    def _named(self, text: str) -> str:
        if len(text) <= MAX_CLASS_CHARS:
            return text
        name = f"{text[:MAX_CLASS_CHARS]}... {text_key(text):016x}"
        self._cut.add(name)
        return name

    def _close(self) -> None:
        self._is_open = False
        self.counts, self._cut = {}, set()

    @property
    def are_classes(self) -> bool:
        """Whether these are classes: labels always, short answers where there are few."""
        different = len({text.strip() for text in self.counts})
        return bool(self.counts) and self._asks and (not self._answers or are_few(different, self._rows))

    @property
    def whole(self) -> dict[str, int]:
        """The counts of the spellings that are not blank and not cut."""
        return {text: count for text, count in self.counts.items() if text.strip() and text not in self._cut}
