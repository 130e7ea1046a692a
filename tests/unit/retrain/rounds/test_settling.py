"""What rounds say and what the alias names: the same, whoever moved it and wherever he was killed."""

from __future__ import annotations

from pathlib import Path

import pytest

import tunekit as tk
from tests.unit.retrain.rounds.products import Host, product, rows


@pytest.fixture
def retrainer(tmp_path: Path) -> tk.Retrainer:
    """With three promoted versions."""
    retrainer = product(tmp_path, Host(0.6, 0.75, 0.9))
    assert all(retrainer.run(rows(name)).promoted for name in "abc")
    return retrainer


def said(retrainer: tk.Retrainer) -> list[str]:
    return [str(each.state) for each in retrainer.rounds.list()][::-1]


def test_a_rollback_by_the_registry_alone_is_seen(retrainer: tk.Retrainer) -> None:
    retrainer.rounds.registry.rollback("bot@champion", reason="complaints")
    assert retrainer.run(rows("b")).promoted, "the same request, whose model is in use again"
    retrainer.run(rows("d"))
    assert said(retrainer)[:3] == ["superseded", "superseded", "rolled_back"]


def test_a_rollback_that_was_killed_in_between_is_brought_to_its_end(retrainer: tk.Retrainer) -> None:
    retrainer.rounds.registry.rollback("bot@champion", key="monday")  # and then the process was gone
    assert said(retrainer) == ["superseded", "superseded", "promoted"]
    assert retrainer.rounds.rollback(key="monday").after == 2, "done once"
    assert said(retrainer) == ["superseded", "promoted", "rolled_back"]


def test_a_late_repetition_changes_nothing_that_came_after(retrainer: tk.Retrainer) -> None:
    rounds = retrainer.rounds
    rounds.rollback(key="monday")
    rounds.registry.promote("bot@3", reason="it was not that")
    rounds.rollback(key="monday")
    assert said(retrainer) == ["superseded", "superseded", "promoted"]
    assert rounds.registry.resolve("bot@champion") == rounds.registry.version("bot@3").model


def test_two_operators_at_once_go_back_once(retrainer: tk.Retrainer) -> None:
    rounds = retrainer.rounds
    rounds.rollback(expected=3, by="ann")
    with pytest.raises(tk.ConflictError):
        rounds.rollback(expected=3, by="bob")
    assert rounds.history(rounds.list()[0].round_id)[-1].by == "ann"
