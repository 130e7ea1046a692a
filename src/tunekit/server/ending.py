"""What is left of a job that has ended: events, model, result file, webhooks. Knows rows; asks no backend."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tunekit.backends.base import Snapshot
from tunekit.events import JobState
from tunekit.records import JobError
from tunekit.refs import ModelRef, Target
from tunekit.server import shapes
from tunekit.server.rows import DeliveryRow, EventRow, FileRow, JobRow, ModelRow, Row, id_of
from tunekit.server.service import Service

_WEBHOOKS = {
    JobState.SUCCEEDED: "fine_tuning.job.succeeded",
    JobState.FAILED: "fine_tuning.job.failed",
    JobState.CANCELLED: "fine_tuning.job.cancelled",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """What is known of a job at its end.

    Attributes:
        seen: The last look at it.
        copied: Events that are not written down yet.
        checkpoints: Models saved on the way, oldest first, as the backend calls them.
        error: Why it failed.
        param: Which parameter of the request was to blame.
    """

    seen: Snapshot
    copied: Sequence[EventRow] = ()
    checkpoints: Sequence[str] = ()
    error: JobError | None = None
    param: str | None = None


def ended_rows(service: Service, row: JobRow, end: Ending) -> tuple[dict[str, Any], list[Row]]:
    """What changes in the row of a job that has ended, and which rows come beside it.

    All ids follow from the job's, so whoever does this twice makes nothing twice.
    """
    now = service.now()
    events = [*service.ledger.all(EventRow, parent=row.id), *end.copied]
    metrics = shapes.metrics_by_step(events)
    models = _models(service, row, end, metrics, now)
    results = [_results(service, row, metrics, now)] if end.seen.state is JobState.SUCCEEDED else []
    number = row.events + len(end.copied)
    said = _last_words(row, end, number, now, models)
    changes: dict[str, Any] = {
        "state": end.seen.state,
        "phase": "ended",
        "due": None,
        "events": number + len(said),
        "model": models[-1].id if models else "",
        "error": end.error if end.seen.state is JobState.FAILED else None,
        "param": end.param,
        "trained_tokens": _trained_tokens(end.seen),
        "finished_at": int(now),
        "result_files": [file.id for file in results],
    }
    beside = [*end.copied, *said, *models, *results, *_deliveries(service, row, end.seen.state, now)]
    return changes, beside


def _models(
    service: Service, row: JobRow, end: Ending, metrics: Mapping[int, Mapping[str, float]], now: float
) -> list[ModelRow]:
    """The checkpoints, and last the tuned model; nothing where there is none."""
    if end.seen.state is not JobState.SUCCEEDED or not end.seen.model:
        return []
    target, base = Target(row.target), str(row.request["model"])
    tuned = service.tuned(base, row.tenant)
    name, steps = shapes.tuned_name(row), list(metrics) or [0]
    last = ModelRow(
        id=name,
        tenant=row.tenant,
        parent=row.id,
        created_at=now,
        base=tuned.base if tuned is not None else base,
        target=row.target,
        ref=ModelRef.of(target.backend, end.seen.model),
        step=steps[-1],
        metrics=dict(metrics.get(steps[-1], {})),
        has_pairs=row.has_pairs,
    )
    # Backends name their checkpoints and do not say of which step they are; a number at the end is taken for it.
    before = []
    for at, checkpoint in enumerate(end.checkpoints):
        step = _trailing_number(checkpoint, at + 1)
        changes = {
            "id": f"{name}:ckpt-step-{step}",
            "ref": ModelRef.of(target.backend, checkpoint),
            "step": step,
            "metrics": dict(metrics.get(step, {})),
            "is_checkpoint": True,
        }
        before.append(last.model_copy(update=changes))
    return [*{item.id: item for item in before}.values(), last]


def _trailing_number(text: str, default: int) -> int:
    found = re.search(r"(?<![0-9])[0-9]{1,12}\Z", text)
    return int(found[0]) if found else default


def _results(
    service: Service, row: JobRow, metrics: Mapping[int, Mapping[str, float]], now: float
) -> FileRow:
    data = shapes.metrics_csv(metrics)
    file_id = id_of("file-", "results", row.id)
    service.disk.write(file_id, data)  # before its row is there, as every file
    return FileRow(
        id=file_id,
        tenant=row.tenant,
        created_at=now,
        bytes=len(data),
        filename="step_metrics.csv",
        purpose="fine-tune-results",
    )


def _last_words(
    row: JobRow, end: Ending, number: int, now: float, models: Sequence[ModelRow]
) -> list[EventRow]:
    """Events of the server's own at the end of a job."""
    if models:
        return [shapes.notice_row(row, number, now, f"New fine-tuned model created: {models[-1].id}")]
    if end.seen.state is JobState.FAILED:
        text = end.error.message if end.error is not None else "the backend gave no reason"
        return [shapes.notice_row(row, number, now, f"The job failed: {text}", level="error")]
    if end.seen.state is JobState.CANCELLED and not row.run_id:
        return [shapes.notice_row(row, number, now, "The job was cancelled before it began")]
    return []


def _trained_tokens(seen: Snapshot) -> int | None:
    if seen.state is not JobState.SUCCEEDED or seen.usage is None:
        return None
    return seen.usage.trained_tokens


def _deliveries(service: Service, row: JobRow, state: JobState, now: float) -> list[DeliveryRow]:
    """A message for each endpoint that is to hear of this tenant's jobs."""
    made = []
    for webhook in service.webhooks:
        if webhook.tenant not in (None, row.tenant):
            continue
        event_id = id_of("evt_", row.id, webhook.name)
        payload = {
            "id": event_id,
            "object": "event",
            "created_at": int(now),
            "type": _WEBHOOKS[state],
            "data": {"id": row.id},
        }
        made.append(
            DeliveryRow(
                id=event_id,
                tenant=row.tenant,
                parent=row.id,
                created_at=now,
                due=now,
                endpoint=webhook.name,
                payload=json.dumps(payload),
            )
        )
    return made
