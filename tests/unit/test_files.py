"""Files that are whole or absent: at every step that can fail, with readers looking on, and after kills."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import stat
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.processes import start_python
from tunekit import _files
from tunekit.errors import StorageError

STEPS = ("open", "fsync", "replace", "rename", "mkdir")


def listing(path: Path) -> set[str]:
    return {str(item.relative_to(path)) for item in path.rglob("*")}


@pytest.fixture
def full_disk(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], list[int]]:
    """Let the n-th call of the file system fail with "no space left"; returns a counter of calls."""

    def arm(failing: int) -> list[int]:
        calls = [0]

        def wrap(real: Callable[..., object]) -> Callable[..., object]:
            def call(*arguments: object, **options: object) -> object:
                calls[0] += 1
                if calls[0] == failing:
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(arguments[0]))
                return real(*arguments, **options)

            return call

        for step in STEPS:
            monkeypatch.setattr(os, step, wrap(getattr(os, step)))
        return calls

    return arm


# --- one file ---------------------------------------------------------------------------------------


@given(data=st.binary(max_size=200))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_written_bytes_are_read_back(tmp_path: Path, data: bytes) -> None:
    _files.write_atomic(tmp_path / "file", data)
    assert (tmp_path / "file").read_bytes() == data
    assert listing(tmp_path) == {"file"}
    assert _files.sha256_file(tmp_path / "file") == hashlib.sha256(data).hexdigest()


def test_only_the_owner_can_read_what_is_written(tmp_path: Path) -> None:
    directory = _files.make_private_directory(tmp_path / "a" / "b")
    _files.write_json(directory / "file.json", {"ü": 1})
    with _files.open_private(directory / "log") as log:
        log.write(b"line\n")
    assert stat.S_IMODE((directory / "file.json").stat().st_mode) == 0o600
    assert stat.S_IMODE((directory / "log").stat().st_mode) == 0o600
    assert {stat.S_IMODE(item.stat().st_mode) for item in (directory, directory.parent)} == {0o700}
    assert json.loads((directory / "file.json").read_text("utf-8")) == {"ü": 1}


@pytest.mark.parametrize("failing", [1, 2, 3])
def test_full_disk_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, full_disk: Callable[[int], list[int]], failing: int
) -> None:
    path = tmp_path / "file"
    _files.write_atomic(path, b"old")
    full_disk(failing)
    with pytest.raises(StorageError) as caught:
        _files.write_atomic(path, b"new")
    assert path.read_bytes() == b"old"
    assert listing(tmp_path) == {"file"}
    assert repr(str(path)) in caught.value.message
    assert "No space left on device" in caught.value.message
    assert "free some space" in caught.value.hint


def test_readers_see_the_old_or_the_new_never_a_part(tmp_path: Path) -> None:
    path, size = tmp_path / "file", 100_000
    _files.write_atomic(path, b"0" * size)
    stop = threading.Event()

    def write() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            _files.write_atomic(path, str(number % 10).encode() * size)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(200):
            seen = path.read_bytes()
            assert (len(seen), len(set(seen))) == (size, 1)
    finally:
        stop.set()
        writer.join()


# --- one directory ----------------------------------------------------------------------------------


def fill(directory: Path) -> None:
    (directory / "sub").mkdir()
    (directory / "one").write_bytes(b"1")
    (directory / "sub" / "two").write_bytes(b"22")


def test_published_directory_is_complete(tmp_path: Path) -> None:
    assert _files.publish_directory(tmp_path / "runs" / "r1", fill)
    assert listing(tmp_path / "runs") == {"r1", "r1/one", "r1/sub", "r1/sub/two"}


def test_second_publisher_changes_nothing(tmp_path: Path) -> None:
    assert _files.publish_directory(tmp_path / "r1", fill)
    assert not _files.publish_directory(tmp_path / "r1", lambda directory: (directory / "x").touch())
    assert listing(tmp_path) == {"r1", "r1/one", "r1/sub", "r1/sub/two"}


def test_many_publishers_make_one_directory(tmp_path: Path) -> None:
    start, published = threading.Barrier(8), []

    def publish() -> None:
        start.wait()
        published.append(_files.publish_directory(tmp_path / "r1", fill))

    threads = [threading.Thread(target=publish) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(published) == [False] * 7 + [True]
    assert listing(tmp_path) == {"r1", "r1/one", "r1/sub", "r1/sub/two"}


def test_full_disk_publishes_nothing_at_any_step(
    tmp_path: Path, full_disk: Callable[[int], list[int]]
) -> None:
    calls = full_disk(0)
    assert _files.publish_directory(tmp_path / "counted", fill)
    # The last call makes the new name durable; by then the directory is whole.
    for failing in range(1, calls[0] - 1):
        full_disk(failing)
        target = tmp_path / f"r{failing}"
        with pytest.raises(StorageError):
            _files.publish_directory(target, fill)
        assert not target.exists(), failing
    assert {path.split("/")[0] for path in listing(tmp_path)} == {"counted"}


def test_failure_of_the_filler_is_its_own_and_leaves_nothing(tmp_path: Path) -> None:
    def broken(directory: Path) -> None:
        fill(directory)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        _files.publish_directory(tmp_path / "r1", broken)
    assert listing(tmp_path) == set()


def test_removed_directory_is_gone(tmp_path: Path) -> None:
    _files.publish_directory(tmp_path / "r1", fill)
    _files.remove_directory(tmp_path / "r1")
    assert listing(tmp_path) == set()
    with pytest.raises(StorageError, match="cannot remove"):
        _files.remove_directory(tmp_path / "r1")


def test_what_somebody_else_removes_at_the_same_moment_is_removed_too(tmp_path: Path) -> None:
    for number in range(300):
        (tmp_path / "r1" / "checkpoints" / str(number)).mkdir(parents=True)
    inside = os.open(
        tmp_path / "r1" / "checkpoints", os.O_RDONLY
    )  # no rename stops whoever is inside already

    def remove() -> None:
        for number in reversed(range(300)):
            with suppress(FileNotFoundError):
                os.rmdir(str(number), dir_fd=inside)

    other = threading.Thread(target=remove)
    other.start()
    _files.remove_directory(tmp_path / "r1")
    other.join()
    os.close(inside)
    assert listing(tmp_path) == set()


def test_only_old_leftovers_of_the_dead_are_swept(tmp_path: Path) -> None:
    for name in (".partial-r1-7-ab", ".trash-r2-cd", ".partial-young", "r3"):
        (tmp_path / name).mkdir()
    for name in (".partial-r1-7-ab", ".trash-r2-cd", "r3"):
        os.utime(tmp_path / name, (0, 0))
    _files.remove_leftovers(tmp_path, older_than_s=3600)
    assert listing(tmp_path) == {".partial-young", "r3"}


# --- a growing log ----------------------------------------------------------------------------------

lines = st.lists(st.binary(max_size=40).map(lambda data: data.replace(b"\n", b"")), max_size=20)


@given(written=lines, cuts=st.lists(st.integers(0, 900), max_size=8), max_bytes=st.integers(1, 60))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_each_line_is_read_once_and_whole_however_it_arrives(
    tmp_path: Path, written: list[bytes], cuts: list[int], max_bytes: int
) -> None:
    path = tmp_path / "log"
    path.unlink(missing_ok=True)
    whole = b"".join(line + b"\n" for line in written)
    seen: list[bytes] = []
    offset = 0
    for cut in [*sorted(cuts), len(whole)]:
        path.write_bytes(whole[:cut])
        while True:
            found, offset = _files.read_lines_from(path, offset, max_bytes=max_bytes)
            if not found:
                break
            seen.extend(found)
    assert seen == written


def test_log_that_is_not_there_yet_is_empty(tmp_path: Path) -> None:
    assert _files.read_lines_from(tmp_path / "log", 0) == ([], 0)


# --- kills and refusals -----------------------------------------------------------------------------

PUBLISH_FOR_EVER = """
import itertools, sys
from pathlib import Path
from tunekit import _files
home = Path(sys.argv[1])
def fill(directory):
    for name in "abc":
        (directory / name).write_bytes(name.encode() * 1000)
print("ready", flush=True)
for number in itertools.count():
    _files.publish_directory(home / f"r{number}", fill)
    _files.write_atomic(home / "file", str(number % 10).encode() * 1000)
"""


def test_kill_at_any_moment_leaves_only_whole_things_under_their_names(tmp_path: Path) -> None:
    for round_number in range(8):
        home = tmp_path / str(round_number)
        home.mkdir()
        with start_python(PUBLISH_FOR_EVER, home) as child:
            assert child.stdout is not None
            child.stdout.readline()
            while not (home / f"r{round_number}").exists():
                pass
            child.kill()
        published = [path for path in home.iterdir() if path.name.startswith("r")]
        assert len(published) > round_number
        assert {path.stat().st_size for item in published for path in item.iterdir()} == {1000}
        assert {len(list(item.iterdir())) for item in published} == {3}
        if (home / "file").exists():
            assert (home / "file").stat().st_size == 1000


@pytest.mark.parametrize(
    ("code", "hint"),
    [
        (errno.ENOSPC, "free some space"),
        (errno.EDQUOT, "quota"),
        (errno.EROFS, "read-only"),
        (errno.EACCES, "TUNEKIT_HOME"),
        (errno.EIO, "check that the path"),
    ],
)
def test_refusal_of_the_disk_says_what_to_do(code: int, hint: str) -> None:
    with pytest.raises(StorageError) as caught, _files.storage_errors("cannot write"):
        raise OSError(code, os.strerror(code), "/some/where")
    assert caught.value.message == f"cannot write: {os.strerror(code)} '/some/where'"
    assert hint in caught.value.hint


def test_error_without_a_path_has_no_empty_quotes() -> None:
    with pytest.raises(StorageError) as caught, _files.storage_errors("cannot write"):
        raise OSError("broken")
    assert caught.value.message == "cannot write: broken"


def test_file_in_the_way_of_a_directory_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageError, match="cannot create directory"):
        _files.make_private_directory(tmp_path / "file" / "home")
