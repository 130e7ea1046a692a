"""The "remote service" behind `ScriptedBackend`. Knows jobs, counters and where they lie; not the backend interface.

In memory it lives as long as its object. In a directory it is one JSON document under a file lock, so several processes
talk to the same service, and a killed one leaves it whole.
"""

from __future__ import annotations

import fcntl
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tunekit import _files


@dataclass(slots=True, kw_only=True)
class Counters:
    """What a service has been asked for so far.

    Attributes:
        submits: Calls of `submit` that reached it, accepted or not.
        jobs: Jobs that it made: what a real service would bill.
        finds: Calls of `find`.
        polls: Calls of `snapshot` and `events`.
        cancels: Calls of `cancel`.
    """

    submits: int = 0
    jobs: int = 0
    finds: int = 0
    polls: int = 0
    cancels: int = 0


@dataclass(slots=True, kw_only=True)
class ServiceJob:
    """One job as the service keeps it.

    Attributes:
        id: The service's name for it.
        key: Idempotency key it is tagged with.
        model: Base model.
        script: Its events, as dictionaries, from the first to the last.
        step: Events that each poll reveals; 0 reveals all at once.
        polls: How often it was asked about.
        hidden_finds: How many more look-ups miss it, because listings lag.
        cancelled_at: Number of events that were visible when it was cancelled, or -1.
    """

    id: str
    key: str
    model: str
    script: list[dict[str, Any]]
    step: int = 0
    polls: int = 0
    hidden_finds: int = 0
    cancelled_at: int = -1

    @property
    def visible(self) -> int:
        """How many events of the script have happened."""
        if self.cancelled_at >= 0:
            return self.cancelled_at
        return len(self.script) if self.step == 0 else min(len(self.script), self.step * self.polls)


@dataclass(slots=True, kw_only=True)
class Service:
    """Everything that the service knows."""

    counters: Counters = field(default_factory=Counters)
    jobs: dict[str, ServiceJob] = field(default_factory=dict)


class MemoryService:
    """A service for the threads of one process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._service = Service()

    @contextmanager
    def open(self) -> Iterator[Service]:
        """Read and change it, alone."""
        with self._lock:
            yield self._service


class DirectoryService:
    """A service for every process that knows its directory.

    Args:
        path: The directory; it is made if it is not there.
    """

    def __init__(self, path: Path) -> None:
        self._path = _files.make_private_directory(path)
        self._thread_lock = threading.Lock()

    @contextmanager
    def open(self) -> Iterator[Service]:
        """Read and change it, alone. A change is whole or not there, even if this process is killed."""
        with self._thread_lock, (self._path / "lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            service = self._read()
            yield service
            _files.write_json(self._path / "service.json", asdict(service))

    def _read(self) -> Service:
        try:
            body = json.loads((self._path / "service.json").read_bytes())
        except FileNotFoundError:
            return Service()
        jobs = {job_id: ServiceJob(**job) for job_id, job in body["jobs"].items()}
        return Service(counters=Counters(**body["counters"]), jobs=jobs)
