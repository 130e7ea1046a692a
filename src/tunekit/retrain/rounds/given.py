"""What a caller hands to a retrainer, looked at before anything is done. Knows types and ranges; not what they mean."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, cast

from tunekit.data import arguments
from tunekit.data.dataset import Dataset
from tunekit.data.wording import brief
from tunekit.errors import SpecError
from tunekit.evaluation.evaluator import Evaluator
from tunekit.retrain.gate.rules import Gate
from tunekit.retrain.rounds.promoting import Stage
from tunekit.spec import Budget, TuneSpec

if TYPE_CHECKING:
    from tunekit.retrain.rounds.terms import Terms
    from tunekit.retrain.rounds.triggers import Trigger

_TEST = "Evaluator(test)"


def check(terms: Terms) -> None:
    """Raise for a part of the terms that is of another type, or out of range.

    Raises:
        SpecError: It is named.
    """
    arguments.instance("evaluator", terms.evaluator, Evaluator, such_as=_TEST)
    for name, each in terms.tasks.items():
        arguments.instance(f"tasks[{name!r}]", each, Evaluator, such_as=_TEST)
    arguments.instance("gate", terms.gate, Gate, such_as='Gate(primary="exact_match")')
    arguments.instance("spec", terms.spec, TuneSpec, such_as="TuneSpec(epochs=2)")
    arguments.instance("budget", terms.budget, Budget, such_as="Budget(max_usd=20)")
    if terms.validation is not None:
        rows("validation", terms.validation)
    ends: object = terms.base_ends
    if ends is not None and (not isinstance(ends, date) or isinstance(ends, datetime)):
        raise SpecError(f"base_ends is {brief(ends)}", hint="pass a day, such as date(2027, 6, 1)")
    arguments.instance("code_version", terms.code_version, str, such_as='a text, such as "3f2a1c"')
    if arguments.finite("poll_s", terms.poll_s) <= 0.0:
        raise SpecError(f"poll_s is {terms.poll_s!r}", hint="use more than 0 seconds")


def rows(name: str, data: object) -> Dataset:
    """Rows as a data set.

    Raises:
        SpecError: They are none.
    """
    return arguments.instance(name, data, Dataset, such_as="Dataset.load(path) or Dataset.from_records(rows)")


def tasks(value: Mapping[str, Evaluator] | None) -> dict[str, Evaluator]:
    """Tests by the names of their tasks."""
    return dict(arguments.mapping("tasks", value or {}, such_as='{"returns": Evaluator(test)}'))


def stages(value: Sequence[Stage]) -> tuple[Stage, ...]:
    """The stages of a rollout, each once.

    Raises:
        SpecError: One is no stage, or is there twice.
    """
    known: tuple[Stage, ...] = ("shadow", "canary")
    found = tuple(
        arguments.one_of("rollout", each, known)
        for each in arguments.sequence("rollout", value, of="stages, such as ('shadow', 'canary')")
    )
    if len(set(found)) < len(found):
        raise SpecError(f"rollout is {brief(found)}", hint="name each stage once")
    return found


def triggers(value: Iterable[Trigger]) -> tuple[Trigger, ...]:
    """Triggers, each of which can say why it is time.

    Raises:
        SpecError: One is none, or a single one was given.
    """
    found: tuple[Any, ...] = (
        () if _is_trigger(value) else arguments.sequence("triggers", value, of="triggers")
    )
    if _is_trigger(value) or not all(map(_is_trigger, found)):
        raise SpecError(
            f"triggers is {brief(value)}", hint="pass a list of triggers, such as [Every(days=7)]"
        )
    return cast("tuple[Trigger, ...]", found)


def _is_trigger(value: object) -> bool:
    return callable(getattr(value, "reason", None))
