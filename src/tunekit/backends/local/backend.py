"""`LocalBackend`: fine-tuning and inference on this machine. Knows run directories; never imports torch.

Local training is a remote service whose wire is a directory: the trainer is a detached child process, so a crash, an
out-of-memory kill or a segfault there never reaches the host, and the host may restart while training goes on.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import sys
import time
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

from tunekit import _files
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
)
from tunekit.backends.capabilities import Capabilities
from tunekit.backends.local import launch, models
from tunekit.backends.local.worker import InferenceWorker
from tunekit.errors import (
    JobFailedError,
    MissingExtraError,
    ModelError,
    NotFoundError,
    SpecError,
    StorageError,
)
from tunekit.events import JobState, Usage
from tunekit.examples import message_to_dict
from tunekit.spec import Sampling
from tunekit.training.fingerprint import Hashes
from tunekit.training.rundir import RunDirectory, RunPlan


class LocalBackend(Backend):
    """Fine-tunes on this machine with PyTorch and PEFT, each run in its own child process.

    Args:
        settings: Where runs are kept; None reads the environment.
        threads: CPU threads per process; None takes the physical cores that this process may use.
        max_restarts: How many trainers of one run may die in a row without publishing a checkpoint before it is failed.
        idle_timeout_s: Seconds without a request after which the inference worker gives its memory back.
        python: Interpreter of the child processes, which must have `tunekit[local]`; None takes this one. Name it where
            `sys.executable` is not Python, as in some embedding servers.

    Examples:
        >>> LocalBackend().capabilities.supports("cancel")
        True
    """

    name: ClassVar[str] = "local"
    poll_interval_s: ClassVar[float] = 0.5
    capabilities: ClassVar[Capabilities] = Capabilities(
        methods=frozenset({"sft"}),
        adapters=frozenset({"lora", "full"}),
        verbs=frozenset({"find", "cancel", "generate", "score", "artifact", "delete_artifacts"}),
        options=frozenset({"revision"}),
        spec_fields=frozenset({"too_long"}),
    )

    def __init__(
        self,
        *,
        settings: Settings | None = None,
        threads: int | None = None,
        max_restarts: int = 3,
        idle_timeout_s: float = 600.0,
        python: str | None = None,
    ) -> None:
        if threads is not None and threads < 1:
            raise SpecError(f"threads is {threads}", hint="use 1 or more, or None")
        self._settings = settings or Settings()
        self._threads = threads or _physical_cores()
        self._max_restarts = max_restarts
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

    async def submit(self, request: SubmitRequest) -> str:
        """Write the run directory and start its trainer. The id follows from the key, so a second call changes nothing.

        Raises:
            MissingExtraError: torch, transformers or peft is not installed.
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

    async def generate(
        self, model: str, requests: Sequence[GenerateRequest], sampling: Sampling
    ) -> list[Generation]:
        """Answers from a worker process that keeps the model loaded."""
        body = [
            {"prompt": _prompt(item.prompt), "tools": [dict(tool) for tool in item.tools]}
            for item in requests
        ]
        answers = await self._call(
            "generate", model, requests=body, sampling=sampling.model_dump(mode="json")
        )
        return [
            Generation(text=item["text"], finish_reason=item["finish_reason"], usage=Usage(**item["usage"]))
            for item in answers
        ]

    async def score(self, model: str, requests: Sequence[ScoreRequest]) -> list[Scores]:
        """Log-probabilities of choices from the same worker; the prompt they share is computed once."""
        body = [
            {
                "prompt": _prompt(item.prompt),
                "choices": list(item.choices),
                "tools": [dict(tool) for tool in item.tools],
            }
            for item in requests
        ]
        answers = await self._call("score", model, requests=body)
        return [Scores(log_probs=tuple(item["log_probs"]), tokens=tuple(item["tokens"])) for item in answers]

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
        self._require_extra()
        base = self._resolve(request.model)
        if models.is_adapter(base):
            raise ModelError(
                f"{request.model!r} is an adapter, not a base model", hint="train from its base model instead"
            )
        revision = request.spec.options.get("revision")
        if revision is not None and not isinstance(revision, str):
            raise SpecError(f"option 'revision' is {revision!r}", hint="give a hub revision as a string")
        run_id = _run_id(request.idempotency_key)
        plan = RunPlan(
            run_id=run_id,
            key=request.idempotency_key,
            model=base,
            revision=revision,
            spec=request.spec,
            python=self._python,
            threads=self._threads,
            validation=request.validation is not None,
            created_at=time.time(),
        )
        run = RunDirectory.create(self._settings.runs, plan, request.train, request.validation)
        try:
            launch.ensure_running(run, max_restarts=self._max_restarts)
        except StorageError:
            launch.discard_unstarted(run)
            raise
        return run_id

    def _snapshot(self, job_id: str) -> Snapshot:
        run = self._run(job_id)
        launch.ensure_running(run, max_restarts=self._max_restarts)
        result = run.result()
        if result is None:
            started = run.events_path.exists()
            return Snapshot(job_id=job_id, state=JobState.RUNNING if started else JobState.QUEUED)
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

    def _cancel(self, job_id: str) -> None:
        run = self._run(job_id)
        if run.result() is None:
            run.request_cancel()
            launch.ensure_running(run, max_restarts=self._max_restarts)

    def _events(self, job_id: str, cursor: str | None) -> EventPage:
        run = self._run(job_id)
        if cursor is not None and not (cursor.isascii() and cursor.isdigit()):
            raise SpecError(
                f"{cursor!r} is not a cursor of backend 'local'", hint="pass one that events() returned"
            )
        events, offset = run.events_from(int(cursor or 0))
        return EventPage(events=tuple(events), cursor=str(offset))

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

    def _require_extra(self) -> None:
        if self._python != sys.executable:
            return  # what another interpreter has, it says itself
        for package in ("torch", "transformers", "peft"):
            if find_spec(package) is None:
                raise MissingExtraError(package, extra="local")

    def _resolve(self, model: str) -> str:
        return models.resolve(model, self._settings.runs)

    async def _call(self, operation: str, model: str, **arguments: Any) -> Any:
        self._require_extra()
        resolved = await asyncio.to_thread(self._resolve, model)
        return await self._worker.ask(operation, model=resolved, **arguments)


def _run_id(key: str) -> str:
    return key if models.RUN_ID.match(key) else f"run-{hashlib.sha256(key.encode()).hexdigest()[:20]}"


def _prompt(prompt: Prompt) -> str | list[dict[str, Any]]:
    return prompt if isinstance(prompt, str) else [message_to_dict(message) for message in prompt]


def _physical_cores() -> int:
    # Hyper-threads share one multiplier: a second thread on a core slows dense arithmetic down. The affinity mask is
    # what a container or taskset leaves us.
    allowed = (
        sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1)
    )
    cores = {_siblings(cpu) for cpu in allowed}
    return max(1, len(cores))


def _siblings(cpu: int) -> str:
    try:
        return Path(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list").read_text()
    except OSError:
        return str(cpu)
