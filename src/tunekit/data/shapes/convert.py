"""One kind of example as another, where that keeps the meaning; else why not, and what to do. Knows no records."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from tunekit.data.classes.targets import MAX_CLASS_CHARS
from tunekit.errors import DataError
from tunekit.examples import (
    ChatExample,
    CompletionExample,
    Example,
    LabelledExample,
    Message,
    PreferenceExample,
    PromptExample,
    Segment,
    SegmentsExample,
    UnpairedExample,
)

# Why rows of these kinds become nothing else by themselves, and what to do about it.
_WHY = {
    "preference": (
        "it has a better and a worse answer",
        "convert with to_unpaired() first, and keep the rows that you want to learn from",
    ),
    "unpaired": ("its answer may be a bad one", "keep the desirable rows, and map those to what you need"),
    "prompt": (
        "it has no answer, only a reference for graders",
        "map the dataset and say what the answer is",
    ),
    "segments": ("its text is in segments, not in turns", "load the data in a shape that has turns"),
    "chat": ("it is a conversation", "map the dataset and say which of its turns are meant"),
    "labelled": ("it is a text with a label", "use to_completion() first"),
    "completion": ("it has no turns", "use to_chat() first"),
}


def to_chat(example: Example, system: str | None = None) -> ChatExample:
    """The example as a chat: the prompt as the user's turn, the answer as the assistant's.

    Args:
        example: A chat, a completion or a labelled example.
        system: What to put first in a chat that has no system or developer turn.

    Raises:
        DataError: It is of another kind, or there is no prompt.

    Examples:
        >>> chat = to_chat(CompletionExample(prompt="2+2", completion="4"), system="Be brief.")
        >>> [turn.role for turn in chat.messages]
        ['system', 'user', 'assistant']
    """
    if isinstance(example, ChatExample):
        turns, tools = example.messages, example.tools
    elif isinstance(example, (CompletionExample, LabelledExample)):
        (prompt, answer), tools = _pair(example, "chat"), ()
        turns = (_user(prompt), Message(role="assistant", content=answer))
    else:
        raise _cannot(example, "chat")
    if system is not None and not any(turn.role in ("system", "developer") for turn in turns):
        turns = (Message(role="system", content=system), *turns)
    return ChatExample(messages=turns, tools=tools, id=example.id, meta=example.meta)


def to_completion(example: Example) -> CompletionExample:
    """The example as a prompt with its completion.

    Args:
        example: A completion, a labelled example, a chat of one question and one answer, or segments of which the
            last are learned and those before are not.

    Raises:
        DataError: One prompt and one completion cannot hold it.
    """
    if isinstance(example, CompletionExample):
        return example
    if isinstance(example, SegmentsExample):
        prompt, answer = _read_then_learned(example)
    elif isinstance(example, ChatExample):
        prompt, answer = _question_and_answer(example)
    elif isinstance(example, LabelledExample):
        prompt, answer = _pair(example, "completion")
    else:
        raise _cannot(example, "completion")
    return CompletionExample(prompt=prompt, completion=answer, id=example.id, meta=example.meta)


def to_labelled(example: Example) -> LabelledExample:
    """The example as a text with its label, both to the letter.

    Raises:
        DataError: It has no text to classify, or its answer is no label: it has more than a hundred characters or
            several lines.
    """
    if isinstance(example, LabelledExample):
        return example
    pair = to_completion(example)
    if not pair.prompt.strip():
        raise _cannot(example, "labelled", "there is no text to classify", "name the text column with input=")
    if len(pair.completion) > MAX_CLASS_CHARS or "\n" in pair.completion.strip():
        why = f"its answer of {len(pair.completion):,} characters is no label"
        raise _cannot(example, "labelled", why, "use the rows as completions")
    return LabelledExample(text=pair.prompt, label=pair.completion, id=pair.id, meta=pair.meta)


def to_prompt(example: Example) -> PromptExample:
    """The example as a prompt to be graded, its answer as the reference `"answer"` (RFT).

    Raises:
        DataError: It does not end with one answer in plain text.
    """
    if isinstance(example, PromptExample):
        return example
    if isinstance(example, LabelledExample) and not isinstance(example.label, str):
        labels = {"answer": list(example.label)}
        return PromptExample(
            messages=(_user(example.text),), reference=labels, id=example.id, meta=example.meta
        )
    turns, answer, tools = _before_and_answer(to_chat(example), "prompt")
    return PromptExample(
        messages=turns, reference={"answer": answer}, tools=tools, id=example.id, meta=example.meta
    )


def to_text(example: Example) -> CompletionExample:
    """The example as raw text, all of which is learned: prompt and completion, or the segments, end to end.

    Raises:
        DataError: It has turns or labels, which are no text before a template has made them one.
    """
    if isinstance(example, CompletionExample):
        text = example.prompt + example.completion
    elif isinstance(example, SegmentsExample):
        text = "".join(segment.text for segment in example.segments)
    else:
        raise _cannot(
            example, "text", "only a template or a format of yours makes it one text", "map the dataset"
        )
    return CompletionExample(prompt="", completion=text, id=example.id, meta=example.meta)


def to_segments(example: Example) -> SegmentsExample:
    """The example as segments: the prompt is read, the completion is learned.

    Raises:
        DataError: It is no completion and cannot become one.
    """
    if isinstance(example, SegmentsExample):
        return example
    pair = to_completion(example)
    segments = (Segment(text=pair.prompt, learn=False), Segment(text=pair.completion, learn=True))
    return SegmentsExample(segments=segments[not pair.prompt :], id=pair.id, meta=pair.meta)


# --- answers with verdicts ----------------------------------------------------------------------------


def to_unpaired(examples: Iterable[Example]) -> Iterator[UnpairedExample]:
    """Every answer with its verdict: two rows of each preference; answers that stand alone are desirable.

    The rows of a preference have its id with ".1" for the better and ".2" for the worse answer.

    Raises:
        DataError: A row has no answer.
    """
    for example in examples:
        if isinstance(example, UnpairedExample):
            yield example
        elif isinstance(example, PreferenceExample):
            for number, answer in enumerate((example.chosen, example.rejected), start=1):
                yield UnpairedExample(
                    messages=example.messages,
                    completion=answer,
                    desirable=number == 1,
                    tools=example.tools,
                    id=f"{example.id}.{number}",
                    meta=example.meta,
                )
        else:
            turns, answer, tools = _before_and_answer(to_chat(example), "unpaired")
            yield UnpairedExample(
                messages=turns,
                completion=answer,
                desirable=True,
                tools=tools,
                id=example.id,
                meta=example.meta,
            )


def to_preference(examples: Iterable[Example]) -> Iterator[PreferenceExample]:
    """Pairs of a good and a bad answer to the same prompt, in the order in which the prompts first appear.

    Where there are more answers of one verdict, those of the other are used again from the first, so that every answer
    is in a pair. A pair has the id and the meta columns of the answer that is in it alone; of the good one, where both
    are.

    Raises:
        DataError: A row has no verdict, or the answers to a prompt are all good or all bad.
    """
    groups: dict[Any, tuple[list[UnpairedExample], list[UnpairedExample]]] = {}
    for example in examples:
        if isinstance(example, PreferenceExample):
            groups[len(groups)] = _verdicts(example)
        elif isinstance(example, UnpairedExample):
            key = (example.messages, repr(example.tools))
            groups.setdefault(key, ([], []))[not example.desirable].append(example)
        else:
            raise _cannot(
                example, "preference", "it has no verdict", "load data that says which answers are good"
            )
    for good, bad in groups.values():
        if not good or not bad:
            raise _one_verdict((good or bad)[0])
    for good, bad in groups.values():
        yield from _pairs(good, bad)


def _verdicts(example: PreferenceExample) -> tuple[list[UnpairedExample], list[UnpairedExample]]:
    good, bad = to_unpaired([example])
    return [good.replace(id=example.id)], [bad]


def _pairs(good: list[UnpairedExample], bad: list[UnpairedExample]) -> Iterator[PreferenceExample]:
    for index in range(max(len(good), len(bad))):
        chosen, rejected = good[index % len(good)], bad[index % len(bad)]
        named = chosen if len(good) >= len(bad) else rejected
        yield PreferenceExample(
            messages=chosen.messages,
            chosen=chosen.completion,
            rejected=rejected.completion,
            tools=chosen.tools,
            id=named.id,
            meta=named.meta,
        )


def _one_verdict(example: UnpairedExample) -> DataError:
    verdict = "desirable" if example.desirable else "undesirable"
    return _cannot(
        example,
        "preference",
        f"all answers to its prompt are {verdict}",
        "filter such prompts out, or train on the rows as they are: KTO needs no pairs",
    )


# --- parts --------------------------------------------------------------------------------------------


def _cannot(example: Example, kind: str, why: str = "", hint: str = "") -> DataError:
    known_why, known_hint = _WHY[example.kind]
    return DataError(
        f"row {example.id!r} cannot become a {kind} example: {why or known_why}", hint=hint or known_hint
    )


def _user(text: str) -> Message:
    return Message(role="user", content=text)


def _pair(example: CompletionExample | LabelledExample, kind: str) -> tuple[str, str]:
    if isinstance(example, CompletionExample):
        if not example.prompt.strip():
            hint = "raw text has no turns; train on it as it is, or name the prompts with input="
            raise _cannot(example, kind, "it has no prompt", hint)
        return example.prompt, example.completion
    if isinstance(example.label, str):
        return example.text, example.label
    hint = 'map the dataset and join the labels, such as with ", ".join(row.label)'
    raise _cannot(example, kind, f"it has {len(example.label)} labels, and an answer is one text", hint)


def _question_and_answer(example: ChatExample) -> tuple[str, str]:
    roles = [turn.role for turn in example.messages]
    if roles != ["user", "assistant"] or example.tools:
        has = "tools" if roles == ["user", "assistant"] else f"the turns {', '.join(roles[:6])}"
        why = f"it has {has}, where a completion has one question and one answer"
        raise _cannot(example, "completion", why, "train on chats as they are; every method takes them")
    question, answer = example.messages
    for turn in (question, answer):
        if turn.content is None or turn != Message(role=turn.role, content=turn.content):
            why = "a turn has more than a text: a name, a weight, parts, a thought or calls"
            raise _cannot(example, "completion", why, "train on chats as they are; every method takes them")
    return question.content or "", answer.content or ""


def _read_then_learned(example: SegmentsExample) -> tuple[str, str]:
    learned = [segment.learn for segment in example.segments]
    if learned != sorted(learned) or not any(learned):
        why = "what is learned does not stand at its end alone"
        raise _cannot(example, "completion", why, "train on segments as they are")
    first = learned.index(True)
    texts = [segment.text for segment in example.segments]
    return "".join(texts[:first]), "".join(texts[first:])


def _before_and_answer(example: ChatExample, kind: str) -> tuple[tuple[Message, ...], str, tuple[Any, ...]]:
    *before, last = example.messages
    plain = last.content is not None and last == Message(role="assistant", content=last.content)
    if not before or not plain:
        hint = "map the dataset and say which turns are the answer"
        raise _cannot(example, kind, "it does not end with one answer in plain text", hint)
    return tuple(before), last.content or "", example.tools
