"""What `RunStore` promises, asked of both stores."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.unit.store.conftest import BootClock
from tests.unit.store.drafts import changed, draft
from tunekit.errors import ConflictError, NotFoundError, SpecError, StaleLeaseError
from tunekit.events import JobState
from tunekit.records import JobError
from tunekit.store import Lease, RunStore, identity


def taken(store: RunStore, name: str = "x", ttl_s: float = 30) -> Lease:
    lease = store.acquire(name, ttl_s=ttl_s)
    assert lease is not None
    return lease


# --- claims ---------------------------------------------------------------------------------------


def test_claim_inserts_once_and_then_returns_what_stands(store: RunStore) -> None:
    first, inserted = store.claim(draft())
    again, inserted_again = store.claim(draft(run_id="run-other"))
    assert (inserted, inserted_again) == (True, False)
    assert first == again == store.get("run-k1") == draft()


def test_everything_in_a_record_survives(store: RunStore) -> None:
    record = draft(
        spec={"a": [1, None, True, 0.1, {"ü": "\n \U0001f600 \x00"}], "big": 2**80},
        validation_fingerprint="v",
        state=JobState.FAILED,
        job_id="j",
        tuned_model="t",
        error=JobError(message="out of memory", hint="smaller batch", code="oom", retryable=True),
        created_at=1764000000.1234567,
        version=7,
        lease_token=3,
    )
    store.claim(record)
    assert store.get(record.run_id) == record


@pytest.mark.parametrize("state", [JobState.FAILED, JobState.CANCELLED])
def test_claim_after_a_closed_attempt_makes_the_next_one(store: RunStore, state: JobState) -> None:
    first, _ = store.claim(draft())
    store.update(changed(first, state=state))
    second, inserted = store.claim(draft())
    assert inserted
    assert (second.run_id, second.attempt, second.state) == ("run-k1-2", 2, JobState.CREATED)
    store.update(changed(second, state=state))
    third, _ = store.claim(draft())
    assert (third.run_id, third.attempt) == ("run-k1-3", 3)
    assert store.get("run-k1").state is state


@pytest.mark.parametrize("state", sorted(set(JobState) - {JobState.FAILED, JobState.CANCELLED}))
def test_claim_while_an_attempt_stands_makes_no_other(store: RunStore, state: JobState) -> None:
    first, _ = store.claim(draft())
    stored = store.update(changed(first, state=state))
    assert store.claim(draft()) == (stored, False)


def test_a_run_id_stands_for_one_key(store: RunStore) -> None:
    store.claim(draft("k1", run_id="run-a"))
    with pytest.raises(ConflictError, match="'run-a'"):
        store.claim(draft("k2", run_id="run-a"))
    assert [run.key for run in store.list()] == ["k1"]


def test_of_many_threads_that_claim_one_key_one_inserts(store: RunStore) -> None:
    barrier = threading.Barrier(8)

    def claim(number: int) -> tuple[str, bool]:
        barrier.wait()
        record, inserted = store.claim(draft(run_id=f"run-{number}"))
        return record.run_id, inserted

    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(claim, range(8)))
    assert sum(inserted for _, inserted in answers) == 1
    assert {run_id for run_id, _ in answers} == {store.list()[0].run_id}


# --- reading --------------------------------------------------------------------------------------


def test_get_names_a_run_that_is_not_there(store: RunStore) -> None:
    with pytest.raises(NotFoundError, match="'run-nope'"):
        store.get("run-nope")


def test_find_job_by_backend_and_id(store: RunStore) -> None:
    record, _ = store.claim(draft())
    stored = store.update(changed(record, job_id="j1"))
    assert store.find_job("local", "j1") == stored
    assert store.find_job("openai", "j1") is None
    assert store.find_job("local", "j2") is None


def test_two_places_may_call_two_jobs_alike(store: RunStore) -> None:
    here, there, old = (
        store.update(changed(store.claim(draft(key, place=place))[0], job_id="j1"))
        for key, place in (("k1", "https://a/v1"), ("k2", "https://b/v1"), ("k3", ""))
    )
    assert store.find_job("local", "j1") == old
    assert store.find_job("local", "j1", place="https://a/v1") == old, "nobody knows where the old one is"
    store.update(changed(old, job_id="j2"))
    assert store.find_job("local", "j1", place="https://a/v1") == here
    assert store.find_job("local", "j1", place="https://b/v1") == there
    assert store.find_job("local", "j1", place="https://c/v1") is None


def test_a_job_without_an_id_is_not_found_by_its_emptiness(store: RunStore) -> None:
    store.claim(draft())
    assert store.find_job("local", "") is None


def test_list_is_newest_first_and_the_later_of_two_at_one_moment(store: RunStore) -> None:
    for key, at in (("a", 1.0), ("b", 3.0), ("c", 3.0), ("d", 2.0)):
        store.claim(draft(key, created_at=at))
    assert [run.key for run in store.list()] == ["c", "b", "d", "a"]
    assert [run.key for run in store.list(limit=2)] == ["c", "b"]
    assert store.list(limit=0) == []


def test_list_filters_by_backend_and_states(store: RunStore) -> None:
    store.claim(draft("a"))
    store.claim(draft("b", backend="openai"))
    running, _ = store.claim(draft("c"))
    store.update(changed(running, state=JobState.RUNNING))
    assert [run.key for run in store.list(backend="local")] == ["c", "a"]
    assert [run.key for run in store.list(states=[JobState.RUNNING])] == ["c"]
    assert [run.key for run in store.list(states={JobState.RUNNING, JobState.CREATED})] == ["c", "b", "a"]
    assert store.list(backend="openai", states=[JobState.RUNNING]) == []


def test_list_refuses_a_negative_limit(store: RunStore) -> None:
    with pytest.raises(SpecError, match="-1"):
        store.list(limit=-1)


# --- compare and set ------------------------------------------------------------------------------


def test_update_counts_the_version_up(store: RunStore) -> None:
    record, _ = store.claim(draft())
    stored = store.update(changed(record, state=JobState.QUEUED))
    assert (stored.version, stored.state) == (2, JobState.QUEUED)
    assert store.get(record.run_id) == stored


def test_update_of_an_old_version_changes_nothing(store: RunStore) -> None:
    record, _ = store.claim(draft())
    stored = store.update(changed(record, job_id="first"))
    with pytest.raises(ConflictError, match="version 2, not 1") as caught:
        store.update(changed(record, job_id="second"))
    assert caught.value.retryable
    assert store.get(record.run_id) == stored


def test_update_of_a_run_that_is_not_there(store: RunStore) -> None:
    with pytest.raises(NotFoundError):
        store.update(draft())


@pytest.mark.parametrize("value", [{"key": "k2"}, {"attempt": 2}])
def test_a_run_never_becomes_another_one(store: RunStore, value: dict[str, object]) -> None:
    record, _ = store.claim(draft())
    with pytest.raises(ConflictError):
        store.update(changed(record, **value))
    assert store.get(record.run_id) == record


def test_a_closed_run_may_come_back_only_while_it_is_the_latest_attempt(store: RunStore) -> None:
    first, _ = store.claim(draft())
    failed = store.update(changed(first, state=JobState.FAILED))
    resumed = store.update(changed(failed, state=JobState.RUNNING))
    assert store.claim(draft()) == (resumed, False)
    closed = store.update(changed(resumed, state=JobState.CANCELLED))
    second, _ = store.claim(draft())
    with pytest.raises(ConflictError, match="another attempt") as caught:
        store.update(changed(closed, state=JobState.RUNNING))
    assert not caught.value.retryable
    noted = store.update(changed(closed, tuned_model="late news"))
    assert store.list() == [second, noted]


def test_update_refuses_what_model_copy_let_through(store: RunStore) -> None:
    record, _ = store.claim(draft())
    with pytest.raises(ValueError, match="state"):
        store.update(record.model_copy(update={"state": "nonsense"}))
    assert store.get(record.run_id) == record


# --- leases ---------------------------------------------------------------------------------------


def test_a_lease_has_one_holder_even_within_one_process(store: RunStore) -> None:
    lease = taken(store)
    assert lease.owner == str(identity.current())
    assert store.acquire("x", ttl_s=30) is None
    assert taken(store, "y").name == "y"


def test_release_frees_a_lease_and_its_token_never_returns(store: RunStore) -> None:
    tokens = []
    for _ in range(5):
        lease = taken(store)
        tokens.append(lease.token)
        store.release(lease)
    assert tokens == sorted(set(tokens))


def test_a_lease_is_free_when_its_time_is_over_and_not_before(store: RunStore, clock: BootClock) -> None:
    old = taken(store, ttl_s=30)
    clock.seconds += 29.9
    assert store.acquire("x", ttl_s=30) is None
    clock.seconds += 0.1
    assert taken(store).token > old.token


def test_heartbeat_extends_by_the_time_to_live(store: RunStore, clock: BootClock) -> None:
    lease = taken(store, ttl_s=30)
    clock.seconds += 20
    store.heartbeat(lease)
    clock.seconds += 29
    assert store.acquire("x", ttl_s=30) is None
    clock.seconds += 1
    assert store.acquire("x", ttl_s=30) is not None


def test_a_former_holder_can_do_nothing(store: RunStore, clock: BootClock) -> None:
    record, _ = store.claim(draft())
    old = taken(store)
    clock.seconds += 31
    new = taken(store)
    with pytest.raises(StaleLeaseError, match="'x'"):
        store.heartbeat(old)
    with pytest.raises(StaleLeaseError, match=f"token {old.token}"):
        store.update(changed(record, job_id="stale"), lease=old)
    store.release(old)
    assert store.get(record.run_id) == record
    assert store.acquire("x", ttl_s=30) is None, "the release of an old lease must leave the new one alone"
    stored = store.update(changed(record, job_id="fresh"), lease=new)
    assert stored.lease_token == new.token


def test_an_expired_lease_that_nobody_took_still_writes(store: RunStore, clock: BootClock) -> None:
    record, _ = store.claim(draft())
    lease = taken(store)
    clock.seconds += 1000
    assert store.update(record, lease=lease).lease_token == lease.token


def test_a_released_lease_writes_no_more(store: RunStore) -> None:
    record, _ = store.claim(draft())
    lease = taken(store)
    store.release(lease)
    with pytest.raises(StaleLeaseError):
        store.update(record, lease=lease)
    with pytest.raises(StaleLeaseError):
        store.heartbeat(lease)
    store.release(lease)


def test_a_write_without_a_lease_keeps_the_token_of_the_last_one(store: RunStore) -> None:
    record, _ = store.claim(draft())
    lease = taken(store)
    fenced = store.update(record, lease=lease)
    assert store.update(fenced).lease_token == lease.token


def test_a_stale_lease_is_reported_before_a_conflict(store: RunStore, clock: BootClock) -> None:
    # Who was taken over must stop; "read again and retry" would be the wrong advice.
    record, _ = store.claim(draft())
    old = taken(store)
    clock.seconds += 31
    store.update(record, lease=taken(store))
    with pytest.raises(StaleLeaseError):
        store.update(record, lease=old)


@pytest.mark.parametrize("ttl_s", [0.0, -1.0, float("inf"), float("nan")])
def test_a_lease_lasts_a_positive_time(store: RunStore, ttl_s: float) -> None:
    with pytest.raises(SpecError, match="ttl_s"):
        store.acquire("x", ttl_s=ttl_s)


@pytest.mark.parametrize("host", ["the-same", "renamed"])
def test_a_reboot_frees_every_lease(
    store: RunStore, clock: BootClock, monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    monkeypatch.setattr(identity, "_host", lambda: "the-same")
    taken(store, ttl_s=1e6)
    clock.seconds = 5.0
    monkeypatch.setattr(identity, "boot_id", lambda: "another-boot")
    monkeypatch.setattr(identity, "_host", lambda: host)  # a container gets another name each time it starts
    assert store.acquire("x", ttl_s=30) is not None


def test_without_boot_ids_a_clock_that_went_back_is_a_reboot(
    store: RunStore, clock: BootClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(identity, "boot_id", lambda: "")
    taken(store, ttl_s=1e6)
    assert store.acquire("x", ttl_s=30) is None
    clock.seconds = 5.0
    assert store.acquire("x", ttl_s=30) is not None


def test_of_many_threads_that_want_a_lease_one_gets_it(store: RunStore) -> None:
    barrier = threading.Barrier(8)

    def acquire(_: int) -> Lease | None:
        barrier.wait()
        return store.acquire("x", ttl_s=30)

    with ThreadPoolExecutor(8) as threads:
        leases = list(threads.map(acquire, range(8)))
    assert len([lease for lease in leases if lease]) == 1


def test_threads_lose_no_update(store: RunStore) -> None:
    record, _ = store.claim(draft(spec={"n": 0}))

    def count_up(_: int) -> None:
        for _ in range(10):
            while True:
                now = store.get(record.run_id)
                try:
                    store.update(changed(now, spec={"n": int(str(now.spec["n"])) + 1}))
                except ConflictError:
                    continue
                break

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(count_up, range(4)))
    last = store.get(record.run_id)
    assert (last.spec, last.version) == ({"n": 40}, 41)


def test_a_closed_store_opens_again_by_itself(store: RunStore) -> None:
    store.claim(draft())
    store.close()
    assert store.get("run-k1") == draft()
    store.close()
    store.close()
