"""Adapters of one base on one loaded model. Knows which of them is on; not when the base is let go of.

The base is most of a tuned model's memory and of the time it takes to load. An adapter that is not on is passed by, so
each answers to the bit as if it were alone.
"""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path
from typing import Any, TypeAlias

from tunekit.training.models.load import LoadedModel, load, load_beside
from tunekit.training.saving.artifacts import is_artifact, read_card

_MOST_ADAPTERS = 8

BaseKey: TypeAlias = tuple[str, str | None, str]
"""Where the base is, its revision and its fingerprint."""


def base_of(model: str) -> BaseKey | None:
    """Which base an adapter can share with others; None for what is no adapter of ours, or brings a head of its own.

    Raises:
        ModelError: The artifact's card is damaged.
    """
    if not is_artifact(Path(model)):
        return None
    card = read_card(Path(model))
    if card.kind != "adapter" or card.labels or not card.base_fingerprint:
        return None
    return card.base_model, card.revision, card.base_fingerprint


class SharedBase:
    """A base with the adapters that were asked last.

    Args:
        model: Directory of the first of them.
        changed_at: When it was last written.
    """

    def __init__(self, model: str, changed_at: int) -> None:
        first = load(model)
        self.model: Any = first.model
        self._adapters: OrderedDict[tuple[str, int], tuple[str, LoadedModel]] = OrderedDict()
        self._adapters[model, changed_at] = ("default", first)
        self._named = 0

    @property
    def takes_more(self) -> bool:
        """Whether another adapter can be put on. Fused experts, which are no layers, hold one at a time."""
        from peft.tuners.lora.layer import ParamWrapper

        return not any(isinstance(part, ParamWrapper) for part in self.model.modules())

    def holds(self, model: str, changed_at: int) -> bool:
        """Whether this adapter is loaded, as it is on the disk."""
        return (model, changed_at) in self._adapters

    def answering(self, model: str, changed_at: int) -> LoadedModel:
        """The adapter, switched on, and loaded where it is not. Raises what `load` raises."""
        key = (model, changed_at)
        if key not in self._adapters:
            self._add(key)
        self._adapters.move_to_end(key)
        name, loaded = self._adapters[key]
        self.model.set_adapter(name, inference_mode=True)
        return loaded

    def _add(self, key: tuple[str, int]) -> None:
        other = next(iter(self._adapters.values()))[1]
        self._named += 1
        name = f"adapter-{self._named}"
        self._adapters[key] = (name, load_beside(other, Path(key[0]), name))
        if len(self._adapters) > _MOST_ADAPTERS:
            _, (oldest, _) = self._adapters.popitem(last=False)
            self.model.delete_adapter(oldest)
