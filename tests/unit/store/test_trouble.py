"""Disks that are full or read-only, locks never given back, work that is interrupted: what the store then says."""

from __future__ import annotations

import resource
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from tests.unit.store.drafts import draft
from tunekit.errors import DeadlineError
from tunekit.store import SqliteStore, _database

FILL = """
import sys
from tunekit.errors import StorageError
from tunekit.records import RunRecord
from tunekit.store import SqliteStore
store = SqliteStore(sys.argv[1])
done = 0
try:
    for number in range(10_000):
        store.claim(RunRecord(run_id=f"run-{number}", key=f"k{number}", backend="b", model="m",
            spec={"text": "x" * 4000}, train_fingerprint="f", created_at=number, updated_at=0))
        done += 1
except StorageError as error:
    print(done, str(error).replace("\\n", " "))
"""


# --- disks that say no ----------------------------------------------------------------------------


def test_a_write_that_the_system_refuses(path: Path) -> None:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))

    done = subprocess.run(
        [sys.executable, "-c", FILL, path], capture_output=True, text=True, preexec_fn=limit, timeout=60
    )
    written, message = done.stdout.split(" ", 1)
    assert str(path) in message
    assert "hint: check that the disk is not full" in message
    assert len(SqliteStore(path).list(limit=10_000)) == int(written) > 0


def test_a_full_disk(tmp_path: Path) -> None:
    mounted = f"mount -t tmpfs -o size=300k none {tmp_path}"
    if subprocess.run(["unshare", "-rm", "sh", "-c", mounted], capture_output=True).returncode:
        pytest.skip("this machine lets nobody mount a small tmpfs in a namespace of its own")
    check = "from tunekit.store import SqliteStore; import sys; print(len(SqliteStore(sys.argv[1]).list(limit=10**6)))"
    # Room is made again by deleting a ballast file: the store must then hold exactly what was acknowledged.
    script = (
        f"{mounted} && head -c 100000 /dev/zero > {tmp_path}/ballast && "
        f'"$0" -c "$1" {tmp_path}/store && rm {tmp_path}/ballast && "$0" -c "$2" {tmp_path}/store'
    )
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", script, sys.executable, FILL, check],
        capture_output=True,
        text=True,
        timeout=60,
    )
    first, stored = done.stdout.splitlines()
    written, message = first.split(" ", 1)
    assert f"{tmp_path}/store" in message
    assert "hint: " in message
    assert "TUNEKIT_HOME" in message
    assert int(stored) == int(written) > 0


def test_a_home_that_cannot_be_written_to(tmp_path: Path) -> None:
    mounted = f"mount -t tmpfs -o size=300k,ro none {tmp_path}"
    if subprocess.run(["unshare", "-rm", "sh", "-c", mounted], capture_output=True).returncode:
        pytest.skip("this machine lets nobody mount a read-only tmpfs in a namespace of its own")
    script = f'{mounted} && "$0" -c "$1" {tmp_path}/home/store'
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", script, sys.executable, FILL],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert f"{tmp_path}/home" in done.stdout
    assert "Read-only file system" in done.stdout
    assert "point TUNEKIT_HOME at a directory you can write to" in done.stdout


def test_a_store_on_a_disk_that_became_read_only(path: Path) -> None:
    SqliteStore(path).claim(draft())
    mounted = f"mount --bind {path.parent} {path.parent} && mount -o remount,bind,ro {path.parent}"
    if subprocess.run(["unshare", "-rm", "sh", "-c", mounted], capture_output=True).returncode:
        pytest.skip("this machine lets nobody bind-mount in a namespace of its own")
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", f'{mounted} && "$0" -c "$1" {path}', sys.executable, FILL],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert str(path) in done.stdout, done.stderr
    assert "point TUNEKIT_HOME at a directory you can write to" in done.stdout


# --- waiting --------------------------------------------------------------------------------------


def test_a_lock_that_is_never_given_back_ends_in_a_deadline(path: Path) -> None:
    store = SqliteStore(path, deadline_s=0.3)
    record, _ = store.claim(draft())
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("BEGIN IMMEDIATE")
        with pytest.raises(DeadlineError, match=r"busy for 0\.3 s") as caught:
            store.update(record)
        assert caught.value.retryable
        assert store.get(record.run_id) == record, "reading goes on"
    assert store.update(record).version == 2


def test_waiting_goes_on_after_the_busy_timeout(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    retries = threading.Semaphore(0)
    monkeypatch.setattr(_database, "_BUSY_TIMEOUT_S", 0.0)
    monkeypatch.setattr(time, "sleep", lambda _: retries.release())
    store = SqliteStore(path)
    record, _ = store.claim(draft())
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("BEGIN IMMEDIATE")
        versions: list[int] = []
        writer = threading.Thread(target=lambda: versions.append(store.update(record).version))
        writer.start()
        assert all(retries.acquire(timeout=60) for _ in range(3))
        assert versions == []
        db.execute("COMMIT")
    writer.join(60)
    assert versions == [2]


@pytest.mark.parametrize("stop", [KeyboardInterrupt, ValueError])
def test_a_transaction_that_is_interrupted_leaves_nothing(path: Path, stop: type[BaseException]) -> None:
    store = SqliteStore(path)
    store.claim(draft())

    def work(db: sqlite3.Connection) -> None:
        db.execute("DELETE FROM runs")
        raise stop

    with pytest.raises(stop):
        store._database.write(work)
    assert store.get("run-k1") == draft()


def test_a_mistake_in_a_query_is_not_dressed_up(path: Path) -> None:
    work: Callable[[sqlite3.Connection], object] = lambda db: db.execute("SELECT ?", ())  # noqa: E731
    with pytest.raises(sqlite3.ProgrammingError):
        SqliteStore(path)._database.read(work)
