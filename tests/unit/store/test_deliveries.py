"""What was handled is remembered by every process, for a while, in bounded space."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunekit import Settings
from tunekit.store import deliveries
from tunekit.store.deliveries import KEPT_S, SqliteDeliveries


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "home" / "deliveries.sqlite3"


def test_another_process_knows_it_too(path: Path) -> None:
    SqliteDeliveries(path).remember("wh_1")
    code = (
        "import sys; from pathlib import Path; from tunekit.store.deliveries import SqliteDeliveries\n"
        "seen = SqliteDeliveries(Path(sys.argv[1])); print(seen.is_handled('wh_1'), seen.is_handled('wh_2'))"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    assert done.stdout == "True False\n"


def test_it_lies_in_the_home_and_is_the_owners(home: Path) -> None:
    SqliteDeliveries().remember("wh_1")
    assert SqliteDeliveries(Settings(home=home)).is_handled("wh_1")
    assert stat.S_IMODE(os.stat(home / "deliveries.sqlite3").st_mode) == 0o600


def test_names_are_forgotten_after_a_week(path: Path) -> None:
    now = [1000.0]
    handled = SqliteDeliveries(path, now=lambda: now[0])
    handled.remember("old")
    now[0] += KEPT_S
    handled.remember("on the day")
    assert handled.is_handled("old")
    now[0] += 1
    handled.remember("new")
    assert not handled.is_handled("old") and handled.is_handled("on the day")


def test_there_are_never_too_many(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deliveries, "MOST", 3)
    now = [0.0]
    handled = SqliteDeliveries(path, now=lambda: now[0])
    for number in range(6):
        now[0] += 1
        handled.remember(str(number))
    assert [handled.is_handled(str(number)) for number in range(6)] == [False] * 3 + [True] * 3


@settings(max_examples=25)
@given(names=st.lists(st.text(), max_size=20), asked=st.text())
def test_it_knows_exactly_what_it_was_told(
    tmp_path_factory: pytest.TempPathFactory, names: list[str], asked: str
) -> None:
    names = [name for name in names if name.isprintable()]
    handled = SqliteDeliveries(tmp_path_factory.mktemp("d") / "deliveries.sqlite3")
    for name in names:
        handled.remember(name)
    assert handled.is_handled(asked) == (asked in names)
    assert all(handled.is_handled(name) for name in names)
    handled.close()
