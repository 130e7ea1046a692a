"""Which siblings to average, by what a dev set says. Knows evaluators and mixtures; no weights."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from tunekit import _portal
from tunekit._settings import Settings
from tunekit.evaluation.selection import best_of, deciding
from tunekit.refs import ModelRef
from tunekit.retrain.blending.mixing import Mixer, equal_shares, local_id
from tunekit.retrain.blending.results import Soup, SoupStep
from tunekit.retrain.blending.sweeping import forget, refuse_sealed
from tunekit.retrain.multitask.effects import require_scored

if TYPE_CHECKING:
    from tunekit.backends.base import Backend
    from tunekit.evaluation.evaluator import Evaluator
    from tunekit.evaluation.results import Evaluation


def soup(
    siblings: Sequence[str],
    *,
    evaluator: Evaluator,
    metric: str | None = None,
    keep_all: bool = False,
    backend: Backend | None = None,
    settings: Settings | None = None,
    threads: int | None = None,
    python: str | None = None,
) -> Soup:
    """Average those of several siblings that dev wants: a greedy soup (Wortsman et al. 2022, recipe 1).

    The siblings are taken by their score on dev, best first. Each is averaged with those that are in already, and stays
    in where the average scores no less than before. So the result is never behind the best sibling on dev, and a bad
    one spoils nothing. Calling it again makes the same models and asks only for answers that are not kept.

    Args:
        siblings: Two or more models of the same base.
        evaluator: Scores on dev. A sealed test is refused: the best of several looks at it would read too high.
        metric: The scorer that decides; None takes the evaluator's first.
        keep_all: Keep every average that is made, not the chosen one alone.
        backend: A configured local backend to ask; its runs must lie in the same home.
        settings: As in `blend`.
        threads: As in `blend`.
        python: As in `blend`.

    Returns:
        What each sibling did alone and in the soup, and the model that was chosen: an average, or the best sibling.

    Raises:
        SpecError: There are fewer than two models, one is named twice, no scorer has this name, or the test is sealed.
        EvaluationError: A model could not be scored.
        TunekitError: What `blend` and `Evaluator.run` raise.

    Examples:
        >>> import tunekit as tk
        >>> dev = tk.Evaluator(tk.Dataset.from_records([{"prompt": "1", "completion": "1"}]))
        >>> soup(["local:run-9f2c", "local:run-77ab"], evaluator=dev, metric="accuracy")
        Traceback (most recent call last):
        ...
        tunekit.errors.SpecError: metric is 'accuracy'
          hint: the evaluator's scorers are 'exact_match'
    """
    return _portal.run(
        soup_async(
            siblings,
            evaluator=evaluator,
            metric=metric,
            keep_all=keep_all,
            backend=backend,
            settings=settings,
            threads=threads,
            python=python,
        ),
        instead="soup_async",
    )


async def soup_async(
    siblings: Sequence[str],
    *,
    evaluator: Evaluator,
    metric: str | None = None,
    keep_all: bool = False,
    backend: Backend | None = None,
    settings: Settings | None = None,
    threads: int | None = None,
    python: str | None = None,
) -> Soup:
    """See `soup`."""
    equal_shares(siblings)
    refuse_sealed(evaluator=evaluator)
    name, settings = deciding(evaluator, metric), settings or Settings()
    models = [ModelRef(model) for model in siblings]
    for model in models:
        local_id(model)
    made: dict[
        ModelRef, bool
    ] = {}  # in the order in which they were made; whether they were not there before
    try:
        with Mixer(settings, threads=threads, python=python) as mixer:
            alone = [await _scored(evaluator, model, name, backend) for model in models]
            sign = 1.0 if alone[0][name].higher_is_better else -1.0
            best, *others = sorted(alone, key=lambda each: -sign * each[name].value.estimate)
            steps = [SoupStep(added=best.model, alone=best[name].value, model=best.model, is_in=True)]
            so_far = best
            for each in others:
                members = [step.added for step in steps if step.is_in]
                model, is_new = await mixer.merge(
                    [*members, each.model], equal_shares([*members, each.model])
                )
                made[model] = made.get(model, False) or is_new
                together = await _scored(evaluator, model, name, backend)
                found = (await evaluator.compare_async(so_far, together))[name]
                is_in = sign * (together[name].value.estimate - so_far[name].value.estimate) >= 0.0
                steps.append(
                    SoupStep(
                        added=each.model,
                        alone=each[name].value,
                        model=model,
                        together=together[name].value,
                        gain=found.gain,
                        is_in=is_in,
                    )
                )
                alone.append(together)
                so_far = together if is_in else so_far
    except BaseException:
        forget((model for model, is_new in made.items() if is_new), settings)
        raise
    spare = [model for model, is_new in made.items() if is_new and model != so_far.model and not keep_all]
    await asyncio.to_thread(forget, spare, settings)
    return Soup(
        model=so_far.model,
        metric=name,
        higher_is_better=sign > 0.0,
        score=so_far[name].value,
        dev_fingerprint=evaluator.provenance.test_fingerprint,
        n_dev=len(evaluator.items),
        steps=tuple(step.model_copy(update={"exists": step.model not in spare}) for step in steps),
        warnings=tuple(_warnings(steps, alone, name)),
    )


async def _scored(evaluator: Evaluator, model: ModelRef, metric: str, backend: Backend | None) -> Evaluation:
    found = await evaluator.run_async(model, backend=backend)
    require_scored(f"dev with {model}", found, metric)
    return found


def _warnings(steps: Sequence[SoupStep], evaluations: Sequence[Evaluation], metric: str) -> Iterator[str]:
    if sum(step.is_in for step in steps) == 1:
        yield "no average is as good as the best sibling on dev, so that one is chosen as it is"
    best = best_of(evaluations, metric)
    known = {warning for evaluation in evaluations for warning in evaluation.warnings}
    yield from (warning for warning in best.warnings if warning not in known)
