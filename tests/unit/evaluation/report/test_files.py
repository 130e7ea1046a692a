"""Reports as files: each ending its form, each form read back by what reads it, and verdicts the same in all."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.evaluation.report.made import FEW, comparison, evaluation
from tunekit.errors import SpecError, StorageError
from tunekit.evaluation.compare import Rule, compare_evaluations
from tunekit.evaluation.comparison import Comparison
from tunekit.evaluation.report import write
from tunekit.evaluation.report.junit import junit
from tunekit.evaluation.results import Evaluation


@pytest.fixture(scope="module")
def found() -> Comparison:
    return comparison(100, weighed=False)


def test_a_stored_comparison_draws_the_same_page(found: Comparison, tmp_path: Path) -> None:
    found.write(tmp_path / "kept.json")
    again = Comparison.from_json((tmp_path / "kept.json").read_bytes())
    assert again == found
    for name in ("page.html", "cases.xml", "table.txt"):
        found.write(tmp_path / f"first-{name}")
        assert again.write(tmp_path / name) == tmp_path / name
        assert (tmp_path / name).read_bytes() == (tmp_path / f"first-{name}").read_bytes()


def test_one_model_has_the_same_files(found: Comparison, tmp_path: Path) -> None:
    one = found.evaluations[0]
    assert Evaluation.from_json(one.write(tmp_path / "one.json").read_bytes()) == one
    assert "Wrong answers" in one.write(tmp_path / "one.html").read_text()
    assert one.write(tmp_path / "one.TXT").read_text() == f"{one}\n"


def test_another_ending_and_another_place_are_refused(found: Comparison, tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"page\.pdf"):
        write(found, tmp_path / "page.pdf")
    with pytest.raises(StorageError):
        write(found, tmp_path / "nowhere" / "page.html")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("right", "rule", "outcome"),
    [
        ((0.5, 0.9), Rule(), None),
        ((0.9, 0.5), Rule(), "failure"),
        ((0.8, 0.8), Rule(), "error"),
        ((0.8, 0.8), Rule(margin=0.4), None),
        ((0.8, 0.8), Rule(margin=0.4, min_gain=0.4), "failure"),
    ],
)
def test_a_build_shows_what_the_exit_code_says(
    right: tuple[float, float], rule: Rule, outcome: str | None
) -> None:
    made = comparison(100, rule=rule, right=right, corpus=False, weighed=False)
    suite = ElementTree.fromstring(junit(made).encode())[0]
    [case] = suite.findall("testcase")
    assert (case.get("classname"), case.get("name")) == ("tunekit.compare", "accuracy")
    assert [child.tag for child in case if child.tag != "system-out"] == ([outcome] if outcome else [])
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors"), suite.get("skipped")) == (
        "1",
        str(int(outcome == "failure")),
        str(int(outcome == "error")),
        "0",
    )
    assert made.exit_code == {None: 0, "failure": 1, "error": 2}[outcome]


def test_each_item_may_be_a_case(found: Comparison) -> None:
    a, b = found.evaluations
    failed = b.items[0].model_copy(update={"scores": {}, "errors": {"accuracy": "timeout"}, "counts": {}})
    broken = compare_evaluations(
        a.model_copy(update={"metrics": {"accuracy": a["accuracy"]}, "provenance": _only(a)}),
        b.model_copy(
            update={
                "metrics": {"accuracy": b["accuracy"]},
                "provenance": _only(b),
                "items": (failed, *b.items[1:]),
            }
        ),
    )
    suite = ElementTree.fromstring(junit(broken, items=True).encode())[0]
    assert suite.get("tests") == str(1 + 100)
    cases = {case.get("name"): [child.tag for child in case] for case in suite}
    assert cases[failed.id] == ["error"]
    assert [name for name, tags in cases.items() if tags == ["failure"]] == list(
        broken["accuracy"].newly_broken
    )


def _only(made: Evaluation) -> object:
    scorers = {"accuracy": made.provenance.scorers["accuracy"]}
    return made.provenance.model_copy(update={"scorers": scorers})


@settings(max_examples=40, deadline=None)
@given(text=st.text(st.characters(), min_size=1, max_size=40))
def test_any_text_is_xml(text: str) -> None:
    made = evaluation("local:a", 5, FEW, 0.5, 1, corpus=False, weighed=False)
    items = tuple(item.model_copy(update={"id": text, "errors": {"accuracy": text}}) for item in made.items)
    suite = ElementTree.fromstring(junit(made.model_copy(update={"items": items}), items=True).encode())[0]
    assert suite.get("errors") == "5"


def test_the_table_says_slices_baselines_and_what_is_adjusted(found: Comparison) -> None:
    shown = str(found)
    assert "accuracy by slice" in shown
    assert "language=Deutsch" in shown
    assert "always answering 'billing' gets" in shown
    assert "adjusted" in shown.splitlines()[3]
    assert "input tokens per item" in shown
