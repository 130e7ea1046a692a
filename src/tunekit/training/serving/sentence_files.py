"""What sentence-transformers writes beside a model: how its states become one vector. Knows those files; no tensor.

`modules.json` lists what a text goes through, `*_Pooling/config.json` says how states are pooled, and
`config_sentence_transformers.json` what is written before a text.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tunekit.errors import ModelError
from tunekit.training.models import hub
from tunekit.training.models.model_files import loading, local_directory
from tunekit.training.probe.features import Pooling

_POOLINGS: dict[str, Pooling] = {"mean": "mean", "mean_tokens": "mean", "cls": "cls", "cls_token": "cls"}
_POOLINGS |= {"lasttoken": "last"}
_MODULES_NAME = "modules.json"
_KNOWN = ("Transformer", "Pooling", "Normalize")


@dataclass(frozen=True, slots=True, kw_only=True)
class SentenceFiles:
    """What the files say.

    Attributes:
        pooling: How states become one vector; None if they do not say, or say something that is none of ours.
        normalises: Whether vectors are scaled to length 1.
        prompt: What is written before every text.
        foreign: What else a vector goes through, and we do not do.
    """

    pooling: Pooling | None = None
    normalises: bool = False
    prompt: str = ""
    foreign: tuple[str, ...] = ()


def read(source: str | Path, revision: str | None = None) -> SentenceFiles:
    """What the files of a model directory or hub id say; of most models, nothing.

    Raises:
        ModelError: They are there and cannot be read.
    """
    with loading(source, "sentence-transformers files"):
        modules = _json(source, _MODULES_NAME, revision)
        if modules is None:
            return SentenceFiles()
        kinds = {str(module["type"]).rpartition(".")[2]: str(module["path"]) for module in modules}
        foreign = [kind for kind in kinds if kind not in _KNOWN]
        prompt = _prompt(_json(source, "config_sentence_transformers.json", revision) or {})
        pooling = None
        if "Pooling" in kinds:
            config = _json(source, f"{kinds['Pooling']}/config.json", revision) or {}
            wanted = _modes(config)
            pooling = _POOLINGS.get(wanted[0]) if len(wanted) == 1 else None
            foreign += ["+".join(wanted)] if pooling is None else []
            foreign += (
                ["pooling without the prompt"] if prompt and not config.get("include_prompt", True) else []
            )
    return SentenceFiles(
        pooling=pooling, normalises="Normalize" in kinds, prompt=prompt, foreign=tuple(foreign)
    )


def read_tuned(directory: str | Path, base: str, revision: str | None = None) -> SentenceFiles:
    """What the files beside a tuned model say, or where it has none, those of its base.

    Args:
        directory: The tuned model.
        base: Absolute path or hub id of the base.
        revision: Hub revision of the base.

    Raises:
        ModelError: As `read`, or the base, which would have to say it, is not there.
    """
    if (Path(directory) / _MODULES_NAME).is_file():
        return read(directory)
    if Path(base).is_absolute() and not Path(base).is_dir():
        raise ModelError(
            f"how {str(directory)!r} makes vectors is said by the files of its base, and {base!r} is not there",
            hint=f"restore the base, or copy its {_MODULES_NAME} and what that names beside the tuned model",
        )
    return read(base, revision)


def _prompt(config: dict[str, Any]) -> str:
    """The prompt that texts get if nobody names one."""
    name = config.get("default_prompt_name")
    return str(config["prompts"][name]) if name is not None else ""


def _modes(config: dict[str, Any]) -> list[str]:
    """Newer files name the mode, older ones have a switch for each."""
    named = config.get("pooling_mode")
    if named:
        return [named] if isinstance(named, str) else list(named)
    prefix = "pooling_mode_"
    return [
        name.removeprefix(prefix) for name, on in config.items() if name.startswith(prefix) and on is True
    ]


def _json(source: str | Path, name: str, revision: str | None) -> Any:
    """A JSON file of a model, or None if it has no such file."""
    directory = local_directory(source)
    if directory is not None:
        path = (directory / name).resolve()
        if not path.is_relative_to(directory):
            raise ValueError(f"{name[:60]!r} lies outside the model's directory")
        return json.loads(path.read_bytes()) if path.is_file() else None
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError

    try:
        found = hf_hub_download(str(source), name, revision=revision, local_files_only=not hub.is_reachable())
    except EntryNotFoundError:  # also of a model that is cached without it
        return None
    return json.loads(Path(found).read_bytes())
