"""What every kill is compared with: one model, and one run of it that nothing interrupted."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.kill.harness import Outcome, Site, check_stream, follow, make_model


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_model(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="session")
def reference(tmp_path_factory: pytest.TempPathFactory, model: Path) -> Outcome:
    """The job of every site, trained without interruption."""
    site = Site(tmp_path_factory.mktemp("reference"), model)
    outcome = follow(site, site.submit())
    check_stream(outcome.events)
    assert outcome.resumptions == 0
    assert "adapter_model.safetensors" in outcome.artifact
    return outcome


@pytest.fixture
def site(tmp_path: Path, model: Path) -> Site:
    return Site(tmp_path / "home", model)
