"""What a run goes on from: a base, or an earlier artifact. Knows cards and fingerprints; loads no weights.

An adapter is trained further on the same base; a whole model becomes the base of the next run. The optimizer starts
anew either way: what it remembers belongs to other data.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tunekit.backends.local import models
from tunekit.data.wording import brief
from tunekit.errors import ModelError, SpecError
from tunekit.refs import ModelRef
from tunekit.spec import LoRA, TuneSpec
from tunekit.training.anchoring.asked import require_possible
from tunekit.training.models import fingerprint
from tunekit.training.saving.artifacts import ADAPTER_CONFIG_NAME, Card, is_artifact, read_card
from tunekit.training.saving.card_check import require_as_saved


@dataclass(frozen=True, slots=True, kw_only=True)
class Beginning:
    """What a run begins with.

    Attributes:
        model: The base: absolute path of its directory, or a hub id.
        revision: Hub revision of the base.
        artifact: Absolute path of the artifact that it goes on from, or "".
        artifact_fingerprint: `fingerprint.of_model` of that.
        spec: The recipe, with the adapter that the artifact has in place of what was left open.
    """

    model: str
    revision: str | None
    spec: TuneSpec
    artifact: str = ""
    artifact_fingerprint: str = ""


def beginning_of(
    target: str, spec: TuneSpec, *, revision: str | None, runs: Path, hashes: fingerprint.Hashes
) -> Beginning:
    """Resolve a target and the artifact that a spec goes on from.

    Args:
        target: The part of the target after `local:`.
        spec: The recipe.
        revision: Hub revision that was asked for.
        runs: Directory that holds the run directories.
        hashes: Of files that were read before; it is added to.

    Raises:
        NotFoundError: A run that does not exist or has no model (yet).
        ModelError: The target is no model that can be trained, or not the one that the artifact was made from; a weight
            file of the artifact has changed since it was saved.
        SpecError: The artifact is one of another backend, or the spec asks for another adapter than it has.
    """
    base = models.resolve(target, runs)
    if models.is_adapter(base):
        raise ModelError(
            f"{target!r} is an adapter, not a base model",
            hint=f"train from its base model and give the adapter as TuneSpec(warm_start='local:{target}')",
        )
    if spec.warm_start is None:
        begun = Path(base) if is_artifact(Path(base)) else None
        return _from(base, revision, begun, spec, hashes)
    artifact = _artifact(ModelRef(spec.warm_start), runs)
    card = read_card(artifact)
    if card.kind == "full":
        if Path(base) != artifact:
            known = {card.base_fingerprint, *(parent.base_fingerprint for parent in card.parents)}
            _require_same_base(base, revision, card, known)
        return _from(str(artifact), None, artifact, spec, hashes)
    revision = revision or card.revision
    _require_same_base(base, revision, card, {card.base_fingerprint})
    return _from(base, revision, artifact, _with_adapter_of(artifact, card, spec), hashes)


def _from(
    model: str, revision: str | None, artifact: Path | None, spec: TuneSpec, hashes: fingerprint.Hashes
) -> Beginning:
    require_possible(spec, artifact)
    if artifact is None:
        return Beginning(model=model, revision=revision, spec=spec)
    require_as_saved(read_card(artifact), artifact, hashes)
    return Beginning(
        model=model,
        revision=revision,
        spec=spec,
        artifact=str(artifact),
        artifact_fingerprint=models.identify(str(artifact), hashes),
    )


def _artifact(reference: ModelRef, runs: Path) -> Path:
    if reference.backend != "local":
        raise SpecError(
            f"warm_start is {brief(reference)}, a model of another backend",
            hint="give a local run or a directory: 'local:run-...' or 'local:./artifact'",
        )
    found = Path(models.resolve(reference.id, runs))
    if not is_artifact(found):
        raise ModelError(
            f"warm_start is {brief(reference)}, which tunekit has not trained",
            hint="give it as the target where it is a whole model; an adapter of another tool cannot be gone on from",
        )
    return found


def _require_same_base(base: str, revision: str | None, card: Card, known: set[str]) -> None:
    # What a revision of a hub model stands for is known once it was loaded; the trainer compares commits then.
    directory = Path(base)
    found = fingerprint.of_base(directory, None) if directory.is_dir() else ""
    same = found in known if found else base == card.base_model and revision in (None, card.revision)
    if not same:
        raise ModelError(
            f"warm_start was tuned from {card.base_model!r} ({card.base_fingerprint or 'unknown'}), "
            f"the target is {base!r} ({found or revision or 'any revision'})",
            hint="name the model that it was tuned from as the target",
        )


def _with_adapter_of(artifact: Path, card: Card, spec: TuneSpec) -> TuneSpec:
    """What the artifact has is kept; a spec may leave it open (at its defaults) or say the same.

    The rules for the rate, the card and the report look at the spec, so it names the adapter that is trained.
    """
    adapter = getattr(spec.method, "adapter", None)
    if not isinstance(adapter, LoRA):
        raise SpecError(
            "warm_start is an adapter, and the method trains other weights",
            hint="use LoRA(), or merge it first (tunekit export --format merged) and go on from the merged model",
        )
    if (spec.method.type == "classify") != bool(card.labels):
        raise SpecError(
            f"warm_start was trained with method {card.method!r}, whose head is not that of {spec.method.type!r}",
            hint="go on with a method of the same kind: one that writes text, or Classify()",
        )
    had = _described(artifact)
    for name, value in had.items():
        asked = getattr(adapter, name)
        asked = frozenset(asked) if isinstance(asked, tuple) else asked
        if asked not in (LoRA.model_fields[name].default, "auto", value):
            raise SpecError(
                f"adapter.{name} is {brief(getattr(adapter, name))}, and that of warm_start is {brief(_plain(value))}",
                hint="leave the adapter at LoRA(): it is that of the artifact",
            )
    known = {name: had[name] for name in ("rank", "alpha", "dora", "rslora")}
    method = spec.method.model_copy(update={"adapter": adapter.model_copy(update=known)})
    return spec.model_copy(update={"method": method})


def _described(artifact: Path) -> dict[str, Any]:
    """What an adapter is, in the words of `LoRA`."""
    try:
        config = json.loads((artifact / ADAPTER_CONFIG_NAME).read_bytes())
        targets = config["target_modules"]
        return {
            "rank": config["r"],
            "alpha": config["lora_alpha"],
            "target_modules": targets if isinstance(targets, str) else frozenset(targets),
            "dora": config["use_dora"],
            "rslora": config["use_rslora"],
            "init": "default",
        }
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(
            f"{str(artifact / ADAPTER_CONFIG_NAME)!r} is damaged: {error}", hint="copy the artifact again"
        ) from error


def _plain(value: Any) -> Any:
    return sorted(value) if isinstance(value, frozenset) else value
