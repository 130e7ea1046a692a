"""A store on both sides of a fork. Each test forks in an interpreter of its own, so that this one stays whole."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

COMMON = """
import os, sys, threading, time, warnings
warnings.simplefilter("ignore", DeprecationWarning)  # 3.12 warns of forks with threads: that is what is tested
from tests.unit.store.drafts import changed, draft
from tunekit.errors import StorageError
from tunekit.store import MemoryStore, SqliteStore, _connections

def in_child(work):
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    return pid

def ended_well(pid):
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0

store = SqliteStore(sys.argv[1])
"""
ROOT = Path(__file__).resolve().parents[3]


def run(script: str, path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", COMMON + script, path], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr


def test_both_sides_go_on_with_one_store(path: Path) -> None:
    run(
        """
record, _ = store.claim(draft(spec={"n": 0}))
def count_up():
    for _ in range(20):
        while True:
            now = store.get(record.run_id)
            try:
                store.update(changed(now, spec={"n": now.spec["n"] + 1}))
            except Exception as error:
                assert type(error).__name__ == "ConflictError", error
                continue
            break
children = [in_child(count_up) for _ in range(3)]
count_up()
assert all([ended_well(pid) for pid in children])
assert store.get(record.run_id).spec == {"n": 80}
""",
        path,
    )


def test_a_child_is_somebody_else(path: Path) -> None:
    run(
        """
lease = store.acquire("x", ttl_s=1000)
def try_it():
    assert store.acquire("x", ttl_s=1000) is None
    assert store.acquire("y", ttl_s=1000).owner != lease.owner
assert ended_well(in_child(try_it))
store.heartbeat(lease)
assert store.acquire("y", ttl_s=1) is not None, "its owner has ended"
""",
        path,
    )


def test_forks_while_other_threads_write_are_safe(path: Path) -> None:
    run(
        """
record, _ = store.claim(draft())
stop = threading.Event()
def beat(name):
    lease = store.acquire(name, ttl_s=60)
    while not stop.is_set():
        store.heartbeat(lease)
threads = [threading.Thread(target=beat, args=(str(n),)) for n in range(4)]
[thread.start() for thread in threads]
children = [in_child(lambda: store.claim(draft(f"child-{n}"))) for n in range(10)]
assert all([ended_well(pid) for pid in children])
stop.set()
[thread.join() for thread in threads]
assert len(store.list()) == 11
""",
        path,
    )


def test_a_child_of_a_fork_that_could_not_wait_is_told(path: Path) -> None:
    run(
        """
_connections._PATIENCE_S = 0.05
inside, leave = threading.Event(), threading.Event()
def work(db):
    inside.set()
    leave.wait(30)
thread = threading.Thread(target=store._database.write, args=(work,))
thread.start()
inside.wait(30)
def refused():
    for _ in range(2):
        try:
            store.list()
        except StorageError as error:
            assert "forked" in str(error) and "spawn" in error.hint
        else:
            raise AssertionError("locks of another process were trusted")
    assert ended_well(in_child(lambda: None)), "a child of such a child can still fork"
child = in_child(refused)
leave.set()
thread.join()
assert ended_well(child)
assert store.list() == []
""",
        path,
    )


def test_a_child_that_exits_the_usual_way_harms_nothing(path: Path) -> None:
    run(
        """
record, _ = store.claim(draft())
pid = os.fork()
if pid == 0:
    store.update(record)
    sys.exit(0)
assert ended_well(pid)
assert store.update(store.get(record.run_id)).version == 3
""",
        path,
    )


def test_a_memory_store_does_not_follow_into_a_child(path: Path) -> None:
    run(
        """
memory = MemoryStore()
memory.claim(draft())
def refused():
    try:
        memory.list()
    except StorageError as error:
        assert "fork" in str(error)
    else:
        raise AssertionError("the copy would forget")
assert ended_well(in_child(refused))
assert memory.list()
""",
        path,
    )


def test_a_child_made_by_subprocess_waits_for_nothing(path: Path) -> None:
    run(
        """
import subprocess
def work(db):
    subprocess.run([sys.executable, "-c", ""], check=True)
began = time.monotonic()
store._database.write(work)
assert time.monotonic() - began < _connections._PATIENCE_S
""",
        path,
    )


def test_a_child_inherits_no_open_file_and_takes_no_lock_with_it(path: Path) -> None:
    run(
        """
store.claim(draft())
def opened():
    return [name for name in map(os.readlink, map("/proc/self/fd/{}".format, os.listdir("/proc/self/fd")[:-1]))
            if "store.sqlite3" in name]
if os.path.isdir("/proc/self/fd"):
    assert opened(), "idle connections are kept"
    def look():
        assert opened() == []
        store.claim(draft("child"))
        assert opened()
    assert ended_well(in_child(look))
store.claim(draft("parent"))
assert len(store.list()) == (3 if os.path.isdir("/proc/self/fd") else 2)
""",
        path,
    )


def test_a_parent_that_closes_leaves_its_child_a_whole_store(path: Path) -> None:
    # With an inherited connection the child would hold no lock, and the parent would delete the log under it.
    run(
        """
store.claim(draft())
ready_read, ready_write = os.pipe()
go_read, go_write = os.pipe()
def go_on():
    store.claim(draft("before"))
    os.write(ready_write, b".")
    os.read(go_read, 1)
    store.claim(draft("after"))
child = in_child(go_on)
os.read(ready_read, 1)
store.list()
store.close()
SqliteStore(store.path).claim(draft("other"))
os.write(go_write, b".")
assert ended_well(child)
assert {run.key for run in SqliteStore(store.path).list()} == {"k1", "before", "other", "after"}
""",
        path,
    )
