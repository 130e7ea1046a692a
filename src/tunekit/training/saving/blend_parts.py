"""Whether models can be mixed at all. Knows cards, fingerprints and vocabularies; adds up no weight.

Weights add up to something only where they mean the same: tuned from one base, for the same classes, the same
vocabulary and the same way of writing a prompt.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tunekit import _files
from tunekit.errors import ModelError, UnsupportedError
from tunekit.training.models import fingerprint, load
from tunekit.training.models.model_files import require_directory
from tunekit.training.saving.artifacts import Card, Parent, is_artifact, lineage, read_card
from tunekit.training.saving.card_check import require_as_saved


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A model that goes into a mixture.

    Attributes:
        model: What its user calls it.
        source: Its directory, or a hub id.
        weight: Its share.
        card: What it is, if it is an artifact.
        fingerprint: Of its files; of a hub model its id.
    """

    model: str
    source: str
    weight: float
    card: Card | None
    fingerprint: str

    @property
    def path(self) -> Path:
        """Its directory."""
        return Path(self.source)

    @property
    def is_adapter(self) -> bool:
        """Whether it needs its base to run."""
        return self.card is not None and self.card.kind == "adapter"


def opened(model: str, source: str, weight: float) -> Part:
    """Look at a model: an artifact is held against its card, byte by byte.

    Args:
        model: What its user calls it.
        source: Its directory, or a hub id.
        weight: Its share.

    Raises:
        ModelError: It is damaged.
        UnsupportedError: It has no weights that could be mixed.
    """
    path = Path(source)
    if not path.is_dir():
        return Part(model=model, source=source, weight=weight, card=None, fingerprint=source)
    require_directory(path)
    card = None
    if is_artifact(path):
        card = read_card(path)
        require_as_saved(card, path)
        if card.kind == "probe":
            raise UnsupportedError(
                f"{model!r} is a probe, whose model was never trained", hint="fit a probe on the rows of both"
            )
    with _files.storage_errors(f"cannot read {source!r}"):
        return Part(
            model=model, source=source, weight=weight, card=card, fingerprint=fingerprint.of_model(path)
        )


def card_of(part: Part) -> Card:
    """The card of a part that must be an artifact.

    Raises:
        ModelError: It is none.
    """
    if part.card is None:
        raise ModelError(
            f"{part.model!r} was not tuned by tunekit: nothing says what it was made from",
            hint="give the model that FineTuneJob.result() returned",
        )
    return part.card


def require_siblings(parts: Sequence[Part]) -> None:
    """Look whether artifacts are tuned from one base, and are asked in the same way.

    Raises:
        ModelError: They are not; the message names both, and what differs.
    """
    first = parts[0]
    for other in parts[1:]:
        mine, theirs = _facts(first), _facts(other)
        for name, value in mine.items():
            if theirs[name] != value:
                raise ModelError(
                    f"{first.model!r} and {other.model!r} cannot be mixed: their {name} differs "
                    f"({_brief(value)} and {_brief(theirs[name])})",
                    hint="mix models that were tuned from the same base, for the same classes and with one template",
                )
        if _vocabulary(first) != _vocabulary(other):
            raise ModelError(
                f"{first.model!r} and {other.model!r} cannot be mixed: their tokenizers number tokens differently",
                hint="mix models with the same tokenizer",
            )


def require_base(base: Part, tuned: Part) -> None:
    """Look whether a model is what another one was tuned from, at whatever remove.

    Raises:
        ModelError: It is not, or it names other classes.
    """
    card = card_of(tuned)
    known = {card.base_fingerprint}
    if card.kind == "full":  # an adapter is put on one base, a whole model may have come a long way
        known |= {parent.base_fingerprint for parent in card.parents}
    found = fingerprint.of_weights(base.path) if base.path.is_dir() else ""
    same = found in known if found else base.source == card.base_model
    if not same:
        raise ModelError(
            f"{tuned.model!r} was tuned from {card.base_model!r} ({card.base_fingerprint or 'unknown'}), not from "
            f"{base.model!r} ({found or 'a hub model'})",
            hint="name the model that it was tuned from",
        )


def require_same_head(base: Part, tuned: Part) -> None:
    """Look whether a base names the classes of a tuned model: a head that was not there cannot be mixed.

    Raises:
        ModelError: It does not.
    """
    labels = card_of(tuned).labels
    if not labels:
        return
    names = _names(base)
    if names != labels:
        raise ModelError(
            f"{tuned.model!r} names {len(labels)} classes and {base.model!r} does not name the same ones in the same "
            "order: there is nothing to mix its head with",
            hint="merge siblings, or blend with an earlier model of the same classes",
        )


def parents(parts: Sequence[Part]) -> tuple[Parent, ...]:
    """What a mixture comes from: its parts, and what they go on from, each once."""
    found = [parent for part in parts if part.card for parent in lineage(part.path, part.fingerprint)]
    return tuple(dict.fromkeys(found))


def _facts(part: Part) -> dict[str, Any]:
    card = card_of(part)
    return {
        "kind": card.kind,
        "family": card.family,
        "base": card.base_fingerprint or (card.base_model, card.revision),
        "labels": (card.labels, card.multi_label),
        "prompt format": card.prompt_format,
        "chat template": card.chat_template_sha256,
        "stop tokens": sorted(card.stop_token_ids),
    }


def _vocabulary(part: Part) -> dict[str, int]:
    found: dict[str, int] = load.load_tokenizer(part.path).get_vocab()
    return found


def _names(base: Part) -> tuple[str, ...]:
    if base.card is not None:
        return base.card.labels
    if not base.path.is_dir():
        return ()
    named = json.loads((base.path / "config.json").read_bytes()).get("id2label") or {}
    return tuple(named.get(str(at), "") for at in range(len(named)))


def _brief(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
