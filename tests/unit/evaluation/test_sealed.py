"""Tests that are sealed: every look is counted, whoever looks, and nobody can look uncounted."""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.unit.evaluation.fakes import TableBackend, failing_on, right_on, tickets
from tunekit.errors import EvaluationError, SpecError, StorageError
from tunekit.evaluation.evaluator import Evaluator
from tunekit.evaluation.results import Evaluation
from tunekit.evaluation.sealed import Opening, open_test, openings

N = 20


def backend() -> TableBackend:
    models = {name: right_on(range(number)) for name, number in (("base", 5), ("one", 10), ("two", 15))}
    return TableBackend(models={**models, "down": failing_on(range(N), right_on(set()))})


def look(home: Path, lineage: str = "tickets") -> Opening:
    return open_test(home, "f", lineage=lineage, models=("table:a",), evaluator="e", opened_at=1.0)


def test_a_comparison_is_one_look_and_the_next_is_warned_about() -> None:
    evaluator = Evaluator(tickets(N), sealed="tickets")
    first = evaluator.compare("table:base", "table:one", backend=backend())
    for side in first.evaluations:
        assert side.opening is not None and side.opening.number == 1
        assert side.opening.models == ("table:base", "table:one")
        assert not any("sealed" in warning for warning in side.warnings)
    second = Evaluator(tickets(N), sealed="tickets").run("table:two", backend=backend())
    assert second.opening is not None and str(second.opening) == "opening 2 of this sealed test"
    assert any(
        "opening 2 of this sealed test, and number 2 of lineage 'tickets'" in text for text in second.warnings
    )
    assert Evaluation.from_json(second.to_json()) == second


def test_a_stored_evaluation_is_not_looked_at_again(home: Path) -> None:
    evaluator = Evaluator(tickets(N), sealed=True)
    base, one = (evaluator.run(f"table:{name}", backend=backend()) for name in ("base", "one"))
    report = evaluator.compare(base, one)
    assert [side.opening and side.opening.number for side in report.evaluations] == [1, 2]
    assert len(openings(home / "sealed", evaluator.provenance.test_fingerprint)) == 2


def test_another_line_of_work_counts_for_itself() -> None:
    Evaluator(tickets(N), sealed="tickets").run("table:one", backend=backend())
    other = Evaluator(tickets(N), sealed="spam").run("table:two", backend=backend())
    assert other.opening is not None
    assert (other.opening.number, other.opening.lineage_number, other.warnings) == (2, 1, ())


def test_another_test_has_a_seal_of_its_own() -> None:
    Evaluator(tickets(N), sealed=True).run("table:one", backend=backend())
    found = Evaluator(tickets(N - 1), sealed=True).run("table:one", backend=backend())
    assert found.opening is not None and found.opening.number == 1


def test_a_test_that_is_not_sealed_is_not_counted(home: Path) -> None:
    evaluator = Evaluator(tickets(N))
    assert evaluator.run("table:one", backend=backend()).opening is None
    assert not (home / "sealed").exists()
    assert not evaluator.is_sealed and Evaluator(tickets(N), sealed=True).is_sealed


def test_an_evaluation_that_failed_showed_nothing(home: Path) -> None:
    evaluator = Evaluator(tickets(N), sealed=True)
    with pytest.raises(EvaluationError):
        evaluator.run("table:down", backend=backend())
    assert openings(home / "sealed", evaluator.provenance.test_fingerprint) == ()


def test_a_look_that_cannot_be_counted_is_not_had(home: Path) -> None:
    (home / "sealed").write_text("a file where the directory should be")
    with pytest.raises(StorageError):
        Evaluator(tickets(N), sealed=True).run("table:one", backend=backend())


def test_a_seal_needs_a_name() -> None:
    with pytest.raises(SpecError, match="sealed is ''"):
        Evaluator(tickets(N), sealed="")


def test_threads_get_different_numbers(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        numbers = [found.number for found in pool.map(lambda _: look(tmp_path), range(40))]
    assert sorted(numbers) == list(range(1, 41))


def test_processes_get_different_numbers(tmp_path: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        numbers = [found.number for found in pool.map(look, [tmp_path] * 10)]
    assert sorted(numbers) == list(range(1, 11))
    assert [found.number for found in openings(tmp_path, "f")] == list(range(1, 11))


def test_a_line_that_was_cut_off_is_written_anew(tmp_path: Path) -> None:
    look(tmp_path)
    log = tmp_path / "f.jsonl"
    log.write_bytes(log.read_bytes() + b'{"number": 2, "lin')
    assert len(openings(tmp_path, "f")) == 1
    assert look(tmp_path).number == 2
    assert [found.number for found in openings(tmp_path, "f")] == [1, 2]


def test_a_damaged_log_is_named(tmp_path: Path) -> None:
    look(tmp_path)
    log = tmp_path / "f.jsonl"
    log.write_bytes(b"gone\n" + log.read_bytes())
    with pytest.raises(StorageError, match=r"line 1 of .*jsonl' is no opening"):
        look(tmp_path)


def test_nobody_else_can_read_the_log(tmp_path: Path) -> None:
    look(tmp_path / "sealed")
    assert (tmp_path / "sealed" / "f.jsonl").stat().st_mode & 0o777 == 0o600


def test_a_test_that_was_never_opened(tmp_path: Path) -> None:
    assert openings(tmp_path / "nowhere", "f") == ()
