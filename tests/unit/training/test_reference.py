"""The reference of DPO: what it is, when it is asked, and that no kill, stop or damage changes a bit of the run."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model

from tests.unit.training.conftest import MakeRun, artifact_bytes, events, losses, train
from tests.unit.training.judged import at_once, decoder, judgements, preferences
from tests.unit.training.test_preference import DROPOUT, LORA, objective
from tunekit.events import JobState
from tunekit.spec import DPO, KTO, FullWeights, LoRA
from tunekit.testing.tiny_models import make_tiny_t5
from tunekit.training.models import load
from tunekit.training.models.adapters import make_trainable
from tunekit.training.objectives import preference
from tunekit.training.objectives.preference import PreferenceLearner
from tunekit.training.objectives.reference import Referenced, by_row
from tunekit.training.run import untrained
from tunekit.training.run.rundir import RunDirectory


class TestReference:
    """What the untrained model says, and when it is asked."""

    def test_with_adapters_off_the_tuned_model_is_the_reference(self, make_run: MakeRun, llama: Path) -> None:
        run = make_run(preferences(), method=DPO(adapter=LORA))
        train(run)
        tuned = load.load(run.artifact_path).model
        rows = [objective(llama, DPO()).row(example) for example in preferences()]
        with torch.no_grad(), tuned.disable_adapter():
            off = by_row(decoder(tuned, end_to_end=False), rows)
        with torch.no_grad():
            base = by_row(decoder(load.load_base(llama), end_to_end=False), rows)
            on = by_row(decoder(tuned, end_to_end=False), rows)
        assert torch.equal(off, base)
        assert not torch.allclose(on, base, atol=0.1)

    # PEFT 0.21 reads an attribute that transformers 5.23 has renamed.
    @pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")
    def test_an_adapter_from_singular_values_stays_on(self, llama: Path) -> None:
        """PiSSA moves a part of the base into the adapter: with it off, the model is not what it was."""
        method = DPO()
        rows = [objective(llama, method).row(example) for example in preferences(6)]
        base = references(PreferenceLearner(decoder(load.load_base(llama), end_to_end=True), method), rows)
        config = LoraConfig(r=4, lora_alpha=8, target_modules="all-linear", init_lora_weights="pissa")
        tuned = get_peft_model(load.load_base(llama), config).eval()
        learner = PreferenceLearner(decoder(tuned, end_to_end=True), method)
        torch.testing.assert_close(references(learner, rows), base, rtol=1e-5, atol=1e-4)
        with tuned.disable_adapter():
            assert not torch.allclose(references(learner, rows), base, atol=0.1)

    @pytest.mark.parametrize("dora", [False, True])
    def test_an_adapter_that_adds_nothing_changes_nothing(self, llama: Path, dora: bool) -> None:
        method = DPO()
        rows = [objective(llama, method).row(example) for example in preferences(6)]
        base = references(PreferenceLearner(decoder(load.load_base(llama), end_to_end=False), method), rows)
        tuned = make_trainable(load.load_base(llama), LoRA(rank=4, dora=dora), seed=0).eval()
        found = references(PreferenceLearner(decoder(tuned, end_to_end=False), method), rows)
        torch.testing.assert_close(found, base, rtol=0, atol=1e-5 if dora else 0)

    @pytest.mark.parametrize(
        ("method", "examples", "before"),
        [(DPO(adapter=LORA), preferences, math.log(2)), (KTO(adapter=LORA), judgements, 0.5)],
        ids=["dpo", "kto"],
    )
    def test_dropout_has_no_part_in_it(
        self, make_run: MakeRun, tmp_path: Path, method: Any, examples: Any, before: float
    ) -> None:
        """A model's own dropout is on while it learns, and off while it is evaluated or asked as a reference."""
        model = make_tiny_t5(tmp_path / "t5", dropout=0.3)
        stays = {"learning_rate": 1e-9, "epochs": 1}
        run = make_run(examples(8), model=model, method=method, validation=examples(6), **stays)
        train(run)
        assert events(run, "evaluated")[0].metrics["loss"] == pytest.approx(before, abs=1e-6)
        assert losses(run)[0] != pytest.approx(before, abs=1e-4)

    def test_it_is_asked_once_per_run(self, make_run: MakeRun, monkeypatch: pytest.MonkeyPatch) -> None:
        run = make_run(preferences(), method=DROPOUT, validation=preferences(3))
        train(run, stop_after=2)
        monkeypatch.setattr(preference, "by_row", refuse)
        result = train(run)
        assert result is not None
        assert result.state is JobState.SUCCEEDED

    @pytest.mark.parametrize("loss", ["orpo", "simpo"])
    def test_some_losses_need_none(
        self, make_run: MakeRun, monkeypatch: pytest.MonkeyPatch, loss: Any
    ) -> None:
        monkeypatch.setattr(preference, "by_row", refuse)
        run = make_run(preferences(), method=DPO(adapter=LORA, loss=loss))
        train(run)
        assert not run.untrained_path.exists()

    def test_other_data_are_measured_again(self, make_run: MakeRun) -> None:
        run = make_run(preferences(), method=DROPOUT)
        train(run, stop_after=1)
        before = {path.name for path in (run.untrained_path / "train").iterdir()}
        path = run.path / "data" / "train.jsonl"
        path.write_text(path.read_text().replace("yes 1", "yes 9"))
        train(run)
        assert before < {path.name for path in (run.untrained_path / "train").iterdir()}


def references(learner: PreferenceLearner, rows: list[Referenced]) -> torch.Tensor:
    return torch.tensor([row.reference for row in learner.prepared(rows, at_once)])


def refuse(*args: Any) -> torch.Tensor:
    raise AssertionError("the reference was asked again")


class TestResume:
    """Interrupted, killed or damaged at any point, a run ends in the same bits."""

    @pytest.fixture
    def whole(self, make_run: MakeRun, monkeypatch: pytest.MonkeyPatch) -> RunDirectory:
        monkeypatch.setattr(untrained, "_ROWS_PER_FILE", 8)
        run = make_run(preferences(), name="whole", method=DROPOUT, validation=preferences(3))
        train(run)
        return run

    @pytest.mark.parametrize("adapter", [LoRA(rank=4, dropout=0.2), FullWeights()], ids=["lora", "full"])
    def test_in_mid_epoch(self, make_run: MakeRun, adapter: Any) -> None:
        method = DPO(adapter=adapter)
        whole, parts = (
            make_run(preferences(), name=name, method=method, validation=preferences(3))
            for name in ("whole", "parts")
        )
        train(whole)
        assert train(parts, stop_after=7) is None
        train(parts)
        assert artifact_bytes(parts) == artifact_bytes(whole)
        assert losses(parts) == losses(whole)

    @pytest.mark.parametrize("at", [1, 2, 4])
    def test_while_the_reference_is_asked(
        self, make_run: MakeRun, whole: RunDirectory, monkeypatch: pytest.MonkeyPatch, at: int
    ) -> None:
        """Killed in the middle of a block, it goes on behind the last whole one."""
        run = make_run(
            preferences(), name="cut", method=DROPOUT, validation=preferences(3), micro_batch_size=4
        )
        uncut = make_run(
            preferences(), name="uncut", method=DROPOUT, validation=preferences(3), micro_batch_size=4
        )
        ask, asked = by_row, []

        def killed(*args: Any) -> torch.Tensor:
            asked.append(args)
            if len(asked) == at:
                raise KeyboardInterrupt
            return ask(*args)

        monkeypatch.setattr(preference, "by_row", killed)
        with pytest.raises(KeyboardInterrupt):
            train(run)
        train(run)
        done = (at - 1) // 2 * 2  # two passes make a block
        assert len(asked) == at + 6 - done
        monkeypatch.setattr(preference, "by_row", ask)
        train(uncut)
        assert artifact_bytes(run) == artifact_bytes(uncut)

    @pytest.mark.parametrize("how", ["flipped", "truncated", "emptied", "deleted"])
    def test_damage_is_noticed_and_mended(self, make_run: MakeRun, whole: RunDirectory, how: str) -> None:
        run = make_run(preferences(), name="parts", method=DROPOUT, validation=preferences(3))
        train(run, stop_after=3)
        path = sorted((run.untrained_path / "train").iterdir())[1]
        content = bytearray(path.read_bytes())
        content[len(content) - 3] ^= 1
        damaged = {"flipped": bytes(content), "truncated": bytes(content[:-8]), "emptied": b""}
        path.unlink() if how == "deleted" else path.write_bytes(damaged[how])
        train(run)
        told = [event.message for event in events(run, "notice") if "computed again" in event.message]
        assert len(told) == (how != "deleted")
        assert artifact_bytes(run) == artifact_bytes(whole)

    def test_stopped_while_the_reference_is_asked(
        self, make_run: MakeRun, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        run = make_run(preferences(), method=DROPOUT, micro_batch_size=1)
        ask, asked = by_row, []

        def slow(*args: Any) -> torch.Tensor:
            asked.append(args)
            if len(asked) == 3:
                run.request_cancel()
            return ask(*args)

        monkeypatch.setattr(preference, "by_row", slow)
        result = train(run)
        assert result is not None
        assert result.state is JobState.CANCELLED
        assert len(asked) == 3
