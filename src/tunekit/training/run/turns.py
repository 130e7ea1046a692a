"""Runs of one home take turns on a device: first come, first served. Knows lock files; knows no run and no torch.

    devices/cpu/lock         held for the moment in which somebody comes or looks
    devices/cpu/00000007-4   ticket of the seventh who came; takes 4 units of the device, and is locked while its
                             process lives

It is a ticket's turn once what it takes fits beside what those before it take, and always if nobody is before it. As
nobody ever comes before a ticket that is there, a turn that has come stays. The kernel unlocks the ticket of a process
that was killed; the next who looks removes it.
"""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from tunekit import _files

_TICKET = re.compile(r"(\d{8,})-(\d+)\Z")
_GPUS = Path("/dev")


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """What runs take turns on.

    Attributes:
        name: Of its directory.
        takes: How much of it this run takes.
        capacity: How much there is.
    """

    name: str
    takes: int
    capacity: int


def devices_for(threads: int, environment: Mapping[str, str], *, count: int = 1) -> list[Device]:
    """The devices that a run will use: the first visible GPUs, all of each, or as many cores as it has threads.

    They are in an order that is the same for every run, so that of two that wait for several, one comes first.

    Told without torch, which takes seconds and hundreds of megabytes that a run in the queue does not need. Where torch
    cannot use the GPU that is there, runs on the CPU go one by one.

    Args:
        threads: CPU threads of the run.
        environment: Of its process.
        count: How many GPUs it uses, where there are any.
    """
    told = environment.get("CUDA_VISIBLE_DEVICES", ",".join(map(str, range(count)))).split(",")
    visible = [name.strip() for name in told]
    if any(_GPUS.glob("nvidia[0-9]*")) and visible[0] not in ("", "-1"):
        names = sorted("cuda-" + re.sub(r"[^\w-]", "_", name) for name in visible[:count])
        return [Device(name=name, takes=1, capacity=1) for name in names]
    cores = physical_cores()
    return [Device(name="cpu", takes=min(threads, cores), capacity=cores)]


def physical_cores() -> int:
    """Cores that this process may use.

    Hyper-threads share one multiplier: a second thread on a core slows dense arithmetic down. The affinity mask is what
    a container or taskset leaves us.
    """
    allowed = (
        sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1)
    )
    return max(1, len({_siblings(cpu) for cpu in allowed}))


class Queue:
    """The tickets of one device, and this process's own among them.

    Args:
        directory: Holds a directory per device.
        device: Whose turn it is.

    Raises:
        StorageError: The directory cannot be written, or the filesystem cannot lock.
    """

    def __init__(self, directory: Path, device: Device) -> None:
        self._directory, self._device = directory / device.name, device
        self._own: tuple[int, int] | None = None  # number and descriptor
        _files.make_private_directory(self._directory)

    def is_our_turn(self) -> bool:
        """Whether to begin; the first look takes a ticket. False as well while somebody else looks."""
        with _files.storage_errors(f"cannot queue in {str(self._directory)!r}"), self._locked() as locked:
            if not locked:
                return False
            tickets = self._living()
            if self._own is None:
                self._own = self._take(max((number for number, _ in tickets), default=0) + 1)
            before = [takes for number, takes in tickets if number < self._own[0]]
            return not before or sum(before) + self._device.takes <= self._device.capacity

    def close(self) -> None:
        """Give the ticket back."""
        if self._own is not None:
            number, descriptor = self._own
            self._own = None
            self._path(number, self._device.takes).unlink(missing_ok=True)
            os.close(descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *reason: object) -> None:
        self.close()

    def _living(self) -> list[tuple[int, int]]:
        """Number and size of every ticket whose process lives, our own included; the others are removed."""
        found = []
        for path in self._directory.iterdir():
            match = _TICKET.match(path.name)
            if match is None:
                continue
            number, takes = int(match[1]), int(match[2])
            if (self._own is not None and number == self._own[0]) or _is_locked(path):
                found.append((number, takes))
            else:
                path.unlink(missing_ok=True)
        return found

    def _take(self, number: int) -> tuple[int, int]:
        path = self._path(number, self._device.takes)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        return number, descriptor

    def _path(self, number: int, takes: int) -> Path:
        return self._directory / f"{number:08d}-{takes}"

    @contextmanager
    def _locked(self) -> Iterator[bool]:
        descriptor = os.open(self._directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            yield _lock(descriptor)
        finally:
            os.close(descriptor)


def _is_locked(path: Path) -> bool:
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False  # given back while we looked
    try:
        return not _lock(descriptor)
    finally:
        os.close(descriptor)


def _lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _siblings(cpu: int) -> str:
    try:
        return Path(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list").read_text()
    except OSError:
        return str(cpu)
