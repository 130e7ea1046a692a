"""Many processes on one store, stopped and killed at random, and the history check that finds what went wrong.

The stored records hold their own history: each write appends one entry, so entry i was written by version i + 2. What
workers noted after the store acknowledged it must be there, in its place.
"""

from __future__ import annotations

import json
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from tests.unit.store.drafts import draft
from tunekit.errors import DeadlineError
from tunekit.store import SqliteStore

WORKER = Path(__file__).with_name("hammer_worker.py")
Note = dict[str, Any]


@dataclass(kw_only=True)
class Hammer:
    """Runs the workers, does them harm, and collects what they noted.

    Attributes:
        home: Directory for the store and the notes.
        processes: How many run at any time.
        records: How many records of each kind they share.
        ttl_s: Time to live of their leases.
        fenced: Whether they show their lease with each write; False is the control that must be caught.
        leases: Whether they take leases at all.
        seed: Of the harm.
    """

    home: Path
    processes: int
    records: int = 4
    ttl_s: float = 0.2
    fenced: bool = True
    leases: bool = True
    seed: int = 0
    stops: int = 0
    kills: int = 0
    _workers: dict[int, subprocess.Popen[bytes]] = field(default_factory=dict)
    _stopped: dict[int, float] = field(default_factory=dict)
    _started: int = 0

    def __post_init__(self) -> None:
        self.store = SqliteStore(self.home / "store.sqlite3")
        self._watch = SqliteStore(self.store.path, deadline_s=1.0)
        for kind in ("counted", "fenced"):
            for number in range(self.records):
                name = f"{kind}-{number}"
                self.store.claim(draft(name, run_id=name, spec={"entries": [], "pid": 0}))

    def run(self, *, until: Callable[[], object], at_most_s: float, kill_share: float = 0.2) -> None:
        """Stop or kill a worker about ten times a second, until enough has happened.

        So a busy machine takes longer instead of proving less.
        """
        dice = random.Random(self.seed)
        end = time.monotonic() + at_most_s
        try:
            for _ in range(self.processes):
                self.start()
            while not until() and time.monotonic() < end:
                for _ in range(5):
                    self._harm(dice, kill_share)
                    time.sleep(dice.uniform(0.0, 0.2))
            self._continue(all_of_them=True)
            self._stop_file.touch()
            for worker in self._workers.values():
                worker.wait(timeout=60)
            assert {worker.returncode for worker in self._workers.values()} == {0}, self.complaints()
        finally:
            self.end()

    def end(self) -> None:
        for worker in self._workers.values():
            worker.kill()
            worker.wait()

    @property
    def _stop_file(self) -> Path:
        return self.home / "stop"

    def start(self) -> subprocess.Popen[bytes]:
        name = f"w{self._started}"
        self._started += 1
        options = {
            "name": name,
            "path": str(self.store.path),
            "log": str(self.home / f"{name}.jsonl"),
            "stop": str(self._stop_file),
            "at_most_s": 3600,
            "records": self.records,
            "ttl_s": self.ttl_s,
            "fenced": self.fenced,
            "leases": self.leases,
        }
        with (self.home / f"{name}.err").open("wb") as errors:
            worker = subprocess.Popen([sys.executable, WORKER, json.dumps(options)], stderr=errors)
        self._workers[worker.pid] = worker
        return worker

    def _harm(self, dice: random.Random, kill_share: float) -> None:
        self._continue()
        # Who wrote last under a lease most likely still holds it.
        try:
            holder = self._watch.get(f"fenced-{dice.randrange(self.records)}").spec["pid"]
        except DeadlineError:
            self._continue(all_of_them=True)  # we stopped somebody who holds up everybody, us too
            return
        pid = holder if dice.random() < 0.8 else dice.choice(list(self._workers))
        worker = self._workers.get(int(str(pid)))
        if worker is None or worker.pid in self._stopped or worker.poll() is not None:
            return
        if dice.random() < kill_share:
            worker.kill()
            worker.wait()
            del self._workers[worker.pid]
            self.kills += 1
            self.start()
        else:
            worker.send_signal(signal.SIGSTOP)
            self.stops += 1
            self._stopped[worker.pid] = time.monotonic() + dice.uniform(0.5, 3.0) * self.ttl_s

    def _continue(self, *, all_of_them: bool = False) -> None:
        for pid, until in list(self._stopped.items()):
            if all_of_them or time.monotonic() >= until:
                self._workers[pid].send_signal(signal.SIGCONT)
                del self._stopped[pid]

    def complaints(self) -> str:
        return "\n".join(path.read_text() for path in self.home.glob("*.err") if path.stat().st_size)

    def notes(self) -> list[Note]:
        """All lines of all workers; a last line that a kill cut short was never acknowledged to anybody."""
        lines = [line for path in self.home.glob("*.jsonl") for line in path.read_bytes().split(b"\n")[:-1]]
        return [json.loads(line) for line in lines]

    def history(self) -> dict[str, list[Any]]:
        """Entries of each record, in the order in which they were written."""
        return {run.run_id: list(run.spec["entries"]) for run in self.store.list(limit=10_000)}  # type: ignore[arg-type]

    def violations(self) -> list[str]:
        """Everything that contradicts the promises of the store."""
        runs = self.store.list(limit=10_000)
        versions = {run.run_id: run.version for run in runs}
        notes = self.notes()
        with closing(sqlite3.connect(self.store.path)) as db:
            (intact,) = db.execute("PRAGMA integrity_check").fetchone()
        return [
            *([] if intact == "ok" else [f"damaged: {intact}"]),
            *lost_updates(self.history(), versions, notes),
            *stale_writes(self.history(), notes),
            *double_owners(notes),
        ]

    def summary(self) -> Counter[str]:
        return Counter(
            {**Counter(note["kind"] for note in self.notes()), "stops": self.stops, "kills": self.kills}
        )


def kill_writers(home: Path, *, kills: int) -> None:
    """Kill a lone writer at random moments; every acknowledged commit is there, and at most one that was not."""
    hammer = Hammer(home=home, processes=1, records=1, leases=False)
    dice = random.Random(1)
    try:
        for number in range(kills):
            writer = hammer.start()
            notes = home / f"w{number}.jsonl"
            while not (notes.exists() and notes.stat().st_size):
                assert writer.poll() is None, hammer.complaints()
                time.sleep(0.001)
            time.sleep(dice.uniform(0.0, 0.03))
            writer.kill()
            writer.wait()
            assert hammer.violations() == []
            stored, noted = len(hammer.history()["counted-0"]), hammer.summary()["counted"]
            assert noted <= stored <= noted + number + 1
    finally:
        hammer.end()
    assert hammer.summary()["counted"] > kills


def lost_updates(history: dict[str, list[Any]], versions: dict[str, int], notes: list[Note]) -> list[str]:
    """Writes that left no entry, and acknowledged writes whose entry is not where it was acknowledged."""
    found = [
        f"{run_id}: version {versions[run_id]} with {len(entries)} entries"
        for run_id, entries in history.items()
        if versions[run_id] != len(entries) + 1
    ]
    for note in notes:
        if note["kind"] in ("counted", "fenced"):
            entries = history[note["run_id"]]
            place = note["version"] - 2
            if not 0 <= place < len(entries) or entries[place] != note["entry"]:
                found.append(f"acknowledged but not stored: {note}")
    acknowledged = Counter((note["run_id"], note["version"]) for note in notes if "version" in note)
    return found + [f"acknowledged twice: {place}" for place, times in acknowledged.items() if times > 1]


def stale_writes(history: dict[str, list[Any]], notes: list[Note]) -> list[str]:
    """Entries with an older token after a newer one, and writes begun after a newer token had been handed out."""
    found = [
        f"{run_id}: token {after} written after {before}"
        for run_id, tokens in history.items()
        if run_id.startswith("fenced-")
        for before, after in pairwise(tokens)
        if after < before
    ]
    taken: dict[str, list[tuple[int, float]]] = defaultdict(list)
    for note in notes:
        if note["kind"] == "acquired":
            taken[note["name"]].append((note["token"], note["at"]))
    late = (
        note
        for note in notes
        if note["kind"] == "fenced"
        and any(token > note["entry"] and at < note["began"] for token, at in taken[note["name"]])
    )
    return found + [f"accepted from a former holder: {note}" for note in late]


def double_owners(notes: list[Note]) -> list[str]:
    """Tokens handed out twice, and conflicts where only the holder of a lease may write."""
    tokens = Counter(note["token"] for note in notes if note["kind"] == "acquired")
    return [f"token {token} was handed out {times} times" for token, times in tokens.items() if times > 1]
