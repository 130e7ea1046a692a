"""What runs in a `python` grader's child process, alone: it imports nothing of tunekit, and nothing imports it.

It takes a source and then questions, as lines of JSON on its standard input, and answers each with a line. Before the
source runs, it gives up what a grader does not need: more memory than allowed, writing files, reading other files than
those of installed libraries, the network, other processes. These are Python's own hooks and the kernel's limits. They
stop accidents and simple mischief; they are no wall against somebody who knows C.
"""

from __future__ import annotations

import json
import math
import os
import random
import resource
import socket  # noqa: F401 - loaded while it still can be, for libraries that import it and open nothing
import sys
import threading
import time
from functools import partial
from importlib import import_module
from typing import Any

_REFUSED = (
    "os.fork",
    "os.forkpty",
    "os.exec",
    "os.posix_spawn",
    "os.spawn",
    "os.system",
    "os.kill",
    "os.killpg",
    "os.remove",
    "os.rename",
    "os.rmdir",
    "os.mkdir",
    "os.link",
    "os.symlink",
    "os.truncate",
    "os.chmod",
    "os.chown",
    "pty.spawn",
    "shutil",
    "signal.pthread_kill",
    "os.utime",
    "os.setxattr",
    "os.removexattr",
    "socket.",
    "sqlite3.",
    "subprocess.",
    "urllib.",
    "resource.setrlimit",
    "resource.prlimit",
)
_OUT_OF_SIGHT = {
    ("_posixsubprocess",): ("fork_exec",),
    ("posix", "os"): (
        "mkfifo",
        "mknod",
        "setpriority",
        "sched_setaffinity",
        "sched_setscheduler",
        "sched_setparam",
    ),
    ("_signal", "signal"): ("pidfd_send_signal",),
}
"""Functions, by the modules they lie in, that touch files or processes, and that Python tells no hook of."""


def main() -> None:
    """Serve until the parent is gone."""
    questions, replies = _take_pipes()
    setup = json.loads(questions.readline())
    _limit_resources(setup["memory_bytes"])
    threading.Thread(target=_leave_with, args=(os.getppid(),), daemon=True).start()
    readable = _library_folders()
    _take_away()
    sys.addaudithook(lambda event, arguments: _refuse(event, arguments, readable))
    namespace: dict[str, Any] = {"__name__": "grader"}
    _reply(replies, _guarded(lambda: exec(compile(setup["source"], "<grader>", "exec"), namespace)))
    for line in questions:
        told = json.loads(line)
        random.seed(0)  # noqa: TID251 - nobody else's generator: this process is the grader's alone
        _reply(replies, _guarded(partial(namespace["grade"], told["sample"], told["item"])))


def _leave_with(parent: int) -> None:
    """A source that never ends would outlive whoever is to kill it."""
    while os.getppid() == parent:
        time.sleep(1.0)
    os._exit(1)


def _take_pipes() -> tuple[Any, Any]:
    """The parent's pipes, out of the way of a source that prints or reads."""
    questions = os.fdopen(os.dup(0), "r", encoding="utf-8")
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.dup2(nothing, 1)
    sys.stdin, sys.stdout = open(0, closefd=False), open(1, "w", closefd=False)  # noqa: SIM115
    return questions, replies


def _limit_resources(memory_bytes: int) -> None:
    _lower(resource.RLIMIT_AS, memory_bytes)
    _lower(resource.RLIMIT_FSIZE, 0)
    _lower(resource.RLIMIT_CORE, 0)
    _lower(resource.RLIMIT_NOFILE, 64)


def _lower(what: int, value: int) -> None:
    hard = resource.getrlimit(what)[1]
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(what, (value, value))


def _take_away() -> None:
    for modules, names in _OUT_OF_SIGHT.items():
        for module in map(import_module, modules):
            for name in names:
                if hasattr(module, name):  # not every system has them all
                    setattr(module, name, partial(_raise_refused, f"{modules[-1]}.{name}"))


def _raise_refused(what: str, *arguments: Any, **options: Any) -> None:
    raise PermissionError(f"a grader may not do {what}")


def _library_folders() -> tuple[str, ...]:
    """What may be read: the standard library and installed packages."""
    folders = {sys.prefix, sys.base_prefix, *(path for path in sys.path if path)}
    kept = {os.path.realpath(folder) + os.sep for folder in folders}
    return (*sorted(kept), os.path.realpath("/usr/share/zoneinfo") + os.sep)


def _refuse(event: str, arguments: tuple[Any, ...], readable: tuple[str, ...]) -> None:
    if event in ("open", "os.listdir", "os.scandir"):
        path, flags = arguments[0], arguments[2] if event == "open" else 0
        _refuse_path(path, flags if isinstance(flags, int) else 0, readable)
    elif event.startswith(_REFUSED) and event != "socket.__new__":
        _raise_refused(event)


def _refuse_path(path: Any, flags: int, readable: tuple[str, ...]) -> None:
    if isinstance(path, int):
        return
    writes = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_TRUNC
    name = os.path.realpath(os.fsdecode(path or ".")) + os.sep
    if flags & writes or not name.startswith(readable):
        raise PermissionError("a grader may not open files")


def _guarded(call: Any) -> dict[str, Any]:
    """What a call comes to. SystemExit is an error like any other."""
    try:
        return _checked(call())
    except BaseException as error:
        return {"error": _told(error)}


def _checked(value: Any) -> dict[str, Any]:
    if value is None:
        return {}
    if isinstance(value, (str, bytes)):
        return {"error": f"grade returned {type(value).__name__}, which is no number"}
    number = float(value)
    if not math.isfinite(number):
        return {"error": f"grade returned {number}, which is not finite"}
    return {"value": number}


def _told(error: BaseException) -> str:
    trace, line = error.__traceback__, None
    while trace is not None:
        line = trace.tb_lineno if trace.tb_frame.f_code.co_filename == "<grader>" else line
        trace = trace.tb_next
    try:
        text = str(error)[:300]
    except BaseException:
        text = ""
    return f"{type(error).__name__}{f' in line {line}' if line else ''}: {text}".rstrip(": ")


def _reply(replies: Any, reply: dict[str, Any]) -> None:
    replies.write(json.dumps(reply) + "\n")
    replies.flush()


if __name__ == "__main__":
    main()
