"""Rows that do not belong into a pipeline: refused where they are handed in, or taken out of what comes later."""

from __future__ import annotations

from pathlib import Path

import pytest

import tunekit as tk
from tests.unit.retrain.rounds.products import Host, product, rows


def spoilt(name: str) -> tk.Dataset:
    """Rows of which one has no answer."""
    return rows(name, 20) + tk.Dataset([tk.CompletionExample(id="b", prompt=f"{name} what", completion="")])


def test_a_batch_with_errors_is_not_handed_in_and_hurts_no_later_round(tmp_path: Path) -> None:
    retrainer = product(tmp_path, Host(0.9))
    assert retrainer.dry_run(spoilt("a")).errors
    with pytest.raises(tk.DataError, match="the rows have an error: an empty answer in 1 row") as caught:
        retrainer.run(spoilt("a"))
    assert "Dataset.check" in caught.value.hint
    assert not retrainer.rounds.batches() and not retrainer.rounds.list()
    assert retrainer.run(rows("b")).promoted


def test_rows_that_the_method_does_not_learn_from_are_not_handed_in(tmp_path: Path) -> None:
    retrainer = product(tmp_path, Host(0.9))
    labelled = tk.Dataset(
        tk.LabelledExample(id=f"{at}", text=f"t {at}", label="ab"[at % 2]) for at in range(9)
    )
    with pytest.raises(tk.DataError, match="holds labelled examples, method 'sft' needs"):
        retrainer.run(labelled)
    assert not retrainer.rounds.batches() and retrainer.run(rows("a")).promoted


def test_a_batch_is_not_held_to_what_only_a_whole_can_have(tmp_path: Path) -> None:
    retrainer = product(tmp_path, Host(0.9))
    alike = tk.Dataset.from_records([{"prompt": f"a {at}", "completion": "1"} for at in range(9)])
    with pytest.raises(tk.DataError, match="all 9 completions are '1'") as caught:
        retrainer.run(alike)
    assert "Rounds.withdraw" in caught.value.hint
    assert retrainer.rounds.list()[0].state is tk.RoundState.FAILED
    assert retrainer.run(rows("b")).promoted, "with others they are fit to train on"


def test_a_withdrawn_batch_is_in_no_later_training_data(tmp_path: Path) -> None:
    retrainer = product(tmp_path, Host(0.8, 0.9, 0.95))
    first = retrainer.run(rows("a", 30))
    retrainer.run(rows("b", 40) + rows("a", 10))
    out = retrainer.rounds.withdraw(2, reason="answers of a broken export")
    assert out.withdrawn_at is not None and out.rows == 50
    third = retrainer.run(rows("c", 20))
    assert third.amounts is not None and (third.amounts.old, third.amounts.new) == (30, 20)
    assert first.amounts is not None and first.amounts.total == 30
    assert retrainer.rounds.withdraw(2, reason="again") == out, "withdrawing is done once"
    assert [batch.withdrawn_because for batch in retrainer.rounds.batches()] == [
        "",
        out.withdrawn_because,
        "",
    ]


def test_what_was_withdrawn_cannot_come_back_unnoticed(tmp_path: Path) -> None:
    retrainer = product(tmp_path, Host(0.8, 0.9))
    retrainer.run(rows("a"))
    retrainer.rounds.withdraw(1, reason="wrong language")
    with pytest.raises(tk.DataError, match=r"are batch 1, which was withdrawn: wrong language"):
        retrainer.run(rows("a"))
    for way in (retrainer.request, retrainer.dry_run):
        with pytest.raises(tk.DataError, match="which was withdrawn"):
            way(rows("a"), task="another")
    with pytest.raises(tk.NotFoundError, match="no batch 7"):
        retrainer.rounds.withdraw(7, reason="typo")


def test_a_request_for_all_there_is_differs_after_a_withdrawal(tmp_path: Path) -> None:
    retrainer = product(tmp_path, Host(0.8, 0.9))
    retrainer.request(rows("a", 30))
    both = retrainer.run(rows("b", 40))
    again = retrainer.run()
    retrainer.rounds.withdraw(2, reason="wrong")
    assert not retrainer.dry_run().standing
    without = retrainer.run()
    assert len({both.round_id, again.round_id, without.round_id}) == 3
    assert without.amounts is not None and without.amounts.total == 30
