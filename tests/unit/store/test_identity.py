"""Who is who among processes, and who is certainly dead."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tunekit.store import SqliteStore, _rules, identity
from tunekit.store.identity import ProcessIdentity

ASK = (
    "from tunekit.store import identity; import sys; print(identity.current(), flush=True); sys.stdin.read()"
)
linux = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="identities are complete on Linux only"
)


@pytest.fixture
def other() -> Iterator[tuple[subprocess.Popen[str], ProcessIdentity]]:
    child = subprocess.Popen([sys.executable, "-c", ASK], stdin=-1, stdout=-1, text=True)
    try:
        assert child.stdout is not None
        process = ProcessIdentity.parse(child.stdout.readline().strip())
        assert process is not None
        yield child, process
    finally:
        child.kill()
        child.communicate()


def test_an_identity_survives_being_written_down() -> None:
    me = identity.current()
    assert ProcessIdentity.parse(str(me)) == me == identity.current()
    assert me.pid == os.getpid()


@pytest.mark.parametrize("text", ["", "somebody", "a/b/c/d/e", "a/b/c/-1/e", "a/b/c/1/e/f"])
def test_what_is_no_identity_is_none(text: str) -> None:
    assert ProcessIdentity.parse(text) is None


@linux
def test_an_identity_is_complete_on_linux() -> None:
    me = identity.current()
    assert all((me.host, me.boot, me.namespace, me.started))
    assert me.namespace.isdecimal()


def test_i_am_alive() -> None:
    assert identity.is_alive(identity.current())


def test_another_process_lives_until_it_is_killed(
    other: tuple[subprocess.Popen[str], ProcessIdentity],
) -> None:
    child, process = other
    assert process.pid == child.pid
    assert identity.is_alive(process)
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # dead, but not reaped: a zombie
    if sys.platform.startswith("linux"):
        assert not identity.is_alive(process), "a zombie never writes again"
    child.wait()
    assert not identity.is_alive(process)


def test_a_stopped_process_is_alive(other: tuple[subprocess.Popen[str], ProcessIdentity]) -> None:
    child, process = other
    child.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, child.pid, os.WSTOPPED)
    assert identity.is_alive(process)


@linux
def test_a_recycled_pid_is_another_process() -> None:
    assert not identity.is_alive(replace(identity.current(), started="1"))


def test_everything_before_a_reboot_is_dead() -> None:
    assert not identity.is_alive(replace(identity.current(), boot="earlier"))


@pytest.mark.parametrize("change", [{"host": "elsewhere"}, {"namespace": "42"}, {"started": ""}])
def test_what_cannot_be_seen_from_here_is_not_declared_dead(change: dict[str, str]) -> None:
    gone = replace(identity.current(), **change)  # type: ignore[arg-type]
    assert identity.is_alive(gone)
    if "started" not in change:
        assert identity.is_alive(replace(gone, pid=2**22 + 1)), (
            "no process has this pid, but that is our view only"
        )


def test_a_process_of_somebody_else_is_alive() -> None:
    init = replace(identity.current(), pid=1, started="")
    assert identity.is_alive(init)


def test_an_absurd_pid_is_not_declared_dead() -> None:
    assert identity.is_alive(replace(identity.current(), pid=10**30))


def test_the_leader_may_end_before_its_threads() -> None:
    # A thread-group leader that has ended shows as a zombie while other threads go on writing.
    script = (
        "import ctypes, sys, threading\n"
        "from tunekit.store import identity\n"
        "me = str(identity.current())\n"
        "def go_on():\n"
        "    while open(f'/proc/{me.split(\"/\")[3]}/stat').read().rpartition(')')[2].split()[0] != 'Z': pass\n"
        "    print(me, flush=True)\n"
        "    sys.stdin.read()\n"
        "threading.Thread(target=go_on).start()\n"
        "ctypes.CDLL(None).syscall(60, 0)\n"  # exit, not exit_group, on x86-64
    )
    if os.uname().machine != "x86_64" or not sys.platform.startswith("linux"):
        pytest.skip("the number of the system call is that of Linux on x86-64")
    child = subprocess.Popen([sys.executable, "-c", script], stdin=-1, stdout=-1, text=True)
    try:
        assert child.stdout is not None
        process = ProcessIdentity.parse(child.stdout.readline().strip())
        assert process is not None
        assert identity.is_alive(process)
    finally:
        child.kill()
        child.communicate()
    assert not identity.is_alive(process)


def test_boottime_goes_on() -> None:
    before = identity.boottime()
    assert before <= identity.boottime()
    if hasattr(time, "CLOCK_BOOTTIME"):
        assert identity.boottime() - time.clock_gettime(time.CLOCK_BOOTTIME) < 1


def test_without_proc_a_missing_pid_is_still_death(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(identity, "_text", lambda path: "")
    monkeypatch.setattr(identity, "_namespace", lambda: "")
    me = identity.current()
    assert (me.boot, me.started) == ("", "")
    assert identity.is_alive(me)
    assert not identity.is_alive(replace(me, pid=2**22 + 1))


def test_the_lease_of_a_killed_owner_is_free_at_once(path: Path) -> None:
    script = (
        "import sys\n"
        "from tunekit.store import SqliteStore\n"
        "print(SqliteStore(sys.argv[1]).acquire('x', ttl_s=1e6).token, flush=True)\n"
        "sys.stdin.read()\n"
    )
    store = SqliteStore(path)
    child = subprocess.Popen([sys.executable, "-c", script, str(path)], stdin=-1, stdout=-1, text=True)
    try:
        assert child.stdout is not None
        token = int(child.stdout.readline())
        assert store.acquire("x", ttl_s=30) is None
        child.kill()
        child.wait()
        lease = store.acquire("x", ttl_s=30)
        assert lease is not None
        assert lease.token > token
    finally:
        child.kill()
        child.communicate()


def test_an_owner_that_is_no_identity_keeps_its_lease_to_the_end() -> None:
    boot = identity.boot_id()
    held = _rules.Holding(owner="written by something else", boot=boot, renewed=0, expires=10)
    assert not _rules.is_free(held, now=9.9)
    assert _rules.is_free(held, now=10)
