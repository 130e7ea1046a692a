"""The decisions that both stores share, as pure functions. Knows claims, versions and leases; not how they are kept."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from tunekit.errors import ConflictError, NotFoundError, SpecError, StaleLeaseError
from tunekit.records import RunRecord
from tunekit.store import identity
from tunekit.store.base import Lease
from tunekit.store.identity import ProcessIdentity


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """A lease as it is kept: who holds it, and from when to when on the boot clock.

    Attributes:
        owner: Identity of the process that took it.
        boot: Boot id under which the two times mean something.
        renewed: Seconds since boot when it was taken or last extended.
        expires: Seconds since boot when it runs out.
    """

    owner: str
    boot: str
    renewed: float
    expires: float


def hold(*, ttl_s: float, now: float) -> Holding:
    """What this process would hold from now on."""
    me = identity.current()
    return Holding(owner=str(me), boot=me.boot, renewed=now, expires=now + ttl_s)


def is_free(held: Holding, *, now: float) -> bool:
    """Whether a lease may be taken over: expired, from before a reboot, or its owner provably dead."""
    if held.boot != identity.boot_id() or now >= held.expires:
        return True
    if not held.boot and now < held.renewed:
        return True  # no boot id on this system, but the clock since boot went back: there was a reboot
    owner = ProcessIdentity.parse(held.owner)
    return owner is not None and not identity.is_alive(owner)


def is_at(place: str, record: RunRecord) -> bool:
    """Whether a run may be at this place; `""`, on either side, is a place that nobody named."""
    return not place or record.place in ("", place)


def latest_at(place: str, latest_first: Iterable[RunRecord]) -> RunRecord | None:
    """The latest of these runs that may be at this place."""
    return next((record for record in latest_first if is_at(place, record)), None)


def checked_ttl(ttl_s: float) -> float:
    """A time to live that makes sense. Raises `SpecError`."""
    if not 0 < ttl_s < float("inf"):
        raise SpecError(f"ttl_s={ttl_s!r} is not a positive number of seconds", hint="for example ttl_s=30")
    return ttl_s


def checked_limit(limit: int) -> int:
    """How many runs to list at most. Raises `SpecError`."""
    if limit < 0:
        raise SpecError(f"limit={limit!r} is negative", hint="ask for 0 or more runs")
    return limit


def next_attempt(draft: RunRecord, latest: RunRecord | None) -> RunRecord:
    """The draft as it is inserted after the latest attempt of its key, which is closed or None."""
    if latest is None:
        return draft
    attempt = latest.attempt + 1
    return draft.model_copy(update={"attempt": attempt, "run_id": f"{draft.run_id}-{attempt}"})


def rewritten(record: RunRecord, lease: Lease | None) -> RunRecord:
    """The record as it is stored by an update: one version on, with the token that allowed it."""
    token = record.lease_token if lease is None else lease.token
    # Validated again, because `model_copy`, which made it, checks nothing.
    return RunRecord.model_validate({**dict(record), "version": record.version + 1, "lease_token": token})


def reopens(record: RunRecord, stored: RunRecord) -> bool:
    """Whether an update brings a closed run back, which it may only while no later attempt of its key exists."""
    return stored.is_closed and not record.is_closed


def superseded(record: RunRecord) -> ConflictError:
    """What to say to an update that would leave two open runs for one key."""
    return ConflictError(
        f"run {record.run_id!r} was closed and another attempt has begun; it cannot become {str(record.state)!r}",
        hint="look at the latest attempt of this submission instead",
        details={"run_id": record.run_id, "attempt": record.attempt},
    )


def not_found(run_id: str) -> NotFoundError:
    """What to say about a run that is not there."""
    return NotFoundError(
        f"no run {run_id!r} in this store", hint="check the id, and that TUNEKIT_HOME is the same"
    )


def check_update(record: RunRecord, stored: RunRecord) -> None:
    """Refuse an update of something other than what is stored. Raises `ConflictError`."""
    if (record.key, record.attempt) != (stored.key, stored.attempt):
        raise taken(record.run_id, record.key)
    if record.version != stored.version:
        raise ConflictError(
            f"run {record.run_id!r} is at version {stored.version}, not {record.version}: somebody else wrote to it",
            hint="read the run again and apply the change to what it says now",
            retryable=True,
            details={"run_id": record.run_id, "stored_version": stored.version, "version": record.version},
        )


def taken(run_id: str, key: str) -> ConflictError:
    """What to say when a run id already stands for something else."""
    return ConflictError(
        f"run id {run_id!r} exists already, for another key than {key!r}",
        hint="derive the run id from the key",
    )


def stale(lease: Lease) -> StaleLeaseError:
    """What to say to a former owner."""
    return StaleLeaseError(
        f"the lease on {lease.name!r} (token {lease.token}) is no longer held",
        hint="it was released or another process took over; stop, and read the run to see how it goes on",
        details={"name": lease.name, "token": lease.token},
    )
