"""Hints: which task data are for and why, classes, marks, the recipe to begin with, and what must come first."""

from __future__ import annotations

import json
from collections.abc import Iterable

import pytest

import tunekit as tk
from tunekit.data.advice.hints import Hints, infer
from tunekit.data.checks.base import CheckContext
from tunekit.data.profiles import profile_of
from tunekit.data.statistics import Statistics
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

USER = (Message(role="user", content="2+2?"),)


def answered(*answers: str) -> list[CompletionExample]:
    return [CompletionExample(prompt=f"Question {i}", completion=answer) for i, answer in enumerate(answers)]


def chats(*answers: str) -> list[ChatExample]:
    return [ChatExample(messages=(*USER, Message(role="assistant", content=answer))) for answer in answers]


def labelled(rows: int, *labels: str) -> list[LabelledExample]:
    return [LabelledExample(text=f"text {i}", label=labels[i % len(labels)]) for i in range(rows)]


def for_target(rows: Iterable[Example], target: str) -> Hints:
    profile = profile_of(target)
    return infer(rows, CheckContext(profiles=(profile,), prompt_format=profile.prompt_format))


# --- the task -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("rows", "task"), [(12, "generation"), (13, "classification")])
def test_fewer_answers_than_one_for_every_three_rows_are_classes(rows: int, task: str) -> None:
    hints = infer(answered(*("abcd"[i % 4] for i in range(rows))))
    assert hints.task == task
    assert f"4 different answers in {rows} rows" in hints.reason
    assert bool(hints.classes) == (task == "classification")


def test_spaces_make_no_answer_another() -> None:
    assert (
        infer(answered(*(("a", "a ", "b", " b", "c", "c ")[i % 6] for i in range(13)))).task
        == "classification"
    )


def test_long_answers_are_no_classes_however_few() -> None:
    hints = infer(answered(*["a long answer " * 10] * 10))
    assert (hints.task, hints.classes) == ("generation", {})
    assert "longer than a class's name" in hints.reason


def test_text_without_prompts_is_continued() -> None:
    hints = infer([CompletionExample(prompt="", completion=f"Text {i}.") for i in range(20)])
    assert hints.task == "open-ended"
    assert isinstance(hints.spec and hints.spec.method, tk.SFT)


def test_chats_may_be_classification_too() -> None:
    hints = infer(chats(*("yes" if i % 4 else "no" for i in range(12))))
    assert (hints.task, hints.classes) == ("classification", {"yes": 9, "no": 3})
    assert infer(chats(*(f"Answer {i}" for i in range(12)))).task == "generation"


def test_spaces_and_stop_sequences_are_not_part_of_a_class() -> None:
    answers = (" ham END", "ham END", " ham  END", " spam END")
    hints = infer(answered(*(answers[i % 4] for i in range(20))))
    assert hints.classes == {"ham": 15, "spam": 5}
    assert hints.stop == (" END",)


def test_variants_in_case_stay_classes_but_are_told() -> None:
    hints = infer(answered(*(("pos", "Pos", "neg")[i % 3] for i in range(30))))
    assert set(hints.classes) == {"pos", "Pos", "neg"}
    assert "'Pos' and 'pos' differ only in case: make them one class first" in hints.advice


def test_one_class_and_classes_of_one_row_are_told() -> None:
    assert "there is one class only" in " ".join(infer(answered(*["same"] * 9)).advice)
    hints = infer(answered(*["a"] * 9, *["b"] * 9, "once"))
    assert "1 of 3 classes have one row, such as 'once': it cannot be tested" in hints.advice


def test_several_labels_of_a_row_each_count() -> None:
    hints = infer([LabelledExample(text=f"t{i}", label=("a", "b") if i % 2 else ("a",)) for i in range(4)])
    assert hints.classes == {"a": 4, "b": 2}


@pytest.mark.parametrize(
    ("counts", "positive", "why"),
    [
        ({"ham": 12, "spam": 3}, "spam", "the rarer of the two"),
        ({"yes": 12, "no": 3}, "yes", "by its name"),
        ({"1": 12, "0": 3}, "1", "by its name"),
        ({"Positive": 3, "negative": 12}, "Positive", "by its name"),
        ({"yes": 12, "y": 3}, "y", "the rarer of the two"),
        ({"cat": 8, "dog": 8}, "dog", "both are as frequent"),
        ({"a": 6, "b": 6, "c": 6}, "", ""),
    ],
)
def test_the_positive_class(counts: dict[str, int], positive: str, why: str) -> None:
    hints = infer(answered(*(name for name, count in counts.items() for _ in range(count))))
    assert hints.positive_class == positive
    assert why in hints.positive_reason


@pytest.mark.parametrize("labels", [("positive", "negative"), ("90210", "10210")])
def test_letters_that_answers_share_are_never_a_stop_sequence(labels: tuple[str, str]) -> None:
    assert infer(answered(*(f" {labels[i % 2]}" for i in range(12)))).stop == ()


# --- the recipe -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rows", "method"),
    [
        (answered("a", "b"), tk.SFT()),
        (chats("a"), tk.SFT()),
        (labelled(20, "a", "b"), tk.Probe()),  # few rows
        (labelled(200, "a", "b"), tk.Classify()),
        (labelled(200, *map(str, range(50))), tk.Probe()),  # few of each class
        ([PreferenceExample(messages=USER, chosen="4", rejected="5")], tk.DPO()),
    ],
)
def test_the_method_follows_the_kind(rows: list[Example], method: object) -> None:
    spec = infer(rows).spec
    assert spec is not None and spec.method == method


def test_rows_for_a_grader() -> None:
    def row(**reference: str) -> PromptExample:
        return PromptExample(messages=USER, reference=reference)

    spec = infer([row(answer="4", source="x"), row(answer="5")]).spec
    assert spec is not None and isinstance(spec.method, tk.RFT)
    assert spec.method.grader["reference"] == "{{item.answer}}"
    hints = infer([row(answer="4", source="x")])
    assert (hints.spec, hints.advice[0]) == (None, "write a grader that uses the references")


def test_what_has_no_recipe_says_what_comes_first() -> None:
    hints = infer([UnpairedExample(messages=USER, completion="5", desirable=False)])
    assert (hints.spec, hints.code) == (None, "")
    assert "data.filter(lambda row: row.desirable)" in hints.advice[0]
    hints = infer([*answered("a"), *chats("b")])
    assert hints.spec is None and "one kind" in hints.advice[0]
    assert "1 chat, 1 completion" in hints.reason
    assert infer([]).spec is None


@pytest.mark.parametrize(
    ("rows", "epochs", "test"),
    [(4, 25, None), (10, 10, 0.2), (100, 3, 0.2), (6_000, 3, 1_000), (30_000, 1, 1_000)],
)
def test_epochs_and_the_held_out_set_follow_the_number_of_rows(
    rows: int, epochs: int, test: float | None
) -> None:
    hints = infer(answered(*(f"answer {i}" for i in range(rows))))
    assert (hints.spec and hints.spec.epochs, hints.test) == (epochs, test)


def test_a_target_that_trains_on_no_such_rows() -> None:
    hints = for_target(labelled(200, "a", "b"), "nebius:some/model")
    assert hints.spec is not None and hints.spec.method == tk.SFT()
    assert "this target trains on no labelled rows: data.to_chat()" in hints.advice
    assert hints.target == "nebius:some/model"
    assert "submit(train, 'nebius:some/model', tk.TuneSpec(method=tk.SFT(), epochs=3))" in hints.code


def test_the_local_trainer_has_a_head_for_labels() -> None:
    hints = for_target(labelled(200, "a", "b"), "local:some/model")
    assert hints.spec is not None and hints.spec.method == tk.Classify()
    assert not any("trains on no" in line for line in hints.advice)


def test_base_models_and_chat_models_hear_different_things_about_marks() -> None:
    rows = [
        CompletionExample(prompt=f"Question {i}\n\n###\n\n", completion=f" Answer {i} END") for i in range(20)
    ]
    base = for_target(rows, "base")
    assert (base.separator, base.stop) == ("\n\n###\n\n", (" END",))
    assert base.spec is not None and base.spec.method == tk.SFT(prompt_format="text")
    assert "strip it" in " ".join(base.advice)
    assert "a chat model needs none" in " ".join(infer(rows).advice)
    assert "a chat model needs none" not in " ".join(base.advice)


def test_the_code_runs() -> None:
    rows = labelled(200, "a", "b")
    hints = infer(rows)
    submitted = []

    class Job:
        @staticmethod
        def submit(train: tk.Dataset, target: str, spec: tk.TuneSpec) -> None:
            submitted.append((len(train), target, spec))

    class Names:
        FineTuneJob, TuneSpec, Classify = Job, tk.TuneSpec, tk.Classify

    exec(hints.code, {"tk": Names, "data": tk.Dataset(rows)})
    assert submitted == [(160, "local:<model>", hints.spec)]


def test_hints_for_people_and_for_programs() -> None:
    hints = infer(answered(*("spam" if i % 4 == 0 else "ham" for i in range(100))))
    assert str(hints).splitlines() == [
        "classification: 2 different answers in 100 rows, all short and fewer than one for every three rows",
        "classes: 'ham' 75, 'spam' 25",
        "positive class: 'spam', the rarer of the two",
        "- telling classes apart is learned by small models, too: begin with the smallest that may do",
        "- hold out rows that are never trained on; split() puts no input on both sides and keeps class shares",
        "train, test = data.split(test=0.2, seed=0)",
        "job = tk.FineTuneJob.submit(train, 'local:<model>', tk.TuneSpec(method=tk.SFT(), epochs=3))",
    ]
    plain = json.loads(json.dumps(hints.to_dict()))
    assert plain["classes"] == {"ham": 75, "spam": 25}
    assert tk.TuneSpec.from_json(json.dumps(plain["spec"])) == hints.spec


def test_statistics_of_a_stream_will_do() -> None:
    rows = answered(*("ab"[i % 2] for i in range(30)))
    seen = Statistics()
    for row in rows:
        seen.see(row)
    assert infer(seen) == infer(rows) == infer(iter(rows))


def test_what_was_split_is_not_told_to_be_split() -> None:
    data = tk.Dataset.from_records([{"prompt": f"p{n}", "completion": f"answer {n}"} for n in range(60)])
    train, test = data.split()
    for part in (train, train.to_chat(), train.fix(), train.sample(40), data.folds(2)[0][0]):
        hints = part.hints()
        assert hints.is_train
        assert hints.test is None
        assert "hold out" not in str(hints)
        assert "split(" not in str(hints)
        assert hints.code.startswith("job = tk.FineTuneJob.submit(train, ")
    for part in (data, test):
        assert "hold out" in str(part.hints())
