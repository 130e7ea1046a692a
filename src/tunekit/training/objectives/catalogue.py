"""Which objective trains which method. Knows the classes; nothing of how they work."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from tunekit.errors import UnsupportedError
from tunekit.examples import Example
from tunekit.spec import DPO, KTO, RFT, SFT, Classify, Method
from tunekit.training.models.classes import Classes
from tunekit.training.objectives.base import Objective
from tunekit.training.objectives.classify import Classifying
from tunekit.training.objectives.kto import KahnemanTversky
from tunekit.training.objectives.preference import Preferring
from tunekit.training.objectives.reinforcement import Reinforcing
from tunekit.training.objectives.sft import Supervised
from tunekit.training.objectives.texts import Texts


def objective_of(
    method: Method,
    texts: Texts,
    examples: Iterable[Example],
    warn: Callable[[str], object],
    *,
    earlier: Classes | None = None,
    keeps: bool = False,
) -> Objective[Any]:
    """The objective of a method.

    Args:
        method: The method.
        texts: How examples are written.
        examples: All training examples; read only by methods that name classes, or try out a grader.
        warn: Told what a method leaves out as it goes on.
        earlier: What the head names that training begins with, if it has one.
        keeps: Whether it goes on naming what no example has.

    Raises:
        DataError: The examples have nothing to tell apart.
        SpecError: A grader is wrong.
        UnsupportedError: This trainer has none for it.
    """
    match method:
        case SFT():
            return Supervised(texts)
        case DPO():
            return Preferring(texts, method)
        case KTO():
            return KahnemanTversky(texts, method)
        case RFT():
            return Reinforcing.of(method, texts, examples, warn)
        case Classify():
            return Classifying.of(method, texts, examples, earlier, keeps=keeps)
        case _:
            raise UnsupportedError(f"the local trainer does not do {method.type!r} yet", hint="use SFT()")
