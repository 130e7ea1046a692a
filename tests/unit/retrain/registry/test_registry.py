"""Versions that never change and aliases that are moved: what a host relies on, in memory and in a file."""

from __future__ import annotations

import multiprocessing
import random
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

import tunekit as tk
from tunekit.errors import ConflictError, NotFoundError, RefError, SpecError, StorageError
from tunekit.retrain.registry import (
    MemoryRegistryStore,
    MLflowRegistryStore,
    ModelVersion,
    Move,
    Registry,
    RegistryStore,
    SqliteRegistryStore,
)

BOT = "support-bot"
# MLflow asks SQLAlchemy 2.1 for what that is about to drop.
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:DeprecationWarning")


@pytest.fixture(params=["memory", "sqlite", "mlflow"])
def registry(request: pytest.FixtureRequest) -> Registry:
    if request.param == "mlflow":
        return Registry(MLflowRegistryStore(request.getfixturevalue("mlflow_uri")))
    return Registry(MemoryRegistryStore() if request.param == "memory" else None)


def with_versions(registry: Registry, count: int) -> Registry:
    for number in range(1, count + 1):
        assert registry.register(BOT, f"local:run-{number}").number == number
    return registry


# --- versions -----------------------------------------------------------------------------------------


def test_a_version_knows_where_it_came_from(registry: Registry) -> None:
    spec = tk.TuneSpec(method=tk.SFT(adapter=tk.LoRA(rank=4)), epochs=2, seed=7)
    made = registry.register(
        BOT,
        "openai:ft:gpt-4.1-mini-2025-04-14:acme::x",
        spec=spec,
        data={"train": "f00", "test": "ba7"},
        digest="d1",
        base="openai:gpt-4.1-mini-2025-04-14",
        base_ends=date(2027, 1, 14),
        parent=None,
        code_version="c0ffee",
        facts={"ticket": 12, "tags": ["weekly"]},
    )
    found = registry.version(f"{BOT}@1")
    assert found == made and ModelVersion.from_json(made.to_json()) == made
    assert tk.TuneSpec.model_validate(found.recipe) == spec and found.seed == 7
    assert found.days_left(date(2026, 11, 23)) == 52
    assert set(found.libraries) >= {"python", "torch", "transformers", "peft"}
    assert registry.names() == (BOT,) and list(registry.versions(BOT)) == [made]


def test_registering_the_same_again_gives_the_same(registry: Registry) -> None:
    first = registry.register(BOT, "local:run-1", note="weekly")
    again = registry.register(BOT, "local:run-1", note="weekly")
    other = registry.register(BOT, "local:run-1", note="monthly")
    assert again == first and other.number == 2


@pytest.mark.parametrize("name", ["", "Support", "a b", "a@b", "-a", "a" * 64, None, "a\n"])
def test_a_name_that_is_none_is_refused(registry: Registry, name: Any) -> None:
    with pytest.raises(RefError):
        registry.register(name, "local:run-1")
    with pytest.raises(RefError):
        registry.resolve(f"{name}@champion")


def test_what_is_wrong_with_a_version_is_named(registry: Registry) -> None:
    with pytest.raises(SpecError, match="data"):
        registry.register(BOT, "local:run-1", data={"train": 3})  # type: ignore[dict-item]
    with pytest.raises(SpecError, match="noet"):
        registry.register(BOT, "local:run-1", noet="x")
    with pytest.raises(RefError):
        registry.register(BOT, "no reference")
    assert registry.names() == ()


@pytest.mark.parametrize("which", ["support-bot", "support-bot@", "@champion", "support-bot@0", "a@b@c", 3])
def test_what_names_no_version_is_refused(registry: Registry, which: Any) -> None:
    with pytest.raises((RefError, NotFoundError)):
        with_versions(registry, 1).resolve(which)


# --- aliases ------------------------------------------------------------------------------------------


def test_product_code_asks_for_the_champion(registry: Registry) -> None:
    with_versions(registry, 2)
    with pytest.raises(NotFoundError, match="nothing was promoted"):
        registry.resolve(f"{BOT}@champion")
    registry.promote(f"{BOT}@1")
    assert registry.resolve(f"{BOT}@champion") == "local:run-1"
    registry.promote(f"{BOT}@2", expected=1, reason="gate passed", by="retrainer")
    assert registry.resolve(f"{BOT}@champion") == registry.resolve(f"{BOT}@2") == "local:run-2"
    registry.promote(f"{BOT}@champion", "canary")
    assert registry.aliases(BOT) == {"champion": 2, "canary": 2}
    assert [move.reason for move in registry.history(f"{BOT}@champion")] == ["", "gate passed"]


def test_a_rollback_goes_back_and_never_forward(registry: Registry) -> None:
    with_versions(registry, 3)
    for number in (1, 2, 3):
        registry.promote(f"{BOT}@{number}")
    assert registry.rollback(f"{BOT}@champion", expected=3).after == 2
    assert registry.rollback(f"{BOT}@champion").after == 1  # not 3, which was just taken away
    with pytest.raises(NotFoundError, match="no earlier version"):
        registry.rollback(f"{BOT}@champion")
    assert registry.resolve(f"{BOT}@champion") == "local:run-1"
    registry.promote(f"{BOT}@3")
    assert registry.rollback(f"{BOT}@champion").after == 1


def test_whoever_compared_with_another_version_is_told(registry: Registry) -> None:
    with_versions(registry, 3)
    registry.promote(f"{BOT}@1", expected=None)
    with pytest.raises(ConflictError, match="is version 1, not no version"):
        registry.promote(f"{BOT}@2", expected=None)
    registry.promote(f"{BOT}@2", expected=1)
    with pytest.raises(ConflictError, match="is version 2, not version 1"):
        registry.promote(f"{BOT}@3", expected=1)
    with pytest.raises(ConflictError):
        registry.rollback(f"{BOT}@champion", expected=1)
    assert len(registry.history(f"{BOT}@champion")) == 2


def test_a_request_is_done_once(registry: Registry) -> None:
    with_versions(registry, 3)
    first = registry.promote(f"{BOT}@1", key="monday")
    registry.promote(f"{BOT}@2", key="tuesday")
    assert registry.promote(f"{BOT}@1", key="monday") == first
    back = registry.rollback(f"{BOT}@champion", key="oops")
    assert registry.rollback(f"{BOT}@champion", key="oops") == back
    assert registry.promote(f"{BOT}@1") == back  # it is in use already
    assert len(registry.history(f"{BOT}@champion")) == 3


def test_a_key_of_another_request_is_a_conflict(registry: Registry) -> None:
    with_versions(registry, 2)
    registry.promote(f"{BOT}@1", key="monday")
    with pytest.raises(ConflictError, match="'monday' was used to promote version 1"):
        registry.promote(f"{BOT}@2", key="monday")
    with pytest.raises(ConflictError, match="'monday' was used to promote version 1"):
        registry.rollback(f"{BOT}@champion", key="monday")
    assert registry.resolve(f"{BOT}@champion") == "local:run-1"


def test_product_code_keeps_its_answer_while_the_disk_is_away(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = SqliteRegistryStore(tmp_path / "registry.sqlite3")
    registry = with_versions(Registry(store, max_age_s=1e-9), 1)
    registry.promote(f"{BOT}@1")
    assert registry.resolve(f"{BOT}@champion") == "local:run-1"
    store.close()
    (tmp_path / "registry.sqlite3").write_bytes(b"no database" * 1000)
    for extra in ("-wal", "-shm"):
        (tmp_path / f"registry.sqlite3{extra}").unlink(missing_ok=True)
    assert registry.resolve(f"{BOT}@champion") == "local:run-1"
    assert "as it was known last" in caplog.text
    with pytest.raises(StorageError):
        registry.resolve(f"{BOT}@1")


def test_no_version_is_promoted_that_is_not_there(registry: Registry) -> None:
    with pytest.raises(NotFoundError):
        registry.promote(f"{BOT}@1")
    assert registry.aliases(BOT) == {}


def test_an_alias_that_another_process_moves_is_seen_in_time(home: Path) -> None:
    mine, theirs = Registry(max_age_s=1e9), Registry()
    with_versions(theirs, 2)
    theirs.promote(f"{BOT}@1")
    assert mine.resolve(f"{BOT}@champion") == "local:run-1"
    theirs.promote(f"{BOT}@2")
    assert mine.resolve(f"{BOT}@champion") == "local:run-1"  # within its max_age_s
    assert Registry(max_age_s=0.0).resolve(f"{BOT}@champion") == "local:run-2"
    mine.promote(f"{BOT}@1")
    assert mine.resolve(f"{BOT}@champion") == "local:run-1"


def test_a_damaged_file_is_told(tmp_path: Path) -> None:
    path = tmp_path / "registry.sqlite3"
    path.write_bytes(b"SQLite format 3\0" + b"\xff" * 5000)
    with pytest.raises(StorageError, match=r"registry\.sqlite3"):
        Registry(SqliteRegistryStore(path)).names()


class Machine(RuleBasedStateMachine):
    """Any order of moves against a model of two lines: a list of versions, and a list that promotions extend."""

    def __init__(self) -> None:
        super().__init__()
        self.registry = Registry(MemoryRegistryStore(), max_age_s=0.0)
        self.stack: list[int] = []
        self.count = 0

    @rule()
    def register(self) -> None:
        self.count += 1
        assert self.registry.register(BOT, f"local:run-{self.count}").number == self.count

    @rule(number=st.integers(1, 5), right=st.booleans())
    def promote(self, number: int, right: bool) -> None:
        expected = (self.stack[-1] if self.stack else None) if right else 99
        try:
            self.registry.promote(f"{BOT}@{number}", expected=expected)
        except NotFoundError:
            assert number > self.count
        except ConflictError:
            assert not right
        else:
            assert right and number <= self.count
            if not self.stack or self.stack[-1] != number:
                self.stack.append(number)

    @rule()
    def rollback(self) -> None:
        try:
            move = self.registry.rollback(f"{BOT}@champion")
        except NotFoundError:
            assert len(self.stack) < 2
        else:
            assert move.before == self.stack.pop() and move.after == self.stack[-1]

    @invariant()
    def history_is_a_line(self) -> None:
        check_line(self.registry.history(f"{BOT}@champion"))
        if self.stack:
            assert self.registry.resolve(f"{BOT}@champion") == f"local:run-{self.stack[-1]}"


TestMachine = Machine.TestCase
TestMachine.settings = settings(max_examples=60, deadline=None)


def check_line(moves: Any) -> None:
    """Numbered without a gap, each from where the one before it went."""
    before = None
    for at, move in enumerate(moves, start=1):
        assert isinstance(move, Move)
        assert (move.sequence, move.before) == (at, before)
        before = move.after


# --- many processes -----------------------------------------------------------------------------------

PROMOTED = range(1, 9)  # of 12 versions; the others are never promoted


def _store(where: str) -> RegistryStore:
    return MLflowRegistryStore(where) if where.startswith("sqlite:") else SqliteRegistryStore(where)


def hammer(where: str, seed: int, rounds: int) -> list[str]:
    draw, registry = random.Random(seed), Registry(_store(where), max_age_s=0.01)
    seen = []
    for _ in range(rounds):
        match draw.randrange(3):
            case 0:
                current = registry.aliases(BOT).get("champion")
                which = f"{BOT}@{draw.choice(PROMOTED)}"
                try:
                    registry.promote(which, expected=current if draw.random() < 0.5 else "any")
                except ConflictError:
                    pass
            case 1:
                try:
                    registry.rollback(f"{BOT}@champion")
                except NotFoundError:
                    pass
            case _:
                seen.append(str(registry.resolve(f"{BOT}@champion")))
    return seen


@pytest.mark.parametrize(
    ("processes", "rounds", "kind"),
    [
        (4, 30, "sqlite"),
        pytest.param(16, 200, "sqlite", marks=[pytest.mark.soak, pytest.mark.timeout(1200)]),
        pytest.param(4, 15, "mlflow", marks=[pytest.mark.soak, pytest.mark.timeout(1200)]),
    ],
)
def test_many_processes_leave_one_line(
    tmp_path: Path, request: pytest.FixtureRequest, processes: int, rounds: int, kind: str
) -> None:
    where = request.getfixturevalue("mlflow_uri") if kind == "mlflow" else str(tmp_path / "registry.sqlite3")
    registry = Registry(_store(where))
    for number in range(1, 13):
        registry.register(BOT, f"local:run-{number}")
    registry.promote(f"{BOT}@1")
    context = multiprocessing.get_context("spawn")
    with context.Pool(processes) as pool:
        seen = pool.starmap(hammer, [(where, seed, rounds) for seed in range(processes)])
    moves = registry.history(f"{BOT}@champion")
    check_line(moves)
    assert len(moves) > processes
    promoted = {f"local:run-{move.after}" for move in moves}
    assert {model for each in seen for model in each} <= promoted
    assert registry.resolve(f"{BOT}@champion") == f"local:run-{moves[-1].after}"
