"""Which models stay loaded: two, or one where memory is short."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from tunekit.training.serving import kept_models
from tunekit.training.serving.embed import Embedder
from tunekit.training.serving.kept_models import KeptModels, weight_bytes


@pytest.fixture
def sources(llama: Path, tmp_path: Path) -> list[str]:
    return [str(shutil.copytree(llama, tmp_path / name)) for name in ("one", "two", "three")]


def test_two_models_stay_and_the_older_goes_for_a_third(sources: list[str]) -> None:
    kept = KeptModels()
    one, two = kept.answering(sources[0]), kept.answering(sources[1])
    assert kept.answering(sources[0]) is one
    kept.answering(sources[2])
    assert kept.answering(sources[0]) is one
    assert kept.answering(sources[1]) is not two


@pytest.mark.parametrize(("share", "stays"), [(0.5, False), (2.0, True)])
def test_where_another_does_not_fit_beside_it_the_first_goes(
    sources: list[str], monkeypatch: pytest.MonkeyPatch, share: float, stays: bool
) -> None:
    kept = KeptModels()
    one = kept.answering(sources[0])
    monkeypatch.setattr(kept_models, "free_bytes", lambda device: int(share * weight_bytes(one)))
    kept.answering(sources[1])
    assert (kept.answering(sources[0]) is one) is stays


def test_a_model_saved_anew_is_loaded_anew(sources: list[str]) -> None:
    kept = KeptModels()
    one = kept.answering(sources[0])
    os.utime(Path(sources[0], "config.json"), ns=(1, 2_000_000_000_000_000_000))
    assert kept.answering(sources[0]) is not one


def test_vectors_come_from_a_model_of_their_own(sources: list[str]) -> None:
    kept = KeptModels()
    found = kept.embedding(sources[0])
    assert isinstance(found, Embedder)
    assert kept.answering(sources[0]).model is not found.loaded.model
    assert kept.embedding(sources[0]) is found
