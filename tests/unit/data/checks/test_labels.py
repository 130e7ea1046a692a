"""Labels and classes: missing, rare, uneven, spelled in several ways; and how they are mended, if somebody asks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tunekit as tk
from tests.unit.data.checks.looking import assistant, chat, look, user
from tunekit.data.checks.classes import Classes
from tunekit.data.checks.labels import Labels
from tunekit.data.classes import names as class_names
from tunekit.data.classes.variants import case_variants, space_variants, typo_variants
from tunekit.examples import CompletionExample, Example, LabelledExample


def labelled(counts: Mapping[str, int] | Iterable[Any]) -> tk.Dataset:
    """Rows with these labels; of a mapping, so many of each."""
    if isinstance(counts, Mapping):
        counts = [label for label, count in counts.items() for _ in range(count)]
    return tk.Dataset(
        LabelledExample(id=f"a.csv:{n}", text=f"text {n}", label=label)
        for n, label in enumerate(counts, start=1)
    )


def completions(counts: Mapping[str, int]) -> tk.Dataset:
    rows = [row for row in labelled(counts) if isinstance(row, LabelledExample)]
    return tk.Dataset(
        CompletionExample(id=row.id, prompt=row.text, completion=str(row.label)) for row in rows
    )


def chats(counts: Mapping[str, int]) -> tk.Dataset:
    rows = [row for row in completions(counts) if isinstance(row, CompletionExample)]
    return tk.Dataset(chat(user(row.prompt), assistant(row.completion), id=row.id) for row in rows)


# --- row by row -----------------------------------------------------------------------------------


def test_labels_of_a_row() -> None:
    data = labelled(["late", " ", ("a", "b"), ("a", "a"), (), ("a", ""), "late "])
    report = look(data, Labels)
    assert {finding.code: (finding.severity, finding.rows) for finding in report} == {
        "empty-labels": ("error", ("a.csv:2", "a.csv:6")),
        "label-spaces": ("warning", ("a.csv:2", "a.csv:7")),
        "repeated-labels": ("warning", ("a.csv:4",)),
        "no-labels": ("info", ("a.csv:5",)),
        "mixed-labels": ("warning", ()),
    }
    assert report["empty-labels"].places[1].field == "label[1]"
    assert report["label-spaces"].places[1].evidence == "late "


def test_spaces_and_repetitions_go_unasked() -> None:
    fixed = labelled([("a", " a", "b"), " late\n"]).fix()
    assert [row.label for row in fixed if isinstance(row, LabelledExample)] == [("a", "b"), "late"]
    assert not {"label-spaces", "repeated-labels"} & {finding.code for finding in fixed.check()}


def test_spaces_of_completions_stay_unasked() -> None:
    data = completions({" yes": 12, " no": 12})
    assert data.fix() == data
    assert not look(data, Labels, Classes).findings


# --- classes --------------------------------------------------------------------------------------


@pytest.mark.parametrize("rows", [labelled, completions, chats])
def test_spellings_of_one_class(rows: Any) -> None:
    data = rows(
        {"positive": 60, "negative": 60, "Positive": 3, "nega tive": 1, "negatvie": 2, "negative ": 4}
    )
    report = look(data, Labels, Classes)
    case = report["label-case"]
    assert [place.evidence for place in case.places[:3]] == ["Positive"] * 3
    assert case.facts["spellings"] == [
        {"label": "Positive", "usually": "positive", "rows": 3, "usual_rows": 60}
    ]
    assert report["label-typos"].rows == ("a.csv:124", "a.csv:125", "a.csv:126")
    assert len(report["label-spacing" if rows is not labelled else "label-spaces"].rows) == 4

    merged = data.fix("merge-label-spaces", "merge-label-case", "merge-label-typos")
    said = {row.label if isinstance(row, LabelledExample) else tk_answer(row) for row in merged}
    assert said == {"positive", "negative"}
    assert not {"label-case", "label-typos", "label-spacing"} & {
        found.code for found in look(merged, Classes)
    }


def tk_answer(row: Example) -> str:
    from tunekit.data.views import answer_text

    return answer_text(row)


def test_nothing_is_merged_unasked() -> None:
    data = labelled({"pos": 50, "Pos": 2, "positive": 40, "positve": 1})
    assert data.fix() == data


def test_codes_of_labels_are_not_misspelled() -> None:
    many = {
        "typical": 200,
        "atypical": 9,
        "label_1": 200,
        "label_2": 9,
        "cat": 200,
        "bat": 2,
        "can": 2,
        "refund": 90,
    }
    assert typo_variants(many) == {}
    assert typo_variants({"delivery": 99, "deliverys": 5}) == {}  # not rare enough to be a slip
    assert typo_variants({"delivery": 999, "deliverys": 10}) == {}


def test_slips_that_count() -> None:
    slips = ["deliver", "deliveryy", "delivary", "delviery", "Delivary"]
    assert typo_variants({"delivery": 500, **dict.fromkeys(slips, 1)}) == dict.fromkeys(slips, "delivery")


LABELS = st.text(alphabet="abAB \u00df", min_size=1, max_size=4)


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(LABELS, st.integers(1, 60), max_size=8))
def test_merging_twice_changes_nothing_more(counts: dict[str, int]) -> None:
    for variants in (space_variants, case_variants, typo_variants):
        found = variants(counts)
        merged: dict[str, int] = {}
        for text, count in counts.items():
            merged[found.get(text, text)] = merged.get(found.get(text, text), 0) + count
        assert not set(found) & set(merged)
        assert variants(merged) == {}


def test_many_neighbours_are_compared_in_time() -> None:
    # One letter apart from each other, half of them rare: the worst that fits under the limit of 1,000 classes.
    counts = {f"ab{chr(0x4E00 + n)}cd": (1 if n % 2 else 30) for n in range(1_000)}
    assert len(typo_variants(counts)) == 500
    assert typo_variants({f"{n:x}-name": n for n in range(1, 1_100)}) == {}


def test_rare_classes_and_their_rows() -> None:
    finding = look(labelled({"a": 30, "b": 30, "c": 9, "d": 1}), Classes)["rare-classes"]
    assert finding.facts["classes"] == {"c": 9, "d": 1}
    assert finding.rows == tuple(f"a.csv:{n}" for n in range(61, 71))
    assert "2 of 4 classes have fewer than 10 rows" in finding.message
    assert not look(labelled({"a": 30, "b": 30, "c": 10}), Classes).findings


def test_one_class_teaches_nothing() -> None:
    assert look(labelled({"a": 30}), Classes)["one-class"].severity == "error"
    assert look(chats({"a": 30}), Classes)["one-class"].severity == "error"
    assert not look(labelled({"a": 1}), Classes).findings


def test_imbalance_names_what_guessing_would_reach() -> None:
    finding = look(labelled({"ham": 87, "spam": 13}), Classes)["class-imbalance"]
    assert (finding.severity, finding.facts["largest"], finding.facts["share"]) == ("info", "ham", 0.87)
    assert "class-imbalance" not in look(labelled({"ham": 75, "spam": 25}), Classes)
    assert "class-imbalance" not in look(
        labelled(dict.fromkeys(map(str, range(77)), 50) | {"0": 200}), Classes
    )


def test_several_labels_count_each() -> None:
    report = look(labelled([("a", "b")] * 20 + [("a", "c")] * 3), Classes)
    assert report["rare-classes"].facts["classes"] == {"c": 3}
    assert report["rare-classes"].places[0].field == "label[1]"


def test_answers_that_are_no_classes_are_left_alone() -> None:
    free = completions({f"answer {n}": 1 for n in range(60)} | {"Answer 1": 1})
    long = completions({"x" * 200: 30, "X" * 200: 30})
    raw = tk.Dataset([CompletionExample(prompt="", completion=text) for text in ["yes"] * 20 + ["Yes"] * 3])
    for data in (free, long, raw):
        assert not look(data, Classes).findings
        assert data.fix("merge-label-case") == data


def test_long_labels_are_told_apart_and_never_cut_in_the_data() -> None:
    long = "because " * 30
    data = labelled({f"{long}a": 12, f"{long}b": 12, f"{long}A": 3})
    assert look(data, Classes)["rare-classes"].rows == ("a.csv:25", "a.csv:26", "a.csv:27")
    assert data.fix("merge-label-case") == data


def test_too_many_classes_are_said_to_be_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(class_names, "MAX_CLASSES", 50)
    data = labelled({f"label {n}": 1 for n in range(60)})
    assert look(data, Classes)["too-many-classes"].severity == "warning"
    assert data.fix("merge-label-case") == data
    assert not look(completions({f"label {n}": 1 for n in range(60)}), Classes).findings
