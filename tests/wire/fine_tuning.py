"""Fine-tuning jobs of the in-memory service. Knows scripts of what happens to a job; trains nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.wire.account import STARTED_AT, Account, Json, Refusal, known
from tests.wire.exchange import Request

_OMITTED = ("method", "integrations", "user_provided_suffix")


@dataclass(slots=True, kw_only=True)
class Job:
    """A job and what is still to happen to it."""

    body: Json
    script: list[Json]
    events: list[Json] = field(default_factory=list)
    checkpoints: list[Json] = field(default_factory=list)


def training(*, steps: int = 3, end: Json | None = None) -> list[Json]:
    """What happens to an ordinary job: each entry changes its fields, or has an event or a checkpoint."""
    metrics = [
        {
            "event": {
                "type": "metrics",
                "message": f"Step {step}/{steps}: training loss={1 / step:.2f}",
                "data": {"step": step, "total_steps": steps, "train_loss": 1 / step, "valid_loss": 2 / step},
            }
        }
        for step in range(1, steps + 1)
    ]
    return [
        {"event": {"message": "Created fine-tuning job"}},
        {"status": "queued", "event": {"message": "Files validated, moving job to queued state"}},
        {"status": "running", "event": {"message": "Fine-tuning job started"}},
        *metrics,
        {"checkpoint": steps - 1},
        {"checkpoint": steps},
        end or {"status": "succeeded", "event": {"message": "The job has successfully completed"}},
    ]


class Jobs(Account):
    """Jobs with their events, checkpoints and permissions.

    Args:
        script: What happens to each job.
        reveal: Entries of the script that each look at a job plays; 0 plays all at once.
        page_size: As in `Account`.
    """

    def __init__(self, *, script: Callable[[], list[Json]], reveal: int, page_size: int) -> None:
        super().__init__(page_size=page_size)
        self.script, self.reveal = script, reveal
        self.jobs: dict[str, Job] = {}
        self.bill: object = 1234  # trained tokens of a job that has ended
        self.permissions: dict[str, list[Json]] = {}
        self.refusals: list[Refusal] = []  # raised by the next creations of a job, first come first served

    def create_job(self, request: Request) -> Json:
        if self.refusals:
            raise self.refusals.pop(0)
        body = json.loads(request.body)
        for name in ("training_file", "validation_file"):
            if name in body and body[name] not in self.files:
                raise Refusal(400, f"invalid {name}: {body[name]}", "invalid_file")
        number = self.number()
        job = {
            "id": f"ftjob-{number}",
            "object": "fine_tuning.job",
            "created_at": STARTED_AT + number,
            "finished_at": None,
            "error": {"code": None, "message": None, "param": None},
            "fine_tuned_model": None,
            "hyperparameters": {"n_epochs": "auto"},
            "model": body["model"],
            "organization_id": "org-1",
            "result_files": [],
            "status": "validating_files",
            "trained_tokens": None,
            "training_file": body["training_file"],
            "validation_file": body.get("validation_file"),
            "seed": body.get("seed", 0),
            "method": body.get("method"),
            "metadata": body.get("metadata"),
            "integrations": body.get("integrations"),
            "user_provided_suffix": body.get("suffix"),
        }
        job = {name: value for name, value in job.items() if value is not None or name not in _OMITTED}
        self.jobs[str(job["id"])] = Job(body=job, script=self.script())
        return job

    def list_jobs(self, request: Request) -> Json:
        wanted = {
            name.removeprefix("metadata[").removesuffix("]"): value
            for name, value in request.query
            if name.startswith("metadata[")
        }
        found = [
            job.body
            for job in self.jobs.values()
            if wanted.items() <= (job.body.get("metadata") or {}).items()
        ]
        return self.page(found[::-1], request)

    def job(self, request: Request, job_id: str) -> Json:
        job = known(self.jobs, job_id, "job")
        self._play(job, self.reveal or len(job.script))
        return job.body

    def _play(self, job: Job, entries: int) -> None:
        for _ in range(entries):
            if not job.script or job.body["status"] in ("paused", "cancelled"):
                return
            self._happen(job, dict(job.script.pop(0)))

    def _happen(self, job: Job, entry: Json) -> None:
        event, step = entry.pop("event", None), entry.pop("checkpoint", None)
        job.body |= entry
        if event is not None:
            self.log(job, event)
        if step is not None:
            job.checkpoints.append(_checkpoint(job.body, step))
        if entry.get("status") in ("succeeded", "failed", "cancelled"):
            job.body["finished_at"] = STARTED_AT + 5000
        if entry.get("status") == "succeeded":
            self._finish(job)

    def _finish(self, job: Job) -> None:
        model = (
            f"ft:{job.body['model']}:acme:{job.body.get('user_provided_suffix') or ''}:{job.body['id'][-6:]}"
        )
        table = b"step,train_loss,valid_loss\n1,1.0,\n2,0.5,0.75\n"
        results = self.keep("step_metrics.csv", table, "fine-tune-results")
        job.body |= {"fine_tuned_model": model, "trained_tokens": self.bill, "result_files": [results["id"]]}
        self.models[model] = {"id": model, "object": "model", "created": STARTED_AT, "owned_by": "acme"}

    def log(self, job: Job, event: Json) -> None:
        """Write a line into a job's log."""
        number = self.number()
        job.events.append(
            {
                "id": f"ftevent-{number}",
                "object": "fine_tuning.job.event",
                "created_at": STARTED_AT + number,
                "level": "info",
                "type": "message",
                **event,
            }
        )

    def turn(self, request: Request, job_id: str, verb: str) -> Json:
        job = known(self.jobs, job_id, "job")
        if job.body["status"] in ("succeeded", "failed", "cancelled"):
            raise Refusal(400, f"Job has already completed: {job.body['status']}", "job_already_finished")
        job.body["status"] = {"cancel": "cancelled", "pause": "paused", "resume": "running"}[verb]
        if verb == "cancel":
            job.body["finished_at"] = STARTED_AT + 5000
        return job.body

    def list_events(self, request: Request, job_id: str) -> Json:
        return self.page(known(self.jobs, job_id, "job").events[::-1], request)

    def list_checkpoints(self, request: Request, job_id: str) -> Json:
        return self.page(known(self.jobs, job_id, "job").checkpoints[::-1], request, first_and_last=True)

    def list_permissions(self, request: Request, checkpoint: str) -> Json:
        return self.page(self.permissions.get(checkpoint, []), request, first_and_last=True)

    def permit(self, request: Request, checkpoint: str) -> Json:
        given = [
            {
                "id": f"cp_{self.number()}",
                "object": "checkpoint.permission",
                "created_at": STARTED_AT,
                "project_id": project,
            }
            for project in json.loads(request.body)["project_ids"]
        ]
        self.permissions.setdefault(checkpoint, []).extend(given)
        return {"object": "list", "data": given, "has_more": False, "first_id": None, "last_id": None}

    def forbid(self, request: Request, checkpoint: str, permission: str) -> Json:
        kept = [item for item in self.permissions.get(checkpoint, []) if item["id"] != permission]
        self.permissions[checkpoint] = kept
        return {"id": permission, "object": "checkpoint.permission", "deleted": True}


def _checkpoint(job: Json, step: int) -> Json:
    return {
        "id": f"ftckpt_{job['id'][-6:]}-{step}",
        "object": "fine_tuning.job.checkpoint",
        "created_at": STARTED_AT + step,
        "fine_tuned_model_checkpoint": f"ft:{job['model']}:acme::{job['id'][-6:]}:ckpt-step-{step}",
        "step_number": step,
        "metrics": {"step": step, "train_loss": 1 / step},
        "fine_tuning_job_id": job["id"],
    }
