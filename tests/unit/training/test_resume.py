"""A run that was interrupted, killed or damaged ends in the same bits as one that was not."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.unit.training.conftest import MakeRun, artifact_bytes, events, losses, rows, train
from tunekit.events import JobState
from tunekit.spec import SFT, FullWeights, LoRA
from tunekit.training.run.checkpoint import Manifest
from tunekit.training.run.events_log import EventLog
from tunekit.training.run.rundir import RunDirectory

DROPOUT = SFT(adapter=LoRA(rank=4, dropout=0.2))


@pytest.mark.parametrize("method", [DROPOUT, SFT(adapter=FullWeights())], ids=["lora with dropout", "full"])
@pytest.mark.parametrize("at", [1, 7])
def test_resumed_in_mid_epoch_is_uninterrupted_bit_for_bit(make_run: MakeRun, method: SFT, at: int) -> None:
    whole = make_run(name="whole", method=method, validation=rows(3))
    parts = make_run(name="parts", method=method, validation=rows(3))
    train(whole)
    assert train(parts, stop_after=at) is None
    result = train(parts)
    assert result is not None
    assert result.state is JobState.SUCCEEDED
    assert artifact_bytes(parts) == artifact_bytes(whole)
    assert losses(parts) == losses(whole)
    assert result.metrics == train_metrics(whole)
    assert [event.step for event in events(parts, "step")] == list(range(1, 11))
    assert len(events(parts, "preflight")) == 1


def train_metrics(run: RunDirectory) -> dict[str, float]:
    last = events(run, "step")[-1]
    held_out = events(run, "evaluated")[-1].metrics["loss"]
    return {"loss": last.loss, "validation_loss": held_out, "steps": last.step}


def test_events_between_the_checkpoint_and_the_kill_are_not_repeated(make_run: MakeRun) -> None:
    """Killed at step 9 with its newest checkpoint at step 6: steps 7 to 9 run again and are told once."""
    run = make_run(method=DROPOUT, checkpoint_every_steps=3)
    train(run, stop_after=9)
    shutil.rmtree(run.checkpoints_path / "00000009")
    train(run)
    assert [event.step for event in events(run, "step")] == list(range(1, 11))
    assert [event.step for event in events(run, "checkpoint")] == [3, 6, 9, 10]
    ids = [int(event.id) for event in run.events_from(0)[0]]
    assert ids == list(range(1, len(ids) + 1))


def test_killed_between_the_last_checkpoint_and_the_result(make_run: MakeRun) -> None:
    run = make_run()
    first = train(run)
    before = artifact_bytes(run)
    again = train(run)
    assert again is not None and first is not None
    assert again.metrics == first.metrics
    assert artifact_bytes(run) == before


def damage_all_files() -> list[tuple[str, str]]:
    names = ("MANIFEST.json", "optimizer.safetensors", "state.json", "trainable.safetensors")
    return [(name, how) for name in names for how in ("deleted", "truncated", "flipped", "grown")]


def damage(path: Path, how: str) -> None:
    data = bytearray(path.read_bytes())
    if how == "deleted":
        path.unlink()
        return
    if how == "truncated":
        del data[len(data) // 2 :]
    elif how == "flipped":
        data[len(data) // 2] ^= 1
    else:
        data += b"\0"
    path.write_bytes(data)


@pytest.fixture(scope="module")
def finished_template(tmp_path_factory: pytest.TempPathFactory) -> dict[str, RunDirectory]:
    return {}


@pytest.mark.parametrize(("name", "how"), damage_all_files())
def test_every_damage_is_noticed_and_the_previous_checkpoint_used(
    make_run: MakeRun, finished_template: dict[str, RunDirectory], tmp_path: Path, name: str, how: str
) -> None:
    if "whole" not in finished_template:
        whole, cut = (
            make_run(name="whole", method=DROPOUT),
            make_run(name="cut", method=DROPOUT, checkpoint_every_steps=3),
        )
        other = make_run(name="whole3", method=DROPOUT, checkpoint_every_steps=3)
        train(whole)
        train(other)
        assert artifact_bytes(whole) == artifact_bytes(other), "when checkpoints are made must not matter"
        train(cut, stop_after=6)
        finished_template.update(whole=whole, cut=cut)
    run = RunDirectory(tmp_path / "damaged")
    shutil.copytree(finished_template["cut"].path, run.path)
    damage(run.checkpoints_path / "00000006" / name, how)
    train(run)
    (notice,) = [event for event in events(run, "notice") if "is not used" in event.message]
    assert notice.level == "warning"
    assert "00000006" in notice.message
    assert "resumed from the checkpoint of step 3" in [event.message for event in events(run, "notice")]
    assert artifact_bytes(run) == artifact_bytes(finished_template["whole"])


def test_a_cancel_after_the_model_is_too_late(make_run: MakeRun) -> None:
    run = make_run()
    assert train(run) is not None  # and killed before it could write that down
    run.request_cancel()
    result = train(run)
    assert result is not None
    assert result.state is JobState.SUCCEEDED


def test_no_checkpoint_left_starts_over(make_run: MakeRun) -> None:
    whole, run = make_run(name="whole", method=DROPOUT), make_run(method=DROPOUT, checkpoint_every_steps=3)
    train(whole)
    train(run, stop_after=6)
    for manifest in run.checkpoints_path.glob("0*/MANIFEST.json"):
        damage(manifest, "flipped")
    train(run)
    assert len([event for event in events(run, "notice") if "is not used" in event.message]) == 2
    assert artifact_bytes(run) == artifact_bytes(whole)


@pytest.mark.parametrize("change", ["data", "spec"])
def test_a_checkpoint_of_another_plan_is_refused(make_run: MakeRun, change: str) -> None:
    run = make_run()
    train(run, stop_after=6)
    if change == "data":
        path = run.path / "data" / "train.jsonl"
        path.write_text(path.read_text().replace("answer 1", "answer 9"))
    else:
        path = run.path / "plan.json"
        path.write_text(path.read_text().replace('"weight_decay": 0.0', '"weight_decay": 0.5'))
    train(run)
    assert any("another plan" in event.message for event in events(run, "notice"))


def test_other_library_versions_are_told_and_not_refused(make_run: MakeRun) -> None:
    run = make_run(checkpoint_every_steps=3)
    train(run, stop_after=6)
    path = run.checkpoints_path / "00000006" / "MANIFEST.json"
    manifest = Manifest.model_validate_json(path.read_bytes())
    path.write_bytes(manifest.model_copy(update={"versions": {"peft": "0.1"}}).sealed())
    train(run)
    told = [event.message for event in events(run, "notice")]
    assert any("other library versions" in message for message in told)
    assert "resumed from the checkpoint of step 6" in told


def test_what_a_killed_writer_left_is_swept_away(make_run: MakeRun) -> None:
    run = make_run()
    for name in (".partial-00000003-1-ab", ".trash-00000001-cd"):
        (run.checkpoints_path / name).mkdir()
        (run.checkpoints_path / name / "state.json").write_text("{")
    train(run)
    assert [item.name for item in run.checkpoints_path.iterdir()] == ["00000010"]


def test_the_last_two_checkpoints_are_kept(make_run: MakeRun) -> None:
    run = make_run(checkpoint_every_steps=2)
    train(run)
    assert sorted(item.name for item in run.checkpoints_path.iterdir()) == ["00000008", "00000010"]


class TestEventLog:
    """The log alone."""

    @pytest.fixture
    def run(self, make_run: MakeRun) -> RunDirectory:
        return make_run()

    @pytest.mark.parametrize("torn", [b'{"type": "step", "id": "3', b"\xff\xfe", b"{"])
    def test_a_torn_last_line_is_cut_off(self, run: RunDirectory, torn: bytes) -> None:
        with EventLog(run) as log:
            log.state(JobState.RUNNING)
            log.step(1, loss=2.0)
        with run.events_path.open("ab") as file:
            file.write(torn)
        with EventLog(run) as log:
            log.step(1, loss=2.0)
            log.step(2, loss=1.0)
        found = run.events_from(0)[0]
        assert [(event.id, event.type) for event in found] == [("1", "state"), ("2", "step"), ("3", "step")]

    def test_a_state_is_told_when_it_changes(self, run: RunDirectory) -> None:
        for state in (JobState.RUNNING, JobState.RUNNING, JobState.SUCCEEDED):
            with EventLog(run) as log:
                log.state(state)
        assert [event.state for event in events(run, "state")] == [JobState.RUNNING, JobState.SUCCEEDED]

    def test_notices_are_told_every_time(self, run: RunDirectory) -> None:
        with EventLog(run) as log:
            log.notice("x")
            log.notice("x")
        assert len(events(run, "notice")) == 2

    def test_time_comes_from_the_clock(self, run: RunDirectory) -> None:
        clock: Callable[[], float] = lambda: 12.5  # noqa: E731 - a name for the type
        with EventLog(run, clock=clock) as log:
            log.step(1)
        assert events(run, "step")[0].at == 12.5

    def test_the_log_is_private(self, run: RunDirectory) -> None:
        with EventLog(run) as log:
            log.notice("x")
        assert run.events_path.stat().st_mode & 0o077 == 0
