"""Which packages a method needs on this machine, and the extras that bring them. Imports none of them."""

from __future__ import annotations

from importlib.util import find_spec

from tunekit.errors import MissingExtraError
from tunekit.spec import Method


def require_for(method: Method | None) -> None:
    """Look whether all that is needed is installed.

    Args:
        method: What is to be trained; None for what every local model needs.

    Raises:
        MissingExtraError: Something is not; the message has the command that installs it.
    """
    for package, extra in _packages(method).items():
        if find_spec(package) is None:
            raise MissingExtraError(package, extra=extra)


def _packages(method: Method | None) -> dict[str, str]:
    needed = dict.fromkeys(("torch", "transformers", "peft"), "local")
    if getattr(method, "type", "") == "probe":
        needed["sklearn"] = "probe"
    if getattr(getattr(method, "adapter", None), "quantization", None):
        needed |= dict.fromkeys(("bitsandbytes", "accelerate"), "qlora")
    return needed
