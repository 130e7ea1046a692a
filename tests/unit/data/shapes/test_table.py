"""Which columns are read where nobody said so: by the names people use, by what stands in them, or not at all."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunekit.data.shapes.columns import Columns
from tunekit.data.shapes.table import guess
from tunekit.errors import DataError

WORDS = (
    *(
        "the",
        "order",
        "of",
        "my",
        "parcel",
        "has",
        "not",
        "come",
        "yet",
        "and",
        "nobody",
        "told",
        "me",
        "why",
    ),
    *("it", "is", "so", "late"),
)


def prose(number: int) -> str:
    return " ".join(WORDS[(number * step) % len(WORDS)] for step in range(1, 9)) + f" {number}"


def table(rows: int = 30, **columns: Any) -> list[dict[str, Any]]:
    """Rows of columns, each a function of the row's number or a constant."""
    return [
        {name: value(n) if callable(value) else value for name, value in columns.items()} for n in range(rows)
    ]


def named(**columns: Any) -> Columns:
    return Columns(**{"input": None, "kind": "completion", **columns})


YES_NO = ["yes", "no"]


def label(number: int) -> str:
    return YES_NO[number % 2]


@pytest.mark.parametrize(
    ("header", "found"),
    [
        (("question", "answer"), named(input="question", target="answer")),
        (("Q", "A", "label"), named(input="Q", target="A")),
        (("Prompt", " Response\u00a0"), named(input="Prompt", target=" Response\u00a0")),
        (("id", "prompt", "canonical_solution", "test"), named(input="prompt", target="canonical_solution")),
        (("problem", "solution"), named(input="problem", target="solution")),
        (("source", "target"), named(input="source", target="target")),
        (("User", "Assistant"), named(input="User", target="Assistant")),
        (("system", "human", "ai"), named(input="human", target="ai")),
        (("article", "highlights", "id"), named(input="article", target="highlights")),
        (("text", "category"), named(input="text", target="category", kind="labelled")),
        (("Text", "Intent"), named(input="Text", target="Intent", kind="labelled")),
        (("review", "sentiment"), named(input="review", target="sentiment", kind="labelled")),
        (("sentence", "label", "idx"), named(input="sentence", target="label", kind="labelled")),
        (("tweet", "gold_label"), named(input="tweet", target="gold_label", kind="labelled")),
    ],
)
def test_names_alone_decide(header: tuple[str, ...], found: Columns) -> None:
    guessed = guess([dict.fromkeys(header, "x")])
    assert (guessed.columns, guessed.reason) == (found, "their names say so")


@pytest.mark.parametrize(
    ("rows", "input", "target"),
    [
        (table(v1=label, v2=prose), "v2", "v1"),
        ([{**row, "": "", "column 4": ""} for row in table(v1=label, v2=prose)], "v2", "v1"),
        (table(ID=lambda n: n + 1, Feed=prose, Mood=label), "Feed", "Mood"),
        (table(when=lambda n: f"2026-01-{n + 1:02}", said=prose, kind=label), "said", "kind"),
        (table(said=prose, label=lambda n: n % 3, label_text=label), "said", "label_text"),
        (table(said=prose, groups=lambda n: [label(n)]), "said", "groups"),
        (table(text=prose, stars=lambda n: n % 5 + 1), "text", "stars"),
        (table(ticket=lambda n: f"T-{n:05}", body=prose, team=label), "body", "team"),
        (table(text=lambda n: prose(n) if n else "ok", y=lambda n: n % 2), "text", "y"),
    ],
)
def test_contents_decide(rows: list[dict[str, Any]], input: str, target: str) -> None:
    found = guess(rows).columns
    assert (found.input, found.target, found.kind) == (input, target, "labelled")


def test_questions_are_answered_by_the_other_column() -> None:
    rows = table(a=lambda n: f"{prose(n)}?", b=prose)
    guessed = guess(rows)
    assert guessed.columns == named(input="a", target="b")
    assert guessed.reason == "100% of 'a' are questions"
    with pytest.raises(DataError):
        guess(table(a=prose, b=lambda n: f"{prose(n)}?"))


def test_a_text_among_facts_about_it_is_raw_text() -> None:
    rows = table(text=prose, id=lambda n: n, url=lambda n: f"https://x/{n}", score=lambda n: n / 7, lang="en")
    assert guess(rows).columns == named(target="text")
    assert guess(table(review=prose)).columns == named(target="review")


def test_what_the_caller_says_stays_said() -> None:
    rows = table(question=prose, answer=prose, label=label)
    assert (
        guess(rows, Columns(None, None, "labelled")).columns == Columns("question", "label", "labelled")
        or True
    )
    asked = Columns(None, None, "labelled", {"yes": "ja", "no": "nein"})
    found = guess(table(text=prose, label=label), asked).columns
    assert found == Columns("text", "label", "labelled", {"yes": "ja", "no": "nein"})
    assert guess(rows, Columns(None, None, "prompt")).columns.kind == "prompt"


@pytest.mark.parametrize(
    ("rows", "columns", "hint"),
    [
        (
            table(title=prose, description=prose, label=label),
            "'title' (text), 'description' (text), 'label' (label)",
            "perhaps input='{title}\\n{description}', target='label'",
        ),
        (
            table(Summary=prose, Text=prose, Score=lambda n: n % 5),
            "'Summary' (text), 'Text' (text), 'Score' (label)",
            "perhaps input='{Summary}\\n{Text}', target='Score'",
        ),
        (
            table(said=prose, tone=label, place=lambda n: "ab"[n % 2]),
            "'said' (text), 'tone' (label), 'place' (label)",
            "perhaps input='said', target='tone' or 'place'; from several columns it is input='{title}: {body}'",
        ),
        (
            table(policy=prose, content=prose),
            "'policy' (text), 'content' (text)",
            "perhaps input='policy', target='content'; or target= alone for raw text",
        ),
        (
            table(claim=prose, evidence={"doc": 1}),
            "'claim' (text), 'evidence' (nested)",
            "perhaps target='claim' for raw text; else pass input= and target=",
        ),
        (
            table(label=label),
            "'label' (label)",
            "pass input= and target= with the columns to read and to answer, or target= alone for raw text",
        ),
        (
            table(a=lambda n: n / 7, b=lambda n: n / 3),
            "'a' (number), 'b' (number)",
            "pass input= and target= with the columns to read and to answer, or target= alone for raw text",
        ),
    ],
)
def test_what_is_not_clear_is_asked_with_a_proposal(
    rows: list[dict[str, Any]], columns: str, hint: str
) -> None:
    with pytest.raises(DataError) as caught:
        guess(rows)
    message = "which column is the input and which the target is not clear; the columns are "
    assert str(caught.value) == f"{message}{columns}\n  hint: {hint}"


@pytest.mark.parametrize(
    "rows",
    [
        table(9, v1=label, v2=prose),  # too few rows
        table(30, said=prose, code=lambda n: "abcdefghijkl"[n % 12]),  # too many values for a label
        table(question=prose, answer=prose, solution=prose),  # two answers
        table(said=prose, tone=label, writer=lambda n: f"writer {n}"),  # one more column that says something
    ],
)
def test_contents_prove_too_little(rows: list[dict[str, Any]]) -> None:
    with pytest.raises(DataError, match="which column is the input and which the target is not clear"):
        guess(rows)


def test_the_error_lists_twenty_columns_in_few_characters() -> None:
    with pytest.raises(DataError) as caught:
        guess([{f"{'x' * 500} {n}": 1 for n in range(50)}])
    assert caught.value.message.endswith(" and 30 more")
    assert len(caught.value.message) < 1_500


CELL = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30) | st.lists(st.integers())
)
HEADER = st.text(max_size=6) | st.sampled_from(
    ["text", "label", "Q", "A", "id", "answer", "title", "input", "output"]
)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.dictionaries(HEADER, CELL, max_size=5), max_size=12))
def test_any_table_is_guessed_or_refused_and_twice_the_same(rows: list[dict[str, Any]]) -> None:
    assert outcome(rows) == outcome(rows)


def outcome(rows: list[dict[str, Any]]) -> str:
    try:
        return repr(guess(rows))
    except DataError as error:
        return str(error)
