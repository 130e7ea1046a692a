"""One model under test, asked all that the scorers read. Knows backends and batches; not what an answer is worth."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

from tunekit.backends.base import Backend
from tunekit.evaluation.grading import Output
from tunekit.evaluation.items import Item
from tunekit.evaluation.runner import Bounds, Failed, Phase, ProgressCallback, ask_all, reporter
from tunekit.evaluation.scorers import ChoiceScorer, Scorer
from tunekit.refs import ModelRef
from tunekit.spec import Sampling

Q = TypeVar("Q")
A = TypeVar("A")
Wanted: TypeAlias = tuple[tuple[str, ...], ...] | None
"""Candidate answers of each item to be weighed; None for a generated answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """One model on its backend, and how hard it may be asked.

    Attributes:
        ref: The model.
        backend: Who answers for it.
        bounds: Batch size and concurrency.
        on_progress: Called after every batch.
    """

    ref: ModelRef
    backend: Backend
    bounds: Bounds
    on_progress: ProgressCallback | None

    async def outputs(
        self, items: Sequence[Item], scorers: Sequence[Scorer], sampling: Sampling
    ) -> dict[str, list[Output]]:
        """What the model says to each item, by scorer. What several scorers read is asked for once."""
        asked: dict[Wanted, list[Output]] = {}
        outputs: dict[str, list[Output]] = {}
        for scorer in scorers:
            wanted = _wanted(scorer, items)
            if wanted not in asked:
                asked[wanted] = await self._answers(items, wanted, sampling)
            outputs[scorer.name] = asked[wanted]
        return outputs

    async def _answers(self, items: Sequence[Item], wanted: Wanted, sampling: Sampling) -> list[Output]:
        if wanted is None:
            return await self.generate(items, sampling)
        return await self.score(items, wanted)

    async def generate(self, items: Sequence[Item], sampling: Sampling) -> list[Output]:
        """What the model answers to each item."""
        requests = [item.generate_request() for item in items]
        return [
            *await self._ask(
                "generate", lambda batch: self.backend.generate(self.ref.id, batch, sampling), requests
            )
        ]

    async def score(self, items: Sequence[Item], candidates: Sequence[tuple[str, ...]]) -> list[Output]:
        """How the model weighs the candidate answers of each item."""
        requests = [item.score_request(choices) for item, choices in zip(items, candidates, strict=True)]
        return [*await self._ask("score", lambda batch: self.backend.score(self.ref.id, batch), requests)]

    async def _ask(
        self, phase: Phase, ask: Callable[[Sequence[Q]], Awaitable[list[A]]], requests: Sequence[Q]
    ) -> list[A | Failed]:
        report = reporter(self.on_progress, model=self.ref, phase=phase, total=len(requests))
        return await ask_all(ask, requests, bounds=self.bounds, on_progress=report)


def _wanted(scorer: Scorer, items: Sequence[Item]) -> Wanted:
    return tuple(scorer.candidates(item) for item in items) if isinstance(scorer, ChoiceScorer) else None
