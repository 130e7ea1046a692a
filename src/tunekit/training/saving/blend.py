"""Models mixed into a new local model: `python -m tunekit.training.saving.blend`, which speaks as `serve` does.

It knows the order: look at the parts, mix, describe, publish. What is published lies where a run's artifact would,
under a name that follows from the ingredients, so mixing twice gives the same model once.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunekit import _canonical, _files
from tunekit.errors import ModelError
from tunekit.spec import LoRA
from tunekit.training.models import fingerprint
from tunekit.training.saving import blend_adapters, blend_weights
from tunekit.training.saving.artifacts import (
    ADAPTER_CONFIG_NAME,
    ADAPTER_WEIGHTS_NAME,
    CARD_NAME,
    README_NAME,
    Card,
)
from tunekit.training.saving.blend_adapters import Adapter
from tunekit.training.saving.blend_parts import (
    Part,
    card_of,
    opened,
    parents,
    require_base,
    require_same_head,
    require_siblings,
)
from tunekit.training.saving.mixture import MIXTURE_NAME, Ingredient, Mixture, facts_of, read_mixture
from tunekit.training.saving.model_card import readme
from tunekit.training.serving import serve

if TYPE_CHECKING:
    import torch

_VERSION = 1
_WRITTEN_ANEW = frozenset(
    {CARD_NAME, README_NAME, ADAPTER_CONFIG_NAME, ADAPTER_WEIGHTS_NAME, MIXTURE_NAME, "export.json"}
)


def blend(base: Mapping[str, str], tuned: Mapping[str, str], alpha: float, runs: str) -> dict[str, Any]:
    """Publish base + alpha (tuned - base).

    Args:
        base: What the tuned model was tuned from, or another model of the same base: `{"model", "source"}`.
        tuned: The tuned model, likewise.
        alpha: How far to go from one to the other, from 0 to 1.
        runs: Directory that holds the run directories.

    Returns:
        `{"run_id", "created"}`.

    Raises:
        ModelError: The two do not belong together, or one is damaged.
        UnsupportedError: What they are cannot be mixed.
        StorageError: The disk said no.
    """
    end, start = opened(**tuned, weight=alpha), opened(**base, weight=1.0 - alpha)
    card_of(end)
    if start.card is not None and _are_siblings(start, end):
        require_siblings([end, start])
        return _published([end, start], None, Path(runs))
    require_base(start, end)
    if end.is_adapter:
        return _published([end], start, Path(runs))
    require_same_head(start, end)
    return _published([end, _downloaded(start, card_of(end))], None, Path(runs))


def merge(parts: Sequence[Mapping[str, str]], shares: Sequence[float], runs: str) -> dict[str, Any]:
    """Publish the weighted mean of models that were tuned from one base (Wortsman et al. 2022, arXiv 2203.05482).

    Args:
        parts: The models: `{"model", "source"}` each.
        shares: Of each; they add up to 1.
        runs: Directory that holds the run directories.

    Returns:
        `{"run_id", "created"}`.

    Raises:
        ModelError: They do not belong together, or one is damaged.
        UnsupportedError: What they are cannot be mixed.
        StorageError: The disk said no.
    """
    found = [opened(**part, weight=share) for part, share in zip(parts, shares, strict=True)]
    require_siblings(found)
    return _published(found, None, Path(runs))


def _are_siblings(start: Part, end: Part) -> bool:
    """Whether both were tuned from one base, rather than one from the other."""
    mine, theirs = card_of(start), card_of(end)
    return mine.kind == theirs.kind and mine.base_fingerprint == theirs.base_fingerprint


def _published(parts: Sequence[Part], base: Part | None, runs: Path) -> dict[str, Any]:
    """Mix and publish; `base` is what adapters lie on, where it has a share of its own."""
    everything = [*parts, *([base] if base else [])]
    told = [[part.fingerprint, part.weight] for part in everything]
    run_id = f"run-{_canonical.fingerprint({'mixture': _VERSION, 'of': told})[:20]}"
    place = runs / run_id
    created = _files.publish_directory(place, lambda directory: _fill(directory, parts, base, run_id))
    if not created:
        read_mixture(place / "artifact")  # what lies there must be what was once made
    return {"run_id": run_id, "created": created}


def _fill(run: Path, parts: Sequence[Part], base: Part | None, run_id: str) -> None:
    directory, leading = run / "artifact", parts[0]
    directory.mkdir(mode=0o700)
    _copy_beside_weights(leading.path, directory)
    changed: dict[str, Any] = {}
    if leading.is_adapter:
        adapter = _mixed_adapter(parts, base)
        blend_adapters.write(directory, adapter)
        changed["spec"] = _spec_of(card_of(leading), adapter)
    else:
        blend_weights.write_mixed(directory, [(part.path, part.weight) for part in parts])
    everything = [*parts, *([base] if base else [])]
    card = card_of(leading).model_copy(
        update={
            **changed,
            "weights_sha256": fingerprint.of_weight_files(directory),
            "fisher_sha256": "",
            "run_id": run_id,
            "key": "",
            "metrics": {},
            "parents": parents(everything),
        }
    )
    (directory / CARD_NAME).write_text(card.model_dump_json(indent=1) + "\n", encoding="utf-8")
    (directory / README_NAME).write_text(readme(card), encoding="utf-8")
    mixture = Mixture(
        run_id=run_id,
        ingredients=tuple(
            Ingredient(model=part.model, fingerprint=part.fingerprint, weight=part.weight)
            for part in everything
        ),
        files=facts_of(directory),
        notes=tuple(_notes(parts)),
    )
    (directory / MIXTURE_NAME).write_text(mixture.model_dump_json(indent=1) + "\n", encoding="utf-8")


def _mixed_adapter(parts: Sequence[Part], base: Part | None) -> Adapter:
    adapters = [(Adapter.read(part.path), part.weight) for part in parts]
    needs_head = base is not None and base.weight > 0.0 and bool(adapters[0][0].heads)
    if base is None or not needs_head:
        return blend_adapters.mixed(adapters)
    require_same_head(base, parts[0])
    with ExitStack() as stack:
        weights = blend_weights.Weights(_downloaded(base, card_of(parts[0])).path, stack)

        def head(name: str) -> torch.Tensor:
            if name not in weights:
                raise ModelError(
                    f"{base.model!r} has no tensor {name!r} to mix that of {parts[0].model!r} with",
                    hint="merge siblings, or blend with an earlier model of the same classes",
                )
            return weights[name]

        return blend_adapters.mixed(adapters, head)


def _spec_of(card: Card, adapter: Adapter) -> Any:
    """The recipe with the adapter that came of it: whoever goes on from it is told that one."""
    method: Any = card.spec.method
    if not isinstance(method.adapter, LoRA):
        return card.spec
    now = {
        "rank": adapter.config["r"],
        "alpha": adapter.config["lora_alpha"],
        "rslora": bool(adapter.config.get("use_rslora")),
        "init": "default",
    }
    changed = method.model_copy(update={"adapter": method.adapter.model_copy(update=now)})
    return card.spec.model_copy(update={"method": changed})


def _notes(parts: Sequence[Part]) -> list[str]:
    dates = {card_of(part).chat_template_date for part in parts if part.card}
    if len(dates) < 2:
        return []
    return [
        f"the chat template writes a date, and the models were tuned with {len(dates)} of them; this one is asked with "
        f"that of {parts[0].model!r}, {card_of(parts[0]).chat_template_date!r}"
    ]


def _copy_beside_weights(source: Path, directory: Path) -> None:
    for item in sorted(source.iterdir()):
        if item.is_file() and item.name not in _WRITTEN_ANEW and item.suffix != ".safetensors":
            shutil.copyfile(item, directory / item.name)
    templates = source / "additional_chat_templates"
    if templates.is_dir():
        shutil.copytree(templates, directory / templates.name)


def _downloaded(base: Part, card: Card) -> Part:
    """The base with its weights at hand: a hub model's from the cache, where training has put them."""
    if base.path.is_dir():
        return base
    from huggingface_hub import snapshot_download

    try:
        found = snapshot_download(base.source, revision=card.revision, local_files_only=True)
    except (OSError, ValueError) as error:
        raise ModelError(
            f"the weights of {base.source!r} at {card.revision!r} are not on this machine: {str(error)[:200]}",
            hint=f"download them first: hf download {base.source}",
        ) from error
    return Part(model=base.model, source=found, weight=base.weight, card=None, fingerprint=base.fingerprint)


_OPERATIONS: dict[str, Callable[..., dict[str, Any]]] = {"blend": blend, "merge": merge}


def _answering(threads: int) -> Callable[..., Any]:
    from tunekit.training.plan.device import configure
    from tunekit.training.run.bounds import rendering_limit
    from tunekit.training.texts import template

    configure(threads)
    template.limit_rendering(rendering_limit)
    return lambda operation, **request: _OPERATIONS[operation](**request)


if __name__ == "__main__":
    serve.main(sys.argv[1:], _answering)
