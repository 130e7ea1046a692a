"""`ScriptedBackend`: a backend that plays a script and misbehaves on request. Knows the seam; trains nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import ClassVar

from tunekit._clock import Clock
from tunekit._settings import Settings
from tunekit.backends.base import (
    Backend,
    EventPage,
    Failure,
    GenerateRequest,
    Generation,
    Prompt,
    ScoreRequest,
    Scores,
    Snapshot,
    SubmitRequest,
    Version,
)
from tunekit.backends.capabilities import Capabilities
from tunekit.data.dataset import Dataset
from tunekit.errors import TOO_LONG, BackendError, InvalidError, NotFoundError
from tunekit.events import JobEvent, JobState, StateChanged, Step, event_from_dict, event_to_dict
from tunekit.examples import CompletionExample
from tunekit.spec import Sampling
from tunekit.testing.clock import FakeClock
from tunekit.testing.service import Counters, DirectoryService, MemoryService, Service, ServiceJob


class Fault(StrEnum):
    """What can go wrong with one call of `submit`.

    The first four leave a job behind; of these only `LATE_REPLY` tells its id.
    """

    LOSE_REPLY = "lose_reply"
    """The job is made, then the connection breaks."""
    FAIL_AFTER_ACCEPT = "fail_after_accept"
    """The job is made, then the service answers with an error of its own."""
    NEVER_ANSWERS = "never_answers"
    """The job is made, and no answer ever comes."""
    LATE_REPLY = "late_reply"
    """The job is made, and the answer comes after `reply_delay_s`."""
    LOSE_REQUEST = "lose_request"
    """Nothing is made; the caller sees a broken connection, as with LOSE_REPLY."""
    REFUSE = "refuse"
    """Nothing is made, and the service says so."""
    NONE = "none"
    """All goes well."""


class ScriptedBackend(Backend):
    """A backend for tests of host applications: plays the same script for every job, and counts.

    It never removes duplicates by itself: `counters.jobs` is what a real service would bill. By default it brings a
    `FakeClock`, so waiting takes no time.

    Args:
        script: Events of each job in order; the last `StateChanged` is how it ends. None is `training_script()`.
        events_per_poll: Events that each look at a job brings to light; 0 means that all happened at once.
        page_size: Most events in one page.
        model: Name of the tuned model, with `{model}` and `{number}` filled in.
        failure: Why a job fails whose script ends with FAILED.
        faults: What goes wrong with the first, second, ... `submit` that reaches the service; then all goes well.
        reply_delay_s: How late a `LATE_REPLY` is, in seconds of real time.
        find: Whether it can find a job by its key.
        find_lag: How many look-ups miss a new job.
        find_failures: How many look-ups fail before one works.
        read_failures: How many reads (`snapshot`, `events`) fail in a way that passes, before one works.
        cancellable: Whether it can cancel.
        models: Models that it has besides those of its jobs; None means all that are asked for.
        context_words: Longest prompt, in words, which are what it has for tokens; 0 is any.
        generate: Answers a prompt.
        score: Log-probability of a choice, given a prompt.
        version: What its answers are known by: an evaluation takes those of the same version again. None for a model
            that may change at any time.
        artifact: Where what a job produced lies, with `{model}` and `{number}` filled in; "" if it cannot say.
        latency_s: What each call takes, on `clock`.
        directory: Keeps the service's state there, for several processes and across kills; None keeps it in memory.
        clock: What core waits by; None is a new `FakeClock`.
        on_accept: Called with the job id after a job was made and before the reply, for example to kill the process.
        name: The part before the colon in a target.
        settings: Accepted as any backend's factory must; not used.

    Examples:
        >>> backend = ScriptedBackend(faults=[Fault.LOSE_REPLY])
        >>> backend.counters.jobs
        0
    """

    name: ClassVar[str] = "scripted"
    capabilities: ClassVar[Capabilities] = Capabilities(
        methods=frozenset({"sft", "dpo", "rft", "classify", "probe"}),
        verbs=frozenset({"find", "cancel", "generate", "score"}),
        options=frozenset({"note"}),
    )
    poll_interval_s: ClassVar[float] = 1.0
    answers_apart = 1

    def __init__(
        self,
        *,
        script: Sequence[JobEvent] | None = None,
        events_per_poll: int = 0,
        page_size: int = 100,
        model: str = "{model}-tuned-{number}",
        failure: Failure | None = None,
        faults: Sequence[Fault | str] = (),
        reply_delay_s: float = 0.0,
        find: bool = True,
        find_lag: int = 0,
        find_failures: int = 0,
        read_failures: int = 0,
        cancellable: bool = True,
        models: Collection[str] | None = None,
        context_words: int = 0,
        generate: Callable[[Prompt], str] | None = None,
        score: Callable[[Prompt, str], float] | None = None,
        version: str | None = None,
        artifact: str = "",
        latency_s: float = 0.0,
        directory: Path | None = None,
        clock: Clock | None = None,
        on_accept: Callable[[str], object] | None = None,
        name: str = "scripted",
        settings: Settings | None = None,
    ) -> None:
        self.clock = clock or FakeClock()
        self._script = [event_to_dict(event) for event in (training_script() if script is None else script)]
        self._events_per_poll, self._page_size, self._model, self._failure = (
            events_per_poll,
            page_size,
            model,
            failure,
        )
        self._faults, self._reply_delay_s = [Fault(fault) for fault in faults], reply_delay_s
        self._find_lag, self._find_failures, self._read_failures = find_lag, find_failures, read_failures
        self._generate, self._score, self._latency_s, self._on_accept = generate, score, latency_s, on_accept
        self._version = version
        self._artifact, self._models, self._context_words = artifact, models, context_words
        self._service = MemoryService() if directory is None else DirectoryService(directory)
        claims = {
            "find": find,
            "cancel": cancellable,
            "generate": generate is not None,
            "score": score is not None,
            "artifact": bool(artifact),
        }
        verbs = frozenset(verb for verb, claimed in claims.items() if claimed)
        # Claims are of a class; here each instance may be another kind of service.
        self.__dict__.update(name=name, capabilities=replace(type(self).capabilities, verbs=verbs))

    @property
    def counters(self) -> Counters:
        """What the service has been asked for so far, by every process."""
        with self._service.open() as service:
            return replace(service.counters)

    @property
    def keys(self) -> tuple[str, ...]:
        """Idempotency keys of the jobs it made, in order."""
        with self._service.open() as service:
            return tuple(job.key for job in service.jobs.values())

    # --- the seam -------------------------------------------------------------------------------------

    async def submit(self, request: SubmitRequest) -> str:
        """Make a job, and answer as the next fault says."""
        await self.clock.sleep(self._latency_s)
        fault, job_id = self._receive(request)
        if fault is Fault.REFUSE:
            raise BackendError(
                "the scripted service refuses this job", hint="it was told to", backend=self.name
            )
        if job_id and self._on_accept is not None:
            self._on_accept(job_id)
        if fault in (Fault.LOSE_REPLY, Fault.LOSE_REQUEST):
            raise ConnectionResetError("the connection broke before the answer came")
        if fault is Fault.FAIL_AFTER_ACCEPT:
            raise BackendError("internal error", ambiguous=True, retryable=True, backend=self.name)
        if fault is Fault.NEVER_ANSWERS:
            await asyncio.Event().wait()
        if fault is Fault.LATE_REPLY:
            await asyncio.sleep(self._reply_delay_s)
        return job_id

    async def snapshot(self, job_id: str) -> Snapshot:
        """Where the job stands; a look at it brings its script forward."""
        job, events = await self._poll(job_id)
        state = next(
            (event.state for event in reversed(events) if isinstance(event, StateChanged)), JobState.QUEUED
        )
        done = state is JobState.SUCCEEDED
        model = _filled_in(self._model, job)
        failure = (
            (self._failure or Failure(message="the script says so")) if state is JobState.FAILED else None
        )
        return Snapshot(job_id=job_id, state=state, model=model if done else None, failure=failure)

    async def events(self, job_id: str, cursor: str | None) -> EventPage:
        """The next page of the script as far as it has been played; a look at it brings it forward."""
        _, events = await self._poll(job_id)
        start = int(cursor or 0)
        page = events[start : start + self._page_size]
        return EventPage(events=tuple(page), cursor=str(start + len(page)))

    async def find(self, idempotency_key: str) -> str | None:
        """The first job tagged with this key, unless the listing lags."""
        if not self.capabilities.supports("find"):
            self._unsupported("find")
        await self.clock.sleep(self._latency_s)
        with self._service.open() as service:
            service.counters.finds += 1
            if service.counters.finds <= self._find_failures:
                raise BackendError("listing failed", retryable=True, backend=self.name)
            for job in service.jobs.values():
                if job.key == idempotency_key:
                    job.hidden_finds -= 1
                    if job.hidden_finds < 0:
                        return job.id
        return None

    async def cancel(self, job_id: str) -> None:
        """Stop the job where its script stands."""
        if not self.capabilities.supports("cancel"):
            self._unsupported("cancel")
        with self._service.open() as service:
            service.counters.cancels += 1
            job = _known(service, job_id)
            if not _state(job).is_terminal:
                stop = StateChanged(id=f"cancel-{job_id}", at=self.clock.now(), state=JobState.CANCELLED)
                job.script = [*job.script[: job.visible], event_to_dict(stop)]
                job.cancelled_at = len(job.script)

    async def artifact(self, job_id: str) -> str:
        """Where what a job that has succeeded produced lies."""
        if not self.capabilities.supports("artifact"):
            self._unsupported("artifact")
        with self._service.open() as service:
            job = _known(service, job_id)
        if _state(job) is not JobState.SUCCEEDED:
            raise NotFoundError(f"job {job_id!r} has produced nothing (yet)", hint="wait for its result")
        return _filled_in(self._artifact, job)

    async def version(self, model: str) -> Version:
        """The one it was given, for any of its models."""
        return Version(name=f"{model} {self._version or ''}", fixed=self._version is not None)

    async def generate(
        self, model: str, requests: Sequence[GenerateRequest], sampling: Sampling
    ) -> list[Generation]:
        """What the `generate` function answers."""
        if self._generate is None:
            self._unsupported("generate")
        await self.clock.sleep(self._latency_s)
        self._require_model(model)
        for item in requests:
            self._require_fit(item.prompt)
        return [Generation(text=self._generate(item.prompt), finish_reason="stop") for item in requests]

    async def score(self, model: str, requests: Sequence[ScoreRequest]) -> list[Scores]:
        """What the `score` function weighs."""
        if self._score is None:
            self._unsupported("score")
        await self.clock.sleep(self._latency_s)
        self._require_model(model)
        score = self._score
        return [
            Scores(
                log_probs=tuple(score(item.prompt, choice) for choice in item.choices),
                tokens=tuple(len(choice.split()) + 1 for choice in item.choices),
            )
            for item in requests
        ]

    # --- inside ---------------------------------------------------------------------------------------

    def _require_model(self, model: str) -> None:
        with self._service.open() as service:
            made = {_filled_in(self._model, job) for job in service.jobs.values()}
        if self._models is not None and model not in self._models and model not in made:
            raise NotFoundError(
                f"no model {model!r} at the scripted service", hint="check the name", backend=self.name
            )

    def _require_fit(self, prompt: Prompt) -> None:
        texts = [prompt] if isinstance(prompt, str) else [turn.content or "" for turn in prompt]
        words = sum(len(text.split()) for text in texts)
        if 0 < self._context_words < words:
            raise InvalidError(
                f"a prompt of {words} words leaves no room for an answer in {self._context_words}",
                hint="shorten the prompt",
                backend=self.name,
                details={"code": TOO_LONG},
            )

    def _receive(self, request: SubmitRequest) -> tuple[Fault, str]:
        with self._service.open() as service:
            number = service.counters.submits
            service.counters.submits += 1
            fault = self._faults[number] if number < len(self._faults) else Fault.NONE
            if fault in (Fault.REFUSE, Fault.LOSE_REQUEST):
                return fault, ""
            service.counters.jobs += 1
            job = ServiceJob(
                id=f"job-{service.counters.jobs}",
                key=request.idempotency_key,
                model=request.model,
                script=list(self._script),
                step=self._events_per_poll,
                hidden_finds=self._find_lag,
            )
            service.jobs[job.id] = job
            return fault, job.id

    async def _poll(self, job_id: str) -> tuple[ServiceJob, list[JobEvent]]:
        await self.clock.sleep(self._latency_s)
        with self._service.open() as service:
            service.counters.polls += 1
            if service.counters.polls <= self._read_failures:
                raise BackendError("the service is restarting", retryable=True, backend=self.name)
            job = _known(service, job_id)
            job.polls += 1
            return replace(job), _visible(job)


def training_script(*, steps: int = 3, end: JobState = JobState.SUCCEEDED) -> list[JobEvent]:
    """The events of an ordinary job.

    Args:
        steps: Optimizer steps.
        end: State in which it ends.

    Examples:
        >>> [event.type for event in training_script(steps=1)]
        ['state', 'state', 'step', 'state']
    """
    running = [
        Step(id=f"{2 + step}", at=float(2 + step), step=step, total_steps=steps, loss=1.0 / step)
        for step in range(1, steps + 1)
    ]
    return [
        StateChanged(id="1", at=1.0, state=JobState.QUEUED),
        StateChanged(id="2", at=2.0, state=JobState.RUNNING),
        *running,
        StateChanged(id=f"{3 + steps}", at=3.0 + steps, state=end),
    ]


def tiny_dataset(*, rows: int = 4, name: str = "row") -> Dataset:
    """A few prompt/completion examples, different for each name."""
    return Dataset(CompletionExample(prompt=f"{name} {row}", completion=str(row)) for row in range(rows))


def _known(service: Service, job_id: str) -> ServiceJob:
    job = service.jobs.get(job_id)
    if job is None:
        raise NotFoundError(f"no job {job_id!r} at the scripted service", hint="check the id")
    return job


def _filled_in(template: str, job: ServiceJob) -> str:
    return template.format(model=job.model, number=job.id.rpartition("-")[2])


def _visible(job: ServiceJob) -> list[JobEvent]:
    return [event_from_dict(event) for event in job.script[: job.visible]]


def _state(job: ServiceJob) -> JobState:
    states = [event.state for event in _visible(job) if isinstance(event, StateChanged)]
    return states[-1] if states else JobState.QUEUED
