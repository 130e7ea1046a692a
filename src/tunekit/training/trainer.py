"""One run from its directory to its artifact: prepare, resume, train, publish. It knows the order.

It does not know processes, signals or locks (`main` does), nor what a step is (`loop` does).
"""

from __future__ import annotations

import hashlib
import json
from contextlib import nullcontext
from dataclasses import asdict
from functools import partial
from typing import Any

from tunekit import _files
from tunekit.events import JobState
from tunekit.graders.watching import watched
from tunekit.spec import Probe
from tunekit.training.anchoring.beginning import fisher_of
from tunekit.training.loop import Hooks, train
from tunekit.training.models.adapters import trainable_parameters
from tunekit.training.plan.recipe import Recipe
from tunekit.training.preparing import Limit, Prepared, prepare
from tunekit.training.probe.probing import run_probe
from tunekit.training.ranks.group import ALONE, Ranks
from tunekit.training.ranks.sharding import like, whole
from tunekit.training.run.checkpoint import Checkpoint, CheckpointStore, TrainingState
from tunekit.training.run.events_log import EventLog
from tunekit.training.run.leaving import before_the_first_step
from tunekit.training.run.rundir import RunDirectory, RunResult
from tunekit.training.run.stops import AskStop, AtOnce, Stop, Stopped, raise_if_stopped
from tunekit.training.saving import artifacts
from tunekit.training.steps import Training, put_back


def run_training(
    run: RunDirectory,
    log: EventLog,
    stop: AskStop,
    limit: Limit = lambda what: nullcontext(),
    at_once: AtOnce = nullcontext,
    ranks: Ranks = ALONE,
) -> RunResult | None:
    """Train what `run` describes, from its newest valid checkpoint on, and publish the artifact.

    Args:
        run: The run directory; the caller holds its lock.
        log: Its event log.
        stop: Asked often; why to leave, or None.
        limit: Put around each use of the model's chat template, which is somebody else's program.
        at_once: Put around what may be left in its middle, because a resumed run does it again.
        ranks: This process among those that train the run together. Only the one that leads writes.

    Returns:
        How the run ended, or None if it was interrupted or paused and can go on.

    Raises:
        TunekitError: Whatever makes the run fail, typed.
    """
    log.state(JobState.RUNNING)
    if ranks.leads:
        _files.remove_leftovers(run.path, older_than_s=0.0)  # nobody else writes here while the lock is ours
    if isinstance(run.plan().spec.method, Probe):
        return run_probe(run, log, stop, limit, at_once)  # no steps, no optimizer, no checkpoint
    watching = partial(watched, partial(raise_if_stopped, stop))  # graders may compute for minutes
    with watching():
        prepared = prepare(run, log, stop, limit, at_once, ranks)
    if isinstance(prepared, Stop):
        return before_the_first_step(prepared, log)
    with ranks.leader_first():
        store = CheckpointStore(
            run.checkpoints_path,
            plan_sha256=_identity(prepared.card, prepared.training.recipe),
            base_fingerprint=prepared.card.base_fingerprint,
            versions=prepared.card.versions,
            notice=partial(log.notice, level="warning"),
        )
        found = store.newest()
    state = _resume(prepared.training, found, log)
    save = partial(_save, prepared.training, store, log)
    hooks = Hooks(stop=ranks.agreed(stop), save=save, at_once=nullcontext if ranks.in_step else at_once)
    with watching():
        state, reason = train(prepared.training, state, hooks, log)
    if reason is not None:
        save(state)
        return _left(reason, state, log)
    if not _took_best(prepared.training, store, state, log):
        return None
    result = _result(JobState.SUCCEEDED, state)
    try:
        with hooks.at_once():
            matters = fisher_of(run.plan(), prepared.training, hooks.stop, log)
        model = _whole_model(prepared)
        if model is None:
            return result
        with at_once():
            card = prepared.card.model_copy(update={"metrics": result.metrics})
            artifacts.publish(run.artifact_path, model, prepared.tokenizer, card, fisher=matters)
    except Stopped as stopped:
        return _left(stopped.reason, state, log)
    return result


def _whole_model(prepared: Prepared) -> Any:
    """What is published, where this process publishes: of a model that is shared out, one made of all the shares."""
    training = prepared.training
    if not training.ranks.in_step:
        return training.model.eval() if training.ranks.leads else None
    weights = {name: whole(value.detach()).cpu() for name, value in training.parameters.items()}
    if not training.ranks.leads:
        return None
    model = prepared.again()
    for name, parameter in trainable_parameters(model).items():
        parameter.data.copy_(weights[name])
    return model.eval()


def _left(reason: Stop, state: TrainingState, log: EventLog) -> RunResult | None:
    if reason is Stop.CANCELLED:
        return _result(JobState.CANCELLED, state, message=f"cancelled after step {state.step}")
    log.notice(f"{reason.value} after step {state.step}; it goes on from there", data={"step": state.step})
    if reason is Stop.PAUSED:
        log.state(JobState.PAUSED)
    return None


def _identity(card: artifacts.Card, recipe: Recipe) -> str:
    """SHA-256 of everything that decides the weights.

    The prose that says where the recipe comes from is left out.
    """
    numbers = {name: value for name, value in asdict(recipe).items() if name != "sources"}
    text = json.dumps([card.causes, numbers], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _resume(training: Training, found: Checkpoint | None, log: EventLog) -> TrainingState:
    if found is None:
        return TrainingState()
    put_back(training, found.trainable)
    for name, parameter in training.parameters.items():
        training.optimizer.state[parameter] = {
            key.partition("/")[0]: like(value, parameter) if value.ndim else value.to(parameter.device)
            for key, value in found.optimizer.items()
            if key.partition("/")[2] == name
        }
    # The writer may have been killed between publishing this checkpoint and saying so.
    log.checkpoint(found.state.step, found.name)
    log.notice(f"resumed from the checkpoint of step {found.state.step}", data={"step": found.state.step})
    return found.state


def _took_best(training: Training, store: CheckpointStore, state: TrainingState, log: EventLog) -> bool:
    """Go back to the best weights, where the spec asks for that. False: they are lost, and the run begins again."""
    if state.best is None or state.best.step == state.step:
        return True
    with training.ranks.leader_first():
        found = store.at(state.best.step)
    if found is None:
        log.notice(
            f"the weights of the best step, {state.best.step}, are lost; the run begins again",
            level="warning",
        )
        if training.ranks.leads:
            store.clear()
        return False
    put_back(training, found.trainable)
    return True


def _save(training: Training, store: CheckpointStore, log: EventLog, state: TrainingState) -> None:
    if state.step == 0:
        return
    # The log goes first: whoever resumes from this checkpoint relies on the events up to it.
    log.sync()
    # In one order on all ranks, which gather each tensor together; that of what a checkpoint gave is nobody's.
    trainable = {name: whole(value.detach()) for name, value in training.parameters.items()}
    optimizer = {
        f"{key}/{name}": whole(value)
        for name, parameter in training.parameters.items()
        for key, value in sorted(training.optimizer.state[parameter].items())
    }
    if training.ranks.leads:
        keep = [state.best.step] if state.best else []
        log.checkpoint(state.step, store.save(state, trainable, optimizer, keep=keep))


def _result(state: JobState, progress: TrainingState, *, message: str = "") -> RunResult:
    return RunResult(
        state=state,
        message=message,
        trained_tokens=progress.trained_tokens,
        seconds=round(progress.seconds, 3),
        metrics={**progress.metrics, **_of_best(progress), "steps": progress.step},
    )


def _of_best(progress: TrainingState) -> dict[str, float]:
    """Where early stopping chose the weights, what is known of those."""
    if progress.best is None:
        return {}
    held_out = {f"validation_{name}": value for name, value in progress.best.metrics.items()}
    return {**held_out, "best_step": progress.best.step}
