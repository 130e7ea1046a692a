"""One process of the hammer: reads, changes and writes shared records, takes leases, and notes what was acknowledged.

Run as a script with one JSON argument. It imports nothing but the store, so that it starts quickly. It never cheats: a
line is noted only after the store has returned, so what is noted must be found in the store whatever happens to us.
"""

from __future__ import annotations

import json
import os
import random
import sys
import time
from typing import Any

from tunekit.errors import ConflictError, StaleLeaseError
from tunekit.records import RunRecord
from tunekit.store import Lease, SqliteStore
from tunekit.store.identity import boottime


class Worker:
    """What one process does until it is told to stop."""

    def __init__(self, options: dict[str, Any]) -> None:
        self.name: str = options["name"]
        self.records: int = options["records"]
        self.ttl_s: float = options["ttl_s"]
        self.fenced: bool = options["fenced"]
        self.leases: bool = options["leases"]
        self.stop: str = options["stop"]
        self.end = time.monotonic() + options["at_most_s"]  # whatever happens to who started us
        self.dice = random.Random(options["name"])
        self.store = SqliteStore(options["path"])
        self.log = os.open(options["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def note(self, kind: str, **facts: Any) -> None:
        os.write(self.log, json.dumps({"kind": kind, "worker": self.name, **facts}).encode() + b"\n")

    def is_over(self) -> bool:
        return time.monotonic() >= self.end or os.path.exists(self.stop)

    def work(self) -> None:
        while not self.is_over():
            number = self.dice.randrange(self.records)
            if self.leases and self.dice.random() < 0.6:
                self.hold(number)
            else:
                self.count(f"counted-{number}")

    def count(self, run_id: str) -> None:
        """Read, append, write back; again if somebody else was faster."""
        while not self.is_over():
            try:
                stored = self.append(run_id, self.name, None)
            except ConflictError:
                self.note("conflict")
                continue
            self.note("counted", run_id=run_id, version=stored.version, entry=self.name)
            return

    def hold(self, number: int) -> None:
        """Take a lease and write under it for a while; sometimes forget to give it back."""
        lease = self.store.acquire(f"lease-{number}", ttl_s=self.ttl_s)
        if lease is None:
            return
        self.note("acquired", name=lease.name, token=lease.token, at=boottime())
        try:
            for _ in range(self.dice.randrange(1, 20)):
                # Thinking time, in which to be stopped: somebody stopped inside a transaction only makes others wait.
                time.sleep(self.dice.uniform(0.0, 0.03))
                try:
                    self.write_fenced(f"fenced-{number}", lease)
                except ConflictError:
                    if self.fenced:
                        raise  # nobody else may write
                if self.dice.random() < 0.2:
                    self.store.heartbeat(lease)
        except StaleLeaseError:
            self.note("stale", name=lease.name, token=lease.token)
            return
        if self.dice.random() < 0.8:
            self.store.release(lease)

    def write_fenced(self, run_id: str, lease: Lease) -> None:
        began = boottime()
        stored = self.append(run_id, lease.token, lease if self.fenced else None)
        self.note(
            "fenced", run_id=run_id, version=stored.version, entry=lease.token, name=lease.name, began=began
        )

    def append(self, run_id: str, entry: Any, lease: Lease | None) -> RunRecord:
        now = self.store.get(run_id)
        entries = now.spec["entries"]
        assert isinstance(entries, list)
        spec = {"entries": [*entries, entry], "pid": os.getpid()}
        return self.store.update(now.model_copy(update={"spec": spec}), lease=lease)


if __name__ == "__main__":
    Worker(json.loads(sys.argv[1])).work()
