"""An adapter's directory put on a model that is loaded. Knows PEFT's files; not where the model came from."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tunekit.errors import ModelError
from tunekit.training.models import trust
from tunekit.training.models.model_files import loading, require_directory
from tunekit.training.saving.artifacts import ADAPTER_CONFIG_NAME, ADAPTER_WEIGHTS_NAME
from tunekit.training.texts.template import limited


def attach_adapter(base: Any, directory: Path) -> Any:
    """Wrap a loaded base model with the adapter of a PEFT directory, frozen.

    Raises:
        ModelError: The adapter's weights are missing or do not fit the base.
    """
    return _attached(base, directory).requires_grad_(False)


def attach_trainable(base: Any, directory: Path, *, dropout: float) -> Any:
    """The same to be trained further, with a dropout of its own.

    Raises:
        ModelError: The adapter's weights are missing or do not fit the base.
    """
    from peft import PeftConfig

    require_adapter(base, directory)
    with loading(directory, "adapter"):
        config: Any = PeftConfig.from_pretrained(str(directory))
    config.lora_dropout, config.inference_mode = dropout, False
    return _attached(base, directory, config=config, is_trainable=True)


def add_adapter(model: Any, directory: Path, name: str) -> None:
    """Put another adapter on a PEFT model, frozen and switched off.

    Args:
        model: A PEFT model.
        directory: A PEFT directory.
        name: What PEFT is to call it.

    Raises:
        ModelError: The adapter's weights are missing or do not fit the base. The model is as it was.
    """
    require_adapter(model, directory)
    try:
        with loading(directory, "adapter"), warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            model.load_adapter(str(directory), name, torch_device=str(model.device))
        refuse_half(directory, caught)
    except ModelError:
        if name in model.peft_config:
            model.delete_adapter(name)
        raise
    model.requires_grad_(False).eval()


def _attached(base: Any, directory: Path, **options: Any) -> Any:
    from peft import PeftModel

    require_adapter(base, directory)
    with loading(directory, "adapter"), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = PeftModel.from_pretrained(base, str(directory), **options)
    refuse_half(directory, caught)
    return model


def require_adapter(base: Any, directory: Path) -> None:
    """Raise `ModelError` unless the directory holds a LoRA adapter that is safe to put on a model.

    Patterns that say which modules it is for are somebody else's program, and tried out under the limit of those.
    """
    if not (directory / ADAPTER_WEIGHTS_NAME).is_file():
        raise ModelError(
            f"{str(directory)!r} has no {ADAPTER_WEIGHTS_NAME}", hint="copy the whole artifact directory"
        )
    require_directory(directory)
    config = trust.check_adapter(directory / ADAPTER_CONFIG_NAME)
    with loading(directory, "adapter"), limited("finding the layers of an adapter"):
        for pattern in map(re.compile, trust.patterns_in(config)):
            for name, _ in base.named_modules():
                pattern.fullmatch(name)


def refuse_half(directory: Path, caught: Iterable[warnings.WarningMessage]) -> None:
    """Raise `ModelError` where PEFT has left what is missing at its random start, which it says in a warning."""
    for item in caught:
        if "missing adapter keys" in str(item.message):
            raise ModelError(
                f"the adapter in {str(directory)!r} does not fit its base model: {str(item.message)[:300]}",
                hint="copy the artifact again, and check that its base model is the one it was trained on",
            )
