"""Between our words and the dialect's: a spec becomes a create call, a remote job becomes a snapshot. Sends nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tunekit.adapters import LoRA
from tunekit.backends.base import Failure, Snapshot, SubmitRequest
from tunekit.backends.openai.hosts import Host
from tunekit.backends.openai.remote import RemoteError, RemoteJob
from tunekit.data.wording import brief
from tunekit.events import JobState, Usage
from tunekit.refs import ModelRef
from tunekit.spec import DPO, RFT, TuneSpec

RUN_KEY = "tunekit_run"
"""Name of the tag by which a job is found again; its value is the idempotency key."""

METHODS: Mapping[str, str] = {"sft": "supervised", "dpo": "dpo", "rft": "reinforcement"}
"""What the dialect calls our methods."""

RFT_OPTIONS = ("reasoning_effort", "compute_multiplier", "eval_interval", "eval_samples")
"""Options of the spec that are hyperparameters of reinforcement fine-tuning."""

_STATES: Mapping[str, JobState] = {
    "validating_files": JobState.QUEUED,
    "queued": JobState.QUEUED,
    "pending": JobState.QUEUED,  # Foundry
    "running": JobState.RUNNING,
    "paused": JobState.PAUSED,  # in the guides, not in the description
    "succeeded": JobState.SUCCEEDED,
    "failed": JobState.FAILED,
    "cancelled": JobState.CANCELLED,
    "canceled": JobState.CANCELLED,
}


# --- there --------------------------------------------------------------------------------------------


def base_of(request: SubmitRequest) -> str:
    """The model that is trained: the base, or the tuned model that the run goes on from."""
    return ModelRef(request.spec.warm_start).id if request.spec.warm_start else request.model


def create_body(
    request: SubmitRequest, host: Host, *, training_file: str, validation_file: str = ""
) -> dict[str, Any]:
    """The body of the create call. Of a spec that fits the host (`fitting`); nothing in it is null."""
    spec = request.spec
    body: dict[str, Any] = {"model": base_of(request), "training_file": training_file}
    if validation_file:
        body["validation_file"] = validation_file
    if spec.name and host.suffix_max_chars:
        body["suffix"] = spec.name
    if host.seed:
        body["seed"] = spec.seed
    if host.metadata:
        tags = spec.options.get("metadata")
        body["metadata"] = {**(tags if isinstance(tags, dict) else {}), RUN_KEY: request.idempotency_key}
    body |= {name: spec.options[name] for name in ("integrations", *host.fields) if name in spec.options}
    return body | _method(spec, host)


def _method(spec: TuneSpec, host: Host) -> dict[str, Any]:
    values = hyperparameters(spec, host)
    if host.hyperparameters_in == "top":
        return {"hyperparameters": values} if values else {}
    name = METHODS[spec.method.type]
    inside: dict[str, Any] = {"hyperparameters": values} if values else {}
    if isinstance(spec.method, RFT):
        inside["grader"] = spec.method.grader
        if "response_format" in spec.options:
            inside["response_format"] = spec.options["response_format"]
    return {"method": {"type": name, name: inside}}


def hyperparameters(spec: TuneSpec, host: Host) -> dict[str, Any]:
    """The host's hyperparameters. What is "auto" is left out: some hosts take no such word, and all mean it."""
    values: dict[str, Any] = {
        "n_epochs": "auto" if spec.epochs == "auto" else int(spec.epochs),
        "batch_size": spec.batch_size,
        "learning_rate_multiplier": _rate(spec, host),
    }
    if isinstance(spec.method, DPO):
        values["beta"] = spec.method.beta
    if isinstance(spec.method, RFT):
        values["eval_interval"] = spec.evaluate_every_steps
        values |= {name: spec.options[name] for name in RFT_OPTIONS if name in spec.options}
    values |= {theirs: getattr(spec, ours) for ours, theirs in host.spec_fields.items()}
    values |= _lora(spec, host)
    values |= {name: spec.options[name] for name in host.hyperparameters if name in spec.options}
    return {name: value for name, value in values.items() if value is not None and value != "auto"}


def _rate(spec: TuneSpec, host: Host) -> Any:
    """The rate where the host takes one, else the multiplier: no host says what it multiplies."""
    if host.learning_rate == "absolute":
        return spec.learning_rate
    return spec.options.get("learning_rate_multiplier", "auto")


def _lora(spec: TuneSpec, host: Host) -> dict[str, Any]:
    if not host.lora_fields:
        return {}
    adapter = getattr(spec.method, "adapter", None)
    if not isinstance(adapter, LoRA):
        return {"lora": False}
    alpha = adapter.alpha if adapter.rank == "auto" else adapter.alpha_at(adapter.rank)
    ours = {"rank": adapter.rank, "alpha": alpha, "dropout": adapter.dropout}
    return {"lora": True, **{theirs: ours[name] for name, theirs in host.lora_fields.items()}}


# --- and back -----------------------------------------------------------------------------------------


def state_of(job: RemoteJob) -> JobState:
    """Our word for a job's state; one that is not known is RUNNING, also where the job has a time of its end.

    What such a word means, only the host knows: read as an end it would lose a job that goes on and is billed.
    """
    return _STATES.get(_word(job), JobState.RUNNING)


def _word(job: RemoteJob) -> str:
    return job.status.strip().lower()


def snapshot_of(job: RemoteJob) -> Snapshot:
    """Where a job stands, in our words."""
    state = state_of(job)
    return Snapshot(
        job_id=job.id,
        state=state,
        unknown_state="" if _word(job) in _STATES else brief(job.status.strip(), quote=False) or "nothing",
        model=(job.fine_tuned_model or None) if state is JobState.SUCCEEDED else None,
        failure=failure_of(job.error) if state is JobState.FAILED else None,
        usage=None if job.trained_tokens is None else Usage(trained_tokens=job.trained_tokens),
        raw=job.raw,
    )


def failure_of(error: RemoteError | None) -> Failure:
    """Why a job failed, and what to do about it."""
    if error is None:
        return Failure(message="the host gave no reason", hint="read the job's events for what came before")
    hint, retryable = _advice(error)
    return Failure(
        message=error.message or error.code,
        hint=hint,
        retryable=retryable,
        code=error.code or "job-failed",
        details={"param": error.param} if error.param else {},
    )


# Parts of the codes that hosts give, with what helps. The first that fits is taken.
_ADVICE: tuple[tuple[tuple[str, ...], str, bool], ...] = (
    (
        ("quota", "billing", "budget"),
        "add credit or raise the limit in the host's settings, then submit again",
        True,
    ),
    (
        ("moderation", "policy", "safety", "unsafe"),
        "the host screens data and tuned models; its events of the type 'moderation_checks' say what it found",
        False,
    ),
    (
        ("file", "format", "example", "token"),
        "check the data with Dataset.check(target=...) for this host; it names the rows",
        False,
    ),
    (("server", "internal", "timeout", "capacity"), "the host broke; submit the same again", True),
    (("model", "available", "permission"), "see which models this account can train", False),
)


def _advice(error: RemoteError) -> tuple[str, bool]:
    said = f"{error.code} {error.param}".lower()
    for words, hint, retryable in _ADVICE:
        if any(word in said for word in words):
            return hint, retryable
    return "read the job's events for what came before", False
