"""New models from tuned ones, without training. Knows which weights go together; trains nothing.

| file | what it knows |
|---|---|
| `mixing` | blending, merging and what a mixture consists of; the child process that does it |
| `sweeping` | how far to go from a base to a tuned model, by what a dev set says |
| `souping` | which siblings to average, by what a dev set says |
| `results` | a sweep and a soup as values |
| `table` | both in a terminal |
"""

from __future__ import annotations

from tunekit.retrain.blending.mixing import (
    blend,
    blend_async,
    discard,
    merge_siblings,
    merge_siblings_async,
    mixture_of,
)
from tunekit.retrain.blending.results import Soup, SoupStep, Sweep, SweepPoint
from tunekit.retrain.blending.souping import soup, soup_async
from tunekit.retrain.blending.sweeping import sweep, sweep_async
from tunekit.training.saving.mixture import Ingredient, Mixture

__all__ = [
    "Ingredient",
    "Mixture",
    "Soup",
    "SoupStep",
    "Sweep",
    "SweepPoint",
    "blend",
    "blend_async",
    "discard",
    "merge_siblings",
    "merge_siblings_async",
    "mixture_of",
    "soup",
    "soup_async",
    "sweep",
    "sweep_async",
]
