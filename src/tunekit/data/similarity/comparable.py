"""The texts of a row as near duplicates are compared: normalised, input and answer apart. Knows the kinds only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from tunekit.data.classes.targets import MAX_CLASS_CHARS
from tunekit.data.similarity.keys import text_key, value_key
from tunekit.data.similarity.normalise import normalise
from tunekit.data.views import last_answer, texts, turn_texts
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


class Comparable(NamedTuple):
    """A row's texts, normalised.

    Attributes:
        input: What the model reads; turns apart by line breaks.
        answer: What it should answer.
        exact: What must be equal to the letter before two rows can be near duplicates: the kind, labels, a verdict,
            both answers of a preference, tools, images, and an answer so short that it may be a class or a number.
    """

    input: str
    answer: str
    exact: str

    @property
    def key(self) -> int:
        """The key of the row after normalising."""
        return text_key("\f".join(self))  # normalised texts hold no form feed


def comparable(example: Example) -> Comparable:
    r"""The row as it is compared with others.

    Examples:
        >>> comparable(CompletionExample(prompt="Where is it?", completion="Delivery!"))
        Comparable(input='where is it', answer='', exact='completion\n\ndelivery')
    """
    read, said, exact = _sides(example)
    short = read and len(said) <= MAX_CLASS_CHARS
    parts = (example.kind, exact, said) if short else (example.kind, exact)
    return Comparable(read, "" if short else said, "\n".join(parts))


def _sides(example: Example) -> tuple[str, str, str]:
    if isinstance(example, CompletionExample):
        return normalise(example.prompt), normalise(example.completion), ""
    if isinstance(example, LabelledExample):
        labels = (example.label,) if isinstance(example.label, str) else example.label
        return normalise(example.text), "", "\n".join(sorted(label.strip() for label in labels))
    if isinstance(example, SegmentsExample):
        read = [segment.text for segment in example.segments if not segment.learn]
        said = [segment.text for segment in example.segments if segment.learn]
        return _lines(read), _lines(said), ""
    if isinstance(example, ChatExample):
        last = last_answer(example.messages)
        unspoken = _unspoken(example.messages, example.tools)
        return _turns(example.messages[:last]), _turns(example.messages[last:]), unspoken
    return _judged_sides(example)


def _judged_sides(example: PreferenceExample | UnpairedExample | PromptExample) -> tuple[str, str, str]:
    read = _turns(example.messages)
    if isinstance(example, PromptExample):
        said = _lines(text for field, text, _ in texts(example) if field.startswith("reference."))
        return read, said, _unspoken(example.messages, example.tools)
    if isinstance(example, PreferenceExample):
        # What is better about an answer may be one word: only equal pairs of answers make rows alike.
        better, worse = _as_turns(example.chosen), _as_turns(example.rejected)
        unspoken = _unspoken((*example.messages, *better, *worse), example.tools)
        return read, "", "\n".join([_turns(better), _turns(worse), unspoken])
    answer = _as_turns(example.completion)
    unspoken = _unspoken((*example.messages, *answer), example.tools)
    return read, _turns(answer), f"{'good' if example.desirable else 'bad'} {unspoken}"


def _as_turns(answer: str | tuple[Message, ...]) -> tuple[Message, ...]:
    return (Message(role="assistant", content=answer),) if isinstance(answer, str) else answer


def _turns(turns: Iterable[Message]) -> str:
    return _lines(text for _, text, _ in turn_texts(turns, ""))


def _lines(found: Iterable[str]) -> str:
    return "\n".join([normalise(text) for text in found])


def _unspoken(turns: Iterable[Message], tools: Sequence[Mapping[str, Any]]) -> str:
    """What a conversation holds beside its texts: images and the like, and tools."""
    parts = [part for turn in turns for part in turn.parts if part.get("type") != "text"]
    return f"{value_key((parts, tools)):x}" if parts or tools else ""
