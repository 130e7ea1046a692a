"""Jobs, events, checkpoints and models as the wire shows them. Pure functions; no I/O."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Iterable, Mapping
from typing import Any, TypeGuard

from tunekit.events import (
    CheckpointSaved,
    Evaluated,
    JobEvent,
    JobState,
    Notice,
    Preflight,
    StateChanged,
    Step,
)
from tunekit.server import recipes
from tunekit.server.rows import EventRow, JobRow, ModelRow, id_of
from tunekit.server.telling import without_paths

_STATUSES: Mapping[JobState, str] = {
    JobState.CREATED: "queued",
    JobState.SUBMITTING: "queued",
    JobState.QUEUED: "queued",
    JobState.UNKNOWN: "queued",
}
_LEVELS: Mapping[str, str] = {"warning": "warn", "error": "error"}
_SAID: Mapping[JobState, str] = {
    JobState.QUEUED: "Files validated, moving job to queued state",
    JobState.RUNNING: "Fine-tuning job started",
    JobState.PAUSED: "Fine-tuning job paused",
    JobState.SUCCEEDED: "The job has successfully completed",
    JobState.FAILED: "The job failed",
    JobState.CANCELLED: "The job was cancelled",
}
_METRIC_NAMES: Mapping[str, str] = {"loss": "loss", "token_accuracy": "mean_token_accuracy"}
_NOT_IN_NAMES = re.compile(r"[:/\\?#%]")
"""What ends a part of the name, or means something in the path that asks for the model."""
_COLUMNS = ("step", "train_loss", "train_mean_token_accuracy", "valid_loss", "valid_mean_token_accuracy")


def job(row: JobRow) -> dict[str, Any]:
    """A job on the wire."""
    body = recipes.CreateJob.model_validate(row.request)
    method = recipes.shown_method(body, row.used)
    return {
        "id": row.id,
        "object": "fine_tuning.job",
        "created_at": int(row.created_at),
        "finished_at": row.finished_at,
        "estimated_finish": None,
        "model": body.model,
        "fine_tuned_model": row.model or None,
        "organization_id": row.tenant,
        "status": status(row),
        "hyperparameters": method.get("supervised", {}).get("hyperparameters", {}),
        "method": method,
        "training_file": body.training_file,
        "validation_file": body.validation_file,
        "result_files": row.result_files,
        "trained_tokens": row.trained_tokens,
        "error": _error(row),
        "seed": body.seed if body.seed is not None else seed_of(row.id),
        "integrations": [],
        "metadata": row.metadata,
        "user_provided_suffix": body.suffix,
    }


def status(row: JobRow) -> str:
    """The status on the wire; "paused" is what the live service says, though its description does not."""
    if row.phase == "validating" and row.state is not JobState.PAUSED:
        return "validating_files"
    return _STATUSES.get(row.state, row.state.value)


def seed_of(job_id: str) -> int:
    """The seed of a job that named none: it follows from the job's id, so every process has the same."""
    return int(id_of("", "seed", job_id)[:7], 16)


def used(events: Iterable[JobEvent]) -> dict[str, int]:
    """The hyperparameters that a run reports before its first step; nothing where none of these events is a report.

    What was left at "auto" multiplies the rate by 1: that is what the two have in common at the original.
    """
    report = next((event.report for event in events if isinstance(event, Preflight)), {})
    found = {"n_epochs": report.get("epochs"), "batch_size": report.get("batch_size")}
    whole = {name: int(value) for name, value in found.items() if _is_whole(value)}
    return {**whole, "learning_rate_multiplier": 1} if whole else {}


def _is_whole(value: Any) -> TypeGuard[float]:
    return isinstance(value, (int, float)) and value >= 1 and value == int(value)


def event_row(row: JobRow, number: int, event: JobEvent) -> EventRow:
    """An event of a backend as a row."""
    level, kind, message, data = _told(event)
    return _event(row, number, event.at, level=level, kind=kind, message=message, data=data)


def notice_row(row: JobRow, number: int, at: float, message: str, *, level: str = "info") -> EventRow:
    """An event of the server's own."""
    return _event(row, number, at, level=level, kind="message", message=message, data={})


def _event(
    row: JobRow, number: int, at: float, *, level: str, kind: str, message: str, data: dict[str, Any]
) -> EventRow:
    # The number is part of the name: whoever copies the same event twice gives it one id, which is taken only once.
    event_id = id_of("ftevent-", row.id, number)
    body = {
        "id": event_id,
        "object": "fine_tuning.job.event",
        "created_at": int(at),
        "level": level,
        "message": message,
        "type": kind,
        "data": data,
    }
    return EventRow(id=event_id, tenant=row.tenant, parent=row.id, created_at=at, body=body)


def _told(event: JobEvent) -> tuple[str, str, str, dict[str, Any]]:
    """Level, type, message and data of an event."""
    match event:
        case StateChanged():
            said = without_paths(event.message)
            return "info", "message", said or _SAID.get(event.state, event.state.value), {}
        case Step():
            of = f"/{event.total_steps}" if event.total_steps else ""
            loss = "" if event.loss is None else f": training loss={event.loss:.2f}"
            return "info", "metrics", f"Step {event.step}{of}{loss}", _step_data(event)
        case Evaluated():
            data = {"step": event.step, **_metrics("valid", event.metrics)}
            text = ", ".join(f"{name}={value:.4g}" for name, value in event.metrics.items())
            return "info", "metrics", f"Step {event.step}: validation {text}", data
        case CheckpointSaved():
            return "info", "message", f"Checkpoint saved at step {event.step}", {"step": event.step}
        case Preflight():
            said = without_paths(event.message)
            return "info", "message", said or "Training data checked", _finite_values(event.report)
        case Notice():
            level, said = _LEVELS.get(event.level, "info"), without_paths(event.message)
            return level, "message", said, _finite_values(event.data)


def _step_data(event: Step) -> dict[str, Any]:
    data: dict[str, Any] = {"step": event.step}
    if event.total_steps:
        data["total_steps"] = event.total_steps
    named = {"train_loss": event.loss, "learning_rate": event.learning_rate}
    measured = {name: value for name, value in named.items() if value is not None}
    return _finite_values({**data, **measured, **_metrics("train", event.metrics)})


def _metrics(part: str, metrics: Mapping[str, float]) -> dict[str, Any]:
    named = {f"{part}_{_METRIC_NAMES.get(name, name)}": value for name, value in metrics.items()}
    return _finite_values(named)


def _finite_values(data: Mapping[str, Any]) -> dict[str, Any]:
    return {str(key): finite(value) for key, value in data.items()}


def finite(value: Any) -> Any:
    """The value with None for what JSON has no number for, text for what it has nothing for, and no paths."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return _finite_values(value)
    if isinstance(value, (list, tuple)):
        return [finite(item) for item in value]
    return value if value is None or isinstance(value, (int, bool)) else without_paths(str(value))


def metrics_csv(metrics: Mapping[int, Mapping[str, float]]) -> bytes:
    """The result file of a job: one line for each step, with the columns that the original has."""
    out = io.StringIO()
    writer = csv.DictWriter(out, _COLUMNS, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows({"step": step, **values} for step, values in metrics.items())
    return out.getvalue().encode()


def checkpoint(row: ModelRow) -> dict[str, Any]:
    """A checkpoint on the wire; the last one is the tuned model itself."""
    return {
        "id": id_of("ftckpt_", row.id),
        "object": "fine_tuning.job.checkpoint",
        "created_at": int(row.created_at),
        "fine_tuned_model_checkpoint": row.id,
        "fine_tuning_job_id": row.parent,
        "step_number": row.step,
        "metrics": row.metrics,
    }


def metrics_by_step(events: Iterable[EventRow]) -> dict[int, dict[str, float]]:
    """What was measured at each step that has an event of metrics, in order."""
    found: dict[int, dict[str, float]] = {}
    for row in events:
        data = row.body["data"]
        step = data.get("step") if isinstance(data, dict) else None
        if row.body["type"] == "metrics" and isinstance(data, dict) and isinstance(step, int):
            numbers = {key: value for key, value in data.items() if isinstance(value, (int, float))}
            found.setdefault(step, {}).update(numbers)
    return dict(sorted(found.items()))


def model(name: str, owner: str, created_at: float) -> dict[str, Any]:
    """A model on the wire."""
    return {"id": name, "object": "model", "created": int(created_at), "owned_by": owner}


def tuned_name(row: JobRow) -> str:
    """What the tuned model of a job is called: ft:<base>:<tenant>:<suffix>:<id>, as at the original."""
    request = recipes.CreateJob.model_validate(row.request)
    base = request.model
    if base.startswith("ft:"):  # a model that was tuned further keeps the name of its base
        base = base.removeprefix("ft:").rsplit(":", 3)[0]
    suffix = request.suffix or ""
    return f"ft:{base}:{row.tenant}:{_NOT_IN_NAMES.sub('-', suffix)}:{id_of('', row.id)[:8]}"


def _error(row: JobRow) -> dict[str, Any] | None:
    if row.error is None:
        return None
    message = f"{row.error.message} ({row.error.hint})" if row.error.hint else row.error.message
    return {"code": row.error.code, "message": message, "param": row.param}
