"""Reports as files: each ending its form, each form read back by what reads it, and verdicts the same in all."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.evaluation.report.made import FEW, comparison, evaluation
from tunekit.data.dataset import Dataset
from tunekit.errors import SpecError, StorageError
from tunekit.evaluation.arms.arm import Arm
from tunekit.evaluation.arms.costs import CallPrice
from tunekit.evaluation.arms.results import Arms
from tunekit.evaluation.compare import Rule, compare_evaluations
from tunekit.evaluation.comparison import Comparison
from tunekit.evaluation.evaluator import Evaluator
from tunekit.evaluation.report import write
from tunekit.evaluation.report.junit import junit
from tunekit.evaluation.results import Evaluation
from tunekit.evaluation.scorers import ExactMatch, LabelMetric


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


def test_several_arms_have_their_files(tmp_path: Path) -> None:
    test = Dataset.from_records([{"prompt": f"{n}", "completion": f"{n % 4}"} for n in range(100)])
    hostile = "</title><script>x</script>"
    arms = Evaluator(test, scorers=[ExactMatch(), LabelMetric("f1_macro")]).arms(
        base=lambda prompt: "0",
        few=Arm(model=lambda prompt: str(int(prompt) % 3), name=hostile),
        tuned=Arm(
            model=lambda prompt: str(int(prompt) % 4), training_usd=3.0, price=CallPrice(usd_per_call=0.01)
        ),
    )
    assert Arms.from_json(arms.write(tmp_path / "arms.json").read_bytes()) == arms
    assert arms.write(tmp_path / "arms.txt").read_text() == f"{arms}\n"
    html = arms.write(tmp_path / "arms.html").read_text()
    assert "<script" not in html and "&lt;script&gt;" in html
    assert '<header class="verdict better">' in html and "Training pays in quality" in html
    for shown in ("exact_match", "f1_macro", "BETTER".lower(), "$/1,000", "10.00", "How this was made"):
        assert shown in html, shown
    assert html == Arms.from_json(arms.to_json()).write(tmp_path / "again.html").read_text()
    with pytest.raises(SpecError, match="no test cases"):
        arms.write(tmp_path / "arms.xml")
