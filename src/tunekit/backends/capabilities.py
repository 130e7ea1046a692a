"""What a backend claims to do, and the check of a job against it. Knows no backend.

`preflight` runs before anything is sent or spent. A claim is a check: the conformance kit tests each both ways.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from tunekit.errors import PreflightError

if TYPE_CHECKING:
    from tunekit.data.dataset import Dataset
    from tunekit.spec import TuneSpec

METHOD_KINDS: dict[str, frozenset[str]] = {
    "sft": frozenset({"chat", "completion"}),
    "dpo": frozenset({"preference"}),
    "kto": frozenset({"unpaired"}),
    "rft": frozenset({"prompt"}),
    "classify": frozenset({"labelled"}),
    "probe": frozenset({"labelled"}),
}
"""Which example kinds each method learns from."""


OPTIONAL_FIELDS = ("too_long", "early_stopping", "warm_start", "stay_near", "keep_fisher")
"""Fields of a `TuneSpec` that would change the result without a word where a backend does not know them."""


_WITHOUT_RANGE_TEST = ("rft", "probe")
"""Methods whose loss does not fall as they learn, or that take no steps."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What a backend claims to do.

    Attributes:
        methods: Types of `spec.method` it trains: "sft", "dpo", "kto", "rft", "classify", "probe".
        adapters: Types of adapter: "lora", "full", "last-layers". Hosted services that do not say are {"lora", "full"}.
        chooses_adapter: Whether the service decides how it tunes, so that these types are one and the same job.
        verbs: Optional `Backend` methods it implements, such as {"find", "cancel", "generate", "score"}.
        min_examples: Fewest training examples it accepts.
        max_examples: Most training examples it accepts, or None.
        options: Names it understands in `spec.options`.
        spec_fields: Of the fields in `OPTIONAL_FIELDS`, those that it honours; "range-test" if it does that to choose a
            learning rate; "compile" if it does that when asked; "max_seconds" or "max_usd" if it keeps that part of a
            budget by itself, or cannot break it.
        sunset: Day on which it stops taking jobs, where one is announced.
        source: Where all this is written, and as of when; shown with what is refused.

    Examples:
        >>> Capabilities(methods=frozenset({"sft"})).supports("cancel")
        False
    """

    methods: frozenset[str]
    adapters: frozenset[str] = frozenset({"lora", "full"})
    chooses_adapter: bool = False
    verbs: frozenset[str] = frozenset()
    min_examples: int = 1
    max_examples: int | None = None
    options: frozenset[str] = frozenset()
    spec_fields: frozenset[str] = frozenset()
    sunset: date | None = None
    source: str = ""

    def supports(self, verb: str) -> bool:
        """Whether an optional `Backend` method is implemented."""
        return verb in self.verbs


def preflight(
    spec: TuneSpec,
    train: Dataset,
    validation: Dataset | None,
    capabilities: Capabilities,
    *,
    backend: str,
    today: date,
) -> None:
    """Check that this job fits the backend. Touches no network, and no disk unless something does not fit.

    Args:
        spec: The recipe.
        train: Training data.
        validation: Held-out data for metrics during training, or None.
        capabilities: The backend's claims.
        backend: Its name, for the message.
        today: The date to hold `sunset` against.

    Raises:
        PreflightError: Naming everything that does not fit at once, and what would.
    """
    cannot = tuple(_method_problems(spec, capabilities))
    ended = tuple(_sunset_problems(capabilities, today))
    problems = (
        *cannot,
        *_blind(spec, validation),
        *_data_problems(spec, "training data", train, capabilities.min_examples, capabilities.max_examples),
        *(_data_problems(spec, "validation data", validation, 1, None) if validation is not None else ()),
        *ended,
    )
    if problems:
        hint = _supported(capabilities) + _elsewhere(backend) if cannot or ended else _mended(capabilities)
        raise PreflightError(problems, backend=backend, hint=hint)


def _method_problems(spec: TuneSpec, capabilities: Capabilities) -> Iterable[str]:
    if spec.method.type not in capabilities.methods:
        yield f"method {spec.method.type!r} is not supported"
    adapter = getattr(spec.method, "adapter", None)
    if adapter is not None and adapter.type not in capabilities.adapters:
        yield f"adapter {adapter.type!r} is not supported"
    for name in sorted(set(spec.options) - capabilities.options):
        yield f"option {name!r} is not known"
    for name in OPTIONAL_FIELDS:
        default = type(spec).model_fields[name].default
        if name not in capabilities.spec_fields and getattr(spec, name) != default:
            yield f"{name} is not supported (leave it at {default!r})"
    if spec.compile is True and "compile" not in capabilities.spec_fields:
        yield "compile is not supported (leave it at 'auto')"
    if spec.learning_rate == "range-test":
        if "range-test" not in capabilities.spec_fields:
            yield "learning_rate 'range-test' is not supported (use a number or 'auto')"
        elif spec.method.type in _WITHOUT_RANGE_TEST:
            yield f"learning_rate 'range-test' says nothing about method {spec.method.type!r} (use 'auto')"


def _blind(spec: TuneSpec, validation: Dataset | None) -> Iterable[str]:
    if spec.early_stopping is not None and validation is None:
        yield "early_stopping watches validation data, and there are none; pass validation=, or leave it out"


def _data_problems(
    spec: TuneSpec, what: str, data: Dataset, minimum: int, maximum: int | None
) -> Iterable[str]:
    wrong = wrong_kinds(spec, what, data)
    if wrong:
        yield wrong
    if not data and what == "validation data":
        yield f"{what} has no examples (leave validation out to train without)"
    elif len(data) < minimum:
        yield f"{what} has {len(data)} examples, at least {minimum} are needed"
    if maximum is not None and len(data) > maximum:
        yield f"{what} has {len(data)} examples, at most {maximum} are accepted"


def wrong_kinds(spec: TuneSpec, what: str, data: Dataset) -> str:
    """What is to be said of rows that the method does not learn from; "" where there are none.

    Args:
        spec: The recipe.
        what: What the data are called, such as "training data".
        data: The rows.
    """
    needed = METHOD_KINDS[spec.method.type]
    wrong = data.kinds - needed
    if not wrong:
        return ""
    return (
        f"{what} holds {' and '.join(sorted(wrong))} examples, method {spec.method.type!r} needs "
        f"{' or '.join(sorted(needed))}{_made_fitting(wrong, needed)}"
    )


def _made_fitting(wrong: frozenset[str], needed: frozenset[str]) -> str:
    """How the same rows become what a method learns from, where one word does it."""
    if wrong == {"labelled"} and "completion" in needed:
        return "; data.to_completion() makes them so"
    if wrong == {"completion"} and needed == {"labelled"}:
        return "; Dataset.load(..., kind='labelled') reads the target as a label"
    return ""


def _sunset_problems(capabilities: Capabilities, today: date) -> Iterable[str]:
    if capabilities.sunset is not None and today >= capabilities.sunset:
        yield f"it stopped taking jobs on {capabilities.sunset.isoformat()}"


def _supported(capabilities: Capabilities) -> str:
    if not capabilities.methods:
        return "it trains nothing" + (f" ({capabilities.source})" if capabilities.source else "")
    return (
        f"it supports methods {', '.join(sorted(capabilities.methods))}"
        f" with adapters {', '.join(sorted(capabilities.adapters))}"
        + (f" and options {', '.join(sorted(capabilities.options))}" if capabilities.options else "")
        + (f" ({capabilities.source})" if capabilities.source else "")
    )


def _mended(capabilities: Capabilities) -> str:
    """What to do where the backend would do the job, but not with these data."""
    return "change what is named; nothing was sent or spent" + (
        f" ({capabilities.source})" if capabilities.source else ""
    )


def _elsewhere(backend: str) -> str:
    """Who else is installed. Whether one of them would do it, only importing it could tell, and that runs its code."""
    from tunekit.backends.registry import others

    names = ", ".join(others(backend))
    return f"; other installed backends, which may: {names}" if names else ""
