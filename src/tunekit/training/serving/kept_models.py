"""The models that were asked last, kept loaded. Knows when to let go of one; not what they are asked."""

from __future__ import annotations

import os
from collections import OrderedDict
from typing import Any, TypeAlias

from tunekit.training.models.load import LoadedModel, load
from tunekit.training.plan.device import Device
from tunekit.training.plan.memory import free_bytes
from tunekit.training.probe.probed import ProbedModel
from tunekit.training.serving.embed import Embedder
from tunekit.training.serving.shared_base import BaseKey, SharedBase, base_of

_MOST = 2  # a base and its tuned sibling, which is what a comparison needs
_SPARE = 0.9  # of what is free; the rest is for what nobody counts

_Key: TypeAlias = tuple[str, int, bool]
"""A model, when it was last written, and whether it makes vectors."""


class KeptModels:
    """Loads models, and keeps one or two of them.

    The one asked before goes when a third comes, or before the second is loaded where that would not fit beside it. How
    large a model is shows only once it is loaded, so the next is taken to be as large as the largest that is kept.
    """

    def __init__(self) -> None:
        self._kept: OrderedDict[_Key | BaseKey, LoadedModel | Embedder | SharedBase] = OrderedDict()

    def answering(self, model: str) -> LoadedModel:
        """The model that answers. Adapters of one base share it, and one of them is on. Raises what `load` raises."""
        base = base_of(model)
        if base is not None:
            return self._on_base(base, model)
        found = self._get(model, embeds=False)
        if not isinstance(found, LoadedModel):
            raise AssertionError("its key says that it answers")
        return found

    def embedding(self, model: str) -> Embedder:
        """The same as one that makes vectors: that needs no head, and attention for texts end to end."""
        found = self._get(model, embeds=True)
        if not isinstance(found, Embedder):
            raise AssertionError("its key says that it makes vectors")
        return found

    def _get(self, model: str, *, embeds: bool) -> LoadedModel | Embedder | SharedBase:
        key = (model, _changed_at(model), embeds)
        if key not in self._kept:
            self._make_room()
            self._kept[key] = Embedder.of(load(model, head="none"), model) if embeds else load(model)
        self._kept.move_to_end(key)
        return self._kept[key]

    def _on_base(self, base: BaseKey, model: str) -> LoadedModel:
        kept, changed_at = self._kept.get(base), _changed_at(model)
        if not isinstance(kept, SharedBase) or not (kept.holds(model, changed_at) or kept.takes_more):
            self._kept.pop(base, None)
            self._make_room()
            kept = self._kept[base] = SharedBase(model, changed_at)
        self._kept.move_to_end(base)
        return kept.answering(model, changed_at)

    def _make_room(self) -> None:
        while len(self._kept) >= _MOST or (self._kept and not self._another_fits()):
            self._kept.popitem(last=False)

    def _another_fits(self) -> bool:
        largest = max(self._kept.values(), key=weight_bytes)
        model = _module(largest)
        free = free_bytes(Device(name=str(model.device), frozen_dtype=model.dtype, compute_dtype=None))
        return free is None or weight_bytes(largest) <= _SPARE * free


def weight_bytes(kept: LoadedModel | Embedder | SharedBase) -> int:
    """What a model's weights take."""
    return sum(value.nbytes for value in _module(kept).parameters())


def _module(kept: LoadedModel | Embedder | SharedBase) -> Any:
    model = kept.loaded.model if isinstance(kept, Embedder) else kept.model
    return model.features.model if isinstance(model, ProbedModel) else model


def _changed_at(model: str) -> int:
    """Newest change in a model directory, so that one saved anew under the same path is loaded anew."""
    if not os.path.isdir(model):
        return 0
    return max((entry.stat().st_mtime_ns for entry in os.scandir(model)), default=0)
