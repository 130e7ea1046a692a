"""How far to go from a base to a tuned model, by what a dev set says. Knows evaluators and mixtures; no weights."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from tunekit import _files, _portal
from tunekit._settings import Settings
from tunekit.data.wording import brief
from tunekit.errors import SpecError
from tunekit.evaluation.selection import best_of, deciding
from tunekit.refs import ModelRef
from tunekit.retrain.blending.mixing import Mixer, checked_alpha, local_id
from tunekit.retrain.blending.results import Sweep, SweepPoint
from tunekit.retrain.multitask.effects import require_scored

if TYPE_CHECKING:
    from tunekit.backends.base import Backend
    from tunekit.evaluation.evaluator import Evaluator
    from tunekit.evaluation.results import Evaluation

ALPHAS = (0.0, 0.25, 0.5, 0.75, 1.0)


def sweep(
    base: str,
    tuned: str,
    *,
    evaluator: Evaluator,
    alphas: Sequence[float] = ALPHAS,
    guard: Evaluator | None = None,
    max_loss: float = 0.02,
    metric: str | None = None,
    keep_all: bool = False,
    backend: Backend | None = None,
    settings: Settings | None = None,
    threads: int | None = None,
    python: str | None = None,
) -> Sweep:
    """Blend a base and a tuned model by several shares, score each on dev, and choose.

    The one with the largest gain over the base is chosen, paired item by item; of equal ones the nearest to the base.
    With a guard, only those that are shown not to be worse than the base on its items by more than `max_loss`.
    Calling it again makes the same models and asks only for answers that are not kept.

    Args:
        base: As in `blend`.
        tuned: As in `blend`.
        evaluator: Scores on dev. A sealed test is refused: the best of several looks at it would read too high.
        alphas: The shares; 0 is always compared with, and is the base itself, as 1 is the tuned model.
        guard: Scores what must not be lost, such as old tasks; its first scorer counts. Not a sealed test either.
        max_loss: How much worse than the base the guard's metric may be at the end of its interval, in its own units.
        metric: The scorer that decides; None takes the evaluator's first.
        keep_all: Keep every model that is made, not the chosen one alone.
        backend: A configured local backend to ask; its runs must lie in the same home.
        settings: Where runs are kept, for evaluator and guard as well; None reads the environment.
        threads: As in `blend`.
        python: As in `blend`.

    Returns:
        The table, and what was chosen.

    Raises:
        SpecError: There are no alphas, one is not from 0 to 1, `max_loss` is negative, no scorer has this name, or a
            test is sealed.
        EvaluationError: A model could not be scored.
        TunekitError: What `blend` and `Evaluator.run` raise.

    Examples:
        >>> import tunekit as tk
        >>> test = tk.Evaluator(tk.Dataset.from_records([{"prompt": "1", "completion": "1"}]), sealed=True)
        >>> sweep("local:base", "local:run-9f2c", evaluator=test)
        Traceback (most recent call last):
        ...
        tunekit.errors.SpecError: evaluator is a sealed test, and a model would be chosen on it
          hint: choose on dev, and look at the test once with what was chosen
    """
    return _portal.run(
        sweep_async(
            base,
            tuned,
            evaluator=evaluator,
            alphas=alphas,
            guard=guard,
            max_loss=max_loss,
            metric=metric,
            keep_all=keep_all,
            backend=backend,
            settings=settings,
            threads=threads,
            python=python,
        ),
        instead="sweep_async",
    )


async def sweep_async(
    base: str,
    tuned: str,
    *,
    evaluator: Evaluator,
    alphas: Sequence[float] = ALPHAS,
    guard: Evaluator | None = None,
    max_loss: float = 0.02,
    metric: str | None = None,
    keep_all: bool = False,
    backend: Backend | None = None,
    settings: Settings | None = None,
    threads: int | None = None,
    python: str | None = None,
) -> Sweep:
    """See `sweep`."""
    shares, metric = _checked(alphas, evaluator, guard, max_loss), deciding(evaluator, metric)
    settings = settings or Settings()
    ends = {0.0: ModelRef(base), 1.0: ModelRef(tuned)}
    for model in ends.values():
        local_id(model)
    made: dict[float, ModelRef] = {}
    dev, guarded, models = {}, {}, {}
    try:
        with Mixer(settings, threads=threads, python=python) as mixer:
            for alpha in shares:
                if alpha in ends:
                    models[alpha] = ends[alpha]
                else:
                    models[alpha], is_new = await mixer.blend(base, tuned, alpha)
                    made |= {alpha: models[alpha]} if is_new else {}
                dev[alpha] = await evaluator.run_async(models[alpha], backend=backend)
                if guard is not None:
                    guarded[alpha] = await guard.run_async(models[alpha], backend=backend)
        found = await _compared(evaluator, guard, dev, guarded, models, ends[1.0], max_loss, metric)
    except BaseException:
        forget(made.values(), settings)
        raise
    if keep_all:
        return found
    spare = {alpha: model for alpha, model in made.items() if alpha != found.chosen_alpha}
    await asyncio.to_thread(forget, spare.values(), settings)
    points = tuple(point.model_copy(update={"exists": point.alpha not in spare}) for point in found.points)
    return found.model_copy(update={"points": points})


async def _compared(
    evaluator: Evaluator,
    guard: Evaluator | None,
    dev: dict[float, Evaluation],
    guarded: dict[float, Evaluation],
    models: dict[float, ModelRef],
    tuned: ModelRef,
    max_loss: float,
    name: str,
) -> Sweep:
    guard_name = guarded[0.0].names[0] if guard is not None else ""
    points = []
    for alpha in dev:
        require_scored(f"dev at alpha {alpha:g}", dev[alpha], name)
        if guard is not None:
            require_scored(f"the guard at alpha {alpha:g}", guarded[alpha], guard_name)
    for alpha, evaluation in dev.items():
        score = evaluation[name].value
        if alpha == 0.0:
            points.append(SweepPoint(alpha=alpha, model=models[alpha], score=score))
            continue
        found = (await evaluator.compare_async(dev[0.0], evaluation))[name]
        held = None
        if guard is not None:
            held = (await guard.compare_async(guarded[0.0], guarded[alpha]))[guard_name].gain
        points.append(
            SweepPoint(
                alpha=alpha,
                model=models[alpha],
                score=score,
                gain=found.gain,
                verdict=found.verdict,
                guard=held,
                is_held=held is None or held.low >= -max_loss,
            )
        )
    chosen = chosen_of(points)
    return Sweep(
        base=models[0.0],
        tuned=tuned,
        metric=name,
        higher_is_better=dev[0.0][name].higher_is_better,
        dev_fingerprint=evaluator.provenance.test_fingerprint,
        n_dev=len(evaluator.items),
        guard_metric=guard_name,
        max_loss=max_loss if guard is not None else 0.0,
        points=tuple(points),
        chosen_alpha=chosen.alpha,
        warnings=tuple(_warnings(points, chosen, list(dev.values()), name)),
    )


def chosen_of(points: Sequence[SweepPoint]) -> SweepPoint:
    """The largest gain of those that are held; of equal ones the nearest to the base.

    Args:
        points: By alpha; the first is the base.
    """
    return max(
        (point for point in points if point.is_held),
        key=lambda point: (point.gain.estimate if point.gain else 0.0, -point.alpha),
    )


def _warnings(
    points: Sequence[SweepPoint], chosen: SweepPoint, dev: list[Evaluation], metric: str
) -> Iterator[str]:
    refused = [f"{point.alpha:g}" for point in points if not point.is_held]
    if refused:
        yield f"the guard refused alpha {', '.join(refused)}"
    if chosen.gain is None:
        yield "no blend is better than the base on dev, so the base is chosen"
    elif chosen.verdict != "better":
        yield (
            f"the gain of alpha {chosen.alpha:g} over the base is not shown on dev: its interval reaches "
            f"{chosen.gain.low:+.3g}"
        )
    best = best_of(dev, metric)
    known = {warning for evaluation in dev for warning in evaluation.warnings}
    yield from (warning for warning in best.warnings if warning not in known)


def _checked(
    alphas: Sequence[float], evaluator: Evaluator, guard: Evaluator | None, max_loss: float
) -> list[float]:
    """The shares in order, with that of the base."""
    refuse_sealed(evaluator=evaluator, guard=guard)
    if not 0.0 <= max_loss < math.inf:
        raise SpecError(f"max_loss is {brief(max_loss)}", hint="use 0.02 for two points")
    shares = {checked_alpha(alpha) for alpha in alphas}
    if not shares - {0.0}:
        raise SpecError(f"alphas are {brief(list(alphas))}", hint="name at least one above 0, such as 0.5")
    return sorted({0.0, *shares})


def refuse_sealed(**evaluators: Evaluator | None) -> None:
    """Raise for a sealed test that a choice would be made on.

    Raises:
        SpecError: It is named by its argument.
    """
    for name, each in evaluators.items():
        if each is not None and each.is_sealed:
            raise SpecError(
                f"{name} is a sealed test, and a model would be chosen on it",
                hint="choose on dev, and look at the test once with what was chosen",
            )


def forget(models: Iterable[ModelRef], settings: Settings) -> None:
    """Remove models that were made for a choice and are not wanted."""
    for model in models:
        _files.remove_directory(settings.runs / model.id)
