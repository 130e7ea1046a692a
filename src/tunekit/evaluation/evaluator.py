"""Runs models on a test set and compares them. Knows models, items and scorers; not jobs or how a model was trained."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from tunekit._settings import Settings
from tunekit.backends.base import Backend
from tunekit.errors import EvaluationError, SpecError
from tunekit.evaluation.arms.arm import Arm, ArmLike, Side, as_arm
from tunekit.evaluation.arms.lineup import known, lineup
from tunekit.evaluation.arms.results import Arms
from tunekit.evaluation.arms.weighing import PriceOf, weigh
from tunekit.evaluation.compare import Rule, compare_evaluations
from tunekit.evaluation.comparison import Comparison
from tunekit.evaluation.evaluating import Terms, evaluated
from tunekit.evaluation.grouping import Clusters, grouped
from tunekit.evaluation.guarding import Guards
from tunekit.evaluation.items import Item, items_of
from tunekit.evaluation.leakage import Leakage, find_leaks
from tunekit.evaluation.results import Evaluation, Provenance
from tunekit.evaluation.running import telling
from tunekit.evaluation.running.answer_cache import AnswerCache
from tunekit.evaluation.running.pace import Paces
from tunekit.evaluation.running.runner import Bounds, ProgressCallback
from tunekit.evaluation.scorers import (
    ExactMatch,
    ScoreFunction,
    Scorer,
    as_scorer,
)
from tunekit.spec import Sampling

if TYPE_CHECKING:
    from tunekit.data.dataset import Dataset
    from tunekit.examples import Example


logger = logging.getLogger(__name__)


class Evaluator:
    """Asks models the questions of a test set, scores their answers, and says which model is better.

    Every model is asked exactly the same: the prompt of each example with the same sampling, unless an `Arm` says
    how to put it. An item that cannot be asked or scored is an error of that item, never a wrong answer. One
    evaluator may be used again, from several threads and event loops.

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
        slices: Meta columns of the examples, such as `("language",)`: models are compared on each of their values.
        clusters: What items have in common that makes them alike (a user, a passage): a meta column, or a function
            of the example. Intervals and p-values are then those of groups.
        sealed: True, or a name for your line of work: this test is for the last decision. Every look at it is counted
            in the home directory, and evaluations say how many there were.
        cache: Whether an answer that was given before is taken again, so that other scorers cost nothing. None does so
            for models whose weights are fixed; of any other, answers serve only to finish an evaluation that was cut
            off. True does so for every model that has a name, which you then vouch for. False keeps nothing.
        requests_per_minute: Items that a host is asked in a minute; None is no limit.
        tokens_per_minute: Tokens of prompts and answers in a minute; None is no limit. Not exact: see `Pace`.
        max_usd: What one model's answers may cost, judges not counted. Needs a price, as in `Arm(price=...)`.
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
        slices: Sequence[str] = (),
        clusters: Clusters | None = None,
        sealed: bool | str = False,
        cache: bool | None = None,
        requests_per_minute: float | None = None,
        tokens_per_minute: float | None = None,
        max_usd: float | None = None,
        settings: Settings | None = None,
    ) -> None:
        items = grouped(items_of(test), slices=slices, clusters=clusters)
        sampling = sampling or Sampling()
        prepared = _prepared(scorers, items)
        self._rule = Rule(margin=margin, min_gain=min_gain, level=level, max_error_rate=max_error_rate)
        self._settings = settings
        self.provenance = Provenance(
            test_fingerprint=test.fingerprint(),
            n_items=len(items),
            sampling=sampling,
            scorers={scorer.name: scorer.config() for scorer in prepared},
        )
        self._terms = Terms(
            items=items,
            scorers=prepared,
            sampling=sampling,
            bounds=Bounds(
                batch_size=batch_size,
                concurrency=concurrency,
                requests_per_minute=requests_per_minute,
                tokens_per_minute=tokens_per_minute,
                max_usd=max_usd,
            ),
            level=level,
            provenance=self.provenance,
            cache=None if cache is False else _cache(settings, needed=cache is True),
            trusts_names=cache is True,
            paces=Paces(),
        )

        self._guards = Guards(items=items, provenance=self.provenance, sealed=sealed, settings=settings)

    @property
    def is_sealed(self) -> bool:
        """Whether looks at this test are counted: no choice should be made on it."""
        return self._guards.sealed is not False

    @property
    def items(self) -> tuple[Item, ...]:
        """The questions, as the test has them."""
        return self._terms.items

    def run(
        self, model: ArmLike, *, backend: Backend | None = None, on_progress: ProgressCallback | None = None
    ) -> Evaluation:
        """Evaluate one model.

        Args:
            model: A reference such as `"local:Qwen/Qwen3-0.6B"`, a function of the prompt (sync or async), an object
                with a method `generate`, or an `Arm`, which says how a model is asked (`zero_shot`, `few_shot`).
            backend: A configured instance to ask, instead of the one that the model's name leads to.
            on_progress: Called after every batch, in the calling thread. What it raises is logged.

        Raises:
            RefError: `model` is text, but not a reference.
            SpecError: `model` is no model, or cannot be asked these questions.
            NotFoundError: There is no such backend or model.
            UnsupportedError: The backend cannot generate, or cannot score choices.
            BudgetError: The next call could cost more than `max_usd` leaves; what was answered is kept.
            EvaluationError: The first items all failed, or a scorer could score none.
        """
        return telling.run(
            lambda tell: self.run_async(model, backend=backend, on_progress=tell),
            on_progress,
            instead="Evaluator.run_async",
        )

    async def run_async(
        self, model: ArmLike, *, backend: Backend | None = None, on_progress: ProgressCallback | None = None
    ) -> Evaluation:
        """Evaluate one model; see `run`. `on_progress` is called on the event loop."""
        arm = as_arm(model)
        return self._guards.opened([await self._one(arm, backend, on_progress)])[0]

    def compare(
        self,
        a: Side,
        b: Side,
        *,
        backend: Backend | None = None,
        on_progress: ProgressCallback | None = None,
    ) -> Comparison:
        """Evaluate two models on the same items and compare them, paired. Differences are `b` minus `a`.

        Args:
            a: The model to beat, usually the base: what `run` takes, or its stored `Evaluation`.
            b: The candidate, usually the tuned model: likewise.
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
        a: Side,
        b: Side,
        *,
        backend: Backend | None = None,
        on_progress: ProgressCallback | None = None,
    ) -> Comparison:
        """Compare two models; see `compare`. `on_progress` is called on the event loop."""
        first, second = await self._each((a, b), backend, on_progress)
        return await asyncio.to_thread(compare_evaluations, first, second, self._rule)

    def arms(
        self,
        arms: Iterable[Side] = (),
        *,
        base: Side | None = None,
        few: Side | None = None,
        probe: Side | None = None,
        tuned: Side | None = None,
        against: str | None = None,
        by: str | None = None,
        price: PriceOf | None = None,
        backend: Backend | None = None,
        on_progress: ProgressCallback | None = None,
    ) -> Arms:
        """Evaluate several arms on the same items: should this be fine-tuned at all?

        Args:
            arms: What `run` takes, or stored evaluations of this evaluator; before those that are named.
            base: The model as it is, or a `zero_shot`. A bare model is called as its keyword is.
            few: A `few_shot`.
            probe: A probe: it counts as trained.
            tuned: The tuned model: it counts as trained. Say what it cost with `Arm(..., training_usd=...)`.
            against: Name of the arm that the others are compared with. None takes, where some are trained, the best
                of those that are not; else the first.
            by: The scorer that decides; None takes the first.
            price: What a call of a model costs, for arms that say nothing of it; it may answer None.
            backend: A configured instance to ask, for the models of its name.
            on_progress: Called after every batch, in the calling thread. What it raises is logged.

        Raises:
            SpecError: There are fewer than two arms, two of one name, or none that is called as `against` or `by`.
            EvaluationError: A stored evaluation comes from another test set, sampling or scorer.
            TunekitError: What `run` raises.

        Examples:
            >>> from tunekit.data.dataset import Dataset
            >>> test = Dataset.from_records([{"prompt": f"{n}", "completion": f"{n % 4}"} for n in range(100)])
            >>> found = Evaluator(test).arms(base=lambda prompt: "0", tuned=lambda prompt: str(int(prompt) % 4))
            >>> found.answer, found["tuned"].against["exact_match"].delta.estimate
            ('yes', 0.75)
        """
        return telling.run(
            lambda tell: self.arms_async(
                arms,
                base=base,
                few=few,
                probe=probe,
                tuned=tuned,
                against=against,
                by=by,
                price=price,
                backend=backend,
                on_progress=tell,
            ),
            on_progress,
            instead="Evaluator.arms_async",
        )

    async def arms_async(
        self,
        arms: Iterable[Side] = (),
        *,
        base: Side | None = None,
        few: Side | None = None,
        probe: Side | None = None,
        tuned: Side | None = None,
        against: str | None = None,
        by: str | None = None,
        price: PriceOf | None = None,
        backend: Backend | None = None,
        on_progress: ProgressCallback | None = None,
    ) -> Arms:
        """Evaluate several arms; see `arms`. `on_progress` is called on the event loop."""
        untrained, trained = {"base": base, "few": few}, {"probe": probe, "tuned": tuned}
        sides = lineup(arms, untrained=untrained, trained=trained, against=against)
        known("scorer", by, tuple(self.provenance.scorers))
        found = await self._each(sides, backend, on_progress)
        return await asyncio.to_thread(weigh, found, self._rule, against=against, by=by, price=price)

    def check_leakage(self, train: Iterable[Example]) -> Leakage:
        """What of the test is in the data that a model was trained on. Where those lie here, `run` looks by itself.

        Args:
            train: The training data, such as a `Dataset`.
        """
        return find_leaks(self.items, train)

    async def _each(
        self,
        sides: Sequence[Side],
        backend: Backend | None,
        on_progress: ProgressCallback | None,
    ) -> list[Evaluation]:
        """The evaluations, those that are not stored made one after the other: two models may not fit in memory."""
        ready = [self._own(side) if isinstance(side, Evaluation) else as_arm(side) for side in sides]
        arms = [side for side in ready if isinstance(side, Arm)]
        chosen = _for_any(backend, arms)
        done = [
            side if isinstance(side, Evaluation) else await self._one(side, chosen(side), on_progress)
            for side in ready
        ]
        return self._guards.opened(done)

    async def _one(
        self, arm: Arm, backend: Backend | None, on_progress: ProgressCallback | None
    ) -> Evaluation:
        """An evaluation that nobody has seen yet; see `Guards.opened`."""
        serving = arm.backend(backend, self._settings, self.items)
        asked = await evaluated(arm, self._terms, serving, on_progress)
        return await self._guards.checked(asked, arm)

    def _own(self, stored: Evaluation) -> Evaluation:
        """A stored evaluation, refused before anything is spent if it was not made like this evaluator's."""
        differences = self.provenance.differences(stored.provenance)
        if differences:
            raise EvaluationError(
                f"the stored evaluation of {stored.model} was made differently: {'; '.join(differences)}",
                hint="run that model again with this evaluator",
            )
        return stored


def _cache(settings: Settings | None, *, needed: bool) -> AnswerCache | None:
    """Where answers are kept; nowhere, unless that is needed, for a user without a home directory."""
    try:
        return AnswerCache((settings or Settings()).answers)
    except SpecError:
        if needed:
            raise
        logger.warning("answers are not kept: no home directory is known; set TUNEKIT_HOME")
        return None


def _prepared(scorers: Sequence[Scorer | ScoreFunction], items: Sequence[Item]) -> tuple[Scorer, ...]:
    fitted = [as_scorer(scorer).prepare(items) for scorer in scorers]
    names = [scorer.name for scorer in fitted]
    if not names:
        raise SpecError("no scorer", hint="pass scorers=[ExactMatch()]")
    repeated = next((name for name in names if names.count(name) > 1), None)
    if repeated is not None:
        raise SpecError(f"two scorers are named {repeated!r}", hint='give one of them another: name="..."')
    return tuple(fitted)


def _for_any(given: Backend | None, arms: Sequence[Arm]) -> Callable[[Arm], Backend | None]:
    """Which arms a given backend answers for; it must be at least one."""
    names = {arm.ref.backend for arm in arms}
    if given is not None and given.name not in names:
        raise SpecError(
            f"backend {given.name!r} was given, but no model to run is of that name",
            hint=f"models to run are of: {', '.join(sorted(names)) or 'none, all are stored'}",
        )
    return lambda arm: given if given is not None and given.name == arm.ref.backend else None
