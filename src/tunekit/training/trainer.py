"""One run from its directory to its artifact: load, tokenise, look, resume, train, publish. It knows the order.

It does not know processes, signals or locks (`main` does), nor what a step is (`loop` does).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from functools import partial
from importlib.metadata import version
from itertools import islice
from typing import Any, Literal, TypeAlias

import torch

from tunekit import _files
from tunekit._version import __version__
from tunekit.errors import UnsupportedError
from tunekit.events import JobState
from tunekit.examples import from_dict
from tunekit.spec import SFT, Adapter, LoRA
from tunekit.training import artifacts, fingerprint, load, preflight, render
from tunekit.training.adapters import make_trainable, trainable_parameters
from tunekit.training.attention import supports_end_to_end
from tunekit.training.checkpoint import Checkpoint, CheckpointStore, TrainingState, recorded_base
from tunekit.training.device import Device, choose_device
from tunekit.training.events_log import EventLog
from tunekit.training.loop import Hooks, Stop, Training, train
from tunekit.training.objectives.sft import head_selects_rows, sft_loss
from tunekit.training.recipe import Facts, Recipe, resolve
from tunekit.training.render import Tokens
from tunekit.training.rundir import RunDirectory, RunPlan, RunResult
from tunekit.training.template import Template, stop_ids

_ROWS_LOOKED_AT = 20  # a template does not change from row to row, but tools and system prompts may
_LIBRARIES = ("torch", "transformers", "peft", "safetensors", "tokenizers")


Limit: TypeAlias = Callable[[str], AbstractContextManager[None]]
"""Bounds the time of what happens inside; told what that is, for the error."""


@dataclass(frozen=True, kw_only=True)
class _Prepared:
    training: Training
    card: artifacts.Card
    tokenizer: Any


class _Stopped(Exception):
    """Told to stop before the first step."""

    def __init__(self, reason: Stop) -> None:
        super().__init__(reason)
        self.reason = reason


def run_training(
    run: RunDirectory,
    log: EventLog,
    stop: Callable[[], Stop | None],
    limit: Limit = lambda what: nullcontext(),
) -> RunResult | None:
    """Train what `run` describes, from its newest valid checkpoint on, and publish the artifact.

    Args:
        run: The run directory; the caller holds its lock.
        log: Its event log.
        stop: Asked often; why to leave, or None.
        limit: Put around each use of the model's chat template, which is somebody else's program.

    Returns:
        How the run ended, or None if it was interrupted and can go on.

    Raises:
        TunekitError: Whatever makes the run fail, typed.
    """
    log.state(JobState.RUNNING)
    _files.remove_leftovers(run.path, older_than_s=0.0)  # nobody else writes here while the lock is ours
    try:
        prepared = _prepare(run, log, stop, limit)
    except _Stopped as stopped:
        return _stopped_early(stopped.reason, log)
    store = CheckpointStore(
        run.checkpoints_path,
        plan_sha256=_identity(prepared.card, prepared.training.recipe),
        base_fingerprint=prepared.card.base_fingerprint,
        versions=prepared.card.versions,
        notice=partial(log.notice, level="warning"),
    )
    state = _resume(prepared.training, store.newest(), log)
    save = partial(_save, prepared.training, store, log)
    state, reason = train(prepared.training, state, Hooks(stop=stop, save=save), log)
    if reason is Stop.INTERRUPTED:
        save(state)
        log.notice(f"interrupted after step {state.step}; it goes on from there", data={"step": state.step})
        return None
    if reason is Stop.CANCELLED:
        return _result(JobState.CANCELLED, state, message=f"cancelled after step {state.step}")
    prepared.training.model.eval()
    artifacts.publish(run.artifact_path, prepared.training.model, prepared.tokenizer, prepared.card)
    return _result(JobState.SUCCEEDED, state)


def _stopped_early(reason: Stop, log: EventLog) -> RunResult | None:
    if reason is Stop.INTERRUPTED:
        log.notice("interrupted while getting ready; the run goes on later")
        return None
    return RunResult(state=JobState.CANCELLED, message="cancelled while getting ready")


def _raise_if_stopped(stop: Callable[[], Stop | None]) -> None:
    reason = stop()
    if reason is not None:
        raise _Stopped(reason)


def _prepare(run: RunDirectory, log: EventLog, stop: Callable[[], Stop | None], limit: Limit) -> _Prepared:
    plan, device = run.plan(), choose_device()
    method = plan.spec.method
    if not isinstance(method, SFT):
        raise UnsupportedError(f"the local trainer does not do {method.type!r} yet", hint="use SFT()")
    _raise_if_stopped(stop)
    tokenizer, revision = _tokenizer(run, plan)
    with limit("the model's chat template"):
        template = Template.of(tokenizer)
    prompt_format = render.resolve_format(template, method.prompt_format)
    # Rows before weights: what is wrong with them is found in seconds.
    tokens = partial(_tokens, run, template=template, prompt_format=prompt_format, stop=stop, limit=limit)
    examples = tokens("train")
    held_out = tokens("validation") if plan.validation else []
    _raise_if_stopped(stop)
    model = _load_for_training(plan, revision, method.adapter, device)
    stops = stop_ids(template, load.config_stop_ids(model))
    kept = preflight.with_target(examples, part="training")
    validation = preflight.with_target(held_out, part="validation") if held_out else []
    recipe = resolve(plan.spec, _facts(model, rows=len(kept)))
    preflight.refuse_longer(kept, max_length=recipe.max_length, part="training")
    preflight.refuse_longer(validation, max_length=recipe.max_length, part="validation")
    card = _card(run, plan, revision, recipe, tokenizer, prompt_format, stops, model)
    warn = partial(log.notice, level="warning")
    model = make_trainable(model, method.adapter, seed=plan.spec.seed, warn=warn).to(device.name)
    artifacts.rehearse(run.artifact_path.with_name(".partial-rehearsal"), model, tokenizer, card)
    training = _training(plan, recipe, model, kept, validation, _pad_id(tokenizer), device)
    report = preflight.report(
        examples,
        kept,
        validation=held_out,
        tokenizer=tokenizer,
        recipe=recipe,
        stop_ids=stops,
        template_sha256=card.chat_template_sha256,
        trainable=sum(value.numel() for value in training.parameters.values()),
        parameters=sum(value.numel() for value in model.parameters()),
        memory_bytes=_memory(training),
        device=device.name,
        served_differently=_served_differently(run, template, prompt_format),
    )
    log.preflight(report, message=_headline(report))
    return _Prepared(training=training, card=card, tokenizer=tokenizer)


def _tokenizer(run: RunDirectory, plan: RunPlan) -> tuple[Any, str | None]:
    """The tokenizer, and the hub commit for the rest: that of the first start, wherever a branch points by now."""
    revision = fingerprint.commit_in(recorded_base(run.checkpoints_path)) or plan.revision
    tokenizer = load.load_tokenizer(plan.model, revision=revision)
    if load.local_directory(plan.model) is not None:
        return tokenizer, revision
    return tokenizer, fingerprint.cached_commit(plan.model, revision) or revision


def _load_for_training(plan: RunPlan, revision: str | None, adapter: Adapter, device: Device) -> Any:
    # Weights that are trained stay fp32: bf16 weights swallow small updates.
    dtype = device.frozen_dtype if isinstance(adapter, LoRA) else torch.float32
    return load.load_base(plan.model, revision=revision, dtype=dtype)


def _tokens(
    run: RunDirectory,
    part: Literal["train", "validation"],
    *,
    template: Template,
    prompt_format: str,
    stop: Callable[[], Stop | None],
    limit: Limit,
) -> list[Tokens]:
    found = []
    for row in run.examples(part):
        _raise_if_stopped(stop)
        example = from_dict(row)
        with limit(f"writing row {example.id!r} with the model's chat template"):
            found.append(render.render_example(template, example, prompt_format))
    return found


def _served_differently(run: RunDirectory, template: Template, prompt_format: str) -> list[str]:
    looked_at = (from_dict(row) for row in islice(run.examples("train"), _ROWS_LOOKED_AT))
    return [row.id for row in looked_at if not render.is_served_as_trained(template, row, prompt_format)]


def _facts(model: Any, *, rows: int) -> Facts:
    config = model.config.get_text_config()
    return Facts(
        rows=rows,
        hidden_size=config.hidden_size,
        model_type=config.model_type,
        vocabulary=config.vocab_size,
        max_length=load.model_max_length(model),
    )


def _training(
    plan: RunPlan,
    recipe: Recipe,
    model: Any,
    examples: list[Tokens],
    validation: list[Tokens],
    pad_id: int,
    device: Device,
) -> Training:
    parameters = trainable_parameters(model)
    model.eval()
    selects_rows = head_selects_rows(model)
    longest = max(len(example.ids) for example in (*examples, *validation))
    end_to_end = device.is_cpu and supports_end_to_end(model, longest=longest)
    model.train()
    return Training(
        spec=plan.spec,
        recipe=recipe,
        model=model,
        parameters=parameters,
        optimizer=torch.optim.AdamW(
            parameters.values(), lr=recipe.learning_rate, weight_decay=plan.spec.weight_decay, fused=True
        ),
        loss=partial(sft_loss, selects_rows=selects_rows),
        examples=examples,
        validation=validation,
        pad_id=pad_id,
        end_to_end=end_to_end,
        device=device,
    )


def _card(
    run: RunDirectory,
    plan: RunPlan,
    revision: str | None,
    recipe: Recipe,
    tokenizer: Any,
    prompt_format: render.ResolvedFormat,
    stops: tuple[int, ...],
    model: Any,
) -> artifacts.Card:
    return artifacts.Card(
        kind="adapter" if isinstance(getattr(plan.spec.method, "adapter", None), LoRA) else "full",
        base_model=plan.model,
        revision=revision,
        base_fingerprint=fingerprint.of_base(load.local_directory(plan.model), revision),
        method=plan.spec.method.type,
        prompt_format=prompt_format,
        chat_template_sha256=artifacts.template_sha256(tokenizer),
        stop_token_ids=stops,
        max_length=load.model_max_length(model),
        spec=plan.spec,
        resolved={
            "learning_rate": recipe.learning_rate,
            "batch_size": recipe.batch_size,
            "total_steps": recipe.total_steps,
        },
        run_id=plan.run_id,
        key=plan.key,
        data_sha256=_files.sha256_file(run.path / "data" / "train.jsonl"),
        versions={"tunekit": __version__, **{name: version(name) for name in _LIBRARIES}},
    )


def _identity(card: artifacts.Card, recipe: Recipe) -> str:
    """SHA-256 of everything that decides the weights.

    Versions are left out, so that an upgrade may resume, and so is the prose that says where the recipe comes from.
    """
    facts = card.model_dump(mode="json", exclude={"versions", "run_id", "key"})
    numbers = {name: value for name, value in asdict(recipe).items() if name != "sources"}
    text = json.dumps([facts, numbers], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _resume(training: Training, found: Checkpoint | None, log: EventLog) -> TrainingState:
    if found is None:
        return TrainingState()
    with torch.no_grad():
        for name, parameter in training.parameters.items():
            parameter.copy_(found.trainable[name])
    for name, parameter in training.parameters.items():
        training.optimizer.state[parameter] = {
            key.partition("/")[0]: value.to(parameter.device)
            for key, value in found.optimizer.items()
            if key.partition("/")[2] == name
        }
    # The writer may have been killed between publishing this checkpoint and saying so.
    log.checkpoint(found.state.step, found.name)
    log.notice(f"resumed from the checkpoint of step {found.state.step}", data={"step": found.state.step})
    return found.state


def _save(training: Training, store: CheckpointStore, log: EventLog, state: TrainingState) -> None:
    if state.step == 0:
        return
    # The log goes first: whoever resumes from this checkpoint relies on the events up to it.
    log.sync()
    optimizer = {
        f"{key}/{name}": value
        for name, parameter in training.parameters.items()
        for key, value in training.optimizer.state[parameter].items()
    }
    log.checkpoint(state.step, store.save(state, training.parameters, optimizer))


def _result(state: JobState, progress: TrainingState, *, message: str = "") -> RunResult:
    return RunResult(
        state=state,
        message=message,
        trained_tokens=progress.trained_tokens,
        seconds=round(progress.seconds, 3),
        metrics={**progress.metrics, "steps": progress.step},
    )


def _pad_id(tokenizer: Any) -> int:
    # Never seen by a real token and never a target, so any id serves.
    return int(tokenizer.pad_token_id if tokenizer.pad_token_id is not None else 0)


def _memory(training: Training) -> int:
    config = training.model.config.get_text_config()
    longest = max(len(example.ids) for example in training.examples)
    rows = max(1, min(training.recipe.micro_rows, training.recipe.micro_tokens // longest))
    return preflight.memory_estimate(
        parameter_bytes=sum(value.numel() * value.element_size() for value in training.model.parameters()),
        trainable=sum(value.numel() for value in training.parameters.values()),
        layers=config.num_hidden_layers,
        hidden=config.hidden_size,
        vocabulary=config.vocab_size,
        pass_tokens=rows * longest,
    )


def _headline(report: dict[str, Any]) -> str:
    return (
        f"{report['rows']} rows, {report['tokens']} tokens ({report['target_share']:.0%} with loss), "
        f"{report['steps']} steps, {report['trainable_parameters']} trainable parameters on {report['device']}"
    )
