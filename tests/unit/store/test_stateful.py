"""Any sequence of calls has the same outcome on `SqliteStore` and on its twin `MemoryStore`."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, multiple, rule

from tests.unit.store.conftest import BootClock
from tests.unit.store.drafts import changed, draft
from tunekit.errors import TunekitError
from tunekit.events import JobState
from tunekit.records import RunRecord
from tunekit.store import Lease, MemoryStore, RunStore, SqliteStore, identity

KEYS = st.sampled_from(["k1", "k2", "k3"])
RUN_IDS = st.sampled_from(["run-a", "run-b", "run-a-2"])
NAMES = st.sampled_from(["submit:k1", "submit:k2"])
BACKENDS = st.sampled_from(["local", "openai"])
STATES = st.sampled_from(list(JobState))
JOB_IDS = st.sampled_from(["", "j1", "j2"])
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)


class Twins(RuleBasedStateMachine):
    """One call to both stores at each step."""

    records = Bundle("records")
    leases = Bundle("leases")

    @initialize()
    def start(self) -> None:
        self.clock = BootClock()
        self.boot = "boot-1"
        # In memory where there is such a place: thousands of steps, and nothing here is about disks.
        self.home = Path(tempfile.mkdtemp(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None))
        self.patch = pytest.MonkeyPatch()
        self.patch.setattr(identity, "boot_id", lambda: self.boot)
        self.sqlite = SqliteStore(self.home / "store.sqlite3", boottime=self.clock)
        self.memory = MemoryStore(boottime=self.clock)

    def teardown(self) -> None:
        self.patch.undo()
        shutil.rmtree(self.home)

    def both(self, call: Callable[[RunStore], object]) -> object:
        ours, twins = outcome(call, self.sqlite), outcome(call, self.memory)
        assert ours == twins
        return ours

    @rule(target=records, key=KEYS, run_id=RUN_IDS, backend=BACKENDS, age=st.integers(0, 3), note=TEXT)
    def claim(self, key: str, run_id: str, backend: str, age: int, note: str) -> object:
        new = draft(key, run_id=run_id, backend=backend, created_at=float(age), spec={"note": note})
        answer = self.both(lambda store: store.claim(new))
        return answer[0] if isinstance(answer[0], RunRecord) else multiple()  # type: ignore[index]

    @rule(target=records, record=records, state=STATES, job_id=JOB_IDS)
    def update(self, record: RunRecord, state: JobState, job_id: str) -> object:
        new = changed(record, state=state, job_id=job_id)
        answer = self.both(lambda store: store.update(new))
        return answer if isinstance(answer, RunRecord) else multiple()

    @rule(target=records, record=records, lease=leases, state=STATES, fresh=st.booleans())
    def update_with_lease(self, record: RunRecord, lease: Lease, state: JobState, fresh: bool) -> object:
        new = changed(self.memory.get(record.run_id) if fresh else record, state=state)
        answer = self.both(lambda store: store.update(new, lease=lease))
        return answer if isinstance(answer, RunRecord) else multiple()

    @rule(record=records, key=KEYS)
    def update_to_another_key(self, record: RunRecord, key: str) -> None:
        self.both(lambda store: store.update(changed(record, key=key)))

    @rule(target=leases, name=NAMES, ttl_s=st.sampled_from([1.0, 10.0]))
    def acquire(self, name: str, ttl_s: float) -> object:
        lease = self.both(lambda store: store.acquire(name, ttl_s=ttl_s))
        return lease if isinstance(lease, Lease) else multiple()

    @rule(lease=leases)
    def heartbeat(self, lease: Lease) -> None:
        self.both(lambda store: store.heartbeat(lease))

    @rule(lease=consumes(leases))
    def release(self, lease: Lease) -> None:
        self.both(lambda store: store.release(lease))

    @rule(target=leases, lease=consumes(leases))
    def release_and_go_on(self, lease: Lease) -> Lease:
        self.both(lambda store: store.release(lease))
        return lease

    @rule(seconds=st.sampled_from([0.5, 1.0, 9.0, 10.0]))
    def wait(self, seconds: float) -> None:
        self.clock.seconds += seconds

    @rule()
    def reboot(self) -> None:
        self.boot += "'"
        self.clock.seconds = 1.0

    @rule()
    def reopen(self) -> None:
        self.sqlite.close()
        self.sqlite = SqliteStore(self.sqlite.path, boottime=self.clock)

    @rule(run_id=RUN_IDS)
    def get(self, run_id: str) -> None:
        self.both(lambda store: store.get(run_id))

    @rule(backend=BACKENDS, job_id=JOB_IDS)
    def find_job(self, backend: str, job_id: str) -> None:
        self.both(lambda store: store.find_job(backend, job_id))

    @rule(backend=st.none() | BACKENDS, states=st.sets(STATES), limit=st.integers(-1, 3))
    def list(self, backend: str | None, states: set[JobState], limit: int) -> None:
        self.both(lambda store: store.list(backend=backend, states=states, limit=limit))

    @invariant()
    def all_runs_are_equal_and_one_per_key_is_open(self) -> None:
        runs = self.both(lambda store: store.list())
        open_keys = [run.key for run in runs if not run.is_closed]  # type: ignore[attr-defined]
        assert len(open_keys) == len(set(open_keys))


def outcome(call: Callable[[RunStore], object], store: RunStore) -> object:
    try:
        return call(store)
    except TunekitError as error:
        return type(error), error.message, error.details


TestTwins = Twins.TestCase
TestTwins.settings = settings(
    max_examples=40, stateful_step_count=40, suppress_health_check=[HealthCheck.too_slow]
)
