"""How vLLM serves an artifact. Knows its options, from its documentation; runs nothing."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

from tunekit.training.saving.artifacts import ADAPTER_CONFIG_NAME, Card

_RANKS = (8, 16, 32, 64, 128, 256, 320, 512)
"""What `--max-lora-rank` may be."""


def takes_adapter(artifact: Path) -> bool:
    """Whether vLLM serves this adapter beside its base: LoRA or rsLoRA of one rank, and nothing trained besides."""
    config = _config(artifact)
    special = (
        "use_dora",
        "modules_to_save",
        "rank_pattern",
        "alpha_pattern",
        "target_parameters",
        "fan_in_fan_out",
    )
    head = any(str(name).rpartition(".")[2] == "lm_head" for name in config["target_modules"])
    return not any(config.get(name) for name in special) and not head and config["r"] <= _RANKS[-1]


def adapter_command(card: Card, directory: Path, place: Path) -> str:
    """Serve the base and the adapter, under the name of its directory.

    Args:
        card: The artifact's card.
        directory: Where the files are now.
        place: Where they will be.
    """
    rank = next(rank for rank in _RANKS if rank >= _config(directory)["r"])
    words = ["vllm", "serve", card.base_model, "--enable-lora", "--max-lora-rank", str(rank)]
    words += ["--lora-modules", f"{place.name}={place}"]
    words += ["--revision", card.revision] if card.revision else []
    # Tokens that end an answer, and the template that it was trained with: the base may have others.
    words += ["--generation-config", str(place)]
    words += ["--chat-template", str(place / "chat_template.jinja")] if card.chat_template_sha256 else []
    return shlex.join(words)


def model_command(place: Path) -> str:
    """Serve a whole model."""
    return shlex.join(["vllm", "serve", str(place), "--served-model-name", place.name])


def _config(directory: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((directory / ADAPTER_CONFIG_NAME).read_text(encoding="utf-8"))
    return found
