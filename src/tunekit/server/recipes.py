"""OpenAI's job requests as recipes of ours. Knows both dialects; not which model, and starts nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import Field, JsonValue, PositiveInt

from tunekit import graders
from tunekit.backends.capabilities import Capabilities
from tunekit.errors import TunekitError
from tunekit.server.limits import Limits
from tunekit.server.problems import invalid, unsupported
from tunekit.server.reading import Body
from tunekit.server.service import Served
from tunekit.spec import DPO, RFT, SFT, Method, TuneSpec

Auto: TypeAlias = Literal["auto"]
Number: TypeAlias = Annotated[int, Field(gt=0)] | Annotated[float, Field(gt=0, allow_inf_nan=False)]
Id: TypeAlias = Annotated[str, Field(min_length=1, max_length=1024)]

MAX_PAIRS, MAX_KEY, MAX_VALUE = 16, 64, 512
"""Of the metadata of a job."""

_MULTIPLIER = "learning_rate_multiplier"
_MOST_INTEGRATIONS = 16

Metadata: TypeAlias = Annotated[
    dict[Annotated[str, Field(max_length=MAX_KEY)], Annotated[str, Field(max_length=MAX_VALUE)]],
    Field(max_length=MAX_PAIRS),
]


class Hyperparameters(Body):
    """Of a supervised job, and of any other besides its own."""

    n_epochs: Annotated[int, Field(ge=1, le=50)] | Auto = "auto"
    batch_size: Annotated[int, Field(ge=1, le=256)] | Auto = "auto"
    learning_rate_multiplier: Number | Auto = "auto"


class DPOHyperparameters(Hyperparameters):
    """Of a dpo job."""

    beta: Annotated[Number, Field(le=2)] | Auto = "auto"


class ReinforcementHyperparameters(Hyperparameters):
    """Of a reinforcement job."""

    reasoning_effort: Literal["default", "low", "medium", "high"] = "default"
    compute_multiplier: Number | Auto = "auto"
    eval_interval: PositiveInt | Auto = "auto"
    eval_samples: PositiveInt | Auto = "auto"


class Supervised(Body):
    """The child of a method of type "supervised"."""

    hyperparameters: Hyperparameters = Hyperparameters()


class Preference(Body):
    """The child of a method of type "dpo"."""

    hyperparameters: DPOHyperparameters = DPOHyperparameters()


class Reinforcement(Body):
    """The child of a method of type "reinforcement"."""

    grader: dict[str, JsonValue]
    hyperparameters: ReinforcementHyperparameters = ReinforcementHyperparameters()
    response_format: dict[str, JsonValue] | None = None


class MethodBody(Body):
    """How the model learns."""

    type: Literal["supervised", "dpo", "reinforcement"]
    supervised: Supervised | None = None
    dpo: Preference | None = None
    reinforcement: Reinforcement | None = None


class CreateJob(Body):
    """The body of POST /fine_tuning/jobs."""

    model: Id
    training_file: Id
    validation_file: Id | None = None
    suffix: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    seed: Annotated[int, Field(ge=0, lt=2**31)] | None = None
    method: MethodBody | None = None
    hyperparameters: Hyperparameters | None = None
    metadata: Metadata | None = None
    integrations: Annotated[list[dict[str, JsonValue]], Field(max_length=_MOST_INTEGRATIONS)] | None = None


def require_sense(body: CreateJob, served: Served, capabilities: Capabilities, limits: Limits) -> None:
    """Refuse what is wrong, or not done here, before any file is read.

    Args:
        body: The request.
        served: The base model.
        capabilities: Of its backend.
        limits: Of the server.

    Raises:
        HTTPException: Naming the parameter.
    """
    method = body.method
    if body.integrations:
        raise unsupported("integrations", "Integrations are set up by the host of this server, not by a job.")
    if method is not None and body.hyperparameters is not None:
        raise invalid(
            "Give 'hyperparameters' within 'method', or alone, but not both.", param="hyperparameters"
        )
    if method is not None:
        _require_own_child(method)
    kind = {"supervised": "sft", "dpo": "dpo", "reinforcement": "rft"}[
        method.type if method else "supervised"
    ]
    if kind not in capabilities.methods:
        raise unsupported("method.type", f"Models of this server are not trained by {kind!r}.")
    if not (body.suffix or "").isprintable():
        # It becomes a part of the model's name: what is invisible, or turns text around, has no place there.
        raise invalid("Invalid value for 'suffix': it has characters that cannot be seen.", param="suffix")
    _require_rate(body, served, capabilities)
    if method is not None and method.reinforcement is not None:
        _require_reinforcement(body, method.reinforcement, limits)


def require_grader(
    grader: Mapping[str, Any], limits: Limits, *, param: str, judge: graders.Judge | None = None
) -> graders.Grader:
    """A grader that may run here.

    Raises:
        HTTPException: It is not valid, needs what is not here, or is of a type that this server does not run.
    """
    if not limits.python_graders and "python" in _types(grader):
        raise unsupported(param, "This server does not run python graders.")
    require_grader_characters(characters_of(grader), limits, param=param)
    try:
        return graders.parse(grader, judge=judge)
    except TunekitError as error:
        raise invalid(f"{error.message} ({error.hint})", param=param, code=error.code) from None


def require_grader_characters(count: int, limits: Limits, *, param: str | None = None) -> None:
    """Refuse a grader that would read so many characters.

    Raises:
        HTTPException: They are too many.
    """
    if count > limits.grader_characters:
        raise invalid(
            f"The grader would read more than {limits.grader_characters} characters.",
            param=param,
            code="grader_too_large",
        )


def characters_of(value: Any) -> int:
    """Of all texts in a value; the source of a python grader is run, and not read as a text."""
    if isinstance(value, str):
        return len(value)
    if isinstance(value, Mapping):
        return sum(len(name) + characters_of(item) for name, item in value.items() if name != "source")
    return sum(map(characters_of, value)) if isinstance(value, (list, tuple)) else 1


def spec_of(body: CreateJob, served: Served, *, warm_start: str | None, seed: int) -> TuneSpec:
    """The recipe of a request, over that of the host.

    Args:
        body: The request; `require_sense` has passed it.
        served: The base model.
        warm_start: The tuned model to go on from, if that is what was named.
        seed: Where the request has none.
    """
    given = hyperparameters(body)
    changes: dict[str, Any] = {
        "method": _method(body, served.spec.method),
        "seed": body.seed if body.seed is not None else seed,
        "name": body.suffix or "",
        "warm_start": warm_start,
    }
    if given.n_epochs != "auto":
        changes["epochs"] = float(given.n_epochs)
    if given.batch_size != "auto":
        changes["batch_size"] = given.batch_size
    changes |= _rate(served.spec, given.learning_rate_multiplier)
    if isinstance(given, ReinforcementHyperparameters) and given.eval_interval != "auto":
        changes["evaluate_every_steps"] = given.eval_interval
    return served.spec.model_copy(update=changes)


def _rate(host: TuneSpec, multiplier: float | Auto) -> dict[str, Any]:
    """The host's rate times the multiplier, or an option where the rate is not known yet."""
    # 1 is what every backend does by itself, also one that knows no multiplier.
    if multiplier in ("auto", 1):
        return {}
    if isinstance(host.learning_rate, float):
        return {"learning_rate": host.learning_rate * float(multiplier)}
    return {"options": {**host.options, _MULTIPLIER: multiplier}}


def hyperparameters(body: CreateJob) -> Hyperparameters:
    """Those of the request, wherever it has them."""
    child = _child(body.method) if body.method is not None else None
    return child.hyperparameters if child is not None else body.hyperparameters or Hyperparameters()


def shown_method(body: CreateJob, used: Mapping[str, int]) -> dict[str, Any]:
    """The method on the wire, complete, whatever of it was left out.

    Args:
        body: The request.
        used: What the run has chosen where the request says "auto", as far as it is known.
    """
    kind = body.method.type if body.method is not None else "supervised"
    child = _child(body.method) if body.method is not None else None
    shown = child.model_dump(exclude_none=True) if child is not None else {}
    given = hyperparameters(body).model_dump()
    shown["hyperparameters"] = {
        name: used.get(name, value) if value == "auto" else value for name, value in given.items()
    }
    return {"type": kind, kind: shown}


def _child(method: MethodBody) -> Supervised | Preference | Reinforcement | None:
    child: Supervised | Preference | Reinforcement | None = getattr(method, method.type)
    if child is None:
        return Preference() if method.type == "dpo" else None
    return child


def _require_own_child(method: MethodBody) -> None:
    for name in ("supervised", "dpo", "reinforcement"):
        if name != method.type and getattr(method, name) is not None:
            raise invalid(f"'method.{name}' stands beside type {method.type!r}.", param=f"method.{name}")
    if method.type == "reinforcement" and method.reinforcement is None:
        raise invalid(
            "Missing required parameter: 'method.reinforcement'.",
            param="method.reinforcement",
            code="missing_required_parameter",
        )


def _require_rate(body: CreateJob, served: Served, capabilities: Capabilities) -> None:
    """Refuse a multiplier of nothing: the host names no rate, and the backend multiplies none."""
    if "options" in _rate(served.spec, hyperparameters(body).learning_rate_multiplier) and (
        served.spec.learning_rate != "auto" or _MULTIPLIER not in capabilities.options
    ):
        where = f"method.{body.method.type}.hyperparameters" if body.method else "hyperparameters"
        raise unsupported(
            f"{where}.{_MULTIPLIER}", "This model has no rate to be multiplied; leave it at 'auto' or 1."
        )


def _require_reinforcement(body: CreateJob, given: Reinforcement, limits: Limits) -> None:
    at = "method.reinforcement"
    # Whether there is a judge is the backend's business; here nobody is asked.
    require_grader(given.grader, limits, param=f"{at}.grader", judge=lambda request: graders.JudgeReply())
    if given.response_format is not None:
        raise unsupported(f"{at}.response_format", "Answers are not bound to a format here.")
    if body.validation_file is None:
        raise invalid("A reinforcement job needs a validation file.", param="validation_file")
    for name, default in (
        ("reasoning_effort", "default"),
        ("compute_multiplier", "auto"),
        ("eval_samples", "auto"),
    ):
        if getattr(given.hyperparameters, name) != default:
            param = f"{at}.hyperparameters.{name}"
            raise unsupported(param, f"'{name}' means nothing here; leave it at {default!r}.")


def _method(body: CreateJob, host: Method) -> Method:
    """The method of the request, with the host's own settings where that is of the same type."""
    kind = body.method.type if body.method is not None else "supervised"
    given = hyperparameters(body)
    adapter = {"adapter": host.adapter} if isinstance(host, (SFT, DPO, RFT)) else {}
    if kind == "dpo":
        dpo = host if isinstance(host, DPO) else DPO.model_validate(adapter)
        beta = given.beta if isinstance(given, DPOHyperparameters) else "auto"
        return dpo if beta == "auto" else dpo.model_copy(update={"beta": float(beta)})
    if kind == "reinforcement" and body.method is not None and body.method.reinforcement is not None:
        grader = body.method.reinforcement.grader
        rft = host if isinstance(host, RFT) else RFT.model_validate({**adapter, "grader": grader})
        return rft.model_copy(update={"grader": grader})
    return host if isinstance(host, SFT) else SFT.model_validate(adapter)


def _types(grader: Any) -> set[str]:
    """The types of all graders in one, however deep."""
    return set(_each_type(grader))


def _each_type(value: Any) -> Iterator[str]:
    # Bodies are of bounded depth, so recursion ends.
    if isinstance(value, Mapping):
        if isinstance(value.get("type"), str):
            yield value["type"]
        for item in value.values():
            yield from _each_type(item)
    elif isinstance(value, list):
        for item in value:
            yield from _each_type(item)
