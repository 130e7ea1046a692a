"""The same with Celery (`pip install celery`): a task that asks for a round and sees it through.

    celery --workdir examples -A service.celery_tasks worker -Q retrain -c 1

A broker delivers at least once, and that is enough here: a round has a key, so a task that comes twice finds the round
of the first time. No result backend is needed, because the round itself is stored.
"""

from __future__ import annotations

import os
from functools import cache
from typing import Any

from celery import Celery  # type: ignore[import-not-found]

import tunekit as tk
from service.pipeline import Pipeline
from service.worker import show

RETRY_S = 30.0

BROKER = os.environ.get("SERVICE_BROKER", "redis://localhost:6379/0")
VISIBLE_AGAIN_S = 6 * 3600

app = Celery("service", broker=BROKER)
app.conf.update(
    # Acknowledged when the work is done: a worker that is killed leaves its task to another one.
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    # A round takes a while. Tasks that were fetched ahead would wait behind it, out of reach of idle workers.
    worker_prefetch_multiplier=1,
    task_ignore_result=True,
    # A queue of its own: a round takes a slot for as long as it takes, and other tasks should not wait for it.
    task_routes={"service.retrain": {"queue": "retrain"}},
)

if BROKER.startswith(("redis", "sqs")):
    # These hand a task out again if it is not acknowledged by then. A round that takes longer is waited for twice,
    # which costs a slot of a worker; it is not done twice. Other brokers do not know the option.
    app.conf.broker_transport_options = {"visibility_timeout": VISIBLE_AGAIN_S}


@cache
def _parts() -> tuple[Pipeline, tk.Retrainer]:
    """Made in the process that runs the task, not in the one that it is forked from."""
    pipeline = Pipeline.from_environment()
    return pipeline, pipeline.retrainer()


def _retrain(task: Any, batch: str, key: str = "") -> None:
    """Ask for a round and work on it: `retrain.delay("week_46.jsonl", "delivery-17")`.

    Args:
        task: Celery's own view of this call.
        batch: Name of a file in SERVICE_BATCHES.
        key: Of the request; "" takes the rows for it.
    """
    pipeline, retrainer = _parts()
    asked = retrainer.request(pipeline.batch(batch), key=key, trigger=f"celery: {batch}")
    try:
        retrainer.resume(on_event=show)
    except tk.TunekitError as error:
        if retrainer.rounds.get(asked.round_id).state.is_at_work:  # it cannot go on now, and may later
            raise task.retry(exc=error, countdown=RETRY_S, max_retries=None) from error
        raise


# Called, not written as a decorator: celery has no types, and a decorator would take those of the function away.
retrain = app.task(_retrain, bind=True, name="service.retrain")
