"""A home with models that belong together."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.unit.retrain.blending.family import OLD, SIBLING, TUNED, answering, trained
from tunekit._settings import Settings
from tunekit.backends.local.backend import LocalBackend
from tunekit.refs import ModelRef
from tunekit.retrain.blending import blend
from tunekit.spec import SFT, FullWeights, LoRA
from tunekit.testing.tiny_models import make_tiny_llama


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A home with a base that says "no", an adapter on it that says "yes", and a sibling."""
    found = Settings(home=tmp_path_factory.mktemp("home"))
    llama = make_tiny_llama(found.home / "llama")
    old = trained(found, OLD, llama, answering("n"), method=SFT(adapter=FullWeights()))
    # What a head that was trained says cannot be turned round without the head.
    adapter = LoRA(rank=8, target_modules=("q_proj", "down_proj", "lm_head"))
    for run_id, seed in ((TUNED, 1), (SIBLING, 2)):
        trained(found, run_id, old, answering("y"), method=SFT(adapter=adapter), epochs=40, seed=seed)
    return found


@pytest.fixture(scope="module")
def half(settings: Settings) -> ModelRef:
    """Half of the way."""
    return blend(f"local:{OLD}", f"local:{TUNED}", 0.5, settings=settings)


@pytest.fixture(scope="module")
def backend(settings: Settings) -> Any:
    found = LocalBackend(settings=settings, threads=1)
    yield found
    asyncio.run(found.aclose())
