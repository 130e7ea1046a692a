"""A Dataset as a value: sequence, equality, fingerprint, and the datasets made from it."""

from __future__ import annotations

import hashlib
import operator
import pickle
from collections import Counter
from collections.abc import Sequence
from datetime import date
from typing import Any, NamedTuple

import pytest

import tunekit as tk
from tunekit.errors import DataError, SpecError
from tunekit.examples import ChatExample, CompletionExample, LabelledExample, Message


def rows(n: int, name: str = "records") -> tk.Dataset:
    return tk.Dataset.from_records(
        [{"prompt": f"p{i}", "completion": "ab"[i % 2], "day": i} for i in range(n)], name=name
    )


def prompts(data: Sequence[tk.Example]) -> list[str]:
    return [row.prompt for row in data if isinstance(row, CompletionExample)]


CHAT = ChatExample(messages=(Message(role="user", content="hi"), Message(role="assistant", content="hello")))


def test_it_is_a_sequence() -> None:
    data = rows(3)
    assert isinstance(data, Sequence)
    assert len(data) == 3
    assert prompts(data) == ["p0", "p1", "p2"]
    assert data[0].id == "records:1"
    assert data[-1].id == "records:3"
    assert data[1] in data
    assert data.index(data[2]) == 2
    with pytest.raises(IndexError):
        data[3]


def test_a_slice_is_a_dataset() -> None:
    data = rows(5)
    part = data[1:4:2]
    assert isinstance(part, tk.Dataset)
    assert prompts(part) == ["p1", "p3"]
    assert data.head(2) == data[:2]
    assert data.head() == data


def test_it_cannot_be_changed() -> None:
    data = rows(2)
    with pytest.raises(TypeError):
        data[0] = CHAT  # type: ignore[index]
    with pytest.raises(AttributeError):
        data.kinds = frozenset()  # type: ignore[misc]
    with pytest.raises(AttributeError):
        data.extra = 1  # type: ignore[attr-defined]


def test_equality_and_hash_ignore_row_ids_and_meta() -> None:
    one, other = rows(3, name="monday"), rows(3, name="tuesday").map(lambda row: row)
    assert one == other
    assert hash(one) == hash(other)
    assert one != rows(4)
    assert one != [*one]
    assert {one, other} == {one}


def test_fingerprint_is_content_in_order() -> None:
    data = rows(3)
    assert data.fingerprint() == rows(3, name="other").fingerprint()
    assert data.fingerprint() != tk.Dataset([data[1], data[0], data[2]]).fingerprint()
    assert data.fingerprint() != data[:2].fingerprint()
    assert data.fingerprint() == data.fingerprint()


def test_fingerprint_is_the_same_on_every_machine() -> None:
    # Spelled out, because stored runs are found again by it: a change here is a change of the stored format.
    lines = [
        b'{"completion":"a","kind":"completion","prompt":"p0"}',
        b'{"completion":"b","kind":"completion","prompt":"p1"}',
    ]
    framed = b"".join(len(line).to_bytes(8, "little") + line for line in lines)
    assert rows(2).fingerprint() == hashlib.sha256(framed).hexdigest()


def test_fingerprint_names_the_row_that_has_none() -> None:
    bad = ChatExample(messages=CHAT.messages, tools=({"since": date(2026, 1, 1)},), id="chats.jsonl:7")
    with pytest.raises(DataError, match=r"row 'chats.jsonl:7' holds what JSON cannot hold"):
        tk.Dataset([CHAT, bad]).fingerprint()


def test_kinds_and_repr() -> None:
    assert tk.Dataset().kinds == frozenset()
    assert repr(tk.Dataset()) == "<Dataset: 0 examples>"
    assert repr(rows(1)) == "<Dataset: 1 example (completion)>"
    mixed = rows(1234) + tk.Dataset([CHAT])
    assert mixed.kinds == {"chat", "completion"}
    assert repr(mixed) == "<Dataset: 1,235 examples (chat, completion)>"
    skipped = tk.Dataset.from_records([{"text": ""}, {"text": "x"}], on_error="skip")
    assert repr(skipped) == "<Dataset: 1 example (completion), 1 skipped>"


def test_only_examples_go_in() -> None:
    with pytest.raises(SpecError) as caught:
        tk.Dataset([CHAT, {"prompt": "a"}])  # type: ignore[list-item]
    assert str(caught.value) == (
        "item 1 of a Dataset is 'dict', not an example\n"
        "  hint: use tunekit.CompletionExample and its kin, or Dataset.from_records for dictionaries"
    )


def test_map_keeps_the_row_it_came_from() -> None:
    def relabel(row: tk.Example) -> tk.Example:
        assert isinstance(row, CompletionExample)
        return LabelledExample(text=row.prompt, label=row.completion)

    data = rows(2).map(relabel)
    assert data.kinds == {"labelled"}
    assert [(row.id, row.meta) for row in data] == [("records:1", {"day": 0}), ("records:2", {"day": 1})]
    named = rows(1).map(lambda row: CompletionExample(prompt="a", completion="b", id="mine"))[0]
    noted = rows(1).map(lambda row: CompletionExample(prompt="a", completion="b", meta={"day": 7}))[0]
    assert (named.id, named.meta) == ("mine", {"day": 0})
    assert (noted.id, noted.meta) == ("records:1", {"day": 7})
    with pytest.raises(SpecError, match="is 'NoneType', not an example"):
        rows(1).map(lambda row: None)  # type: ignore[arg-type, return-value]


def test_filter_and_concat() -> None:
    data = rows(4)
    assert prompts(data.filter(lambda row: row.meta["day"] > 1)) == ["p2", "p3"]
    assert data[:1] + data[1:2] + data[2:] == data
    assert data[:1].concat(data[1:3], data[3:]) == data
    with pytest.raises(TypeError):
        operator.add(data, [CHAT])


def test_targets_counts_completions_and_labels() -> None:
    assert rows(5).targets() == Counter({"a": 3, "b": 2})
    many = tk.Dataset([LabelledExample(text="x", label=("a", "b")), LabelledExample(text="y", label="a")])
    assert many.targets() == Counter({"a": 2, "b": 1})
    assert tk.Dataset([CHAT]).targets().total() == 1
    twice = CHAT.replace(messages=CHAT.messages * 2)
    with pytest.raises(DataError, match="a chat example, which has no single target"):
        tk.Dataset([twice]).targets()


def test_sample_is_seeded_keeps_order_and_copies_are_drawn_one_by_one() -> None:
    data = rows(100)
    drawn = data.sample(10, seed=3)
    assert drawn == data.sample(10, seed=3)
    assert drawn != data.sample(10, seed=4)
    days = [row.meta["day"] for row in drawn]
    assert len(set(days)) == 10
    assert days == sorted(days)
    assert data.sample(1000) == data
    assert len(data.sample(0)) == 0
    copies = tk.Dataset([data[0]] * 50 + [data[1]] * 50)
    assert 5 < copies.sample(20).targets()["a"] < 15


@pytest.mark.parametrize("n", [-1, 1.5, True, "3"])
def test_sample_refuses_what_is_no_count(n: Any) -> None:
    with pytest.raises(SpecError, match=r"^n is "):
        rows(3).sample(n)


def test_it_survives_pickling() -> None:
    data = tk.Dataset.from_records([{"text": "a"}, {"text": " "}], on_error="skip")
    again = pickle.loads(pickle.dumps(data))
    assert again == data
    assert again.skipped == data.skipped
    assert again.fingerprint() == data.fingerprint()


def test_map_keeps_what_was_said_of_the_rows() -> None:
    data = tk.Dataset.from_records([{"text": "a"}, {"text": " "}], on_error="skip")
    mapped = data.map(lambda row: row)
    assert (mapped.skipped, mapped.source) == (data.skipped, data.source)
    assert mapped.check()["skipped-rows"].rows == ("records:2",)


class Pair(NamedTuple):
    prompt: str
    completion: str


def test_tuples_are_lists_and_named_ones_objects() -> None:
    data = tk.Dataset.from_records(
        zip(["Where is it now?", "I want it back"], ["late", "refund"], strict=True)
    )
    assert [(row.text, row.label) for row in data if isinstance(row, tk.LabelledExample)] == [
        ("Where is it now?", "late"),
        ("I want it back", "refund"),
    ]
    assert tk.Dataset.from_records([Pair("a", "b")])[0] == tk.CompletionExample(
        id="records:1", prompt="a", completion="b"
    )


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({"prompt": "a", 1: "b"}, "records:1: the key 1 is no text\n  hint: call it '1'"),
        (
            tk.CompletionExample(prompt="a", completion="b"),
            "records:1: the record is an example already\n  hint: pass the examples to Dataset(...)",
        ),
    ],
)
def test_what_is_no_record_is_named(record: Any, message: str) -> None:
    with pytest.raises(tk.DataError) as caught:
        tk.Dataset.from_records([record])
    assert str(caught.value) == message


def test_from_records_reports_position_and_field() -> None:
    with pytest.raises(DataError) as caught:
        tk.Dataset.from_records(
            [{"q": "a", "a": "b"}, {"q": True, "a": "b"}], input="q", target="a", name="faq"
        )
    assert str(caught.value) == "faq:2:q: expected text, found true or false\n  hint: write it as a JSON text"
    assert (caught.value.path, caught.value.line, caught.value.field) == ("faq", 2, "q")


def test_from_records_takes_any_iterator_and_stops_at_the_limit() -> None:
    endless = ({"text": f"row {i}"} for i in iter(int, 1))
    assert len(tk.Dataset.from_records(endless, limit=3)) == 3


@pytest.mark.parametrize("records", ["text", {"prompt": "a", "completion": "b"}, b"x"])
def test_from_records_refuses_one_thing_for_many(records: Any) -> None:
    with pytest.raises(SpecError, match="not several dictionaries"):
        tk.Dataset.from_records(records)


@pytest.mark.parametrize(
    ("record", "said"),
    [
        ({"text": "\ud83d"}, "the text holds '\\ud83d', half a surrogate pair, which is not a character"),
        (
            {"text": "x", "n": {(1,): 3}},
            "the record holds what JSON cannot: keys must be str, int, float, bool or None, not tuple",
        ),
        ("a row", "expected an object, found text"),
        (None, "expected an object, found null or nothing"),
    ],
)
def test_from_records_refuses_what_no_file_could_hold(record: Any, said: str) -> None:
    with pytest.raises(DataError) as caught:
        tk.Dataset.from_records([record])
    assert str(caught.value).split("\n")[0] == f"records:1: {said}"
