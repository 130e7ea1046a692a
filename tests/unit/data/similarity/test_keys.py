"""Keys: equal exactly where fingerprints are, whatever the kind; and keys of questions and answers."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.data import strategies
from tunekit._canonical import canonical_json
from tunekit.data.similarity.comparable import comparable
from tunekit.data.similarity.keys import answer_key, content_key, question_key
from tunekit.examples import (
    ChatExample,
    CompletionExample,
    Example,
    LabelledExample,
    Message,
    PreferenceExample,
    Segment,
    SegmentsExample,
    UnpairedExample,
    to_dict,
)

USER, ANSWER = Message(role="user", content="2+2?"), Message(role="assistant", content="4")


@settings(max_examples=100, deadline=None)
@given(st.lists(strategies.example(), min_size=2, max_size=4))
def test_content_keys_are_equal_where_fingerprints_are(rows: list[Example]) -> None:
    for one in rows:
        for other in [*rows, one.replace(id="other", meta={"day": "Mon"})]:
            same = canonical_json(to_dict(one, with_row=False)) == canonical_json(
                to_dict(other, with_row=False)
            )
            assert (content_key(one) == content_key(other)) == same


def test_what_message_pack_cannot_hold_has_keys_too() -> None:
    def chat(value: object) -> ChatExample:
        return ChatExample(messages=(USER, ANSWER), tools=({"a": value},))

    odd: list[Example] = [
        CompletionExample(prompt="\ud800", completion="x"),
        CompletionExample(prompt="\ud801", completion="x"),
        *map(chat, (2**70, 2**71, float("nan"), 1, 1.0, True)),
    ]
    assert len({content_key(row) for row in odd}) == len(odd)
    for row in odd:
        assert content_key(row) == content_key(row.replace(id="x"))
        assert comparable(row).key and question_key(row) is not None and answer_key(row)


def test_keys_of_objects_do_not_depend_on_the_order_of_their_keys() -> None:
    one = ChatExample(messages=(USER, ANSWER), tools=({"a": 1, "b": 2},))
    assert content_key(one) == content_key(one.replace(tools=({"b": 2, "a": 1},)))


def test_a_question_is_what_stands_before_the_last_answer_whatever_the_weights() -> None:
    plain = ChatExample(messages=(USER, ANSWER))
    weighted = ChatExample(messages=(USER, ANSWER.replace(weight=0.0)))
    other = ChatExample(messages=(USER, ANSWER.replace(content="5")))
    assert question_key(plain) == question_key(weighted) == question_key(other)
    assert answer_key(plain) == answer_key(weighted) != answer_key(other)
    assert question_key(plain) != question_key(plain.replace(tools=({"type": "function"},)))


def test_what_asks_nothing_has_no_question() -> None:
    system = Message(role="system", content="Be brief.")
    learned = SegmentsExample(segments=(Segment(text="once", learn=True),))
    for row in (
        CompletionExample(prompt="", completion="once"),
        ChatExample(messages=(system, ANSWER)),
        learned,
    ):
        assert question_key(row) is None


def test_preferences_ask_which_is_better_and_verdicts_whether_it_is_good() -> None:
    better = PreferenceExample(messages=(USER,), chosen="4", rejected="5")
    swapped = PreferenceExample(messages=(USER,), chosen="5", rejected="4")
    assert question_key(better) == question_key(swapped)
    assert answer_key(better) != answer_key(swapped)
    good = UnpairedExample(messages=(USER,), completion="4", desirable=True)
    assert question_key(good) == question_key(good.replace(desirable=False))
    assert question_key(good) != question_key(good.replace(completion="5"))


def test_labels_have_no_order() -> None:
    one = LabelledExample(text="late", label=("delivery", "complaint"))
    assert answer_key(one) == answer_key(one.replace(label=("complaint", "delivery")))
