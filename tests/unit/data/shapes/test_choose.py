"""How rows are read: as the caller says, else by what they look like; guesses are said, what is no data is named."""

from __future__ import annotations

from typing import Any

import pytest

from tunekit.data.shapes.choose import choose
from tunekit.data.shapes.columns import Columns
from tunekit.errors import DataError, SpecError
from tunekit.examples import (
    ChatExample,
    CompletionExample,
    Example,
    LabelledExample,
    Message,
    PromptExample,
    UnpairedExample,
)

U, A = {"role": "user", "content": "hi"}, {"role": "assistant", "content": "yo"}
UNKNOWN = (
    'rows are {"messages": [...]}, {"prompt": ..., "completion": ...} or {"text": ...};'
    " for other keys pass input= and target="
)


def read(*rows: Any, **options: Any) -> list[Example]:
    chosen = choose(rows, **options)
    found: list[Example] = []
    for number, row in enumerate(rows, start=1):
        again = chosen.read(row, f"r:{number}")
        found += again if isinstance(again, tuple) else (again,)
    return found


# --- by their keys ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("row", "name"),
    [
        ({"kind": "completion", "prompt": "a", "completion": "b"}, "tunekit"),
        ({"messages": [U, A]}, "openai"),
        ({"messages": [U, A], "label": True}, "unpaired-messages"),
        ({"messages": [U, A], "chosen": "x", "rejected": "y"}, "preference"),
        ({"messages": [U], "answer": "4"}, "rft"),
        ({"messages": [U, A, U], "answer": "4"}, "rft"),
        ({"messages": [U], "difficulty": 3}, "rft"),
        ({"prompt": [U], "solution": "4"}, "rft"),
        ({"prompt": "2+2?"}, "rft"),
        ({"messages": [U, A, U], "topic": "x"}, "openai"),
        ({"messages": [U]}, "openai"),
        ({"prompt": "a", "completion": "b"}, "prompt-completion"),
        ({" Prompt": "a", "COMPLETION\u00a0": "b"}, "prompt-completion"),
        ({"prompt": "a", "completion": "b", "label": False}, "unpaired"),
        ({"prompt": "a", "completion": "b", "label": "True"}, "unpaired"),
        ({"prompt": "a", "completion": "b", "label": 1}, "prompt-completion"),
        ({"instruction": "a", "output": "b", "kto_tag": 1}, "unpaired"),
        ({"instruction": "a", "input": "", "output": "b"}, "alpaca"),
        ({"instruction": "a", "context": "c", "response": "b", "category": "qa"}, "alpaca"),
        ({"instruction": "a", "instances": [{"input": "", "output": "b"}]}, "instances"),
        ({"prompt": "a", "chosen": "b", "rejected": "c", "score_chosen": 8.5}, "preference"),
        ({"query": "a", "pos": "b", "neg": "c"}, "preference"),
        ({"chosen": [U, A], "rejected": [U, A]}, "implicit-preference"),
        (
            {"chosen": "\n\nHuman: a\n\nAssistant: b", "rejected": "\n\nHuman: a\n\nAssistant: c"},
            "transcripts",
        ),
        ({"conversations": [{"from": "human", "value": "a"}]}, "sharegpt"),
        (
            {
                "conversations": [{"from": "human", "value": "a"}],
                "chosen": {"from": "gpt", "value": "b"},
                "rejected": "",
            },
            "sharegpt-preference",
        ),
        ({"chosen_messages": [U, A], "rejected_messages": [U, A]}, "chosen-messages"),
        (
            {"input": {"messages": [U]}, "preferred_output": [A], "non_preferred_output": [A]},
            "openai-preference",
        ),
        ({"context": "c", "question": "q", "answers": {"text": ["a"], "answer_start": [0]}}, "squad"),
        ({"title": "t", "paragraphs": []}, "squad"),
        ({"text": "a"}, "text"),
        ({"content": "a", "url": "https://x", "timestamp": "now"}, "text"),
        ({"text": "a", "label": 0}, "labelled"),
        ({"text": "a", "labels": ["x", "y"]}, "labelled"),
        (["a text", "label"], "pairs"),
        ({"question": "a?", "answer": "b"}, "columns"),
        ({"text": "a", "category": "b"}, "columns"),
    ],
)
def test_one_row_says_what_it_is(row: Any, name: str) -> None:
    chosen = choose([row])
    assert chosen.name == name
    codes = [finding.code for finding in chosen.findings]
    assert codes[:1] == (
        [] if name == "tunekit" else ["guessed-columns" if name == "columns" else "guessed-shape"]
    )


VERDICTS = [
    {"prompt": "a", "completion": "good", "label": 1},
    {"prompt": "a", "completion": "bad", "label": 0},
]


def test_labels_of_zero_and_one_beside_prompts_and_completions_alone_are_verdicts() -> None:
    chosen = choose(VERDICTS)
    [finding] = chosen.findings
    assert (finding.severity, finding.facts["shape"]) == ("info", "unpaired")
    assert finding.message.endswith("; the label 1 says that a completion is good, 0 that it is bad")
    assert [row.desirable for row in read(*VERDICTS) if isinstance(row, UnpairedExample)] == [True, False]
    texts = [{**row, "label": str(row["label"])} for row in VERDICTS]
    assert read(*texts) == read(*VERDICTS)
    with pytest.raises(DataError, match="label: expected true or false, found 2"):
        chosen.read(VERDICTS[0] | {"label": 2}, "r:3")
    assert choose(VERDICTS, shape="prompt-completion").name == "prompt-completion"
    assert choose(VERDICTS, columns=Columns.of(None, None, "completion")).name == "prompt-completion"


def test_a_label_of_zero_and_one_beside_an_answer_and_more_is_a_warning() -> None:
    rows = [{**row, "source": "chat"} for row in VERDICTS]
    [finding] = choose(rows).findings
    assert (finding.severity, finding.facts["shape"]) == ("warning", "prompt-completion")
    assert 'bad ones are learned, too, unless you pass shape="unpaired"' in finding.message
    bad = choose(rows, shape="unpaired").read(rows[1], "a:2")
    assert isinstance(bad, UnpairedExample)
    assert not bad.desirable
    assert [found.severity for found in choose([*VERDICTS, VERDICTS[0] | {"label": 2}]).findings] == ["info"]
    assert choose(VERDICTS[:1]).name == "prompt-completion"  # one label says nothing for certain


@pytest.mark.parametrize("key", ["solution", "ground_truth", "reference_answer"])
def test_a_solution_beside_a_prompt_is_for_graders_unless_the_caller_says_otherwise(key: str) -> None:
    row = {"prompt": "2+2?", key: "4", "source": "math"}
    chosen = choose([row])
    [finding] = chosen.findings
    assert (chosen.name, finding.severity) == ("rft", "warning")
    assert f"and is not learned, unless you pass input='prompt', target='{key}'" in finding.message
    assert read(row) == [
        PromptExample(
            messages=(Message(role="user", content="2+2?"),), reference={key: "4", "source": "math"}
        )
    ]
    assert read(row, columns=Columns.of("prompt", key, None)) == [
        CompletionExample(prompt="2+2?", completion="4")
    ]
    assert choose([row | {"completion": "four"}]).name == "prompt-completion"


def test_the_guess_is_said_with_how_to_override_it() -> None:
    chosen = choose([{"text": "a"}, {"text": "b"}, {"prompt": "c", "completion": "d"}])
    [finding] = chosen.findings
    assert str(finding) == (
        "info: guessed-shape: rows are read as raw text, by their keys (2 of the first 3, 1 as prompts and"
        " completions); pass shape=, or input= and target=, to read them otherwise"
    )
    assert finding.facts == {"shape": "text", "rows": 3, "counts": {"text": 2, "prompt-completion": 1}}
    [finding] = choose([{"q": "2+2", "a": 4}]).findings
    assert str(finding) == (
        "info: guessed-columns: 'q' is read as the input and 'a' as the completion: their names say so;"
        " pass input=, target= and kind= to read other columns"
    )
    assert finding.facts == {
        "input": "q",
        "target": "a",
        "kind": "completion",
        "reason": "their names say so",
    }


def test_rows_of_other_shapes_are_read_as_what_they_are() -> None:
    rows = [{"prompt": "a", "completion": "b"}] * 3 + [{"instruction": "a", "output": "b"}, {"text": "c"}]
    assert read(*rows)[3:] == [
        CompletionExample(prompt="a", completion="b"),
        CompletionExample(prompt="", completion="c"),
    ]


def test_three_rows_of_three_shapes_are_read_as_what_they_are() -> None:
    assert read({"text": "c"}, {"prompt": "a", "completion": "b"}, {"instruction": "a", "output": "b"}) == [
        CompletionExample(prompt="", completion="c"),
        CompletionExample(prompt="a", completion="b"),
        CompletionExample(prompt="a", completion="b"),
    ]


def test_most_rows_decide() -> None:
    assert choose([{"text": "a"}, *[{"question": "a", "answer": "b"}] * 3]).name == "columns"
    assert choose([{"question": "a", "answer": "b"}, {"text": "a"}]).name == "text"


def test_a_column_called_kind_makes_no_row_of_ours() -> None:
    chosen = choose([{"kind": "completion", "question": "a", "answer": "b"}])
    assert (chosen.name, chosen.columns) == ("columns", Columns("question", "answer", "completion"))


@pytest.mark.parametrize(
    ("sample", "row", "message"),
    [
        ({"messages": [U, A]}, {"messages": "x"}, "messages: expected a list of messages, found text"),
        ({"messages": [U, A]}, {"message": [U, A]}, "unknown shape with the keys 'message'"),
        ({"messages": [U, A]}, {}, "unknown shape with the keys none"),
        ({"messages": [U, A]}, None, "expected an object, found null or nothing"),
        (
            {"prompt": "a", "completion": "b"},
            {"prompt": "a", "compltion": "b"},
            "no key 'completion'; the keys are",
        ),
        (
            {"prompt": "a", "completion": "b"},
            {"prompt": "a", "completion": {}},
            "completion: expected text, found an",
        ),
        (
            {"prompt": "a", "completion": "b"},
            {"prompt": None, "completion": "b"},
            "prompt: expected text, found null",
        ),
        ({"prompt": "a", "completion": "b"}, {"prompt": "a", "completion": None}, "completion: empty text"),
        ({"instruction": "a", "output": "b"}, {"instruction": "a", "output": ""}, "output: empty text"),
        ({"text": "a"}, {"text": True}, "text: expected text, found true or false"),
        ({"text": "a"}, {"text": " "}, "text: empty text"),
        (
            {"text": "a"},
            {"input_ids": [1, 2], "labels": [1, 2]},
            "input_ids: these are rows of token ids, not text",
        ),
        ({"question": "a", "answer": "b"}, {"question": "a"}, "no key 'answer'; the keys are 'question'"),
    ],
)
def test_rows_that_cannot_be_read(sample: Any, row: Any, message: str) -> None:
    chosen = choose([sample] * 3)
    with pytest.raises(DataError) as caught:
        chosen.read(row, "r:4")
    assert str(caught.value).startswith(message)
    assert caught.value.hint


@pytest.mark.parametrize(
    ("rows", "message", "hint"),
    [
        ([{}], "unknown shape with the keys none", UNKNOWN),
        ([{"a": {"b": 1}}], "unknown shape with the keys 'a'", UNKNOWN),
        (
            [{"input_ids": [1, 2, 3], "attention_mask": [1, 1, 1]}],
            "input_ids: these are rows of token ids, not text",
            "load the data from before they were tokenised: ids mean something to one tokenizer only",
        ),
        (
            [{"premise": "It rains.", "hypothesis": "It is wet.", "label": "entailment"}],
            "which column is the input and which the target is not clear; the columns are"
            " 'premise' (short text), 'hypothesis' (short text), 'label' (short text)",
            "perhaps input='{premise}\\n{hypothesis}', target='label'",
        ),
    ],
)
def test_rows_that_say_nothing(rows: list[Any], message: str, hint: str) -> None:
    with pytest.raises(DataError) as caught:
        choose(rows)
    assert str(caught.value) == f"{message}\n  hint: {hint}"


def test_rows_of_a_known_key_with_a_mistake_name_the_mistake() -> None:
    chosen = choose([{"prompt": "a", "compl": {"b": 1}}])
    with pytest.raises(DataError, match="no key 'completion'; the keys are 'prompt', 'compl'"):
        chosen.read({"prompt": "a", "compl": {"b": 1}}, "r:1")


def test_a_text_beside_its_token_ids_is_read_when_asked_for() -> None:
    rows = [{"text": f"a text of several words, number {n}", "id": n, "input_ids": [n]} for n in range(9)]
    with pytest.raises(DataError, match="input_ids: these are rows of token ids"):
        choose(rows)
    assert read(rows[0], columns=Columns.of(None, "text", None)) == [
        CompletionExample(prompt="", completion="a text of several words, number 0")
    ]


def test_no_rows_leave_the_choice_to_the_first_that_comes() -> None:
    chosen = choose([])
    assert chosen.findings == ()
    assert chosen.read({"text": "a"}, "r:1") == CompletionExample(prompt="", completion="a")


def test_lists_are_pairs_or_rows_of_a_table() -> None:
    pairs: list[list[Any]] = [[f"a text of several words, number {n}", n % 2] for n in range(20)]
    chosen = choose(pairs)
    assert chosen.name == "pairs"
    assert [finding.code for finding in chosen.findings] == ["guessed-shape", "numeric-labels"]
    assert chosen.read(pairs[0], "r:1") == LabelledExample(text=pairs[0][0], label="0")
    assert [
        finding.code for finding in choose(pairs, columns=Columns.of(None, None, None, ["a", "b"])).findings
    ] == ["guessed-shape"]
    turned = [pair[::-1] for pair in pairs]
    chosen = choose(turned)
    assert (chosen.name, chosen.columns) == ("columns", Columns("column 2", "column 1", "labelled"))
    assert chosen.read(turned[1], "r:2") == LabelledExample(text=pairs[1][0], label="1")
    with pytest.raises(DataError, match=r"'column 1' \(short text\)"):
        choose([["a", "b", "c"]])


# --- as the caller says -------------------------------------------------------------------------------


def test_a_shape_by_name() -> None:
    chosen = choose([{"text": "a", "label": "b"}], shape="text")
    assert (chosen.name, chosen.findings) == ("text", ())
    found = chosen.read({"text": "a", "label": "b"}, "r:1")
    assert found == CompletionExample(prompt="", completion="a")
    assert isinstance(found, CompletionExample) and found.meta == {"label": "b"}
    [again] = read(["a", 1], shape="pairs", columns=Columns.of(None, None, None, ["no", "yes"]))
    assert again == LabelledExample(text="a", label="yes")


def test_columns_by_name() -> None:
    asked = Columns.of("q", "a", None)
    chosen = choose([{"q": "a", "a": "b"}], columns=asked)
    assert (chosen.name, chosen.says, chosen.columns) == ("columns", "'q' with 'a' as the completion", asked)
    assert chosen.findings == ()
    assert read(["x", "y"], columns=Columns.of("column 2", "column 1", "labelled")) == [
        LabelledExample(text="y", label="x")
    ]


@pytest.mark.parametrize(
    ("rows", "kind", "example"),
    [
        ([{"prompt": "a", "completion": "b"}], "labelled", LabelledExample(text="a", label="b")),
        ([{"text": "a", "label": "b"}], "completion", CompletionExample(prompt="a", completion="b")),
        (
            [{"question": "a", "answer": "b"}],
            "prompt",
            PromptExample(messages=(Message(role="user", content="a"),), reference={"answer": "b"}),
        ),
        (
            [{"messages": [U], "gold": [1]}],
            "prompt",
            PromptExample(messages=(Message(role="user", content="hi"),), reference={"gold": [1]}),
        ),
    ],
)
def test_a_kind_alone(rows: list[Any], kind: str, example: Example) -> None:
    assert read(*rows, columns=Columns.of(None, None, kind)) == [example]


def test_names_of_labels_alone() -> None:
    rows = [{"text": "a", "label": 0}, {"text": "b", "label": 1}]
    plain = choose(rows)
    assert [finding.code for finding in plain.findings] == ["guessed-shape", "numeric-labels"]
    assert plain.findings[1].message == (
        "the labels are numbers ('0', '1'), which say nothing to a model;"
        ' pass label_names= with what they mean, such as ["no", "yes"]'
    )
    assert [finding.code for finding in choose([{"text": "a", "label": ""}]).findings] == ["guessed-shape"]
    asked = Columns.of(None, None, None, {0: "ham", 1: "spam"})
    assert [finding.code for finding in choose(rows, columns=asked).findings] == ["guessed-shape"]
    assert [row.label for row in read(*rows, columns=asked) if isinstance(row, LabelledExample)] == [
        "ham",
        "spam",
    ]
    with pytest.raises(DataError) as caught:
        read({"text": "a", "label": 2}, columns=asked)
    assert str(caught.value) == "label: the label '2' has no name\n  hint: label_names has '0', '1'"


@pytest.mark.parametrize(
    ("options", "message", "hint"),
    [
        ({"shape": "alpacca"}, "unknown shape 'alpacca'", "did you mean 'alpaca'?"),
        (
            {"shape": "alpaca", "columns": Columns("q", "a")},
            "shape='alpaca' and target='a' exclude each other",
            "a shape knows its own keys; pass the one or the other",
        ),
        (
            {"shape": "alpaca", "columns": Columns(None, None, "labelled")},
            "shape='alpaca' has no labelled examples",
            "it has 'chat', 'completion'",
        ),
    ],
)
def test_wrong_arguments(options: dict[str, Any], message: str, hint: str) -> None:
    with pytest.raises(SpecError) as caught:
        choose([{"text": "a"}], **options)
    assert str(caught.value) == f"{message}\n  hint: {hint}"


def test_a_chat_row_keeps_its_other_columns() -> None:
    [found] = read({"messages": [U, A], "thread": 7})
    assert isinstance(found, ChatExample) and found.meta == {"thread": 7}
