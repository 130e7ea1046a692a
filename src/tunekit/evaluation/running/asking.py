"""One model under test, asked all that scorers read. Knows backends, batches and what is kept; not what is right."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from tunekit.backends.base import Backend, GenerateRequest, Generation, PartialError, ScoreRequest
from tunekit.evaluation.grading import Output
from tunekit.evaluation.items import Item
from tunekit.evaluation.running.answer_codec import Answer, Request
from tunekit.evaluation.running.keeping import KeptModel
from tunekit.evaluation.running.pace import Pace
from tunekit.evaluation.running.purse import Purse
from tunekit.evaluation.running.runner import Bounds, Phase, Progress, ProgressCallback, ask_all, tell
from tunekit.evaluation.scorers import ChoiceScorer, Scorer
from tunekit.refs import ModelRef
from tunekit.spec import Sampling

Wanted: TypeAlias = tuple[tuple[str, ...], ...] | None
"""Candidate answers of each item to be weighed; None for a generated answer."""


@dataclass(slots=True, kw_only=True)
class Asking:
    """One model on its backend, and how it may be asked.

    Args:
        ref: The model.
        backend: Who answers for it.
        bounds: Batch size and concurrency.
        kept: What it answered before; None for a model that nobody would know again.
        pace: How fast it may be asked.
        purse: What that may cost; None does not count.
        on_progress: Called after every batch.

    Attributes:
        reused: Answers that were known before.
        reused_s: Seconds that asking for those had taken.
    """

    ref: ModelRef
    backend: Backend
    bounds: Bounds
    kept: KeptModel | None
    pace: Pace
    purse: Purse | None
    on_progress: ProgressCallback | None
    reused: int = field(default=0, init=False)
    reused_s: float = field(default=0.0, init=False)

    async def outputs(
        self, items: Sequence[Item], scorers: Sequence[Scorer], sampling: Sampling
    ) -> dict[str, list[Output]]:
        """What the model says to each item, by scorer. What several scorers read is asked for once.

        Raises:
            BudgetError: The next call could cost more than there is.
            EvaluationError: The first items all failed.
            TunekitError: What the backend raises for all items.
        """
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
            return await self._generated(items, sampling)
        return await self._weighed(items, wanted)

    async def _generated(self, items: Sequence[Item], sampling: Sampling) -> list[Output]:
        requests = [item.generate_request() for item in items]

        async def ask(batch: Sequence[GenerateRequest]) -> Sequence[Answer]:
            return await self.backend.generate(self.ref.id, batch, sampling)

        return await self._each("generate", ask, requests, sampling)

    async def _weighed(self, items: Sequence[Item], candidates: Sequence[tuple[str, ...]]) -> list[Output]:
        requests = [item.score_request(choices) for item, choices in zip(items, candidates, strict=True)]

        async def ask(batch: Sequence[ScoreRequest]) -> Sequence[Answer]:
            return await self.backend.score(self.ref.id, batch)

        return await self._each("score", ask, requests, None)

    async def _each(
        self,
        phase: Phase,
        ask: Callable[[Any], Awaitable[Sequence[Answer]]],
        requests: Sequence[Request],
        sampling: Sampling | None,
    ) -> list[Output]:
        """What is known of these, and of the others what the model says now."""
        keys, known = await self.kept.known(requests, sampling) if self.kept else ([b""] * len(requests), {})
        self.reused += len(known)
        self.reused_s += sum(each.asking_s for each in known.values())
        missing = [position for position, key in enumerate(keys) if key not in known]
        call = _Call(asking=self, ask=ask, sampling=sampling, calls=self._calls_at_once(len(missing)))

        def report(done: int, errors: int) -> None:
            if self.on_progress is not None:
                tell(
                    self.on_progress,
                    self._progress(phase, done, errors, cached=len(known), total=len(requests)),
                )

        if known:
            report(0, 0)
        questions = [(keys[position], requests[position]) for position in missing]
        said = await ask_all(call.answers, questions, bounds=self._bounds, on_progress=report, keep=call.keep)
        fresh = dict(zip(missing, said, strict=True))
        return [
            fresh[position] if position in fresh else known[key].answer for position, key in enumerate(keys)
        ]

    @property
    def _bounds(self) -> Bounds:
        """Requests that the backend answers apart are handed over one by one, as many at a time as in batches."""
        apart = min(self.backend.answers_apart, self.bounds.batch_size)
        return self.bounds.one_by_one(apart) if apart else self.bounds

    def _calls_at_once(self, questions: int) -> int:
        bounds = self._bounds
        return max(1, min(bounds.concurrency, -(-questions // bounds.batch_size)))

    def _progress(self, phase: Phase, done: int, errors: int, *, cached: int, total: int) -> Progress:
        return Progress(
            model=self.ref,
            phase=phase,
            done=cached + done,
            total=total,
            errors=errors,
            cached=cached,
            spent_usd=self.purse.spent_usd if self.purse else None,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Call:
    """One batch after the other, paid for, at the pace that is allowed."""

    asking: Asking
    ask: Callable[[Any], Awaitable[Sequence[Answer]]]
    sampling: Sampling | None
    calls: int

    async def answers(self, batch: Sequence[tuple[bytes, Request]]) -> Sequence[Answer]:
        """What the model says to each, in order. Raises what the backend raises."""
        purse, requests = self.asking.purse, [request for _, request in batch]
        held_usd = await purse.hold(requests, self.sampling) if purse else 0.0
        outcomes: Sequence[object] = ()
        try:
            outcomes = found = await self._in_time(requests)
            return found
        except PartialError as error:
            outcomes = error.outcomes
            raise
        finally:
            if purse:
                purse.pay(held_usd, outcomes)

    def keep(self, batch: Sequence[tuple[bytes, Request]], answers: Sequence[object], seconds: float) -> None:
        """Write down what was answered."""
        if self.asking.kept is not None:
            # Other calls ran beside this one: together they took no longer.
            share_s = seconds / len(batch) / self.calls
            self.asking.kept.keep([key for key, _ in batch], answers, asking_s=share_s)

    async def _in_time(self, requests: Sequence[Request]) -> Sequence[Answer]:
        pace = self.asking.pace
        expected = await pace.admit(len(requests))
        answers = await self.ask(requests)
        pace.used(len(requests), _tokens(answers), expected=expected)
        return answers


def _tokens(answers: Sequence[object]) -> int:
    usages = [answer.usage for answer in answers if isinstance(answer, Generation)]
    return sum(usage.input_tokens + usage.output_tokens for usage in usages)


def _wanted(scorer: Scorer, items: Sequence[Item]) -> Wanted:
    return tuple(scorer.candidates(item) for item in items) if isinstance(scorer, ChoiceScorer) else None
