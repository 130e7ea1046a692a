"""Runs models on a test set and compares them. Knows models, items and scorers; not jobs or how a model was trained."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from tunekit._clock import SystemClock
from tunekit._version import __version__
from tunekit.backends import registry
from tunekit.backends.base import Backend, Generation
from tunekit.errors import EvaluationError, SpecError
from tunekit.evaluation import grading, telling
from tunekit.evaluation.compare import Rule, compare_evaluations
from tunekit.evaluation.grading import Output
from tunekit.evaluation.items import Item, items_of
from tunekit.evaluation.results import Comparison, Evaluation, Provenance
from tunekit.evaluation.runner import Bounds, Failed, Phase, ProgressCallback, ask_all, reporter
from tunekit.evaluation.scorers import (
    AnswerScorer,
    ChoiceScorer,
    ExactMatch,
    ScoreFunction,
    Scorer,
    as_scorer,
)
from tunekit.refs import ModelRef
from tunekit.spec import Sampling

if TYPE_CHECKING:
    from tunekit._settings import Settings
    from tunekit.data.dataset import Dataset

Q = TypeVar("Q")
A = TypeVar("A")


class Evaluator:
    """Asks models the questions of a test set, scores their answers, and says which model is better.

    Every model is asked exactly the same: the prompt of each example with the same sampling. An item that
    cannot be asked or scored is an error of that item, never a wrong answer. One evaluator may be used again,
    from several threads and event loops.

    Args:
        test: Held-out examples. Keep them out of training, and out of every choice that you make on the way.
        scorers: What makes an answer right: `ExactMatch()`, `Accuracy()`, or functions of item and answer text.
        sampling: How answers are drawn; greedy unless told.
        batch_size: Items in one call to the backend.
        concurrency: Calls at the same time, and items that an async scorer sees at the same time.
        level: Confidence level of the intervals.
        margin: Largest difference, either way, that does not matter (0.01 is one point). Above 0, a comparison
            can end with "equivalent".
        min_gain: Gain that "better" must exceed.
        max_error_rate: Share of items that may fail; above it a comparison is "inconclusive".
        settings: Knobs of the host, for the backends; None reads the environment.

    Raises:
        DataError: The test set is empty, or a chat in it has no answer.
        SpecError: Two scorers have one name, or a number is out of range.

    Examples:
        >>> from tunekit.data.dataset import Dataset
        >>> from tunekit.testing import ScriptedBackend
        >>> test = Dataset.from_records([{"prompt": f"{n}", "completion": f"{n}"} for n in range(20)])
        >>> evaluator = Evaluator(test, scorers=[ExactMatch()])
        >>> base = evaluator.run("scripted:a", backend=ScriptedBackend(generate=lambda prompt: prompt[:1]))
        >>> tuned = evaluator.run("scripted:b", backend=ScriptedBackend(generate=lambda prompt: prompt))
        >>> report = evaluator.compare(base, tuned)  # or the names of two models
        >>> report["exact_match"].delta.estimate, report["exact_match"].verdict
        (0.5, 'better')
    """

    def __init__(
        self,
        test: Dataset,
        *,
        scorers: Sequence[Scorer | ScoreFunction] = (ExactMatch(),),
        sampling: Sampling | None = None,
        batch_size: int = 32,
        concurrency: int = 4,
        level: float = 0.95,
        margin: float = 0.0,
        min_gain: float = 0.0,
        max_error_rate: float = 0.05,
        settings: Settings | None = None,
    ) -> None:
        self._items = items_of(test)
        self._scorers = _prepared(scorers, self._items)
        self._bounds = Bounds(batch_size=batch_size, concurrency=concurrency)
        self._rule = Rule(margin=margin, min_gain=min_gain, level=level, max_error_rate=max_error_rate)
        self._sampling = sampling or Sampling()
        self._settings = settings
        self.provenance = Provenance(
            test_fingerprint=test.fingerprint(),
            n_items=len(self._items),
            sampling=self._sampling,
            scorers={scorer.name: scorer.config() for scorer in self._scorers},
        )

    @property
    def items(self) -> tuple[Item, ...]:
        """The questions, as every model is asked them."""
        return self._items

    def run(
        self, model: str, *, backend: Backend | None = None, on_progress: ProgressCallback | None = None
    ) -> Evaluation:
        """Evaluate one model.

        Args:
            model: A `ModelRef` or a target string such as `"local:Qwen/Qwen3-0.6B"`.
            backend: A configured instance to ask, instead of the one that the model's name leads to.
            on_progress: Called after every batch, in the calling thread. What it raises is logged.

        Raises:
            RefError: `model` is not a reference.
            NotFoundError: There is no such backend or model.
            UnsupportedError: The backend cannot generate, or cannot score choices.
            EvaluationError: The first items all failed, or a scorer could score none.
        """
        return telling.run(
            lambda tell: self.run_async(model, backend=backend, on_progress=tell),
            on_progress,
            instead="Evaluator.run_async",
        )

    async def run_async(
        self, model: str, *, backend: Backend | None = None, on_progress: ProgressCallback | None = None
    ) -> Evaluation:
        """Evaluate one model; see `run`. `on_progress` is called on the event loop."""
        ref = ModelRef(model)
        asking = _Asking(
            ref=ref,
            backend=registry.serving(ref.backend, backend, self._settings),
            bounds=self._bounds,
            on_progress=on_progress,
        )
        clock = SystemClock()
        started = clock.monotonic()
        outputs = await self._outputs(asking)
        graded = {
            scorer.name: await grading.grade_all(
                scorer, self._items, outputs[scorer.name], concurrency=self._bounds.concurrency
            )
            for scorer in self._scorers
        }
        answers = next((outputs[each.name] for each in self._scorers if isinstance(each, AnswerScorer)), [])
        usages = [answer.usage for answer in answers if isinstance(answer, Generation)]
        return Evaluation(
            model=ref,
            provenance=self.provenance,
            metrics={name: grading.metric(name, scores, self._rule.level) for name, scores in graded.items()},
            items=grading.item_results(self._items, answers, graded),
            input_tokens=sum(usage.input_tokens for usage in usages),
            output_tokens=sum(usage.output_tokens for usage in usages),
            seconds=clock.monotonic() - started,
            created_at=clock.now(),
            tunekit_version=__version__,
            warnings=tuple(grading.warnings(answers, graded, self._sampling)),
        )

    def compare(
        self,
        a: str | Evaluation,
        b: str | Evaluation,
        *,
        backend: Backend | None = None,
        on_progress: ProgressCallback | None = None,
    ) -> Comparison:
        """Evaluate two models on the same items and compare them, paired. Differences are `b` minus `a`.

        Args:
            a: The model to beat, usually the base; or its stored `Evaluation`.
            b: The candidate, usually the tuned model; or its stored `Evaluation`.
            backend: A configured instance to ask, for the models of its name.
            on_progress: Called after every batch, in the calling thread. What it raises is logged.

        Raises:
            EvaluationError: A stored evaluation comes from another test set, sampling or scorer, or nothing
                could be scored for both.
            TunekitError: What `run` raises.
        """
        return telling.run(
            lambda tell: self.compare_async(a, b, backend=backend, on_progress=tell),
            on_progress,
            instead="Evaluator.compare_async",
        )

    async def compare_async(
        self,
        a: str | Evaluation,
        b: str | Evaluation,
        *,
        backend: Backend | None = None,
        on_progress: ProgressCallback | None = None,
    ) -> Comparison:
        """Compare two models; see `compare`. `on_progress` is called on the event loop."""
        sides = [self._own(side) if isinstance(side, Evaluation) else ModelRef(side) for side in (a, b)]
        chosen = _for_either(backend, sides)
        done = []
        for side in sides:  # one after the other: two models at once may not fit in memory
            if isinstance(side, ModelRef):
                side = await self.run_async(side, backend=chosen(side), on_progress=on_progress)
            done.append(side)
        return compare_evaluations(done[0], done[1], self._rule)

    def _own(self, stored: Evaluation) -> Evaluation:
        """A stored evaluation, refused before anything is spent if it was not made like this evaluator's."""
        differences = self.provenance.differences(stored.provenance)
        if differences:
            raise EvaluationError(
                f"the stored evaluation of {stored.model} was made differently: {'; '.join(differences)}",
                hint="run that model again with this evaluator",
            )
        return stored

    async def _outputs(self, asking: _Asking) -> dict[str, list[Output]]:
        """What the model says to each item, by scorer; text is generated once for all scorers that read it."""
        outputs: dict[str, list[Output]] = {}
        texts: list[Output] = []
        for scorer in self._scorers:
            if isinstance(scorer, ChoiceScorer):
                outputs[scorer.name] = await asking.score(self._items, scorer)
            else:
                texts = texts or await asking.generate(self._items, self._sampling)
                outputs[scorer.name] = texts
        return outputs


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asking:
    """One model on its backend, and how hard it may be asked."""

    ref: ModelRef
    backend: Backend
    bounds: Bounds
    on_progress: ProgressCallback | None

    async def generate(self, items: Sequence[Item], sampling: Sampling) -> list[Output]:
        requests = [item.generate_request() for item in items]
        return [
            *await self._ask(
                "generate", lambda batch: self.backend.generate(self.ref.id, batch, sampling), requests
            )
        ]

    async def score(self, items: Sequence[Item], scorer: ChoiceScorer) -> list[Output]:
        requests = [item.score_request(scorer.candidates(item)) for item in items]
        return [*await self._ask("score", lambda batch: self.backend.score(self.ref.id, batch), requests)]

    async def _ask(
        self, phase: Phase, ask: Callable[[Sequence[Q]], Awaitable[list[A]]], requests: Sequence[Q]
    ) -> list[A | Failed]:
        report = reporter(self.on_progress, model=self.ref, phase=phase, total=len(requests))
        return await ask_all(ask, requests, bounds=self.bounds, on_progress=report)


def _prepared(scorers: Sequence[Scorer | ScoreFunction], items: Sequence[Item]) -> tuple[Scorer, ...]:
    fitted = [
        scorer.prepare(items) if isinstance(scorer, ChoiceScorer) else scorer
        for scorer in map(as_scorer, scorers)
    ]
    names = [scorer.name for scorer in fitted]
    if not names:
        raise SpecError("no scorer", hint="pass scorers=[ExactMatch()]")
    repeated = next((name for name in names if names.count(name) > 1), None)
    if repeated is not None:
        raise SpecError(f"two scorers are named {repeated!r}", hint='give one of them another: name="..."')
    return tuple(fitted)


def _for_either(
    given: Backend | None, sides: Sequence[ModelRef | Evaluation]
) -> Callable[[ModelRef], Backend | None]:
    """Which sides a given backend answers for; it must be at least one."""
    names = {side.backend for side in sides if isinstance(side, ModelRef)}
    if given is not None and given.name not in names:
        raise SpecError(
            f"backend {given.name!r} was given, but neither model is of that name",
            hint=f"models to run are of: {', '.join(sorted(names)) or 'none, both are stored'}",
        )
    return lambda ref: given if given is not None and given.name == ref.backend else None
