"""The store under many processes that are stopped and killed. The long runs are in tests/soak."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.unit.store.hammer import Hammer, double_owners, kill_writers, lost_updates, stale_writes


def test_sixteen_processes_lose_no_update_and_no_stale_write_is_accepted(tmp_path: Path) -> None:
    # Work was done, holders were stopped and killed, and some came back too late: less would prove nothing.
    enough = Counter(counted=30, fenced=150, acquired=30, stops=10, kills=4, stale=4)
    hammer = Hammer(home=tmp_path, processes=16)
    hammer.run(until=lambda: enough <= hammer.summary(), at_most_s=75)
    assert hammer.violations() == []
    assert hammer.complaints() == ""
    assert enough <= hammer.summary()


def test_without_a_fence_the_same_harm_is_caught(tmp_path: Path) -> None:
    hammer = Hammer(home=tmp_path, processes=4, records=1, fenced=False)

    def caught() -> list[str]:
        return stale_writes(hammer.history(), hammer.notes())

    hammer.run(until=caught, at_most_s=75, kill_share=0.0)
    assert caught()


def test_what_was_acknowledged_survives_a_kill(tmp_path: Path) -> None:
    kill_writers(tmp_path, kills=20)


# --- the check itself -----------------------------------------------------------------------------


def test_the_check_sees_nothing_where_nothing_is_wrong() -> None:
    history: dict[str, list[Any]] = {"counted-0": ["a", "b"], "fenced-0": [1, 1, 2]}
    notes = [
        {"kind": "counted", "run_id": "counted-0", "version": 2, "entry": "a"},
        {"kind": "acquired", "name": "l", "token": 1, "at": 1.0},
        {"kind": "acquired", "name": "l", "token": 2, "at": 3.0},
        {"kind": "fenced", "run_id": "fenced-0", "version": 3, "entry": 1, "name": "l", "began": 2.0},
    ]
    assert lost_updates(history, {"counted-0": 3, "fenced-0": 4}, notes) == []
    assert stale_writes(history, notes) == []
    assert double_owners(notes) == []


@pytest.mark.parametrize(
    ("entries", "version", "said"),
    [
        (["b"], 3, "version 3 with 1 entries"),
        (["b"], 2, "acknowledged but not stored"),
        ([], 1, "acknowledged but not stored"),
    ],
)
def test_the_check_sees_lost_updates(entries: list[str], version: int, said: str) -> None:
    note = {"kind": "counted", "run_id": "r", "version": 2, "entry": "a"}
    assert any(said in line for line in lost_updates({"r": entries}, {"r": version}, [note]))


def test_the_check_sees_one_version_acknowledged_to_two() -> None:
    note = {"kind": "counted", "run_id": "r", "version": 2, "entry": "a"}
    assert "acknowledged twice" in lost_updates({"r": ["a"]}, {"r": 2}, [note, note])[0]


def test_the_check_sees_stale_writes() -> None:
    assert "token 1 written after 2" in stale_writes({"fenced-0": [1, 2, 1]}, [])[0]
    notes = [
        {"kind": "acquired", "name": "l", "token": 2, "at": 1.0},
        {"kind": "fenced", "run_id": "fenced-0", "version": 2, "entry": 1, "name": "l", "began": 1.5},
    ]
    assert "former holder" in stale_writes({"fenced-0": [1]}, notes)[0]


def test_the_check_sees_a_token_with_two_owners() -> None:
    note = {"kind": "acquired", "name": "l", "token": 2, "at": 1.0}
    assert double_owners([note, note])
