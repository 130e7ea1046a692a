"""Where jobs are handed in: a backend, a store and a deadline. Knows the defaults; not what is done with them."""

from __future__ import annotations

from dataclasses import dataclass, replace

from tunekit._clock import Clock
from tunekit._settings import Settings
from tunekit.backends import registry
from tunekit.backends.base import Backend
from tunekit.errors import NotFoundError, SpecError
from tunekit.records import RunRecord
from tunekit.refs import JobRef
from tunekit.store.base import RunStore
from tunekit.store.sqlite import SqliteStore

GRACE_S = 60.0
"""How much longer than one call to the backend the submission lease lasts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """Where the jobs of one backend are handed in and asked about.

    Attributes:
        name: Name of the backend.
        given: The configured backend of the caller, or None for the installed one.
        store: Who remembers.
        settings: Knobs of the host.
        place: Where the job is that this desk is for; "" for any.
    """

    name: str
    given: Backend | None
    store: RunStore
    settings: Settings
    place: str = ""

    @classmethod
    def open(
        cls, name: str, backend: Backend | None, store: RunStore | None, settings: Settings | None
    ) -> Desk:
        """The desk of the backend called `name`, with defaults for what is None.

        Raises:
            SpecError: The given backend goes by another name.
        """
        settings = settings or Settings()
        return cls(
            name=name,
            given=registry.matching(name, backend),
            store=SqliteStore(settings) if store is None else store,
            settings=settings,
        )

    def of(self, record: RunRecord) -> Desk:
        """This desk for the job of a record: it asks no other service of the same name."""
        return replace(self, place=record.place)

    @property
    def backend(self) -> Backend:
        """Who trains. Loaded when first needed, so that listing jobs imports no backend.

        Raises:
            NotFoundError: No such backend is installed.
            SpecError: It is not set up for the place where the job is.
        """
        try:
            found = registry.serving(self.name, self.given, self.settings)
        except SpecError as error:
            if not self.place:
                raise
            raise self._elsewhere(f"cannot be set up here: {error.message}") from error
        if self.place not in ("", found.place):
            raise self._elsewhere(f"is set up for {found.place or 'another place'}")
        return found

    def _elsewhere(self, why: str) -> SpecError:
        return SpecError(
            f"the job is at {self.place}, and backend {self.name!r} {why}",
            hint="pass backend=, a backend configured for that address",
        )

    @property
    def timeout_s(self) -> float:
        """How long one call of a submission may take."""
        return self.settings.submit_timeout_s

    @property
    def clock(self) -> Clock:
        """What this desk waits by."""
        return self.backend.clock

    @property
    def lease_s(self) -> float:
        """Longer than one call may last: only a dead or hopelessly stuck submitter is taken over from."""
        return self.timeout_s + GRACE_S

    def record_of(self, ref: JobRef) -> RunRecord | None:
        """The run of a reference, which names it by our id or by the backend's; None if the store has never seen it."""
        try:
            record = self.store.get(ref.id)
        except NotFoundError:
            place = self.given.place if self.given is not None else ""
            return self.store.find_job(ref.backend, ref.id, place=place)
        return record if record.backend == ref.backend else None
