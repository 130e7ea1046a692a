"""Every shape without turns of its own: written and read back, recognised among all others, refused where it cannot."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.data import strategies
from tunekit.data.shapes.catalogue import looked_at, recognised, shape, shapes
from tunekit.errors import DataError, SpecError
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

RAW = strategies.completion().map(lambda row: row.replace(prompt=""))
QUESTION = st.builds(
    lambda context, question, row: row.replace(prompt=f"{context}\n\n{question.replace(chr(10), ' ')}"),
    strategies.TEXT,
    strategies.TEXT,
    strategies.completion(),
)


def learned_last(chat: ChatExample) -> ChatExample:
    """The chat, only its last turn learned: what TRL's prompts and completions say."""
    turns = [turn.replace(weight=0.0) if turn.role == "assistant" else turn for turn in chat.messages[:-1]]
    return chat.replace(messages=(*turns, chat.messages[-1]))


def plain_reference(reference: Mapping[str, Any]) -> dict[str, Any]:
    """A reference under keys that mean nothing in any shape."""
    return {**{f"grader {key}": value for key, value in reference.items()}, "answer": "4"}


def as_prompt(chat: ChatExample) -> PromptExample:
    """The chat before its last answer, which is the reference."""
    *asked, answer = chat.messages
    reference = {"answer": answer.content}
    return PromptExample(
        messages=tuple(asked), reference=reference, tools=chat.tools, id=chat.id, meta=chat.meta
    )


def begin_apart(chosen: str | tuple[Message, ...], rejected: str | tuple[Message, ...]) -> bool:
    """Two answers of which the first turns differ: their conversations say where they begin."""
    firsts = [
        Message(role="assistant", content=said) if isinstance(said, str) else said[0]
        for said in (chosen, rejected)
    ]
    return firsts[0] != firsts[1]


def plain_chat(rounds: list[tuple[str, str]], answer: str, system: str, row: dict[str, Any]) -> ChatExample:
    turns = [Message(role="system", content=system)] if system.strip() else []
    for asked, said in rounds:
        turns += [Message(role="user", content=asked), Message(role="assistant", content=said)]
    turns[-1] = Message(role="assistant", content=answer)
    return ChatExample(messages=tuple(turns), **row)


ROUNDS = st.builds(
    plain_chat,
    st.lists(st.tuples(strategies.TEXT, strategies.TEXT), min_size=1, max_size=3),
    strategies.SAID,
    strategies.TEXT,
    st.fixed_dictionaries(strategies.ROW),
)
ONE_OF_EACH: tuple[Example, ...] = (
    ChatExample(messages=(Message(role="user", content="a"), Message(role="assistant", content="b"))),
    CompletionExample(prompt="a", completion="b"),
    LabelledExample(text="a", label="b"),
    PreferenceExample(messages=(Message(role="user", content="a"),), chosen="b", rejected="c"),
    UnpairedExample(messages=(Message(role="user", content="a"),), completion="b", desirable=True),
    PromptExample(messages=(Message(role="user", content="a"),), reference={"answer": "b"}),
    SegmentsExample(segments=(Segment(text="a", learn=True),)),
)
PAIR = strategies.preference()
PLAIN_PAIR = st.builds(
    PreferenceExample,
    messages=strategies.prompt_turns(),
    chosen=strategies.SAID,
    rejected=strategies.TEXT,
    **strategies.ROW,
)
# Without a reference, or with an earlier answer, only its name tells such a row from a chat.
GRADED = strategies.prompt().map(lambda row: row.replace(reference=plain_reference(row.reference)))
EXAMPLES: dict[str, st.SearchStrategy[Example]] = {
    "tunekit": strategies.example(),
    "prompt-completion": strategies.completion() | strategies.chat(parts=True, names=True).map(learned_last),
    "alpaca": strategies.completion() | ROUNDS,
    "instances": strategies.completion(),
    "squad": QUESTION,
    "text": RAW,
    "labelled": strategies.labelled(),
    "pairs": strategies.labelled().map(lambda row: row.replace(meta={})),
    "preference": PAIR,
    "openai-preference": PAIR,
    "implicit-preference": PAIR.filter(lambda row: begin_apart(row.chosen, row.rejected)),
    "chosen-messages": PLAIN_PAIR,
    "transcripts": PLAIN_PAIR,
    "sharegpt-preference": PLAIN_PAIR,
    "unpaired": strategies.unpaired(),
    "unpaired-messages": strategies.unpaired(),
    "rft": GRADED,
    "gemini-rft": strategies.chat(ids=False).map(as_prompt),
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_what_is_written_is_read_back(name: str) -> None:
    form = shape(name)

    @settings(max_examples=60, deadline=None)
    @given(EXAMPLES[name])
    def check(example: Example) -> None:
        record = form.write(example)
        before = json.dumps(record, allow_nan=False)
        again = form.read(record, example.id)
        [found] = again if isinstance(again, tuple) else (again,)
        assert found == example
        assert (found.id, dict(found.meta)) == (example.id, dict(example.meta))
        assert form.write(found) == record
        assert json.dumps(record) == before  # reading changes nothing in the record
        assert recognised(record) in (form, None)

    check()


@settings(max_examples=30, deadline=None)
@given(strategies.prompt())
def test_any_prompt_is_read_back_by_the_name_of_the_shape(example: PromptExample) -> None:
    form = shape("rft")
    plain = example.replace(reference={f"grader {key}": value for key, value in example.reference.items()})
    assert form.read(form.write(plain), example.id) == plain


@pytest.mark.parametrize("name", EXAMPLES)
def test_other_kinds_are_refused_with_a_way_out(name: str) -> None:
    form = shape(name)
    for example in ONE_OF_EACH:
        if example.kind in form.kinds:
            continue
        with pytest.raises(DataError, match=f"the shape '{name}' holds .* not '{example.kind}'") as refused:
            form.write(example)
        assert "to_" in refused.value.hint


def test_the_names_are_unique_and_the_unknown_is_refused() -> None:
    names = [form.name for form in shapes()]
    assert len(set(names)) == len(names)
    assert all(shape(name).name == name for name in names)
    with pytest.raises(SpecError) as refused:
        shape("alpacca")
    assert str(refused.value) == "unknown shape 'alpacca'\n  hint: did you mean 'alpaca'?"
    with pytest.raises(SpecError, match="shapes are 'tunekit', "):
        shape("zzz")


def test_a_meta_column_that_would_make_another_row_is_refused() -> None:
    row = CompletionExample(prompt="a", completion="b", meta={"label": True})
    with pytest.raises(DataError) as refused:
        shape("prompt-completion").write(row)
    assert str(refused.value) == (
        "meta.label: a meta column is called 'label', which makes a row of another shape\n"
        '  hint: rename the column, or write shape="tunekit", which keeps meta apart'
    )
    with pytest.raises(DataError, match="a meta column is called 'prompt', which means something"):
        shape("prompt-completion").write(row.replace(meta={"prompt": "c"}))
    assert shape("tunekit").read(shape("tunekit").write(row), "") == row


class Watched(Mapping[str, Any]):
    """A record that remembers which of its keys were asked for."""

    def __init__(self, record: Mapping[str, Any]) -> None:
        self.record = record
        self.asked: set[str] = set()

    def __getitem__(self, key: str) -> Any:
        self.asked.add(key)
        return self.record[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self.record)

    def __len__(self) -> int:
        return len(self.record)


def asked_for(records: Iterable[Mapping[str, Any]]) -> set[str]:
    """Every key that some shape asks one of these records for."""
    found = set()
    for record in map(Watched, records):
        for form in shapes():
            form.recognises(record)
        found |= record.asked
    return found


def test_every_key_that_a_shape_looks_at_is_known_to_be_looked_at() -> None:
    values = ("prompt", True, [{"role": "user", "content": "a"}])
    known: set[str] = set()
    while new := asked_for({key: value} for key in {"", *known} for value in values) - known:
        known |= new
    several = ({key: value, other: values[-1]} for key in known for other in known for value in values)
    known |= asked_for(several)
    assert len(known) > 50
    assert [key for key in sorted(known) if not looked_at([key])] == []
    assert not looked_at(["source", "id", ""])
