"""A scripted service whose models learn from rows and spec, for one process or several. Knows no curve, no search."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import tunekit as tk
from tunekit.backends import GenerateRequest, Generation, Snapshot
from tunekit.backends.base import SubmitRequest
from tunekit.data.advice.cost import Price
from tunekit.errors import BackendError
from tunekit.spec import Sampling
from tunekit.testing import ScriptedBackend, tiny_dataset

DEV = tiny_dataset(rows=200, name="dev")

Skill = Callable[[int, tk.TuneSpec], float]
"""Share of dev items that a model answers well, given its rows and its spec. Below 0, its job fails."""


def by_rows(rows: int, spec: tk.TuneSpec) -> float:
    """A power law with a little luck of the seed."""
    luck = int(hashlib.blake2b(f"{rows}:{spec.seed}".encode(), digest_size=2).hexdigest(), 16) / 65536
    return float(0.9 - 2.0 * rows**-0.5 + 0.02 * (luck - 0.5))


class Learner(ScriptedBackend):
    """Jobs cost one dollar for each thousand rows times epochs, and take a second for each.

    Args:
        directory: Where the service lives; what its models know lies there, too.
        skill: What a model knows.
        refuses: Rows times epochs of jobs that the service refuses; 0 is none.
    """

    def __init__(
        self, directory: Path, *, skill: Skill = by_rows, refuses: float = 0, **options: Any
    ) -> None:
        super().__init__(**{"directory": directory / "service", "generate": lambda prompt: "", **options})
        self._known, self._skill, self._refuses = directory / "known", skill, refuses
        self._known.mkdir(parents=True, exist_ok=True)
        self.asked = 0

    async def submit(self, request: SubmitRequest) -> str:
        work = len(request.train) * float(request.spec.epochs)
        if work == self._refuses:
            raise BackendError("no such job is taken here", hint="ask for less", backend=self.name)
        note = self._known / f"{request.idempotency_key}.json"
        skill = self._skill(len(request.train), request.spec)
        note.write_text(json.dumps({"skill": skill, "work": work}))
        return await super().submit(request)

    def price(self, model: str, spec: tk.TuneSpec) -> Price | None:
        return Price(usd_per_million_tokens=1.0, as_of="2026-11-23", source="a test")

    async def snapshot(self, job_id: str) -> Snapshot:
        seen, note = await super().snapshot(job_id), self._note(job_id)
        usage = tk.Usage(trained_tokens=int(1000 * note["work"]), seconds=note["work"])
        if note["skill"] < 0 and seen.state.is_terminal:
            seen = replace(seen, state=tk.JobState.FAILED, model=None)
        return replace(seen, usage=usage)

    async def generate(
        self, model: str, requests: Sequence[GenerateRequest], sampling: Sampling
    ) -> list[Generation]:
        self.asked += len(requests)
        skill = self._note(f"job-{model.rpartition('-')[2]}")["skill"]
        return [Generation(text=_answer(request, skill), finish_reason="stop") for request in requests]

    def _note(self, job_id: str) -> dict[str, float]:
        key = self.keys[int(job_id.rpartition("-")[2]) - 1]
        found: dict[str, float] = json.loads((self._known / f"{key}.json").read_bytes())
        return found


def _answer(request: GenerateRequest, skill: float) -> str:
    """Right for the first items, as many as the skill has room for: some are easier than others for everybody."""
    number = str(request.prompt).split()[-1]
    return number if int(number) < skill * len(DEV) else "?"


def rows(n: int) -> tk.Dataset:
    return tiny_dataset(rows=n, name="train")


def evaluator() -> tk.Evaluator:
    return tk.Evaluator(DEV, batch_size=200)
