"""The file of a store: private, local, whole; a file or a place that will not do is refused with a way out."""

from __future__ import annotations

import gc
import os
import shutil
import sqlite3
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from tests.unit.store.drafts import draft
from tunekit import Settings
from tunekit.errors import StorageError
from tunekit.store import SqliteStore, _filesystem


def mode(path: Path) -> str:
    return oct(stat.S_IMODE(path.stat().st_mode))


# --- where and how it is made ---------------------------------------------------------------------


def test_nothing_is_made_before_the_first_use(path: Path) -> None:
    SqliteStore(path).close()
    assert not path.parent.exists()


def test_settings_name_the_file(home: Path, tmp_path: Path) -> None:
    assert SqliteStore().path == home / "store.sqlite3"
    assert SqliteStore(Settings(home=tmp_path)).path == tmp_path / "store.sqlite3"
    assert SqliteStore(str(tmp_path / "s")).path == tmp_path / "s"


def test_a_relative_path_stays_where_it_was_meant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    store = SqliteStore("store.sqlite3")
    monkeypatch.chdir("/")
    store.claim(draft())
    assert (tmp_path / "store.sqlite3").is_file()


@pytest.mark.parametrize("umask", [0o000, 0o022])
def test_only_the_owner_can_read_it(path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        SqliteStore(path).claim(draft())
        with closing(sqlite3.connect(path)) as db:  # keeps the log and its index in sight
            db.execute("SELECT * FROM runs").fetchall()
            SqliteStore(path).claim(draft("k2"))
            modes = {file.name: mode(file) for file in path.parent.iterdir()}
    finally:
        os.umask(before)
    assert modes == dict.fromkeys(["store.sqlite3", "store.sqlite3-wal", "store.sqlite3-shm"], "0o600")
    assert mode(path.parent) == "0o700"


@pytest.mark.parametrize("how", ["closed", "forgotten"])
def test_at_rest_the_store_is_one_file_and_nothing_is_open(path: Path, how: str) -> None:
    store = SqliteStore(path)
    store.claim(draft())
    if how == "closed":
        store.close()
    del store
    gc.collect()
    assert [file.name for file in path.parent.iterdir()] == ["store.sqlite3"]
    if Path("/proc/self/fd").is_dir():
        opened = [os.readlink(link) for link in Path("/proc/self/fd").iterdir() if link.is_symlink()]
        assert [name for name in opened if str(path.parent) in name] == []


@pytest.mark.parametrize("name", ["a b", "a?b#c", "100%", "ü\U0001f600", "a'b\"c"])
def test_any_directory_name_will_do(tmp_path: Path, name: str) -> None:
    SqliteStore(tmp_path / name / "store.sqlite3").claim(draft())
    assert (tmp_path / name / "store.sqlite3").is_file()
    assert SqliteStore(tmp_path / name / "store.sqlite3").get("run-k1") == draft()


def test_it_is_durable_and_logged_ahead(path: Path) -> None:
    seen: list[tuple[str, int]] = []
    database = SqliteStore(path)._database

    def look(db: sqlite3.Connection) -> None:
        (journal,) = db.execute("PRAGMA journal_mode").fetchone()
        (synchronous,) = db.execute("PRAGMA synchronous").fetchone()
        seen.append((journal, synchronous))

    database.write(look)
    assert seen == [("wal", 2)]  # 2 is FULL


def test_a_deleted_file_is_not_written_to(path: Path) -> None:
    store = SqliteStore(path)
    store.claim(draft())
    shutil.rmtree(path.parent)
    assert store.list() == []
    store.claim(draft("k2"))
    assert [run.key for run in SqliteStore(path).list()] == ["k2"]


def test_a_replaced_file_is_the_one_in_use(path: Path) -> None:
    store, other = SqliteStore(path), SqliteStore(path.with_name("other"))
    store.claim(draft("old"))
    other.claim(draft("new"))
    other.close()
    os.replace(other.path, path)
    for suffix in ("-wal", "-shm"):  # as whoever restores a backup must do
        path.with_name(path.name + suffix).unlink()
    assert [run.key for run in store.list()] == ["new"]


def test_threads_leave_few_files_open(path: Path) -> None:
    store = SqliteStore(path)
    with ThreadPoolExecutor(16) as threads:
        list(threads.map(lambda _: store.list(), range(64)))
    assert len(store._database._connections._idle) <= 4


def test_many_processes_may_make_it_at_once(path: Path) -> None:
    script = (
        "import sys; from tunekit.store import SqliteStore; print(flush=True); sys.stdin.read();"
        "SqliteStore(sys.argv[1]).list()"
    )
    children = [subprocess.Popen([sys.executable, "-c", script, path], stdin=-1, stdout=-1) for _ in range(4)]
    try:
        for child in children:
            assert child.stdout is not None
            child.stdout.readline()
        for child in children:
            assert child.stdin is not None
            child.stdin.close()
        assert [child.wait(timeout=60) for child in children] == [0, 0, 0, 0]
    finally:
        for child in children:
            child.kill()
            child.wait()
            assert child.stdout is not None
            child.stdout.close()


# --- where it cannot be ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "kind", ["nfs", "nfs4", "cifs", "smb3", "9p", "lustre", "gpfs", "fuse.sshfs", "beegfs"]
)
def test_a_network_filesystem_is_refused_by_name(
    path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    line = f"36 35 98:0 / {path.parent.parent} rw,noatime shared:1 master:2 - {kind} server:/export rw"
    monkeypatch.setattr(_filesystem, "_mountinfo", lambda: line)
    with pytest.raises(StorageError, match=f"network filesystem \\({kind}\\)") as caught:
        SqliteStore(path).list()
    assert "TUNEKIT_HOME" in caught.value.hint
    assert "local disk" in caught.value.hint
    assert not path.parent.exists()


@pytest.mark.parametrize(
    "kind", ["ext4", "xfs", "btrfs", "zfs", "tmpfs", "overlay", "fuse.encfs", "fuseblk", "f2fs"]
)
def test_a_local_filesystem_is_fine(path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    monkeypatch.setattr(_filesystem, "_mountinfo", lambda: f"1 0 8:1 / / rw - {kind} /dev/sda1 rw")
    assert SqliteStore(path).list() == []


def test_the_innermost_and_latest_mount_counts() -> None:
    table = "\n".join(
        (
            "21 1 8:1 / / rw - ext4 /dev/sda1 rw",
            "22 21 0:40 / /home rw shared:7 - nfs4 server:/home rw,vers=4.2",
            "23 22 8:2 / /home/ann/local\\040disk rw - xfs /dev/sdb rw",
            "24 21 8:3 / /mnt rw - ext4 /dev/sdc rw",
            "25 24 0:41 / /mnt rw - cifs //server/x rw",
            "not a line of mountinfo",
            "",
        )
    )
    where = {
        "/": "ext4",
        "/homes": "ext4",
        "/home": "nfs4",
        "/home/ann/.tunekit": "nfs4",
        "/home/ann/local disk/x": "xfs",
        "/mnt/x": "cifs",
    }
    assert {name: _filesystem.mount_of(Path(name), table)[0] for name in where} == where


def test_the_real_table_is_understood() -> None:
    if not Path("/proc/self/mountinfo").exists():
        pytest.skip("no mountinfo on this system")
    assert _filesystem.mount_of(Path("/proc/self"), _filesystem._mountinfo()) == ("proc", "/proc")


def test_a_link_to_a_network_filesystem_is_seen_through(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "far")
    table = f"1 0 8:1 / / rw - ext4 x rw\n2 1 0:9 / {tmp_path / 'far'} rw - nfs s:/ rw"
    monkeypatch.setattr(_filesystem, "_mountinfo", lambda: table)
    with pytest.raises(StorageError, match="nfs"):
        SqliteStore(tmp_path / "link" / "store.sqlite3").list()


# --- what it cannot be ----------------------------------------------------------------------------


def test_a_file_that_is_no_database(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"this is a diary, not a database\n" * 100)
    before = path.read_bytes()
    with pytest.raises(
        StorageError, match=r"store\.sqlite3' cannot be used: file is not a database"
    ) as caught:
        SqliteStore(path).list()
    assert "move the file away" in caught.value.hint
    assert path.read_bytes() == before


def test_the_database_of_another_program_is_left_as_it_was(path: Path) -> None:
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("CREATE TABLE cookies (x)")
    before = path.read_bytes()
    with pytest.raises(StorageError, match="another program") as caught:
        SqliteStore(path).claim(draft())
    assert "TUNEKIT_HOME" in caught.value.hint
    assert path.read_bytes() == before


def test_a_layout_of_a_newer_tunekit_is_left_as_it_was(path: Path) -> None:
    SqliteStore(path).claim(draft())
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("PRAGMA user_version=99")
    before = path.read_bytes()
    with pytest.raises(StorageError, match="layout 99") as caught:
        SqliteStore(path).list()
    assert "upgrade tunekit" in caught.value.hint
    assert path.read_bytes() == before


def test_an_empty_file_becomes_a_store(path: Path) -> None:
    path.parent.mkdir()
    path.touch()
    assert SqliteStore(path).claim(draft())[1]


@pytest.mark.parametrize("at", [4096, 8192, 20_000])
def test_a_damaged_database(path: Path, at: int) -> None:
    store = SqliteStore(path)
    for number in range(40):
        store.claim(draft(f"k{number}", spec={"text": "x" * 2000}))
    store.close()
    with path.open("r+b") as file:
        file.seek(at)
        file.write(os.urandom(path.stat().st_size - at - 4096))
    with pytest.raises(StorageError) as caught:
        store.list()
    assert "backup" in caught.value.hint


def test_a_truncated_database(path: Path) -> None:
    store = SqliteStore(path)
    store.claim(draft())
    store.close()
    os.truncate(path, 5000)
    with pytest.raises(StorageError, match=r"malformed|not a database") as caught:
        store.list()
    assert "backup" in caught.value.hint


def test_a_directory_in_its_place(path: Path) -> None:
    path.mkdir(parents=True)
    with pytest.raises(StorageError, match="is not a file"):
        SqliteStore(path).list()
    assert list(path.parent.iterdir()) == [path]


def test_a_file_in_the_place_of_the_home(path: Path) -> None:
    path.parent.write_text("x")
    with pytest.raises(StorageError, match="home"):
        SqliteStore(path).list()
