"""What every test stands on: its own tunekit home, no network, one thread per process."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

ROOT = Path(__file__).resolve().parent.parent
SHARED_DATA = ROOT.parent / "shared" / "data"

# Before anything imports torch or tokenizers; children inherit it. Tiny models are slower on two threads than on one.
for _name, _value in {
    "OMP_NUM_THREADS": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "HF_HUB_OFFLINE": "1",  # a test that reaches for a hub must fail here, not on the one machine without a network
}.items():
    os.environ.setdefault(_name, _value)

# A wall-clock deadline per example would make a busy machine a failing one; pytest-timeout bounds the whole test.
settings.register_profile("tunekit", deadline=None)
settings.load_profile("tunekit")


# Files whose tests take longest: begun last, one of two processes would wait for the other.
_LONGEST = ("tests/kill", "tests/real", "tests/conformance", "tests/docs", "tests/unit/training")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with long tests first; within a file nothing changes."""
    items.sort(key=lambda item: not item.nodeid.startswith(_LONGEST))


@pytest.fixture(autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A private `TUNEKIT_HOME`; no test reads or leaves anything in the user's own."""
    path = tmp_path_factory.mktemp("tunekit-home")
    for name in [name for name in os.environ if name.startswith("TUNEKIT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("TUNEKIT_HOME", str(path))
    return path


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The directory of real data sets that lies beside a checkout on some machines."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"no real data: {SHARED_DATA} does not exist")
    return SHARED_DATA
