"""Which process this is, and whether another one still runs. Knows /proc and kill(2); it is only ever sure about death.

A pid alone says nothing: pids are recycled, and every container has a pid 1. So an identity is the host, the boot of
that host, the pid namespace, the pid and the time the process started (proc(5), field 22 of `stat`).
"""

from __future__ import annotations

import hashlib
import os
import time
from dataclasses import astuple, dataclass
from pathlib import Path

_PROC = Path("/proc")
_DEAD_STATES = ("Z", "X")


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessIdentity:
    """One process, never to be confused with another.

    Attributes:
        host: Hash that tells hosts apart; names nobody.
        boot: Boot id of the kernel, or "" where there is none.
        namespace: Inode number of the pid namespace, or "".
        pid: Process id in that namespace.
        started: Start time in clock ticks since boot, or "" where it is not known.

    Examples:
        >>> me = current()
        >>> ProcessIdentity.parse(str(me)) == me and is_alive(me)
        True
    """

    host: str
    boot: str
    namespace: str
    pid: int
    started: str

    def __str__(self) -> str:
        return "/".join(str(part) for part in astuple(self))

    @classmethod
    def parse(cls, text: str) -> ProcessIdentity | None:
        """The identity that `str()` wrote, or None if this is not one."""
        parts = text.split("/")
        if len(parts) != 5 or not parts[3].isdecimal():
            return None
        host, boot, namespace, pid, started = parts
        return cls(host=host, boot=boot, namespace=namespace, pid=int(pid), started=started)


def current() -> ProcessIdentity:
    """The process that asks. Read afresh each time, so it is right after a fork."""
    pid = os.getpid()
    return ProcessIdentity(
        host=_host(), boot=boot_id(), namespace=_namespace(), pid=pid, started=_started(pid)
    )


def boot_id() -> str:
    """Changes with every boot of this kernel; "" where the system has none."""
    return _text(_PROC / "sys/kernel/random/boot_id")


def boottime() -> float:
    """Seconds since boot on a clock that nobody sets and that goes on while the machine sleeps, where there is one."""
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if clock is None else time.clock_gettime(clock)


def is_alive(process: ProcessIdentity) -> bool:
    """Whether a process may still run. False is a proof; True may only mean that nobody here can tell."""
    if process.host != _host():
        return True
    if process.boot != boot_id():
        return False
    if process.namespace != _namespace():
        return True
    return _runs(process.pid, process.started)


def _runs(pid: int, started: str) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        pass  # somebody else's process is a process
    stat = _stat(pid)
    if not stat:
        return True
    # A leader that has ended while its threads go on is a zombie too; proc(5) counts threads in field 20.
    if stat[0] in _DEAD_STATES and int(stat[17]) <= 1:
        return False
    return not started or stat[19] == started


def _started(pid: int) -> str:
    stat = _stat(pid)
    return stat[19] if stat else ""


def _stat(pid: int) -> list[str]:
    """Fields of /proc/<pid>/stat from the third on: the second is a name that may hold spaces and parentheses."""
    return _text(_PROC / str(pid) / "stat").rpartition(")")[2].split()


def _host() -> str:
    # Both, because images carry machine ids along and host names repeat; fewer false matches means fewer false deaths.
    name = f"{_text(Path('/etc/machine-id'))} {os.uname().nodename}"
    return hashlib.sha256(name.encode()).hexdigest()[:16]


def _namespace() -> str:
    try:
        return os.readlink(_PROC / "self/ns/pid").strip("pid:[]")
    except OSError:
        return ""


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
