"""`tunekit eval` and `tunekit compare` as a person types them, and as a build runs them. Knows the commands only."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.unit.evaluation.fakes import TableBackend, right_on, truth
from tunekit.backends import registry
from tunekit.cli import main
from tunekit.evaluation.comparison import Comparison
from tunekit.evaluation.results import Evaluation

ITEMS = 120


@pytest.fixture
def backend() -> Iterator[TableBackend]:
    table = TableBackend(
        models={"half": right_on(range(60)), "most": right_on(range(100)), "all": right_on(range(ITEMS))}
    )
    unregister = registry.register("table", lambda **_: table)
    yield table
    unregister()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "test.csv"
    rows = [f"q{number},{truth(f'q{number}')},{'en' if number % 3 else 'de'}" for number in range(ITEMS)]
    path.write_text("\n".join(["question,label,language", *rows]) + "\n")
    return path


@pytest.fixture
def test(file: Path) -> list[str]:
    return ["--test", str(file), "--input", "question", "--answer", "label"]


@pytest.fixture
def stored(backend: TableBackend, test: list[str], tmp_path: Path) -> dict[str, str]:
    """An evaluation of each model as a file."""
    places = {name: str(tmp_path / f"{name}.json") for name in backend.models}
    for name, place in places.items():
        assert main(["eval", f"table:{name}", *test, "--out", place]) == 0
    return places


def test_eval_prints_a_table_and_writes_what_can_be_read_again(
    backend: TableBackend, test: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = {kind: tmp_path / f"out.{kind}" for kind in ("json", "html", "xml")}
    options = ["-o", str(files["json"]), "--html", str(files["html"]), "--junit", str(files["xml"])]
    assert main(["eval", "table:most", *test, *options, "--scorer", "exact_match:normalise=text"]) == 0
    printed = capsys.readouterr().out
    assert "exact_match  83.3 %" in printed
    assert all(f"Wrote {path}" in printed for path in files.values())
    found = Evaluation.from_json(files["json"].read_bytes())
    assert found["exact_match"].value.estimate == pytest.approx(100 / ITEMS)
    assert found.provenance.scorers["exact_match"]["normalise"] == "text"
    assert "table:most" in files["html"].read_text()
    assert ElementTree.parse(files["xml"]).getroot()[0].get("tests") == "1"


def test_eval_by_several_scorers_asks_once_and_prints_json(
    backend: TableBackend, test: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert (
        main(["eval", "table:most", *test, "--scorer", "exact_match", "--scorer", "f1_macro", "--json"]) == 0
    )
    found = Evaluation.from_json(capsys.readouterr().out)
    assert found.names == ("exact_match", "f1_macro")
    assert sum(len(requests) for _, requests in backend.asked) == ITEMS


def test_an_openai_grader_is_a_scorer(
    backend: TableBackend, test: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    grader = tmp_path / "grader.json"
    body = {"type": "string_check", "name": "right", "operation": "eq"}
    sides = {"input": "{{sample.output_text}}", "reference": "{{item.reference}}"}
    grader.write_text(json.dumps({**body, **sides}))
    assert main(["eval", "table:half", *test, "--scorer", str(grader)]) == 0
    assert "right  50.0 %" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("a", "b", "options", "code"),
    [
        ("half", "all", [], 0),
        ("all", "half", [], 1),
        ("all", "all", [], 2),
        ("all", "all", ["--margin", "0.05"], 0),
        ("all", "all", ["--margin", "0.05", "--min-gain", "0.05"], 1),
        ("half", "all", ["--min-gain", "0.45"], 2),
    ],
)
def test_compare_exits_as_the_comparison_decides(
    stored: dict[str, str], a: str, b: str, options: list[str], code: int
) -> None:
    assert main(["compare", stored[a], stored[b], *options]) == code


def test_stored_evaluations_ask_nobody(
    backend: TableBackend, stored: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    backend.asked.clear()
    page, cases, kept = (tmp_path / name for name in ("page.html", "cases.xml", "kept.json"))
    options = ["--html", str(page), "--junit", str(cases), "--out", str(kept)]
    assert main(["compare", stored["half"], stored["most"], *options]) == 0
    assert backend.asked == []
    assert "BETTER" in capsys.readouterr().out
    assert "It passes." in page.read_text()
    assert Comparison.from_json(kept.read_bytes())["exact_match"].wins == 40
    assert ElementTree.parse(cases).getroot()[0].get("failures") == "0"


def test_models_and_stored_evaluations_may_be_mixed(
    backend: TableBackend, stored: dict[str, str], test: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    backend.asked.clear()
    assert main(["compare", stored["half"], "table:all", *test]) == 0
    assert {model for model, _ in backend.asked} == {"all"}
    assert "a  table:half\nb  table:all\n" in capsys.readouterr().out


def test_compare_looks_at_slices_and_prints_json(
    backend: TableBackend, test: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compare", "table:half", "table:all", *test, "--slice", "language", "--json"]) == 0
    found = Comparison.from_json(capsys.readouterr().out)
    assert [(part.value, part.n) for part in found["exact_match"].slices] == [("en", 80), ("de", 40)]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["compare", "table:a", "table:b"], "--test FILE"),
        (["compare", "nothere.json", "table:b"], "no file 'nothere.json'"),
        (["compare", "{test}.json", "table:b"], "is no stored evaluation"),
        (
            ["eval", "table:nobody", "--test", "{test}", "--input", "question", "--answer", "label"],
            "no model",
        ),
        (["eval", "table:all", "--test", "{test}", "--input", "question"], "--answer"),
        (["eval", "table:all", "--test", "{test}", "--scorer", "exat_match"], "did you mean 'exact_match'"),
        (["eval", "table:all", "--test", "{test}", "--scorer", "regex_match"], "'pattern'"),
        (["eval", "table:all", "--test", "{test}", "--scorer", "f1_macro:x"], "no NAME=VALUE"),
        (["eval", "table:all", "--test", "{test}", "--scorer", "f1_macro:{"], "no JSON object"),
        (["eval", "table:all", "--test", "{test}", "--scorer", "nothere.json"], "cannot read the grader"),
        (["eval", "table:all", "--test", "{test}", "--html", "page.pdf"], "end it with .html"),
        (["eval", "table:all", "--test", "{test}", "--out", "no/such/place.json"], "make it first"),
        (["eval", "table:all", "--test", "{test}.json", "--out", "{test}.json"], "named twice"),
        (
            ["eval", "nobackend:all", "--test", "{test}", "--input", "question", "--answer", "label"],
            "nobackend",
        ),
    ],
)
def test_mistakes_are_told_before_anybody_is_asked(
    backend: TableBackend, file: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    Path(f"{file}.json").write_text("{}")
    assert main([each.replace("{test}", str(file)) for each in arguments]) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert said in printed.err
    assert "hint:" in printed.err
    assert backend.asked == []


def test_evaluations_of_different_tests_are_not_compared(
    backend: TableBackend, stored: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other.jsonl"
    other.write_text(
        "".join(json.dumps({"prompt": f"q{n}", "completion": "delivery"}) + "\n" for n in range(20))
    )
    assert main(["eval", "table:all", "--test", str(other), "--out", str(tmp_path / "other.json")]) == 0
    assert main(["compare", stored["all"], str(tmp_path / "other.json")]) == 1
    assert "not evaluated alike" in capsys.readouterr().err
