"""Successive halving: many trials of few epochs, few of many. Knows numbers of trials and epochs; runs none.

Every rung is a job of its own, trained from the base, and not the last rung's continued: a schedule that falls to zero
over one epoch is no part of one that falls over nine, an optimizer that begins anew is none that goes on, and only a
job that its spec describes in full is found again by a search that was killed. A trial that goes all the way costs at
most eta / (eta - 1) of its last rung: half as much again at eta 3. Checkpoints of one long job are no rungs either:
backends do not say which epoch one is of, and a service that has been told to stop gives no money back.

Rungs are taken one after the other (Jamieson and Talwalkar 2016, arXiv 1502.07943), not as results come in (ASHA, Li et
al. 2020, arXiv 1810.05934): who is promoted must not depend on which job was fast, or a second call finds other jobs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import zip_longest

from tunekit.data.arguments import whole
from tunekit.data.wording import brief
from tunekit.errors import SpecError
from tunekit.spec import TuneSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One rung.

    Attributes:
        epochs: How long each of its trials is trained; None leaves it to the spec.
        trials: How many it has at most.
    """

    epochs: float | None
    trials: int


def rungs(spec: TuneSpec, trials: int, eta: int | None) -> tuple[Step, ...]:
    """The rungs of a search, shortest first; the last has the epochs of the spec.

    Raises:
        SpecError: `eta` is below 2, or the epochs leave no room for a shorter rung.

    Examples:
        >>> [(step.epochs, step.trials) for step in rungs(TuneSpec(epochs=9), 9, 3)]
        [(1.0, 9), (3.0, 3), (9.0, 1)]
    """
    if eta is None:
        return (Step(epochs=None, trials=trials),)
    whole("eta", eta, least=2)
    if not isinstance(spec.epochs, float) or spec.epochs < eta:
        raise SpecError(
            f"eta is {eta}, and spec.epochs {brief(spec.epochs)}",
            hint=f"halving begins with one epoch or more: use {eta} epochs or more in the spec, or eta=None",
        )
    lengths = []
    epochs = spec.epochs
    while epochs >= 1:
        lengths.append(epochs)
        epochs /= eta
    # Services take whole epochs, so what is whole in the spec is whole in every rung.
    is_whole = spec.epochs == int(spec.epochs)
    steps = [
        Step(epochs=float(round(length)) if is_whole else length, trials=max(1, trials // eta**times))
        for times, length in enumerate(reversed(lengths))
    ]
    # A rung that lets all of its trials go on decides nothing.
    return tuple(
        step
        for step, following in zip_longest(steps, steps[1:])
        if following is None or step.trials > following.trials
    )


def promoted(scores: Mapping[int, float], n: int, *, higher_is_better: bool) -> list[int]:
    """The `n` best trials by number, in the order of their numbers. Of equals, the first."""
    sign = -1 if higher_is_better else 1
    return sorted(sorted(scores, key=lambda number: (sign * scores[number], number))[:n])
