"""Looking at processes from outside, for tests that kill them. Everything comes from /proc; nothing is guessed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")


def eventually(look: Callable[[], T], *, timeout_s: float = 30.0, every_s: float = 0.005) -> T:
    """Look until something true is seen. Fails the test if that does not happen in time."""
    ends = time.monotonic() + timeout_s
    while not (seen := look()):
        assert time.monotonic() < ends, f"not seen within {timeout_s} s"
        time.sleep(every_s)
    return seen


def holders(path: Path) -> list[int]:
    """Processes that have this file open."""
    pids = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    return sorted(pid for pid in pids if path in open_files(pid))


def open_files(pid: int) -> dict[Path, int]:
    """What a process has open, with one descriptor each; empty once it is gone."""
    found = {}
    try:
        for link in Path(f"/proc/{pid}/fd").iterdir():
            found[Path(os.readlink(link))] = int(link.name)
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        pass  # it ended while we looked
    return found


def is_running(pid: int) -> bool:
    """Whether a process still computes: neither gone nor a zombie."""
    return _state(pid) not in ("", "Z", "X")


def is_zombie(pid: int) -> bool:
    """Whether a process is dead and nobody has collected it."""
    return _state(pid) == "Z"


def command_of(pid: int) -> list[str]:
    """What a process was started with; empty once it is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().split("\0")
    except (FileNotFoundError, ProcessLookupError):
        return []


def leads_session(pid: int) -> bool:
    """Whether a process was started in a session of its own."""
    try:
        return os.getsid(pid) == pid
    except ProcessLookupError:
        return False


def kill(pid: int) -> bool:
    """SIGKILL; whether it hit a process that was still running."""
    hit = is_running(pid)
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return hit


def start_python(source: str, *arguments: object) -> subprocess.Popen[str]:
    """A new interpreter with pipes, in which every warning is an error."""
    command = [sys.executable, "-W", "error", "-c", source, *map(str, arguments)]
    return subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def run_python(source: str, *arguments: object, timeout_s: float = 60.0) -> str:
    """What a new interpreter printed; the test fails if it failed or said anything on stderr."""
    with start_python(source, *arguments) as child:
        try:
            out, errors = child.communicate(timeout=timeout_s)
        finally:
            child.kill()
    assert child.returncode == 0, errors
    assert errors == ""
    return out


def _state(pid: int) -> str:
    try:
        # The name in parentheses may hold anything, so split behind its end.
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return ""
