"""How a question is put: fields, chats, functions, and demonstrations before it. Nothing is asked."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunekit.errors import RefError, SpecError
from tunekit.evaluation.arms.arm import Arm
from tunekit.evaluation.arms.constructors import few_shot, zero_shot
from tunekit.evaluation.arms.templates import Template, TemplateLike
from tunekit.evaluation.items import Item, items_of
from tunekit.examples import (
    ChatExample,
    CompletionExample,
    Example,
    LabelledExample,
    Message,
    PreferenceExample,
    PromptExample,
    UnpairedExample,
)

MODEL = "table:base"
TICKET = LabelledExample(id="t:1", text="It is late", label="delivery", meta={"language": "en", "stars": 2})
TRAIN = [
    LabelledExample(text="Too dear", label="billing"),
    LabelledExample(text="Where is it", label="delivery"),
    LabelledExample(text="Wrong invoice", label="billing"),
]


def user(text: str) -> Message:
    return Message(role="user", content=text)


def item(example: Example = TICKET) -> Item:
    return items_of([example])[0]


def put(arm: Arm, *examples: Example, draw: int = 0) -> list[object]:
    return [question.prompt for question in arm.questions(items_of(examples or [TICKET]))[draw]]


@pytest.mark.parametrize(
    ("template", "asked"),
    [
        ("{text}", "It is late"),
        ("{prompt} ({language}, {stars})", "It is late (en, 2)"),
        ('{{"ticket": "{text}"}}', '{"ticket": "It is late"}'),
        ("Ticket: {text}\nTeam: {answer}", "Ticket: It is late\nTeam:"),
        ("Ticket: {text}\nTeam: {answer}\n", "Ticket: It is late\nTeam:"),
        ([{"role": "system", "content": "{language}"}, user("{text}")], None),
        (lambda example: f"{example.text}{example.label}?", "It is late?"),
        (lambda example: [user(example.text)], (user("It is late"),)),
    ],
    ids=[
        "text",
        "fields",
        "braces",
        "answer",
        "answer and line end",
        "chat",
        "function",
        "function of a chat",
    ],
)
def test_a_template_is_filled(template: TemplateLike, asked: object) -> None:
    asked = asked or (Message(role="system", content="en"), user("It is late"))
    assert put(zero_shot(MODEL, template)) == [asked]


@given(text=st.text(), meta=st.text())
def test_what_a_row_says_is_never_read_as_a_template(text: str, meta: str) -> None:
    row = LabelledExample(text=text, label="x", meta={"note": meta})
    assert put(zero_shot(MODEL, "{note}|{text}"), row) == [f"{meta}|{text}"]


@pytest.mark.parametrize(
    ("template", "what"),
    [
        ("{", "Single '{'"),
        ("{0}", "no name of a field"),
        ("{}", "no name of a field"),
        ("{text.__class__}", "no name of a field"),
        ("{text!r}", "no name of a field"),
        ("{stars:>3}", "no name of a field"),
        ("{answer}, says {text}", "not at the end"),
        ("{answer}{answer}", "not at the end"),
        ([user("{answer}")], "chat template"),
        ([], "empty"),
        ([{"role": "user"}], "chat template"),
        ({"role": "user", "content": "{text}"}, "list of messages"),
        (3, "list of messages"),
    ],
    ids=str,
)
def test_what_is_no_template_is_refused_at_once(template: TemplateLike, what: str) -> None:
    with pytest.raises(SpecError, match=what):
        zero_shot(MODEL, template)


@pytest.mark.parametrize("field", ["label", "txt", "completion", "id"])
def test_unknown_fields_are_refused(field: str) -> None:
    with pytest.raises(SpecError, match=f"item 't:1' has no field '{field}'"):
        put(zero_shot(MODEL, f"{{{field}}}"))
    with pytest.raises(SpecError, match=field):
        put(zero_shot(MODEL, [user(f"{{{field}}}")]))


@pytest.mark.parametrize(
    "example",
    [
        TICKET,
        CompletionExample(prompt="It is late", completion="delivery"),
        ChatExample(messages=(user("It is late"), Message(role="assistant", content="delivery"))),
        PreferenceExample(messages=(user("It is late"),), chosen="delivery", rejected="delivery?"),
        UnpairedExample(messages=(user("It is late"),), completion="delivery", desirable=True),
        PromptExample(messages=(user("It is late"),), reference={"answer": "delivery"}),
    ],
    ids=lambda example: example.kind,
)
def test_a_template_function_never_sees_the_answer(example: Example) -> None:
    seen: list[Example] = []

    def watch(example: Example) -> str:
        seen.append(example)
        return "?"

    put(zero_shot(MODEL, watch), example)
    assert "late" in repr(seen)
    assert "delivery" not in repr(seen)
    assert put(zero_shot(MODEL, "Q: {prompt}"), example) == ["Q: It is late"]


def test_a_template_function_that_fails_names_the_item() -> None:
    with pytest.raises(SpecError, match=r"item 't:1': KeyError: 'colour'"):
        put(zero_shot(MODEL, lambda example: example.meta["colour"]))
    with pytest.raises(SpecError, match=r"item 't:1'"):
        put(zero_shot(MODEL, lambda example: 3))  # type: ignore[arg-type,return-value]


def test_several_turns_are_one_text_with_roles() -> None:
    chat = ChatExample(
        messages=(
            Message(role="system", content="Be kind"),
            user("Hi"),
            Message(role="assistant", content="x"),
        )
    )
    assert put(zero_shot(MODEL, "{prompt}"), chat) == ["system: Be kind\nuser: Hi"]


def test_texts_are_demonstrated_as_one_text() -> None:
    (asked,) = put(few_shot(MODEL, TRAIN, k=3, template="T: {text}\nA: {answer}"))
    *shown, question = str(asked).split("\n\n")
    assert question == "T: It is late\nA:"
    assert sorted(shown) == [
        "T: Too dear\nA: billing",
        "T: Where is it\nA: delivery",
        "T: Wrong invoice\nA: billing",
    ]
    assert put(few_shot(MODEL, TRAIN[:1], k=1)) == ["Too dear\nbilling\n\nIt is late"]
    assert put(few_shot(MODEL, TRAIN[:1], k=1, template="Q {text}.")) == [
        "Q Too dear.\nbilling\n\nQ It is late."
    ]


def test_chats_are_demonstrated_as_turns_after_the_instructions() -> None:
    system = Message(role="system", content="Name the team.")
    answered = Message(role="assistant", content="billing")
    shown = ChatExample(messages=(system, user("Too dear"), answered))
    chat = ChatExample(messages=(system, user("It is late"), Message(role="assistant", content="delivery")))
    expected = [(system, user("Too dear"), answered, user("It is late"))]
    assert put(few_shot(MODEL, [shown], k=1), chat) == expected
    assert put(few_shot(MODEL, TRAIN[:1], k=1), chat) == expected, "a row shown before a chat is a turn"
    assert put(few_shot(MODEL, TRAIN[:1], k=1, template=[system, user("{text}")])) == expected


def test_an_example_that_asks_what_the_test_asks_is_shown_to_no_question() -> None:
    copy = LabelledExample(text="  it IS\tlate", label="billing")
    other = LabelledExample(text="Elsewhere", label="billing")
    for prompt in put(few_shot(MODEL, [copy, *TRAIN], k=3), TICKET, other):
        assert "IS" not in str(prompt)
    with pytest.raises(SpecError, match=r"4 shots of 3 rows: 1 of 4 examples are questions of the test"):
        put(few_shot(MODEL, [copy, *TRAIN], k=4))


def test_what_is_shown_is_fixed_by_the_seed_and_other_in_other_draws() -> None:
    train = [LabelledExample(text=f"ticket {n}", label="ab"[n % 2]) for n in range(40)]
    one, same, other = (few_shot(MODEL, train, k=4, seed=seed) for seed in (1, 1, 2))
    rows = [TICKET, LabelledExample(text="Broken", label="b")]
    assert put(one, *rows) == put(same, *rows) != put(other, *rows)
    first, second = (str(prompt).rpartition("\n\n")[0] for prompt in put(one, *rows))
    assert first == second, "every question sees the same examples"
    drawn = few_shot(MODEL, train, k=4, seed=1, draws=3)
    draws = [put(drawn, draw=draw) for draw in range(3)]
    assert draws[0] == put(one)
    assert draws[1] == put(other), "the next draw is that of the next seed"
    assert draws[2] not in draws[:2]


def test_stratified_and_similar_examples() -> None:
    (balanced,) = put(few_shot(MODEL, TRAIN, k=2, selection="stratified"))
    assert str(balanced).count("billing") == str(balanced).count("delivery") == 1
    (alike,) = put(few_shot(MODEL, TRAIN, k=1, selection="similar"))
    assert str(alike).startswith("Where is it\ndelivery")


@pytest.mark.parametrize(
    "mistake",
    [
        lambda: few_shot(MODEL, TRAIN, k=4),
        lambda: few_shot(MODEL, TRAIN, k=0),
        lambda: few_shot(MODEL, TRAIN, k=1, selection="best"),  # type: ignore[arg-type]
        lambda: few_shot(MODEL, TRAIN, k=1, seed=1.5),  # type: ignore[arg-type]
        lambda: few_shot(MODEL, TRAIN, k=1, draws=0),
        lambda: few_shot(MODEL, TRAIN, k=1, selection="similar", draws=2),
        lambda: few_shot(MODEL, [PromptExample(messages=(user("?"),))], k=1),
        lambda: Arm(model=MODEL, draws=3),
        lambda: Arm(model=MODEL, training_usd=-1),
        lambda: Arm(model=MODEL, training_usd=float("nan")),
        lambda: Arm(model=3),  # type: ignore[arg-type]
        lambda: Arm(model=dict),
    ],
)
def test_mistakes_are_found_when_an_arm_is_made(mistake: object) -> None:
    with pytest.raises(SpecError):
        mistake()  # type: ignore[operator]


def test_a_model_that_is_no_reference_is_refused() -> None:
    with pytest.raises(RefError):
        zero_shot("base", "{text}")


def test_hashes_tell_templates_apart() -> None:
    sources: list[TemplateLike] = ["{text}", "{text} ", [user("{text}")], lambda example: example.kind]
    assert len({Template(source).hash for source in sources}) == len(sources)
    assert Template([{"role": "user", "content": "{text}"}]).hash == Template([user("{text}")]).hash
