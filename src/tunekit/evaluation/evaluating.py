"""One arm on a whole test: asked, scored, written down. Knows items, scorers and arms; compares nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tunekit._clock import SystemClock
from tunekit._version import __version__
from tunekit.backends.base import Backend, Generation
from tunekit.evaluation import grading
from tunekit.evaluation.arms.arm import Arm
from tunekit.evaluation.arms.draws import averaged, spread
from tunekit.evaluation.grading import Graded, Output
from tunekit.evaluation.items import Item
from tunekit.evaluation.measuring import value_of
from tunekit.evaluation.results import Evaluation, Provenance
from tunekit.evaluation.running.answer_cache import AnswerCache
from tunekit.evaluation.running.asking import Asking
from tunekit.evaluation.running.keeping import Keeping
from tunekit.evaluation.running.pace import Paces
from tunekit.evaluation.running.runner import Bounds, ProgressCallback
from tunekit.evaluation.scorers import AnswerScorer, Scorer
from tunekit.spec import Sampling


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What is the same for every arm.

    Attributes:
        items: The questions, as the test has them.
        scorers: What reads the answers.
        sampling: How answers are drawn.
        bounds: How hard a backend is asked.
        level: Confidence level of the intervals.
        provenance: All that must be equal before two evaluations may be compared.
        cache: Where answers are kept; None keeps none.
        trusts_names: Whether a model's name is believed to stand for the same weights for ever.
        paces: How fast each backend may be asked, by all evaluations of this evaluator.
    """

    items: tuple[Item, ...]
    scorers: tuple[Scorer, ...]
    sampling: Sampling
    bounds: Bounds
    level: float
    provenance: Provenance
    cache: AnswerCache | None
    trusts_names: bool
    paces: Paces


async def evaluated(
    arm: Arm, terms: Terms, backend: Backend, on_progress: ProgressCallback | None
) -> Evaluation:
    """What the arm answers, and what that is worth.

    Raises:
        SpecError: The items cannot be put as the arm wants; nothing was asked then.
        BudgetError: The next call could cost more than there is for this model.
        EvaluationError: The first items all failed, or a scorer could score none.
        TunekitError: What the backend raises for all items.
    """
    keeping = Keeping(terms.cache, trusts_names=terms.trusts_names)
    try:
        return await _evaluated(arm, terms, backend, keeping, on_progress)
    finally:
        keeping.close()


async def _evaluated(
    arm: Arm, terms: Terms, backend: Backend, keeping: Keeping, on_progress: ProgressCallback | None
) -> Evaluation:
    clock = SystemClock()
    started = clock.monotonic()
    questions = arm.questions(terms.items)
    bounds = arm.bounds(terms.bounds)
    asking = Asking(
        ref=arm.ref,
        backend=backend,
        bounds=bounds,
        kept=await keeping.of(backend, arm.ref) if arm.is_known_by_name else None,
        pace=terms.paces.of(backend, bounds),
        purse=arm.purse(bounds.max_usd, backend.clock),
        on_progress=on_progress,
    )
    draws = [await asking.outputs(asked, terms.scorers, terms.sampling) for asked in questions]
    asking_s = clock.monotonic() - started + asking.reused_s
    with keeping.for_judges():
        grades = [await _graded(outputs, terms) for outputs in draws]
    asked = _Asked(arm=arm, questions=questions, draws=draws, grades=grades, asking_s=asking_s)
    # Resampling a large test takes seconds, which are not the loop's.
    found = await asyncio.to_thread(asked.evaluation, terms, reused=asking.reused)
    await keeping.ended()
    took = {"seconds": clock.monotonic() - started, "created_at": clock.now()}
    return found.model_copy(update={**took, "warnings": (*found.warnings, *keeping.warnings())})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """All that was said to an arm's questions, and what it is worth to each scorer, by draw."""

    arm: Arm
    questions: Sequence[tuple[Item, ...]]
    draws: Sequence[Mapping[str, list[Output]]]
    grades: Sequence[Graded]
    asking_s: float

    def evaluation(self, terms: Terms, *, reused: int) -> Evaluation:
        """What that comes to; how long it took, and when it was, is not known here."""
        graded = averaged(self.grades)
        answers = [_answers(outputs, terms.scorers) for outputs in self.draws]
        results = grading.item_results(terms.items, answers[0], graded)
        by_draw = _by_draw(self.grades, terms)
        usages = [answer.usage for each in answers for answer in each if isinstance(answer, Generation)]
        return Evaluation(
            model=self.arm.ref,
            arm=self.arm.record(self.questions, by_draw=by_draw, calls=len(usages), asking_s=self.asking_s),
            provenance=terms.provenance,
            metrics=grading.metrics(terms.scorers, results, graded, terms.level),
            items=results,
            input_tokens=sum(usage.input_tokens for usage in usages),
            output_tokens=sum(usage.output_tokens for usage in usages),
            reused=reused,
            seconds=0.0,
            created_at=0.0,
            tunekit_version=__version__,
            warnings=(*grading.warnings(answers[0], graded, terms.sampling), *spread(by_draw)),
        )


async def _graded(outputs: Mapping[str, Sequence[Output]], terms: Terms) -> Graded:
    """What the scorers make of one draw. They see the question of the test, however the arm put it."""
    return {
        scorer.name: await grading.grade_all(
            scorer, terms.items, outputs[scorer.name], concurrency=terms.bounds.concurrency
        )
        for scorer in terms.scorers
    }


def _answers(outputs: Mapping[str, list[Output]], scorers: Sequence[Scorer]) -> list[Output]:
    """The texts; none where only choices were weighed."""
    return next((outputs[each.name] for each in scorers if isinstance(each, AnswerScorer)), [])


def _by_draw(grades: Sequence[Graded], terms: Terms) -> dict[str, tuple[float, ...]]:
    if len(grades) == 1:
        return {}
    draws = [grading.item_results(terms.items, [], graded) for graded in grades]
    return {
        scorer.name: tuple(value_of(items, scorer.name, corpus=scorer.corpus) for items in draws)
        for scorer in terms.scorers
    }
