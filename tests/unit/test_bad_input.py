"""Bad input through the public API: a typed error that names it and says what to do, and nothing half-made left."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.disks import fill_up, make_room, read_only_disk, small_disk
from tests.processes import run_python
from tunekit import (
    DataError,
    Dataset,
    FineTuneJob,
    JobState,
    ModelError,
    NotFoundError,
    Settings,
    StorageError,
    TunekitError,
)
from tunekit._clock import SystemClock
from tunekit.backends.local import LocalBackend

HEADER = "text,label\n"


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "tickets.csv"
    path.write_text(HEADER + "".join(f"message {n},{'ab'[n % 2]}\n" for n in range(40)))
    return path


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A directory that looks like a model; whether it is one, only training would find out."""
    path = tmp_path / "model"
    path.mkdir()
    (path / "config.json").write_text(json.dumps({"model_type": "llama"}))
    (path / "model.safetensors").write_bytes(b"\0" * 64)
    return path


class BriskClock(SystemClock):
    """Real time, with short pauses: what lies behind a lagging listing need not be waited for here."""

    async def sleep(self, seconds: float) -> None:
        await super().sleep(min(seconds, 0.02))


def fine_tune(table: Path, model: Path | str, *, target: str = "label") -> FineTuneJob:
    backend = LocalBackend()
    backend.clock = BriskClock()
    data = Dataset.load(table, input="text", target=target)
    return FineTuneJob.submit(data, f"local:{model}", backend=backend)


def nothing_is_left(home: Path) -> bool:
    """No run, no part of one, and no job that is neither done nor failed with a reason."""
    runs = home / "runs"
    jobs = FineTuneJob.list(settings=Settings(home=home))
    failed = all(job.record and job.record.state is JobState.FAILED and job.record.error for job in jobs)
    return failed and not (runs.exists() and list(runs.iterdir()))


# --- data ---------------------------------------------------------------------------------------------


def missing(path: Path) -> None:
    path.unlink()


def directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


def loop(path: Path) -> None:
    path.unlink()
    path.symlink_to(path)


def unreadable(path: Path) -> None:
    path.unlink()
    path.symlink_to("/proc/self/mem")  # opens, and then fails to read, even for root


def empty(path: Path) -> None:
    path.write_bytes(b"")


def header_only(path: Path) -> None:
    path.write_text(HEADER)


def not_text(path: Path) -> None:
    path.write_bytes(bytes(range(256)) * 20)


def other_column(path: Path) -> None:
    path.write_text(path.read_text().replace("label", "category", 1))


def empty_cell(path: Path) -> None:
    path.write_text(HEADER + "message,\n")


@pytest.mark.parametrize(
    "spoil",
    [missing, directory, loop, unreadable, empty, header_only, not_text, other_column, empty_cell],
    ids=lambda spoil: spoil.__name__,
)
def test_bad_data_is_named_and_no_job_is_made(
    table: Path, model: Path, home: Path, spoil: Callable[[Path], None]
) -> None:
    spoil(table)
    with pytest.raises(TunekitError) as caught:
        fine_tune(table, model)
    if spoil is header_only:
        assert "empty" in str(caught.value) or "no " in str(caught.value)
    else:
        assert isinstance(caught.value, DataError)
        assert str(table) in str(caught.value)
    assert caught.value.hint
    assert nothing_is_left(home)
    assert FineTuneJob.list() == ()


def test_a_missing_column_is_named_beside_those_that_are_there(table: Path, model: Path) -> None:
    with pytest.raises(DataError) as caught:
        fine_tune(table, model, target="intent")
    assert "intent" in str(caught.value)
    assert "label" in str(caught.value)


# --- models -------------------------------------------------------------------------------------------


def no_config(model: Path) -> None:
    (model / "config.json").unlink()


def pickle_only(model: Path) -> None:
    (model / "model.safetensors").rename(model / "pytorch_model.bin")


def no_weights(model: Path) -> None:
    (model / "model.safetensors").unlink()


def broken_config(model: Path) -> None:
    (model / "config.json").write_text("{")


def an_adapter(model: Path) -> None:
    (model / "adapter_config.json").write_text("{}")
    (model / "adapter_model.safetensors").touch()


@pytest.mark.parametrize(
    "spoil",
    [no_config, pickle_only, no_weights, broken_config, an_adapter],
    ids=lambda spoil: spoil.__name__,
)
def test_what_is_no_base_model_is_named_before_anything_starts(
    table: Path, model: Path, home: Path, spoil: Callable[[Path], None]
) -> None:
    spoil(model)
    with pytest.raises(ModelError) as caught:
        fine_tune(table, model)
    assert str(model) in caught.value.message
    assert caught.value.hint
    assert nothing_is_left(home)


@pytest.mark.parametrize("model", ["./no/such/directory", "/no/such/directory", "not a model"])
def test_a_model_that_is_not_there_is_named(table: Path, home: Path, model: str) -> None:
    with pytest.raises(NotFoundError, match="no model directory") as caught:
        fine_tune(table, model)
    assert repr(model) in caught.value.message
    assert nothing_is_left(home)


# --- a missing extra ----------------------------------------------------------------------------------

WITHOUT_TORCH = """
import sys
from importlib.machinery import PathFinder

class Without(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name.partition(".")[0] == "torch" else PathFinder.find_spec(name, path, target)

sys.meta_path = [Without if finder is PathFinder else finder for finder in sys.meta_path]
from tunekit import Dataset, FineTuneJob, MissingExtraError, generate
calls = [
    lambda: FineTuneJob.submit(Dataset.load(sys.argv[1], input="text", target="label"), "local:" + sys.argv[2]),
    lambda: generate("local:" + sys.argv[2], "hello"),
]
for call in calls:
    try:
        call()
    except MissingExtraError as error:
        print(error.message, "|", error.hint)
"""


def test_a_missing_extra_is_named_with_the_command_that_installs_it(
    table: Path, model: Path, home: Path
) -> None:
    said = run_python(WITHOUT_TORCH, table, model).splitlines()
    assert said == ["'torch' is not installed | run: pip install 'tunekit[local]'"] * 2
    assert nothing_is_left(home)


# --- disks --------------------------------------------------------------------------------------------


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk", mib=2) as path:
        yield path


@pytest.mark.parametrize("room_kib", [0, 4, 16, 48, 80, 100, 120, 140])
def test_a_full_disk_leaves_no_half_made_job(
    tmp_path: Path, disk: Path, model: Path, monkeypatch: pytest.MonkeyPatch, room_kib: int
) -> None:
    table = tmp_path / "large.csv"
    table.write_text(HEADER + f"{'words ' * 200},a\n" * 2000)  # more than the disk holds
    monkeypatch.setenv("TUNEKIT_HOME", str(disk))
    reserve = disk / "reserve"
    reserve.write_bytes(b"\1" * 1024 * room_kib)
    fill_up(disk)
    reserve.unlink()
    with pytest.raises(StorageError) as caught:
        fine_tune(table, model)
    assert str(disk) in caught.value.message
    assert "TUNEKIT_HOME" in caught.value.hint
    make_room(disk)
    # A disk that was full to the last byte may have kept even the word about the failure from being stored. The next
    # submit (still more than the disk holds) finds the intent, and settles it.
    with pytest.raises(StorageError):
        fine_tune(table, model)
    assert nothing_is_left(disk)


def under_a_file(path: Path) -> Path:
    path.touch()
    return path / "home"


def test_a_home_that_cannot_be_a_directory_is_named(
    tmp_path: Path, table: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = under_a_file(tmp_path / "file")
    monkeypatch.setenv("TUNEKIT_HOME", str(home))
    with pytest.raises(StorageError) as caught:
        fine_tune(table, model)
    assert str(home) in caught.value.message
    assert caught.value.hint


def test_a_read_only_home_is_named_and_stays_empty(
    tmp_path: Path, table: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with read_only_disk(tmp_path / "disk") as disk:
        monkeypatch.setenv("TUNEKIT_HOME", str(disk))
        with pytest.raises(StorageError) as caught:
            fine_tune(table, model)
        assert str(disk) in caught.value.message
        assert caught.value.hint
        assert list(disk.iterdir()) == []
