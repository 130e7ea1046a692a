"""`LocalBackend`: fine-tuning and inference on this machine. Knows run directories; never imports torch.

Local training is a remote service whose wire is a directory: the trainer is a detached child process, so a crash, an
out-of-memory kill or a segfault there never reaches the host, and the host may restart while training goes on.
"""

from __future__ import annotations

import asyncio
import hashlib
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from typing import Any, ClassVar, Literal

from tunekit import _files, graders
from tunekit._settings import Settings
from tunekit.backends.base import (
    Backend,
    EventPage,
    Failure,
    GenerateRequest,
    Generation,
    ScoreRequest,
    Scores,
    Snapshot,
    SubmitRequest,
    Version,
)
from tunekit.backends.capabilities import Capabilities
from tunekit.backends.local import launch, models, options, packages, questions, warm_start
from tunekit.backends.local.worker import InferenceWorker
from tunekit.errors import JobFailedError, ModelError, NotFoundError, SpecError, StorageError
from tunekit.events import JobState, Notice, Usage
from tunekit.spec import RFT, Method, Sampling
from tunekit.training.models.fingerprint import Hashes
from tunekit.training.ranks.refusals import refuse_sharing_out
from tunekit.training.run.rundir import RunDirectory, RunPlan
from tunekit.training.run.turns import physical_cores

_SILENT_S = 600.0  # a trainer shows life between two forward passes; loading or downloading a model is one long silence


class LocalBackend(Backend):
    """Fine-tunes on this machine with PyTorch and PEFT, each run in its own child process.

    Args:
        settings: Where runs are kept; None reads the environment.
        threads: CPU threads per run; None takes the physical cores that this process may use.
        devices: GPUs that a run trains on, a process on each; without GPUs, processes that share its threads. A probe
            uses one of them.
        strategy: What each of several devices has: a whole model ("ddp"), or its share of every layer's weights
            ("fsdp"), for models that do not fit otherwise.
        max_restarts: How many trainers of one run may die in a row without getting further before it is failed.
        idle_timeout_s: Seconds without a request after which the inference worker gives its memory back.
        on_parent_exit: What a trainer does when the process that started it ends: "keep" training, or "stop" as it does
            on SIGTERM, until somebody looks at the run again. No part of the run's identity.
        python: Interpreter of the child processes, which must have `tunekit[local]`; None takes this one. Name it where
            `sys.executable` is not Python, as in some embedding servers.

    Examples:
        >>> LocalBackend().capabilities.supports("cancel")
        True
    """

    name: ClassVar[str] = "local"
    poll_interval_s: ClassVar[float] = 0.5
    capabilities: ClassVar[Capabilities] = Capabilities(
        methods=frozenset({"sft", "dpo", "kto", "rft", "classify", "probe"}),
        adapters=frozenset({"lora", "full", "last-layers"}),
        verbs=frozenset(
            {
                "find",
                "cancel",
                "pause",
                "resume",
                "generate",
                "score",
                "embed",
                "artifact",
                "delete_artifacts",
            }
        ),
        options=options.NAMES,
        spec_fields=options.SPEC_FIELDS,
    )

    def __init__(
        self,
        *,
        settings: Settings | None = None,
        threads: int | None = None,
        devices: int = 1,
        strategy: Literal["ddp", "fsdp"] = "ddp",
        max_restarts: int = 3,
        idle_timeout_s: float = 600.0,
        on_parent_exit: Literal["keep", "stop"] = "keep",
        python: str | None = None,
    ) -> None:
        if on_parent_exit not in ("keep", "stop"):
            raise SpecError(f"on_parent_exit is {on_parent_exit!r}", hint='use "keep" or "stop"')
        if threads is not None and threads < 1:
            raise SpecError(f"threads is {threads}", hint="use 1 or more, or None")
        if devices < 1:
            raise SpecError(f"devices is {devices}", hint="use 1 or more")
        if strategy not in ("ddp", "fsdp"):
            raise SpecError(f"strategy is {strategy!r}", hint='use "ddp" or "fsdp"')
        self._settings = settings or Settings()
        self._threads = threads or physical_cores()
        self._devices, self._strategy = devices, strategy
        self._max_restarts = max_restarts
        self._stop_with_host = on_parent_exit == "stop"
        self._told_silent: set[str] = set()
        self._python = python or sys.executable
        self._hashes: Hashes = {}
        self._worker = InferenceWorker(
            logs=self._settings.home / "workers",
            threads=self._threads,
            idle_timeout_s=idle_timeout_s,
            python=self._python,
        )

    async def identify(self, model: str) -> str:
        """Content hash of a model directory; a hub id stands for itself."""
        return await asyncio.to_thread(lambda: models.identify(self._resolve(model), self._hashes))

    async def version(self, model: str) -> Version:
        """By the content of a model directory; a hub id may come to stand for other weights."""
        return await asyncio.to_thread(lambda: models.version(self._resolve(model), self._hashes))

    async def submit(self, request: SubmitRequest) -> str:
        """Write the run directory and start its trainer. The id follows from the key, so a second call changes nothing.

        Raises:
            MissingExtraError: torch, transformers or peft is not installed, or what the method needs besides.
            ModelError: The base is not a model that can be trained.
            StorageError: The run directory cannot be written; nothing is left behind.
        """
        return await asyncio.to_thread(self._submit, request)

    async def snapshot(self, job_id: str) -> Snapshot:
        """Where the run stands. A run whose trainer has died is started again from its newest valid checkpoint."""
        return await asyncio.to_thread(self._snapshot, job_id)

    async def events(self, job_id: str, cursor: str | None) -> EventPage:
        """Events from the run's log; the cursor is a byte offset."""
        return await asyncio.to_thread(self._events, job_id, cursor)

    async def find(self, idempotency_key: str) -> str | None:
        """The run submitted with this key; the directory listing is the truth, so None is certain."""
        run_id = _run_id(idempotency_key)
        return run_id if RunDirectory(self._settings.runs / run_id).exists() else None

    async def cancel(self, job_id: str) -> None:
        """Leave a mark that the trainer sees between two steps; a run without a trainer is closed here."""
        await asyncio.to_thread(self._cancel, job_id)

    async def pause(self, job_id: str) -> None:
        """Leave a mark that the trainer sees between two forward passes; it saves and exits.

        The state is RUNNING until it has; a run that is queued leaves the queue. A finished run is left as it is.
        """
        await asyncio.to_thread(self._pause, job_id)

    async def resume(self, job_id: str) -> None:
        """Remove the mark and start a trainer, which goes on from the newest checkpoint."""
        await asyncio.to_thread(self._resume, job_id)

    async def generate(
        self, model: str, requests: Sequence[GenerateRequest], sampling: Sampling
    ) -> list[Generation]:
        """Answers from a worker process that keeps the model loaded.

        A classifier answers with the name of the class, or for multi-label data with a JSON list of names, sorted,
        whatever the sampling; it takes the text itself as the prompt.
        """
        body = [questions.question(item) for item in requests]
        answers = await self._call(
            "generate", model, requests=body, sampling=sampling.model_dump(mode="json")
        )
        return [questions.generation(item) for item in answers]

    async def stream(
        self, model: str, request: GenerateRequest, sampling: Sampling
    ) -> AsyncIterator[str | Generation]:
        """An answer from the same worker, token by token. Other calls wait until it has ended or is closed."""
        self._require_extra()
        pieces = self._worker.stream(
            "stream",
            model=await asyncio.to_thread(self._resolve, model),
            requests=[questions.question(request)],
            sampling=sampling.model_dump(mode="json"),
        )
        async with aclosing(pieces):
            async for piece in pieces:
                if not isinstance(piece, str):
                    yield questions.generation(piece)
                elif piece:
                    yield piece

    async def score(self, model: str, requests: Sequence[ScoreRequest]) -> list[Scores]:
        """Log-probabilities of choices from the same worker; the prompt they share is computed once.

        A classifier takes names of its classes only.
        """
        body = [questions.weighing(item) for item in requests]
        answers = await self._call("score", model, requests=body)
        return [questions.scores(item) for item in answers]

    async def embed(self, model: str, texts: Sequence[str]) -> list[list[float]]:
        """Vectors from the same worker: as sentence-transformers' files beside the model say, where there are any.

        Else the mean of the last layer's states, of decoders the last state, not scaled. A text that is too long for
        the model is an `InvalidError`.
        """
        vectors: list[list[float]] = await self._call(
            "embed", model, requests=[{"prompt": text} for text in texts]
        )
        return vectors

    async def artifact(self, job_id: str) -> str:
        """Directory of a run's tuned model: a PEFT adapter, or a whole model.

        Raises:
            NotFoundError: No such run, or it has no model (yet).
        """
        return await asyncio.to_thread(lambda: self._resolve(self._run(job_id).path.name))

    async def delete_artifacts(self, job_id: str) -> None:
        """Remove the whole run directory of a finished run.

        Raises:
            NotFoundError: No such run.
            SpecError: The run is still going on; cancel it first.
        """
        await asyncio.to_thread(self._delete, job_id)

    async def aclose(self) -> None:
        """End the inference worker. Training runs go on."""
        await asyncio.to_thread(self._worker.close)

    def _submit(self, request: SubmitRequest) -> str:
        self._require_extra(request.spec.method)
        if isinstance(request.spec.method, RFT):
            graders.parse(request.spec.method.grader)  # what is wrong with it is said here and now
        if self._devices > 1 and self._strategy == "fsdp":
            refuse_sharing_out(request.spec)
        revision = options.checked_revision(request.spec)
        begins = warm_start.beginning_of(
            request.model, request.spec, revision=revision, runs=self._settings.runs, hashes=self._hashes
        )
        if models.is_probe(begins.model):
            raise ModelError(
                f"{request.model!r} is a probe, not a base model",
                hint="train from the model that it was made on",
            )
        run_id = _run_id(request.idempotency_key)
        plan = RunPlan(
            run_id=run_id,
            key=request.idempotency_key,
            model=begins.model,
            revision=begins.revision,
            warm_start=begins.artifact,
            warm_start_fingerprint=begins.artifact_fingerprint,
            spec=begins.spec,
            python=self._python,
            threads=self._threads,
            devices=self._devices,
            strategy=self._strategy,
            validation=request.validation is not None,
            created_at=time.time(),
        )
        run = RunDirectory.create(self._settings.runs, plan, request.train, request.validation)
        try:
            self._ensure_running(run)
        except StorageError:
            launch.discard_unstarted(run)
            raise
        return run_id

    def _snapshot(self, job_id: str) -> Snapshot:
        run = self._run(job_id)
        self._ensure_running(run)
        result = run.result()
        if result is None:
            raw = {"silent_s": round(run.silent_s())} if _is_silent(run) else {}
            return Snapshot(job_id=job_id, state=_state(run), raw=raw)
        failure = None
        if result.state is JobState.FAILED:
            failure = Failure(
                message=result.message,
                hint=result.hint,
                retryable=result.retryable,
                code=result.code or JobFailedError.code,
                details=result.details,
            )
        return Snapshot(
            job_id=job_id,
            state=result.state,
            model=job_id if result.state is JobState.SUCCEEDED else None,
            failure=failure,
            usage=Usage(trained_tokens=result.trained_tokens, seconds=result.seconds),
            raw=result.model_dump(mode="json"),
        )

    def _ensure_running(self, run: RunDirectory) -> None:
        launch.ensure_running(run, max_restarts=self._max_restarts, stop_with_host=self._stop_with_host)

    def _pause(self, job_id: str) -> None:
        run = self._run(job_id)
        if run.result() is None:
            run.request_pause()

    def _resume(self, job_id: str) -> None:
        run = self._run(job_id)
        models.require_can_go_on(run)
        run.withdraw_pause()
        self._ensure_running(run)

    def _cancel(self, job_id: str) -> None:
        run = self._run(job_id)
        if run.result() is None:
            run.request_cancel()
            run.withdraw_pause()  # it is to end, not to rest
            self._ensure_running(run)

    def _events(self, job_id: str, cursor: str | None) -> EventPage:
        run = self._run(job_id)
        if cursor is not None and not (cursor.isascii() and cursor.isdigit()):
            raise SpecError(
                f"{cursor!r} is not a cursor of backend 'local'", hint="pass one that events() returned"
            )
        events, offset = run.events_from(int(cursor or 0))
        return EventPage(events=(*events, *self._silence(run)), cursor=str(offset))

    def _silence(self, run: RunDirectory) -> list[Notice]:
        """Said once per silence. Nothing is killed over it: a slow download looks just like a trainer that hangs."""
        name = run.path.name
        if not _is_silent(run):
            self._told_silent.discard(name)
            return []
        if name in self._told_silent:
            return []
        self._told_silent.add(name)
        text = (
            f"the trainer lives but has not got on with anything for {run.silent_s():.0f} s; if it hangs, pause and "
            f"resume the job, or end its process (its log is {str(run.log_path)!r})"
        )
        # No id: it is the host's, and has no place in the trainer's own sequence.
        return [Notice(id="", at=time.time(), message=text, level="warning")]

    def _delete(self, job_id: str) -> None:
        run = self._run(job_id)
        if run.result() is None:
            raise SpecError(f"run {job_id!r} is still going on", hint="cancel it and wait, then delete")
        _files.remove_directory(run.path)

    def _run(self, job_id: str) -> RunDirectory:
        run = RunDirectory(self._settings.runs / job_id)
        if not (models.RUN_ID.match(job_id) and run.exists()):
            raise NotFoundError(
                f"no local run {job_id!r} under {str(self._settings.runs)!r}",
                hint="check the id and TUNEKIT_HOME",
                backend=self.name,
            )
        return run

    def _require_extra(self, method: Method | None = None) -> None:
        if self._python != sys.executable:
            return  # what another interpreter has, it says itself
        packages.require_for(method)

    def _resolve(self, model: str) -> str:
        return models.resolve(model, self._settings.runs)

    async def _call(self, operation: str, model: str, **arguments: Any) -> Any:
        self._require_extra()
        resolved = await asyncio.to_thread(self._resolve, model)
        return await self._worker.ask(operation, model=resolved, **arguments)


def _run_id(key: str) -> str:
    return key if models.RUN_ID.match(key) else f"run-{hashlib.sha256(key.encode()).hexdigest()[:20]}"


def _state(run: RunDirectory) -> JobState:
    """Where a run stands that has not ended."""
    if run.pause_requested() and not run.is_alive():
        return JobState.PAUSED
    waits = run.queued_path.exists() or not run.events_path.exists()
    return JobState.QUEUED if waits else JobState.RUNNING


def _is_silent(run: RunDirectory) -> bool:
    return run.silent_s() > _SILENT_S and run.result() is None and run.is_alive()
