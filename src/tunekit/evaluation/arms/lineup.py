"""Who is compared with whom: arms as they were passed, with their names. Knows keywords; evaluates nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from tunekit.data.wording import brief, listed, nearest
from tunekit.errors import SpecError
from tunekit.evaluation.arms.arm import Arm, Side, as_arm
from tunekit.evaluation.arms.record import record_of
from tunekit.evaluation.results import Evaluation


def lineup(
    arms: Iterable[Side],
    *,
    untrained: Mapping[str, Side | None],
    trained: Mapping[str, Side | None],
    against: str | None = None,
) -> list[Arm | Evaluation]:
    """All of them in order, those passed by keyword last; a bare model there is called as the keyword is.

    Raises:
        SpecError: There are fewer than two, two of one name, none called `against`, or one is no model.
    """
    sides = [
        *map(_side, arms),
        *(_called(name, side) for name, side in untrained.items() if side is not None),
        *(_trained(_called(name, side)) for name, side in trained.items() if side is not None),
    ]
    names = [_name(side) for side in sides]
    check_names(names)
    known("arm", against, names)
    return sides


def check_names(names: list[str]) -> None:
    """Refuse what cannot be compared by name.

    Raises:
        SpecError: There are fewer than two, or two are the same.
    """
    if len(names) < 2:
        raise SpecError(
            f"there is nothing to compare: {len(names)} of two arms or more",
            hint="pass arms=[...] or base=, tuned=",
        )
    repeated = next((name for name in names if names.count(name) > 1), None)
    if repeated is not None:
        raise SpecError(
            f"two arms are named {repeated!r}", hint='give one of them another: Arm(model=..., name="...")'
        )


def known(what: str, name: str | None, names: Sequence[str]) -> str:
    """This name, if there is one of it; the first for None.

    Raises:
        SpecError: There is none.
    """
    if name is None:
        return names[0]
    if name not in names:
        raise SpecError(
            f"there is no {what} {brief(name)}", hint=nearest(name, names) or f"there are: {listed(names)}"
        )
    return name


def _side(side: Side) -> Arm | Evaluation:
    return side if isinstance(side, Evaluation) else as_arm(side)


def _called(name: str, side: Side) -> Arm | Evaluation:
    return side if isinstance(side, Arm | Evaluation) else Arm(model=side, name=name)


def _trained(side: Arm | Evaluation) -> Arm | Evaluation:
    if isinstance(side, Arm):
        return replace(side, trained=True)
    return side.model_copy(update={"arm": record_of(side).model_copy(update={"trained": True})})


def _name(side: Arm | Evaluation) -> str:
    return side.name if isinstance(side, Arm) else record_of(side).name
