"""Staying near the start, asked for: by whom it is refused, and what of it a recipe says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.unit.training.conftest import rows
from tunekit.backends.openai.backend import OpenAIBackend
from tunekit.data.dataset import Dataset
from tunekit.errors import PreflightError, SpecError
from tunekit.jobs import FineTuneJob
from tunekit.spec import EWC, L2ToStart, TuneSpec
from tunekit.store import MemoryStore
from tunekit.testing import ScriptedBackend


class TestBackends:
    @pytest.mark.parametrize(
        "fields", [{"stay_near": L2ToStart()}, {"stay_near": EWC()}, {"keep_fisher": True}]
    )
    def test_a_host_that_knows_nothing_of_it_refuses_before_anything_is_sent(
        self, fields: dict[str, Any]
    ) -> None:
        assert not {"stay_near", "keep_fisher"} & OpenAIBackend.capabilities.spec_fields
        backend = ScriptedBackend()
        with pytest.raises(PreflightError, match=f"{next(iter(fields))} is not supported"):
            FineTuneJob.submit(
                Dataset(rows()), "scripted:base", TuneSpec(**fields), backend=backend, store=MemoryStore()
            )
        assert backend.counters.jobs == 0

    def test_the_local_backend_refuses_what_it_cannot_hold_before_a_run_is_made(
        self, llama: Path, home: Path
    ) -> None:
        with pytest.raises(SpecError, match="begins from a base"):
            FineTuneJob.submit(Dataset(rows()), f"local:{llama}", TuneSpec(stay_near=EWC()))
        assert not (home / "runs").exists() or list((home / "runs").iterdir()) == []


class TestSpecs:
    def test_specs_from_before_have_the_fingerprint_they_had(self) -> None:
        assert TuneSpec().fingerprint() == TuneSpec(stay_near=None, keep_fisher=False).fingerprint()
        changed = [{"stay_near": L2ToStart()}, {"stay_near": EWC()}, {"keep_fisher": True}, {}]
        assert len({TuneSpec(**fields).fingerprint() for fields in changed}) == 4  # type: ignore[arg-type]

    def test_they_are_read_back(self) -> None:
        spec = TuneSpec(stay_near=EWC(strength=3.0), keep_fisher=True)
        assert TuneSpec.from_json(spec.model_dump_json()) == spec

    @pytest.mark.parametrize("strength", [-1.0, float("nan"), float("inf")])
    def test_a_strength_that_is_none_is_named(self, strength: float) -> None:
        with pytest.raises(SpecError, match="strength"):
            TuneSpec(stay_near=L2ToStart(strength=strength))
