"""Which objective trains which method. Knows the classes; nothing of how they work."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tunekit.errors import UnsupportedError
from tunekit.examples import Example
from tunekit.spec import DPO, KTO, SFT, Classify, Method
from tunekit.training.objectives.base import Objective
from tunekit.training.objectives.classify import Classifying
from tunekit.training.objectives.kto import KahnemanTversky
from tunekit.training.objectives.preference import Preferring
from tunekit.training.objectives.sft import Supervised
from tunekit.training.objectives.texts import Texts


def objective_of(method: Method, texts: Texts, examples: Iterable[Example]) -> Objective[Any]:
    """The objective of a method.

    Args:
        method: The method.
        texts: How examples are written.
        examples: All training examples; read only by methods that name classes.

    Raises:
        DataError: The examples have nothing to tell apart.
        UnsupportedError: This trainer has none for it.
    """
    match method:
        case SFT():
            return Supervised(texts)
        case DPO():
            return Preferring(texts, method)
        case KTO():
            return KahnemanTversky(texts, method)
        case Classify():
            return Classifying.of(method, texts, examples)
        case _:
            raise UnsupportedError(f"the local trainer does not do {method.type!r} yet", hint="use SFT()")
