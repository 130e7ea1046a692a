"""The seam that a plugin implements. Knows what core needs from a backend; not how any backend works.

A backend returns values; core makes behaviour. Waiting, streaming, retry of reads, persistence, exactly-once
submission and comparison are written once, above this file. Three coroutines are required (`submit`, `snapshot`,
`events`); every other verb has a default that raises `UnsupportedError`, so adding one never breaks a plugin.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn, TypeAlias, TypeVar

from tunekit import _portal
from tunekit._clock import Clock, SystemClock
from tunekit.backends.capabilities import Capabilities
from tunekit.errors import BackendError, TunekitError, UnsupportedError
from tunekit.events import JobEvent, JobState, Usage
from tunekit.examples import Message

if TYPE_CHECKING:
    from tunekit.data.advice.cost import Price
    from tunekit.data.dataset import Dataset
    from tunekit.spec import Sampling, TuneSpec

A = TypeVar("A")
LISTING_DELAYS_S = (0.0, 1.0, 3.0, 8.0)
"""Pauses before each of the looks after which what was not seen is not there: what services list lags behind."""

Prompt: TypeAlias = str | tuple[Message, ...]
"""What a model answers: plain text, or the messages of a chat up to the answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmitRequest:
    """Everything a backend needs to start one job.

    Attributes:
        model: Base model, as this backend calls it (the part of the target after the colon).
        spec: The recipe; it has passed `preflight`.
        train: Training examples.
        validation: Held-out examples for metrics during training, or None.
        idempotency_key: Unique for this submission. Tag the remote job with it, so that `find` can find it.
    """

    model: str
    spec: TuneSpec
    train: Dataset
    validation: Dataset | None = None
    idempotency_key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why a job failed.

    Attributes:
        message: What happened.
        hint: What to do about it.
        retryable: Whether the same submission may succeed later.
        code: Stable code of the cause, such as "storage" or the service's own.
        details: Facts for programs, as JSON can hold them.
    """

    message: str
    hint: str = ""
    retryable: bool = False
    code: str = "job-failed"
    details: Mapping[str, Any] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """Where a job stands right now.

    Attributes:
        job_id: What the backend calls the job.
        state: Its state; map a remote state you do not know to RUNNING. CREATED, SUBMITTING and UNKNOWN are core's own
            words for a submission: of a job that is shown, core reads the first two as QUEUED and the last as RUNNING.
        unknown_state: The backend's own word for a state that it is the only one to know, else ""; core shows it.
        model: What the backend calls the tuned model, once there is one.
        deploy: What a person must do before that model answers; "" for nothing.
        failure: Why it failed, if it did.
        usage: What it has consumed so far, where known.
        cost_usd: What it has cost so far, in US dollars, where known; core reckons it from `usage` and `Backend.price`.
        projected_usd: What it will have cost in the end, where the backend says so.
        raw: The backend's own answer, for people who need more. Never a secret.
    """

    job_id: str
    state: JobState
    unknown_state: str = ""
    model: str | None = None
    deploy: str = ""
    failure: Failure | None = None
    usage: Usage | None = None
    cost_usd: float | None = None
    projected_usd: float | None = None
    raw: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class EventPage:
    """Some events in order, and where to go on.

    Attributes:
        events: Oldest first. May be empty.
        cursor: Pass it to the next call. Reading twice from one cursor gives the same events and maybe more.
    """

    events: tuple[JobEvent, ...]
    cursor: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerateRequest:
    """One prompt to be answered.

    Attributes:
        prompt: Plain text or chat messages.
        tools: Tool definitions in OpenAI's shape.
        seed: Of this answer, in place of the sampling's; None takes that.
        continues: Whether a plain text is to be gone on with as it is, by a model that else takes it for what a user
            says. A backend that cannot do so takes it as any other text.
    """

    prompt: Prompt
    tools: tuple[Mapping[str, Any], ...] = ()
    seed: int | None = None
    continues: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Generation:
    """One answer.

    Attributes:
        text: The answer, without stop strings and special tokens.
        finish_reason: "stop" (the model ended) or "length" (cut at `max_tokens`); others are kept as given. Evaluation
            takes "content_filter" for no answer at all: the host blocked it.
        usage: Tokens in and out.
        note: What to know of how it came about, such as that it cost more than others; an evaluation says it once for
            all answers that have the same.
    """

    text: str
    finish_reason: str
    usage: Usage = Usage()
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreRequest:
    """One prompt and the answers to be weighed.

    Attributes:
        prompt: Plain text or chat messages.
        choices: Candidate answers.
        tools: Tool definitions in OpenAI's shape.
    """

    prompt: Prompt
    choices: tuple[str, ...]
    tools: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """How likely each choice is.

    Attributes:
        log_probs: Summed log-probability (nats) of each choice's tokens, its end-of-answer token included.
        tokens: How many tokens each choice has.
    """

    log_probs: tuple[float, ...]
    tokens: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """What stands behind a model's name right now.

    Attributes:
        name: All that makes its answers the same, such as a hash of its weights and how prompts are put to it.
        fixed: Whether these answers are the same for ever. False where other weights may come to answer by this name,
            or nobody here can tell.
        seen: Whether its weights were looked at for this, so that they are known to be there.
    """

    name: str
    fixed: bool = False
    seen: bool = False


class PartialError(BackendError):
    """Some requests of one call have no answer, and the others keep theirs.

    `generate` and `score` may raise it, where requests are answered apart from each other and each may cost money.
    Core then takes every outcome as it is, and asks none of them again; after any other error of a call it asks its
    requests again one by one. A backend that never raises it is a good one too.

    Args:
        outcomes: What came of each request of the call, in order: its answer, or the error that concerns it.

    Attributes:
        outcomes: The same.
        first: The first of the errors.

    Examples:
        >>> refused = BackendError("it is blocked", hint="change it")
        >>> PartialError([Generation(text="a", finish_reason="stop"), refused]).message
        '1 of 2 requests have no answer; the first of these: it is blocked'
    """

    def __init__(self, outcomes: Sequence[object]) -> None:
        errors = [outcome for outcome in outcomes if isinstance(outcome, TunekitError)]
        self.first = first = errors[0]
        super().__init__(
            f"{len(errors)} of {len(outcomes)} requests have no answer; the first of these: {first.message}",
            hint=first.hint,
            backend=first.backend,
            retryable=first.retryable,
            details=first.details,
        )
        self.outcomes = tuple(outcomes)


def all_answered(outcomes: Sequence[A | TunekitError]) -> list[A]:
    """The answers, if there is one to each request.

    Raises:
        TunekitError: The one request that there was has none.
        PartialError: Some of several have none.
    """
    answers = [outcome for outcome in outcomes if not isinstance(outcome, TunekitError)]
    if len(answers) == len(outcomes):
        return answers
    if isinstance(only := outcomes[0], TunekitError) and len(outcomes) == 1:
        raise only
    raise PartialError(outcomes)


class Backend(ABC):
    """Somewhere that training runs. Subclass it and name it in the entry-point group `tunekit.backends`.

    Instances are cheap and may be used from several threads and event loops. Errors are `TunekitError`s: a refusal is
    a `BackendError` (or `PreflightError`), and a call that may have taken effect all the same is a
    `BackendError(ambiguous=True)` or a `TimeoutError`.

    Class attributes:
        name: The part before the colon in `"name:model"`.
        capabilities: What this backend claims to do; the conformance kit checks every claim both ways.
        poll_interval_s: How long core waits between looks at a running job.
        clock: What core waits by while it works with this backend. A scripted backend brings a virtual one.
        place: Where its jobs live, where one name can stand for several services: an address, never with a secret. Two
            places may give two jobs the same id; core keeps them apart by this.
        answers_apart: How many requests of one call are answered at a time apart from each other, each at its own
            price; 0 where a call is computed together. Core hands over single requests where it is not 0, that many at
            a time, so that a crash in the middle costs no answer that came before it.
    """

    name: ClassVar[str]
    capabilities: ClassVar[Capabilities]
    poll_interval_s: ClassVar[float] = 5.0
    clock: Clock = SystemClock()
    place: str = ""
    answers_apart: int = 0

    @abstractmethod
    async def submit(self, request: SubmitRequest) -> str:
        """Start one job and return its id. Called at most once per key unless `find` proved that nothing came of it."""

    @abstractmethod
    async def snapshot(self, job_id: str) -> Snapshot:
        """Where the job stands. Raises `NotFoundError` for an id that was never issued, or is no longer known."""

    @abstractmethod
    async def events(self, job_id: str, cursor: str | None) -> EventPage:
        """The events after `cursor` (None: from the first), without waiting for more."""

    async def find(self, idempotency_key: str) -> str | None:
        """The id of the job submitted with this key, or None if a complete look through the jobs has not shown one.

        None must be an answer: raise where some jobs could not be looked at (an error, a page that failed), because
        core may send the job again on the strength of it. It need not be the last word: where new jobs are shown late,
        answer for what is shown now. Core looks again, over 12 s (`LISTING_DELAYS_S`), before it believes
        an absence; a backend whose listing lags longer must wait by itself, or not claim `find`.
        """
        self._unsupported("find")

    async def identify(self, model: str) -> str:
        """A name for the base model's exact content, so that a changed local directory is another submission."""
        return model

    async def version(self, model: str) -> Version:
        """What answers under this name. An evaluation takes answers again that it was given, where that is `fixed`."""
        return Version(name=model)

    def price(self, model: str, spec: TuneSpec) -> Price | None:
        """What training this model costs, with source and date; None where nobody here knows, for nothing is made up.

        Core holds jobs against `spec.budget` with it.
        """
        return None

    async def cancel(self, job_id: str) -> None:
        """Ask the job to stop. Returns at once; a finished job is left as it is."""
        self._unsupported("cancel")

    async def pause(self, job_id: str) -> None:
        """Ask the job to stop where it can go on later."""
        self._unsupported("pause")

    async def resume(self, job_id: str) -> None:
        """Let a paused job go on."""
        self._unsupported("resume")

    async def checkpoints(self, job_id: str) -> tuple[str, ...]:
        """Models saved along the way, oldest first, each usable in `generate`."""
        self._unsupported("checkpoints")

    async def generate(
        self, model: str, requests: Sequence[GenerateRequest], sampling: Sampling
    ) -> list[Generation]:
        """One answer per request, in order.

        May raise `PartialError` where some have one and some have none; any other error concerns all of them.
        """
        self._unsupported("generate")

    async def stream(
        self, model: str, request: GenerateRequest, sampling: Sampling
    ) -> AsyncIterator[str | Generation]:
        """The answer's text in pieces as they are written, and last the whole answer. Closing it ends the computation.

        By default there is one piece, of whatever `generate` answers. A piece splits no character, and none is ever
        taken back: what may become a stop string must be held.
        """
        (answer,) = await self.generate(model, [request], sampling)
        yield answer.text
        yield answer

    async def score(self, model: str, requests: Sequence[ScoreRequest]) -> list[Scores]:
        """Log-probabilities of each request's choices, in order. May raise `PartialError`, as `generate` may."""
        self._unsupported("score")

    async def embed(self, model: str, texts: Sequence[str]) -> list[list[float]]:
        """One vector per text, in order."""
        self._unsupported("embed")

    async def artifact(self, job_id: str) -> str:
        """Where the tuned model lies: an absolute path or a URI. Raises `NotFoundError` if there is none (yet)."""
        self._unsupported("artifact")

    async def delete_artifacts(self, job_id: str) -> None:
        """Remove what the job left behind: uploaded files, checkpoints, the tuned model."""
        self._unsupported("delete_artifacts")

    async def aclose(self) -> None:
        """Let go of connections and helper processes. Running jobs go on."""

    def close(self) -> None:
        """`aclose` for scripts that run no event loop."""
        _portal.run(self.aclose(), instead="Backend.aclose")

    def _unsupported(self, verb: str) -> NoReturn:
        raise UnsupportedError(
            f"backend {self.name!r} cannot {verb}",
            hint="see Backend.capabilities for what it does",
            backend=self.name,
        )
