"""Whether a model on disk has a chat template, by its small JSON files. Knows no tokenizer and loads no model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

_TEMPLATE_FILES = ("chat_template.jinja", "chat_template.json")
_CONFIG_FILE = "tokenizer_config.json"


def prompt_format_of(model: str) -> tuple[Literal["chat", "text"], str]:
    """How data for this model are written, and how that is known.

    Args:
        model: A directory or a hub id; "" for no particular model.
    """
    if not model:
        return (
            "chat",
            "no model was named; a chat template is assumed, and the target 'base' is for models without one",
        )
    directory = Path(model).expanduser()
    if not directory.is_dir():
        return "chat", (
            "the model is not a directory here, so whether it has a chat template cannot be known before it is loaded;"
            " one is assumed, and the target 'base' is for models without one"
        )
    if has_chat_template(directory):
        return "chat", "the model's tokenizer has a chat template"
    return "text", "the model's tokenizer has no chat template, so it continues plain text"


def has_chat_template(directory: Path) -> bool:
    """Whether the tokenizer of a model directory has a chat template, as transformers stores it."""
    if (
        any((directory / name).is_file() for name in _TEMPLATE_FILES)
        or (directory / "chat_templates").is_dir()
    ):
        return True
    try:
        config = json.loads((directory / _CONFIG_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return False  # no tokenizer settings that can be read, so none that name a template
    return isinstance(config, dict) and bool(config.get("chat_template"))
