"""What a run takes, and activations that are computed twice rather than kept."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.unit.training.conftest import MakeRun, artifact_bytes, events, losses, train
from tunekit.errors import SpecError
from tunekit.spec import SFT, FullWeights, LoRA
from tunekit.training.models import load
from tunekit.training.models.adapters import make_trainable
from tunekit.training.plan import memory
from tunekit.training.plan.device import Device

CPU = Device(name="cpu", frozen_dtype=torch.float32, compute_dtype=None)


@pytest.mark.parametrize(
    "method",
    [SFT(adapter=LoRA(rank=4, dropout=0.2)), SFT(adapter=FullWeights())],
    ids=["lora with dropout", "full"],
)
def test_activations_computed_twice_change_nothing(make_run: MakeRun, method: SFT) -> None:
    kept = make_run(name="kept", method=method, gradient_checkpointing=False)
    twice = make_run(name="twice", method=method, gradient_checkpointing=True)
    train(kept)
    train(twice)
    assert losses(twice) == losses(kept)
    assert artifact_bytes(twice) == artifact_bytes(kept)
    said = [events(run, "preflight")[0].report["gradient_checkpointing"] for run in (kept, twice)]
    assert said == [False, True]


def test_activations_are_kept_unless_memory_asks(make_run: MakeRun, monkeypatch: pytest.MonkeyPatch) -> None:
    plenty, little = make_run(name="plenty", epochs=1), make_run(name="little", epochs=1)
    train(plenty)
    monkeypatch.setattr(memory, "free_bytes", lambda device, processes: 1_000_000)
    train(little)
    reports = [events(run, "preflight")[0].report for run in (plenty, little)]
    assert [report["gradient_checkpointing"] for report in reports] == [False, True]
    assert reports[1]["memory_estimate_bytes"] < reports[0]["memory_estimate_bytes"]


def test_too_little_memory_is_said_before_the_first_step(
    make_run: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "free_bytes", lambda device, processes: 200_000)
    run = make_run(epochs=1, method=SFT(adapter=LoRA(rank=2)))
    train(run)
    (notice,) = [event for event in events(run, "notice") if event.level == "warning"]
    assert "MB are free" in notice.message
    assert notice.data["free_bytes"] == 200_000


def test_a_run_that_cannot_have_room_does_not_begin(
    make_run: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "free_bytes", lambda device, processes: 1_000)
    run = make_run(epochs=1)
    with pytest.raises(SpecError, match="gradients and moments") as refused:
        train(run)
    assert "rank" in (refused.value.hint or "")


def test_files_that_the_kernel_caches_are_free_memory_of_a_container(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "_CGROUP", tmp_path)
    for name, text in (("max", "1000\n"), ("current", "900\n"), ("stat", "anon 400\ninactive_file 450\n")):
        (tmp_path / f"memory.{name}").write_text(text)
    assert memory.free_bytes(CPU) == 550
    (tmp_path / "memory.max").write_text("max\n")
    assert (memory.free_bytes(CPU) or 0) > 1 << 20


def test_the_estimate_counts_what_is_trained(llama: Path) -> None:
    full = memory.estimate(make_trainable(load.load_base(llama), FullWeights(), seed=0), CPU, pass_tokens=64)
    lora = memory.estimate(make_trainable(load.load_base(llama), LoRA(rank=1), seed=0), CPU, pass_tokens=64)
    assert full.states == 3 * full.weights
    assert lora.states < full.states / 5
    assert lora.activations == full.activations


def test_what_is_free_is_known_here() -> None:
    found = memory.free_bytes(CPU)
    assert found is not None
    assert 1 << 20 < found < 1 << 50
