"""Which objective trains which method. Knows the classes; nothing of how they work."""

from __future__ import annotations

from typing import Any

from tunekit.errors import UnsupportedError
from tunekit.spec import SFT, Method
from tunekit.training.objectives.base import Objective
from tunekit.training.objectives.sft import Supervised
from tunekit.training.objectives.texts import Texts


def objective_of(method: Method, texts: Texts) -> Objective[Any]:
    """The objective of a method.

    Raises:
        UnsupportedError: This trainer has none for it.
    """
    match method:
        case SFT():
            return Supervised(texts)
        case _:
            raise UnsupportedError(f"the local trainer does not do {method.type!r} yet", hint="use SFT()")
