"""Which runs there are and what makes two of them the same. Knows specs and hashes; starts nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from itertools import product
from pathlib import Path
from statistics import fmean
from typing import Any

from quality.arms import BARE
from quality.tasks import Task
from tunekit.examples import to_dict
from tunekit.spec import SFT, LoRA, Probe, TuneSpec
from tunekit.training.plan import recipe

ARMS = ("default", "peer", "sweep")
SEEDS = (0, 1, 2)
RUN_VERSION = 1
"""Part of every key. Count it up when the code that trains or scores changes what comes out."""

Results = Mapping[str, dict[str, Any]]
"""What runs gave, by key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One training and its scores, as it is asked for.

    Attributes:
        task: Its name.
        arm: "default", "peer" or "sweep".
        spec: What tunekit is asked for, without the seed; None for a peer.
        seed: Of the training.
        rows: Rows of each part at most; 0 takes all.
        facts: Hash of what else decides it: the rows, the base, and the rules where they choose.
    """

    task: str
    arm: str
    spec: dict[str, Any] | None
    seed: int
    rows: int
    facts: str

    @property
    def request(self) -> dict[str, Any]:
        """What the process that runs it is told; JSON-ready."""
        named = ("task", "arm", "spec", "seed", "rows", "facts")
        return {name: getattr(self, name) for name in named}

    @property
    def key(self) -> str:
        """Equal runs have equal keys."""
        return _digest({**self.request, "version": RUN_VERSION})


def grid(task: Task) -> list[TuneSpec]:
    """12 settings as somebody would try them. They are absolute, so they stay when the defaults move."""
    if task.method == "probe":
        return [
            TuneSpec(method=Probe(layer=layer, regularisation=(strength,)))
            for layer, strength in product((-1, -2, -3), (0.001, 0.01, 0.1, 1.0))
        ]
    if task.method == "classify":
        return [
            BARE["classify"].model_copy(update={"learning_rate": rate, "batch_size": size})
            for size, rate in product((8, 4, 16), (2e-4, 5e-4, 1e-3, 1e-4))
        ]
    return [
        TuneSpec(method=SFT(adapter=LoRA(rank=rank)), learning_rate=rate, batch_size=size)
        for size, rate, rank in product((4, 16), (1e-3, 3e-3, 1e-2), (8, 64))
    ]


class Plan:
    """The runs of one task.

    Args:
        task: The task.
        rows: Rows of each part at most; 0 takes all.
    """

    def __init__(self, task: Task, rows: int) -> None:
        parts = task.parts()
        self._task, self._rows = task, rows
        self._data = _digest(
            [[to_dict(row) for row in part] for part in (parts.train, parts.dev, parts.test)]
        )
        rules = Path(recipe.__file__).read_text(encoding="utf-8")
        self._rules = _digest([rules, BARE[task.method].model_dump(mode="json")])
        self._grid = grid(task)[: 2 if rows else None]

    def of(self, arm: str, results: Results) -> Iterator[Run]:
        """The runs of an arm. Of the sweep all settings, and once these are there the best with the other seeds."""
        if arm != "sweep":
            spec = BARE[self._task.method] if arm == "default" else None
            yield from (self._run(arm, spec, seed) for seed in SEEDS)
            return
        yield from (self._run(arm, spec, SEEDS[0]) for spec in self._grid)
        best = self._best(results)
        if best is not None:
            yield from (self._run(arm, best, seed) for seed in SEEDS[1:])

    def seeds(self, arm: str, results: Results) -> list[dict[str, Any]]:
        """Results of the default, the peer, or the sweep's best with all seeds; empty while one is missing."""
        spec = {"default": BARE[self._task.method], "peer": None, "sweep": self._best(results)}[arm]
        if arm == "sweep" and spec is None:
            return []
        keys = [self._run(arm, spec, seed).key for seed in SEEDS]
        return [results[key] for key in keys] if all(key in results for key in keys) else []

    def _best(self, results: Results) -> TuneSpec | None:
        """What the dev rows say is best of the settings with the first seed; None before all were run."""
        runs = [self._run("sweep", spec, SEEDS[0]).key for spec in self._grid]
        if not all(key in results for key in runs):
            return None
        return max(zip(self._grid, runs, strict=True), key=lambda one: fmean(results[one[1]]["dev"]))[0]

    def _run(self, arm: str, spec: TuneSpec | None, seed: int) -> Run:
        facts = _digest([self._data, self._task.base, self._rules if arm == "default" else ""])
        body = spec.model_dump(mode="json", exclude={"seed"}) if spec else None
        return Run(task=self._task.name, arm=arm, spec=body, seed=seed, rows=self._rows, facts=facts)


def _digest(value: Any) -> str:
    return blake2b(json.dumps(value, sort_keys=True).encode(), digest_size=10).hexdigest()
