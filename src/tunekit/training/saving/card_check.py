"""Whether the files of an artifact still say what its card says. Knows the files; loads no weights.

A weight, a template, a stop token or a name of a class that has changed since training makes answers worse, and nothing
else would say so.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tunekit.errors import ModelError
from tunekit.training.models import fingerprint
from tunekit.training.saving.artifacts import Card, template_sha256


def require_as_saved(card: Card, directory: Path, hashes: fingerprint.Hashes | None = None) -> None:
    """Hold every byte of the weight files against the card.

    Costs a second for each 1.5 GB on one core (x86 with SHA instructions, file in memory): nothing to speak of for an
    adapter, ten seconds for a whole model of 8 billion weights in bf16.

    Args:
        card: The artifact's card.
        directory: The artifact.
        hashes: What is known already; it is added to.

    Raises:
        ModelError: A file is missing, changed, or none of those that were saved.
        StorageError: A file cannot be read.
    """
    saved, found = card.weights_sha256, fingerprint.of_weight_files(directory, hashes)
    if found == saved:
        return
    name = min(name for name, _ in found.items() ^ saved.items())
    if name not in found:
        what = "is missing"
    elif name not in saved:
        what = "is none of those that its card lists"
    else:
        what = "has changed since it was saved"
    raise ModelError(
        f"the weight file {name!r} in {str(directory)!r} {what}",
        hint="copy the whole artifact directory again from where it was made, or tune again",
    )


def require_as_trained(card: Card, directory: Path, tokenizer: Any) -> None:
    """Hold template, stop tokens and names of classes against the card.

    Args:
        card: The artifact's card.
        directory: The artifact.
        tokenizer: As it was loaded from there.

    Raises:
        ModelError: They differ.
    """
    if template_sha256(tokenizer) != card.chat_template_sha256:
        raise ModelError(
            f"the chat template in {str(directory)!r} is not the one the model was trained with",
            hint="restore chat_template.jinja; with another template the model answers worse and nothing says so",
        )
    if card.labels:
        _require_classes(card, directory)
    else:
        _require_stops(card, directory)


def _require_stops(card: Card, directory: Path) -> None:
    said = _json(directory / "generation_config.json").get("eos_token_id")
    ids = said if isinstance(said, list) else [] if said is None else [said]
    if sorted(ids) != sorted(card.stop_token_ids):
        raise ModelError(
            f"{str(directory / 'generation_config.json')!r} ends answers at {ids}, the model was trained to end them "
            f"at {list(card.stop_token_ids)}",
            hint="restore the file, or copy the artifact again",
        )


def _require_classes(card: Card, directory: Path) -> None:
    if card.kind != "full":
        return  # the card alone names them
    names = _json(directory / "config.json").get("id2label") or {}
    if [names.get(str(at)) for at in range(len(names))] != list(card.labels):
        raise ModelError(
            f"config.json in {str(directory)!r} names other classes than the model was trained for",
            hint="restore the file, or copy the artifact again",
        )


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise ModelError(f"{str(path)!r} cannot be read: {error}", hint="copy the artifact again") from error
    if not isinstance(found, dict):
        raise ModelError(f"{str(path)!r} is no JSON object", hint="copy the artifact again")
    return found
