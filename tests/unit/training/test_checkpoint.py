"""Checkpoints by themselves: whatever happens to a file is noticed, and what is to stay stays."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tests.disks import fill_up, small_disk
from tunekit.errors import StorageError
from tunekit.training.run.checkpoint import CheckpointStore, TrainingState, recorded_base

FILES = ("MANIFEST.json", "optimizer.safetensors", "state.json", "trainable.safetensors")
Damage = Callable[[Path, Path], object]
"""Gets a file and the file of the same name in another checkpoint."""


class Store:
    """A store with what it told."""

    def __init__(
        self, directory: Path, *, numbers: int = 64, notice: Callable[[str], object] = lambda text: None
    ) -> None:
        self.directory, self.numbers, self._notice = directory, numbers, notice
        self.told: list[str] = []
        self.store = CheckpointStore(
            directory, plan_sha256="p", base_fingerprint="b", versions={"x": "1"}, notice=self._tell
        )

    def _tell(self, text: str) -> None:
        self._notice(text)
        self.told.append(text)

    def save(self, step: int, *, keep: tuple[int, ...] = ()) -> None:
        tensors = {"w": torch.arange(self.numbers, dtype=torch.float32) + step}
        self.store.save(TrainingState(step=step, metrics={"loss": step / 7}), tensors, tensors, keep=keep)

    @property
    def names(self) -> list[int]:
        return sorted(int(item.name) for item in self.directory.iterdir() if item.name.isdigit())


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    store = Store(tmp_path / "checkpoints")
    store.save(1)
    store.save(2)
    return store.directory


def truncated(to: Callable[[int], int]) -> Damage:
    return lambda path, other: os.truncate(path, to(path.stat().st_size))


def flipped(at: float, bit: int) -> Damage:
    def flip(path: Path, other: Path) -> None:
        data = bytearray(path.read_bytes())
        data[int(at * (len(data) - 1))] ^= 1 << bit
        path.write_bytes(data)

    return flip


def replaced_by_directory(path: Path, other: Path) -> None:
    path.unlink()
    path.mkdir()


def replaced_by_link(path: Path, other: Path) -> None:
    path.rename(path.with_name("elsewhere"))
    path.symlink_to("elsewhere")


def replaced_by_pipe(path: Path, other: Path) -> None:
    path.unlink()
    os.mkfifo(path)


DAMAGES: dict[str, Damage] = {
    "deleted": lambda path, other: path.unlink(),
    "emptied": truncated(lambda size: 0),
    "cut to one byte": truncated(lambda size: 1),
    "cut in half": truncated(lambda size: size // 2),
    "one byte short": truncated(lambda size: size - 1),
    "one byte more": truncated(lambda size: size + 1),
    "swapped": lambda path, other: shutil.copyfile(other, path),
    "directory": replaced_by_directory,
    "link": replaced_by_link,
    "pipe": replaced_by_pipe,
    **{f"flipped at {at:.0%}, bit {bit}": flipped(at, bit) for at in (0, 0.3, 0.7, 1) for bit in (0, 5, 7)},
}


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("how", DAMAGES)
def test_every_damage_to_every_file_is_noticed_and_the_previous_checkpoint_used(
    saved: Path, name: str, how: str
) -> None:
    DAMAGES[how](saved / "00000002" / name, saved / "00000001" / name)
    store = Store(saved)
    found = store.store.newest()
    assert found is not None
    assert found.state.step == 1
    (said,) = store.told
    assert said.startswith("checkpoint 00000002 is not used: ")
    assert store.names == [1], "the name is free for the run that comes to this step again"
    store.save(2)
    again = Store(saved).store.newest()
    assert again is not None
    assert again.state.step == 2


def test_every_bit_of_a_manifest_counts(saved: Path) -> None:
    """Also those of a version or of the base model's fingerprint, which alone would decide nothing or end the run."""
    path = saved / "00000002" / "MANIFEST.json"
    whole = path.read_bytes()
    for at in range(len(whole)):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ (1 << at % 8)]) + whole[at + 1 :])
        assert recorded_base(saved) == "b"  # of the other one
        found = Store(saved).store.newest()
        assert found is not None
        assert found.state.step == 1, f"byte {at}"
        (aside,) = saved.glob(".unusable-*")
        aside.rename(saved / "00000002")


@pytest.mark.parametrize("what", ["file", "link", "empty directory"])
def test_a_checkpoint_that_is_none_is_passed_over(saved: Path, tmp_path: Path, what: str) -> None:
    fake = saved / "00000003"
    if what == "file":
        fake.write_bytes(b"x")
    elif what == "link":
        fake.symlink_to(tmp_path / "nowhere")
    else:
        fake.mkdir()
    found = Store(saved).store.newest()
    assert found is not None
    assert found.state.step == 2
    Store(saved).save(4)
    assert Store(saved).names == [2, 4]


def test_the_last_two_and_those_to_keep_stay(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for step in range(1, 8):
        store.save(step, keep=(2,) if step < 6 else (3,))
        assert step in (1, 6, 7) or 2 in store.names
    assert store.names == [6, 7], "3 was gone before anybody wanted it"
    for step in range(8, 12):
        store.save(step, keep=(7,))
    assert store.names == [7, 10, 11]
    best = Store(tmp_path).store.at(7)
    assert best is not None
    assert torch.equal(best.trainable["w"], torch.arange(64, dtype=torch.float32) + 7)


def test_a_checkpoint_to_keep_that_is_damaged_or_gone_is_told(saved: Path) -> None:
    flipped(0.5, 3)(saved / "00000001" / "state.json", saved)
    store = Store(saved)
    assert store.store.at(1) is None
    assert store.store.at(9) is None
    assert "00000001 is not used: state.json was changed" in store.told[0]
    assert store.told[1] == "checkpoint 00000009 is not there"


@pytest.mark.parametrize("kib", [0, 4, 8, 12, 16])
def test_a_disk_too_small_for_the_next_checkpoint_leaves_the_last_one_intact(
    tmp_path: Path, kib: int
) -> None:
    """A checkpoint has four files of one page, so the disk is full at another write each time."""
    with small_disk(tmp_path / "disk", mib=1) as disk:
        store = Store(disk / "checkpoints", numbers=1000)
        store.save(1)
        ballast = disk / "ballast"
        free = os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize
        ballast.write_bytes(b"\1" * (free - kib * 1024))
        failed = None
        try:
            store.save(2)
        except StorageError as error:
            failed = error
        if failed is not None:
            assert "No space left on device" in failed.message
            assert "free some space" in failed.hint
            assert store.names == [1]
            assert not list(store.directory.glob(".partial-*"))
        found = Store(store.directory).store.newest()
        assert found is not None
        assert found.state.step == (1 if failed else 2)
        assert (failed is None) is (kib == 16)
        ballast.unlink()
        store.save(3)
        newest = Store(store.directory).store.newest()
        assert newest is not None
        assert newest.state.step == 3


def test_on_a_full_disk_the_oldest_checkpoint_makes_room_for_the_next_and_for_the_notice(
    tmp_path: Path,
) -> None:
    with small_disk(tmp_path / "disk", mib=1) as disk:
        Store(disk / "checkpoints", numbers=4000).save(1)
        store = Store(
            disk / "checkpoints",
            numbers=1000,
            notice=lambda text: (disk / "log").write_text(text),
        )
        store.save(2)
        fill_up(disk)
        store.save(3)
        assert store.names == [2, 3]
        assert store.told == [
            "no space for checkpoint 00000003; what can be spared of the earlier ones was removed"
        ]
