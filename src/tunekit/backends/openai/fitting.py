"""Whether a job fits a host, before a byte is sent. Knows what each host takes; not how it is said there.

Beyond `capabilities.preflight`: what a host would ignore is refused here, because nobody would be told.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import date
from typing import Any

from tunekit.adapters import LoRA
from tunekit.backends.base import SubmitRequest
from tunekit.backends.openai.hosts import Host, options_of
from tunekit.backends.openai.translate import RUN_KEY, base_of
from tunekit.backends.openai.wire import is_number
from tunekit.data.profiles.profile import base_model
from tunekit.data.wording import brief, listed, shown
from tunekit.errors import PreflightError
from tunekit.spec import DPO, RFT, TuneSpec

MAX_SEED = 2**31 - 1
MAX_EPOCHS = 50
MAX_BATCH_SIZE = 256
MAX_TAGS = 15  # of the 16, one is ours
MAX_INTEGRATIONS = 5

_LOCAL_FIELDS = (
    "schedule",
    "warmup_ratio",
    "weight_decay",
    "max_gradient_norm",
    "max_length",
    "micro_batch_size",
    "checkpoint_every_steps",
    "evaluate_every_steps",
    "gradient_checkpointing",
)
"""Fields of a spec that say how a trainer of ours works; a host that has no word for one would ignore it."""


def check(request: SubmitRequest, host: Host, *, backend: str, today: date) -> None:
    """Hold a job against what is known of its host.

    Raises:
        PreflightError: Naming everything that does not fit at once.
    """
    problems = tuple(_problems(request, host, today))
    if problems:
        raise PreflightError(problems, backend=backend, hint=host.dated)


def _problems(request: SubmitRequest, host: Host, today: date) -> Iterator[str]:
    spec = request.spec
    yield from _of_model(request, host, today)
    yield from _of_numbers(spec, host)
    yield from _ignored_fields(spec, host)
    yield from _of_adapter(spec, host)
    if isinstance(spec.method, DPO):
        yield from _of_dpo(spec.method)
    if isinstance(spec.method, RFT):
        yield from _of_rft(request, spec.method, host)
    yield from _of_options(spec, host)


def _of_model(request: SubmitRequest, host: Host, today: date) -> Iterator[str]:
    model, method = base_of(request), request.spec.method.type
    facts = host.model(model)
    if facts.methods is not None and method not in facts.methods:
        yield f"{brief(model)} is not trained with {method!r} there, but with {listed(sorted(facts.methods))}"
    if facts.training_ends and today >= date.fromisoformat(facts.training_ends):
        yield f"{brief(model)} has not been trainable there since {facts.training_ends}"
    if request.spec.warm_start and model.startswith("ft:"):
        base = base_model(model)
        if base_model(request.model) != base:
            yield f"warm_start was tuned from {brief(base)}, and the base is {brief(request.model)}"


def _of_numbers(spec: TuneSpec, host: Host) -> Iterator[str]:
    own = host.hyperparameters_in == "method"  # else nobody says that OpenAI's limits hold
    if spec.epochs != "auto":
        if spec.epochs != int(spec.epochs):
            yield f"epochs is {spec.epochs}, and hosts train whole ones"
        elif own and spec.epochs > MAX_EPOCHS:
            yield f"epochs is {spec.epochs:g}, more than {MAX_EPOCHS}"
    if own and spec.batch_size != "auto" and spec.batch_size > MAX_BATCH_SIZE:
        yield f"batch_size is {spec.batch_size}, more than {MAX_BATCH_SIZE}"
    if host.seed and spec.seed > MAX_SEED:
        yield f"seed is {spec.seed}, more than {MAX_SEED}"
    if spec.name and not host.suffix_max_chars:
        yield "name would be ignored there, which takes no suffix (leave it empty)"
    elif len(spec.name) > host.suffix_max_chars:
        yield f"name has {len(spec.name)} characters, more than {host.suffix_max_chars}"
    if host.learning_rate == "multiplier" and isinstance(spec.learning_rate, float):
        yield (
            f"learning_rate is {spec.learning_rate}, an absolute rate, and this host takes none"
            " (leave it at 'auto', or set options={'learning_rate_multiplier': ...})"
        )


def _ignored_fields(spec: TuneSpec, host: Host) -> Iterator[str]:
    known = {*host.spec_fields, *(("evaluate_every_steps",) if spec.method.type == "rft" else ())}
    for name in _LOCAL_FIELDS:
        default = type(spec).model_fields[name].default
        if name not in known and getattr(spec, name) != default:
            yield f"{name} would be ignored there (leave it at {default!r})"
    if getattr(spec.method, "prompt_format", "auto") == "text":
        yield "prompt_format 'text' would be ignored there (leave it at 'auto')"


def _of_adapter(spec: TuneSpec, host: Host) -> Iterator[str]:
    adapter = getattr(spec.method, "adapter", None)
    if not isinstance(adapter, LoRA):
        return
    for name, field in type(adapter).model_fields.items():
        if name not in host.lora_fields and getattr(adapter, name) != field.default:
            yield f"adapter.{name} would be ignored there (leave it at {field.default!r})"


def _of_dpo(method: DPO) -> Iterator[str]:
    if method.beta > 2:
        yield f"beta is {method.beta}, more than 2"
    yield from _beside_defaults(method, ("loss", "label_smoothing", "margin"))


def _of_rft(request: SubmitRequest, method: RFT, host: Host) -> Iterator[str]:
    yield from _beside_defaults(method, ("group_size", "max_tokens", "temperature", "kl_weight"))
    kind = method.grader.get("type")
    if host.graders is not None and kind not in host.graders:
        yield f"a grader of type {brief(kind)} is not taken there, but {listed(sorted(host.graders))}"
    if host.rft_needs_validation and request.validation is None:
        yield "reinforcement fine-tuning needs validation data there"
    if "eval_interval" in request.spec.options and request.spec.evaluate_every_steps != "auto":
        yield "evaluate_every_steps and options['eval_interval'] say the same thing twice"


def _beside_defaults(method: Any, names: tuple[str, ...]) -> Iterator[str]:
    for name in names:
        default = type(method).model_fields[name].default
        if getattr(method, name) != default:
            yield f"method.{name} would be ignored there (leave it at {default!r})"


# --- options ------------------------------------------------------------------------------------------


def _of_options(spec: TuneSpec, host: Host) -> Iterator[str]:
    taken = options_of(host, spec.method.type)
    for name in sorted(options_of(host) & set(spec.options)):
        if name not in taken:
            yield f"option {name!r} says nothing of method {spec.method.type!r}"
        elif (trouble := _CHECKS[name](spec.options[name])) is not None:
            yield f"option {name!r} is {trouble}"
    for name, methods in host.hyperparameters.items():
        if name in spec.options and spec.method.type not in methods:
            yield f"option {name!r} says nothing of method {spec.method.type!r}"
    for name, field in host.fields.items():
        value = spec.options.get(name)
        if value is None and field.required:
            yield f"option {name!r} is missing: {field.required} (one of {listed(field.values)})"
        elif value is not None and field.values and value not in field.values:
            yield f"option {name!r} is {brief(value)}, not one of {listed(field.values)}"


def _multiplier(value: Any) -> str | None:
    return None if value == "auto" or (is_number(value) and value > 0) else f"{brief(value)}, not more than 0"


def _compute(value: Any) -> str | None:
    fits = value == "auto" or (is_number(value) and 1e-5 < value <= 10)
    return None if fits else f"{brief(value)}, not more than 0.00001 and at most 10"


def _whole(value: Any) -> str | None:
    fits = value == "auto" or (isinstance(value, int) and not isinstance(value, bool) and value >= 1)
    return None if fits else f"{brief(value)}, not a whole number from 1"


def _effort(value: Any) -> str | None:
    known = ("default", "low", "medium", "high")
    return None if value in known else f"{brief(value)}, not one of {listed(known)}"


def _object(value: Any) -> str | None:
    return None if isinstance(value, dict) and value else f"{shown(value)}, not a filled object"


def _integrations(value: Any) -> str | None:
    if not isinstance(value, list) or not all(isinstance(item, dict) and item.get("type") for item in value):
        return f"{shown(value)}, not a list of objects with a type"
    return None if len(value) <= MAX_INTEGRATIONS else f"{len(value)} of them, more than {MAX_INTEGRATIONS}"


def _metadata(value: Any) -> str | None:
    if not isinstance(value, dict):
        return f"{shown(value)}, not an object of texts"
    if RUN_KEY in value:
        return f"using the name {RUN_KEY!r}, which is tunekit's own"
    if len(value) > MAX_TAGS:
        return f"{len(value)} pairs, more than {MAX_TAGS}"
    long = [
        name for name, tag in value.items() if len(name) > 64 or not isinstance(tag, str) or len(tag) > 512
    ]
    return (
        f"wrong at {brief(long[0])}: names have up to 64 characters, values are texts of up to 512"
        if long
        else None
    )


_CHECKS: Mapping[str, Callable[[Any], str | None]] = {
    "learning_rate_multiplier": _multiplier,
    "compute_multiplier": _compute,
    "eval_interval": _whole,
    "eval_samples": _whole,
    "reasoning_effort": _effort,
    "response_format": _object,
    "integrations": _integrations,
    "metadata": _metadata,
}
"""What is wrong with the value of an option, or None."""
