"""Hypothesis strategies for examples of every kind: what people really write, and the corners of it.

Every strategy gives examples that teach something (`chat()` ends in an assistant turn that says or calls something),
with a row id and meta columns. `chat(...)` takes what a shape cannot hold as arguments that leave it out.
"""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

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
    ToolCall,
    UnpairedExample,
    text_of,
)

TEXT = st.text(max_size=20)  # all of Unicode but half surrogate pairs, which are no characters
SAID = TEXT.filter(lambda text: bool(text.strip()))
NAME = st.sampled_from(["lookup", "get_price", "f-1", "búsqueda"])
FINITE = st.floats(allow_nan=False, allow_infinity=False)
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | FINITE | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=5,
)
OBJECT = st.dictionaries(TEXT, JSON, max_size=3)
WEIGHT = st.just(1.0) | st.sampled_from([0.5, 2.0])
# Prefixed, so that no column is called like a key of some shape.
META = st.dictionaries(TEXT.map(lambda text: f"column {text}"), JSON, max_size=2)
ROW: dict[str, Any] = {"id": TEXT.map(lambda text: text or "row"), "meta": META}


def arguments() -> st.SearchStrategy[str]:
    """Arguments of a call, spelled as tunekit spells an object."""
    return OBJECT.map(lambda value: json.dumps(value, ensure_ascii=False))


@st.composite
def tool(draw: st.DrawFn, *, schema: bool = False) -> dict[str, Any]:
    """A tool in OpenAI's form; with `schema` it always describes its parameters."""
    function: dict[str, Any] = {"name": draw(NAME)}
    if draw(st.booleans()):
        function["description"] = draw(TEXT)
    if schema or draw(st.booleans()):
        names = draw(st.lists(NAME, max_size=2, unique=True))
        properties = {name: {"type": draw(st.sampled_from(["string", "integer"]))} for name in names}
        function["parameters"] = {"type": "object", "properties": properties}
    return {"type": "function", "function": function}


def tools(*, schema: bool = False) -> st.SearchStrategy[tuple[dict[str, Any], ...]]:
    """The tools of an example; mostly none."""
    return st.just(()) | st.lists(tool(schema=schema), max_size=2).map(tuple)


def part() -> st.SearchStrategy[dict[str, Any]]:
    """A part of a content, in OpenAI's form."""
    return st.one_of(
        st.fixed_dictionaries({"type": st.just("text"), "text": TEXT}),
        st.fixed_dictionaries(
            {"type": st.just("image_url"), "image_url": st.fixed_dictionaries({"url": TEXT})}
        ),
        st.fixed_dictionaries(
            {
                "type": st.just("input_audio"),
                "input_audio": st.fixed_dictionaries({"data": TEXT, "format": st.just("wav")}),
            }
        ),
    )


@st.composite
def prompt_turns(
    draw: st.DrawFn, *, parts: bool = False, names: bool = False, blank_system: bool = True
) -> tuple[Message, ...]:
    """A conversation up to the answer: at most one system turn, questions and earlier answers, the user last."""
    turns: list[Message] = []
    if draw(st.booleans()):
        turns.append(Message(role="system", content=draw(TEXT if blank_system else SAID)))
    for _ in range(draw(st.integers(0, 1))):
        turns += [_user(draw, parts, names), Message(role="assistant", content=draw(TEXT))]
    return (*turns, _user(draw, parts, names))


def _user(draw: st.DrawFn, parts: bool, names: bool) -> Message:
    name = draw(st.none() | NAME) if names else None
    if parts and draw(st.booleans()):
        found = tuple(draw(st.lists(part(), min_size=1, max_size=3)))
        return Message(role="user", content=text_of(found), parts=found, name=name)
    return Message(role="user", content=draw(TEXT), name=name)


@st.composite
def chat(
    draw: st.DrawFn,
    *,
    ids: bool = True,
    schema: bool = False,
    blank_system: bool = True,
    parallel: bool = True,
    calls_and_content: bool = True,
    parts: bool = False,
    names: bool = False,
    weights: bool = False,
    reasoning: bool = False,
) -> ChatExample:
    """A conversation with or without tools, that ends in an answer.

    Args:
        draw: Given by Hypothesis.
        ids: Calls have ids of their own; else they are "call_1", "call_2", ... in the order of the calls.
        schema: Every tool describes its parameters.
        blank_system: The system turn may be empty.
        parallel: A turn may make two calls.
        calls_and_content: A turn that calls something may say something too.
        parts: User turns may have parts.
        names: User and tool turns may have names.
        weights: Assistant turns may have weights.
        reasoning: Assistant turns may think.
    """
    turns = list(draw(prompt_turns(parts=parts, names=names, blank_system=blank_system)))
    numbers = iter(range(1, 100))

    def assistant(**said: Any) -> Message:
        if weights:
            said["weight"] = draw(WEIGHT)
        if reasoning:
            said["reasoning"] = draw(st.none() | SAID)
        return Message(role="assistant", **said)

    for _ in range(draw(st.integers(0, 2))):
        calls = []
        for _ in range(draw(st.integers(1, 2 if parallel else 1))):
            number = next(numbers)
            id = f"{draw(st.sampled_from(['call', 'toolu', 'x']))}_{number}" if ids else f"call_{number}"
            calls.append(ToolCall(id=id, name=draw(NAME), arguments=draw(arguments())))
        content = draw(st.none() | SAID) if calls_and_content else None
        turns.append(assistant(content=content, tool_calls=tuple(calls)))
        for call in calls:
            name = draw(st.none() | st.just(call.name)) if names else None
            turns.append(Message(role="tool", content=draw(TEXT), tool_call_id=call.id, name=name))
    turns.append(assistant(content=draw(SAID)))
    return ChatExample(messages=tuple(turns), tools=draw(tools(schema=schema)), **draw(_row()))


def answer() -> st.SearchStrategy[str | tuple[Message, ...]]:
    """A text, or turns where it is more than one plain assistant turn."""
    call = st.builds(ToolCall, id=TEXT, name=NAME, arguments=arguments())
    calling = st.builds(
        Message,
        role=st.just("assistant"),
        content=st.none() | SAID,
        tool_calls=st.lists(call, min_size=1, max_size=2).map(tuple),
    )
    spoken = st.builds(Message, role=st.just("assistant"), content=SAID)
    return SAID | calling.map(lambda turn: (turn,)) | st.tuples(spoken, spoken)


def completion() -> st.SearchStrategy[CompletionExample]:
    """A prompt with its completion; the prompt may be empty."""
    return st.builds(CompletionExample, prompt=TEXT, completion=SAID, **ROW)


def preference() -> st.SearchStrategy[PreferenceExample]:
    """A conversation with a better and a worse answer."""
    return st.builds(
        PreferenceExample, messages=prompt_turns(), chosen=answer(), rejected=answer(), tools=tools(), **ROW
    )


def unpaired() -> st.SearchStrategy[UnpairedExample]:
    """A conversation, an answer, and whether it is good."""
    return st.builds(
        UnpairedExample,
        messages=prompt_turns(),
        completion=answer(),
        desirable=st.booleans(),
        tools=tools(),
        **ROW,
    )


def prompt() -> st.SearchStrategy[PromptExample]:
    """A conversation that ends with the user, and what graders compare with."""
    return st.builds(PromptExample, messages=prompt_turns(), reference=OBJECT, tools=tools(), **ROW)


def labelled() -> st.SearchStrategy[LabelledExample]:
    """A text and its label or labels."""
    return st.builds(LabelledExample, text=SAID, label=SAID | st.lists(SAID, max_size=3).map(tuple), **ROW)


@st.composite
def segments(draw: st.DrawFn) -> SegmentsExample:
    """A text in segments, at least one of which is learned."""
    segment = st.builds(Segment, text=TEXT, learn=st.booleans())
    learned = st.builds(Segment, text=SAID, learn=st.just(True))
    found = (*draw(st.lists(segment, max_size=3)), draw(learned), *draw(st.lists(segment, max_size=1)))
    return SegmentsExample(segments=found, **draw(_row()))


def example() -> st.SearchStrategy[Example]:
    """An example of any kind."""
    return st.one_of(
        chat(parts=True, names=True, weights=True, reasoning=True),
        completion(),
        preference(),
        unpaired(),
        prompt(),
        labelled(),
        segments(),
    )


def _row() -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(ROW)
