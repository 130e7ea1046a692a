"""`FineTuneJob`: the public face of one job. Knows sync and async; all state is in the store or at the backend."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tunekit import _portal
from tunekit._settings import Settings
from tunekit.backends.base import Backend, Snapshot, SubmitRequest
from tunekit.backends.capabilities import preflight
from tunekit.errors import NotFoundError
from tunekit.events import JobState
from tunekit.jobs import budget, outcome
from tunekit.jobs.desk import Desk
from tunekit.jobs.intent import draft_run
from tunekit.jobs.live import LiveJob, OnEvent, tell
from tunekit.jobs.polling import Deadline
from tunekit.jobs.refresh import look_at
from tunekit.jobs.stream import EventStream
from tunekit.jobs.submission import submit_once
from tunekit.records import RunRecord
from tunekit.refs import JobRef, ModelRef, Target
from tunekit.spec import TuneSpec
from tunekit.store.base import RunStore
from tunekit.store.sqlite import SqliteStore

if TYPE_CHECKING:
    from tunekit.data.dataset import Dataset


class FineTuneJob:
    """One fine-tuning job. Get one from `submit`, `attach` or `list`; it may be dropped at any time.

    Every blocking method has an `_async` sibling with the same parameters.

    Examples:
        >>> from tunekit.testing import ScriptedBackend, tiny_dataset
        >>> from tunekit.store.memory import MemoryStore
        >>> job = FineTuneJob.submit(tiny_dataset(), "scripted:base", backend=ScriptedBackend(), store=MemoryStore())
        >>> job.result()
        ModelRef('scripted:base-tuned-1')
    """

    def __init__(self, desk: Desk, *, job_id: str = "", record: RunRecord | None = None) -> None:
        self._live = LiveJob(desk, job_id=job_id, record=record)

    # --- getting one ----------------------------------------------------------------------------------

    @classmethod
    def submit(
        cls,
        train: Dataset,
        target: str | Target,
        spec: TuneSpec | None = None,
        *,
        validation: Dataset | None = None,
        backend: Backend | None = None,
        store: RunStore | None = None,
        settings: Settings | None = None,
    ) -> FineTuneJob:
        """Start a fine-tuning job, or return the one that these data and this spec have already.

        The same spec, data and base model are one run: calling this twice, from two processes, or again after a crash
        gives the same job and never a second bill. A failed or cancelled run is followed by a new attempt.

        Args:
            train: Training examples.
            target: Where to train which base model, `"<backend>:<model>"`.
            spec: The recipe; None is `TuneSpec()`.
            validation: Held-out examples for metrics during training.
            backend: A configured backend; None loads the installed one by name.
            store: Where runs are remembered; None is the SQLite store of the settings.
            settings: Knobs of the host; None reads the environment.

        Raises:
            PreflightError: Spec and data do not fit the backend, or its price the budget; nothing was sent.
            NotFoundError: No such backend is installed.
            ModelError: The base model is not one.
            BackendError: The backend refused; nothing was started.
            StorageError: The store cannot be written; nothing was sent.
        """
        return _portal.run(
            cls.submit_async(
                train, target, spec, validation=validation, backend=backend, store=store, settings=settings
            ),
            instead="FineTuneJob.submit_async",
        )

    @classmethod
    async def submit_async(
        cls,
        train: Dataset,
        target: str | Target,
        spec: TuneSpec | None = None,
        *,
        validation: Dataset | None = None,
        backend: Backend | None = None,
        store: RunStore | None = None,
        settings: Settings | None = None,
    ) -> FineTuneJob:
        """`submit` for async code. Cancelling it does not stop a submission half-way: that ends in the background."""
        target, spec = Target(target), spec or TuneSpec()
        desk = Desk.open(target.backend, backend, store, settings)
        now = desk.clock.now()
        preflight(
            spec,
            train,
            validation,
            desk.backend.capabilities,
            backend=target.backend,
            today=datetime.fromtimestamp(now, tz=UTC).date(),
        )
        request = SubmitRequest(
            model=target.id, spec=spec, train=train, validation=validation, idempotency_key=""
        )
        await budget.check(desk.backend, request)
        draft = await draft_run(desk.backend, request, now=now)
        return cls(desk, record=await _portal.shielded(submit_once(desk, draft, request)))

    @classmethod
    def attach(
        cls,
        ref: str | JobRef,
        *,
        backend: Backend | None = None,
        store: RunStore | None = None,
        settings: Settings | None = None,
    ) -> FineTuneJob:
        """The job of a reference, in this process or any other, during training or long after.

        Args:
            ref: `job.ref`, or `"<backend>:<run id or the backend's own job id>"`.
            backend: A configured backend; None loads the installed one by name.
            store: Where runs are remembered; None is the SQLite store of the settings.
            settings: Knobs of the host; None reads the environment.

        Raises:
            RefError: The reference is not one.
            NotFoundError: Neither the store nor the backend knows it.
        """
        return _portal.run(
            cls.attach_async(ref, backend=backend, store=store, settings=settings),
            instead="FineTuneJob.attach_async",
        )

    @classmethod
    async def attach_async(
        cls,
        ref: str | JobRef,
        *,
        backend: Backend | None = None,
        store: RunStore | None = None,
        settings: Settings | None = None,
    ) -> FineTuneJob:
        """`attach` for async code."""
        ref = JobRef(ref)
        desk = Desk.open(ref.backend, backend, store, settings)
        record = await asyncio.to_thread(desk.record_of, ref)
        if record is None:
            found = await look_at(desk, ref.id)
            return cls(desk, job_id=found.job_id)
        job = cls(desk.of(record), record=record)
        await job._live.settle()
        return job

    @classmethod
    def list(
        cls,
        *,
        backend: str | Backend | None = None,
        states: Collection[JobState] = (),
        limit: int = 100,
        store: RunStore | None = None,
        settings: Settings | None = None,
    ) -> tuple[FineTuneJob, ...]:
        """Jobs that the store knows, newest first, as it last saw them. Asks no backend.

        Args:
            backend: Only jobs of this backend, given by name or as a configured instance.
            states: Only jobs last seen in one of these states; none means all.
            limit: How many at most.
            store: Where runs are remembered; None is the SQLite store of the settings.
            settings: Knobs of the host; None reads the environment.

        Raises:
            StorageError: The store cannot be read.
        """
        return _portal.run(
            cls.list_async(backend=backend, states=states, limit=limit, store=store, settings=settings),
            instead="FineTuneJob.list_async",
        )

    @classmethod
    async def list_async(
        cls,
        *,
        backend: str | Backend | None = None,
        states: Collection[JobState] = (),
        limit: int = 100,
        store: RunStore | None = None,
        settings: Settings | None = None,
    ) -> tuple[FineTuneJob, ...]:
        """`list` for async code."""
        settings = settings or Settings()
        store = SqliteStore(settings) if store is None else store
        given, name = (None, backend) if isinstance(backend, str | None) else (backend, backend.name)
        records = await asyncio.to_thread(store.list, backend=name, states=states, limit=limit)
        return tuple(
            cls(Desk.open(record.backend, given, store, settings).of(record), record=record)
            for record in records
            if given is None or record.place in ("", given.place)
        )

    # --- what it is -----------------------------------------------------------------------------------

    @property
    def ref(self) -> JobRef:
        """A string to keep: `attach` takes it in any process. It names the run until the backend has named the job."""
        return self._live.ref

    @property
    def record(self) -> RunRecord | None:
        """What the store knew at the last look; None for a job that it never saw."""
        return self._live.record

    @property
    def run_id(self) -> str:
        """Tunekit's own name for the run; "" for a job that this store never saw."""
        return self.record.run_id if self.record else ""

    @property
    def target(self) -> Target | None:
        """What is fine-tuned and where; None for a job that this store never saw."""
        return Target.of(self.record.backend, self.record.model) if self.record else None

    @property
    def spec(self) -> TuneSpec | None:
        """The recipe; None for a job that this store never saw."""
        return TuneSpec.model_validate(self.record.spec) if self.record else None

    def __repr__(self) -> str:
        state = f" {self.record.state}" if self.record else ""
        return f"<FineTuneJob {self.ref}{state}{f' of {self.target}' if self.record else ''}>"

    # --- following it ---------------------------------------------------------------------------------

    def snapshot(self) -> Snapshot:
        """Where the job stands right now. What has changed is written to the store.

        While the state is `unknown`, every call looks the job up at the backend once more.

        Raises:
            BackendError: The backend cannot be asked.
        """
        return _portal.run(self.snapshot_async(), instead="FineTuneJob.snapshot_async")

    async def snapshot_async(self) -> Snapshot:
        """`snapshot` for async code."""
        return await self._live.snapshot()

    def events(self, cursor: str | None = None) -> EventStream:
        """What happens to the job, from the first event to its end: `for event in job.events()`, or `async for`.

        Args:
            cursor: `EventStream.cursor` of an earlier stream: go on right behind it, in this process or another.

        Raises:
            SpecError: The cursor is not one.
            UnknownOutcomeError: While iterating: nobody knows whether the backend has the job.
        """
        return self._live.events(cursor)

    def wait(self, timeout_s: float | None = None, on_event: OnEvent | None = None) -> Snapshot:
        """Wait until the job has ended, however it ended.

        Args:
            timeout_s: Longest wait, in seconds; the job goes on after it.
            on_event: Called with each event from the first on, in the calling thread. What it raises is logged.

        Raises:
            DeadlineError: It took longer than `timeout_s`.
            UnknownOutcomeError: Nobody knows whether the backend has the job.
        """
        deadline, stream = Deadline(timeout_s), self._live.heard()
        while on_event is not None:
            next_event = self._live.within(deadline, lambda: anext(stream, None))
            event = _portal.run(next_event, instead="FineTuneJob.wait_async")
            if event is None:
                break
            tell(on_event, event)
        return _portal.run(
            self._live.within(deadline, lambda: self._live.ended(None)), instead="FineTuneJob.wait_async"
        )

    async def wait_async(self, timeout_s: float | None = None, on_event: OnEvent | None = None) -> Snapshot:
        """`wait` for async code; `on_event` is called on the event loop."""
        return await self._live.within(Deadline(timeout_s), lambda: self._live.ended(on_event))

    def result(self, timeout_s: float | None = None) -> ModelRef:
        """Wait for the tuned model.

        Args:
            timeout_s: Longest wait, in seconds; the job goes on after it.

        Raises:
            JobFailedError: Training failed; the hint says what to do.
            JobCancelledError: Training was cancelled.
            UnknownOutcomeError: Nobody knows whether the backend has the job.
            DeadlineError: It took longer than `timeout_s`.
        """
        return _portal.run(self.result_async(timeout_s), instead="FineTuneJob.result_async")

    async def result_async(self, timeout_s: float | None = None) -> ModelRef:
        """`result` for async code."""
        return outcome.model_of(self.ref, await self.wait_async(timeout_s))

    def cancel(self) -> None:
        """Ask the job to stop, and return at once. A job that has ended is left as it is.

        Raises:
            UnsupportedError: The backend cannot cancel.
            UnknownOutcomeError: Nobody knows whether the backend has the job.
        """
        return _portal.run(self.cancel_async(), instead="FineTuneJob.cancel_async")

    async def cancel_async(self) -> None:
        """`cancel` for async code."""
        if job_id := await self._live.accepted():
            await self._live.desk.backend.cancel(job_id)

    def pause(self) -> None:
        """Ask the job to stop where it can go on, and return at once. A job that has ended is left as it is.

        Its state is `paused` once it has stopped; waiting for its end waits for `resume`, too.

        Raises:
            UnsupportedError: The backend cannot pause.
            UnknownOutcomeError: Nobody knows whether the backend has the job.
        """
        return _portal.run(self.pause_async(), instead="FineTuneJob.pause_async")

    async def pause_async(self) -> None:
        """`pause` for async code."""
        if job_id := await self._live.accepted():
            await self._live.desk.backend.pause(job_id)

    def resume(self) -> None:
        """Let a paused job go on from where it stopped. One that goes on already, or has succeeded, is left as it is.

        Raises:
            SpecError: The job was cancelled or has failed (a hosted backend says so in its own words).
            UnsupportedError: The backend cannot pause, and so cannot resume.
            UnknownOutcomeError: Nobody knows whether the backend has the job.
        """
        return _portal.run(self.resume_async(), instead="FineTuneJob.resume_async")

    async def resume_async(self) -> None:
        """`resume` for async code."""
        if job_id := await self._live.accepted():
            await self._live.desk.backend.resume(job_id)

    def artifact(self) -> str:
        """Where what training produced lies: an absolute path, or a URI of a hosted backend. Does not wait for the end.

        Raises:
            NotFoundError: There is nothing (yet).
            UnsupportedError: The backend does not give its artifacts out.
            UnknownOutcomeError: Nobody knows whether the backend has the job.

        Examples:
            >>> from tunekit.testing import ScriptedBackend, tiny_dataset
            >>> from tunekit.store.memory import MemoryStore
            >>> backend = ScriptedBackend(artifact="s3://models/{model}-{number}")
            >>> job = FineTuneJob.submit(tiny_dataset(), "scripted:base", backend=backend, store=MemoryStore())
            >>> job.artifact()
            's3://models/base-1'
        """
        return _portal.run(self.artifact_async(), instead="FineTuneJob.artifact_async")

    async def artifact_async(self) -> str:
        """`artifact` for async code."""
        job_id = await self._live.accepted()
        if not job_id:
            raise NotFoundError(
                f"job {str(self.ref)!r} was never accepted, so it has produced nothing",
                hint="`job.snapshot().failure` says why",
                backend=self.ref.backend,
            )
        return await self._live.desk.backend.artifact(job_id)
