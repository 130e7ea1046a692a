"""`learning_curve`: what more training data would bring. Knows sizes and seeds; how one job is run is the bench's."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from tunekit import _portal
from tunekit._settings import Settings
from tunekit.backends.base import Backend
from tunekit.data.arguments import sequence, whole
from tunekit.data.wording import counted
from tunekit.evaluation.evaluator import Evaluator
from tunekit.evaluation.results import Evaluation
from tunekit.refs import Target
from tunekit.spec import Budget, TuneSpec
from tunekit.store.base import RunStore
from tunekit.tuning.bench import Bench, together
from tunekit.tuning.curve import CurvePoint, LearningCurve, means_of, scores_by_size
from tunekit.tuning.guards import dev_warnings
from tunekit.tuning.measured import Measured
from tunekit.tuning.power_law import FEWEST_SIZES, fit
from tunekit.tuning.subsets import Nested, checked_sizes

if TYPE_CHECKING:
    from tunekit.data.dataset import Dataset


def learning_curve(
    train: Dataset,
    target: str | Target,
    *,
    evaluator: Evaluator,
    sizes: Sequence[int] | None = None,
    seeds: int | Sequence[int] = 3,
    spec: TuneSpec | None = None,
    metric: str | None = None,
    validation: Dataset | None = None,
    budget: Budget | None = None,
    concurrency: int = 4,
    retry_failed: bool = False,
    backend: Backend | None = None,
    store: RunStore | None = None,
    settings: Settings | None = None,
) -> LearningCurve:
    """Train on growing parts of the data, score each model on dev, and say what more data would bring.

    There is one `FineTuneJob` for each size and seed. A seed chooses the rows, of which a smaller part lies within
    every larger one, with the classes in the shares of the whole, and is the seed of the spec. Calling it again, also
    after the process was killed, finds the same jobs and pays for none of them twice; only dev is scored again.

    Args:
        train: All of the training data.
        target: Where to train which base model.
        evaluator: Scores on dev. Never give it the test split: what is chosen by these scores is chosen on it.
        sizes: Numbers of training rows; None halves the data up to five times. Four or more allow a fit.
        seeds: How many seeds, from `spec.seed` up, or which.
        spec: The recipe; None is `TuneSpec()`.
        metric: The scorer whose mean is the score; None is the evaluator's first.
        validation: Held-out examples for metrics during training, the same for every size.
        budget: For all jobs together; nothing is sent that would exceed it, and what was not sent is a point without a
            score. `spec.budget` is the budget of one job.
        concurrency: Jobs under way at the same time. Models are scored one at a time.
        retry_failed: Whether jobs that were accepted and failed in an earlier call are tried once more. Those whose
            failure says that it may pass are tried again in any case.
        backend: A configured backend; None loads the installed one by name.
        store: Where runs are remembered; None is the SQLite store of the settings.
        settings: Knobs of the host; None reads the environment.

    Raises:
        SpecError: An argument is wrong.
        PreflightError: Spec and data do not fit the backend; nothing was sent.
        NotFoundError: No such backend is installed.
        ModelError: The base model is not one.
        StorageError: The store cannot be written.

    Examples:
        >>> import tunekit as tk
        >>> from tunekit.store import MemoryStore
        >>> from tunekit.testing import ScriptedBackend, tiny_dataset
        >>> backend = ScriptedBackend(generate=lambda prompt: prompt.split()[-1])
        >>> evaluator = tk.Evaluator(tiny_dataset(rows=10, name="dev"))
        >>> curve = learning_curve(
        ...     tiny_dataset(rows=80), "scripted:base", evaluator=evaluator, seeds=2,
        ...     backend=backend, store=MemoryStore())
        >>> [mean.size for mean in curve.means], backend.counters.jobs, str(curve.needed_for(0.9))
        ([10, 20, 40, 80], 8, '0.9 needs 10 rows: the mean at this size is 1')
    """
    coroutine = learning_curve_async(
        train,
        target,
        evaluator=evaluator,
        sizes=sizes,
        seeds=seeds,
        spec=spec,
        metric=metric,
        validation=validation,
        budget=budget,
        concurrency=concurrency,
        retry_failed=retry_failed,
        backend=backend,
        store=store,
        settings=settings,
    )
    return _portal.run(coroutine, instead="tunekit.learning_curve_async")


async def learning_curve_async(
    train: Dataset,
    target: str | Target,
    *,
    evaluator: Evaluator,
    sizes: Sequence[int] | None = None,
    seeds: int | Sequence[int] = 3,
    spec: TuneSpec | None = None,
    metric: str | None = None,
    validation: Dataset | None = None,
    budget: Budget | None = None,
    concurrency: int = 4,
    retry_failed: bool = False,
    backend: Backend | None = None,
    store: RunStore | None = None,
    settings: Settings | None = None,
) -> LearningCurve:
    """`learning_curve` for async code. Cancelling it leaves the jobs going; calling it again finds them."""
    spec = spec or TuneSpec()
    chosen, found_sizes = _seeds(seeds, spec.seed), checked_sizes(sizes, len(train))
    whole("concurrency", concurrency, least=1)
    bench = Bench.open(
        target,
        evaluator,
        metric=metric,
        validation=validation,
        backend=backend,
        store=store,
        settings=settings,
        budget=budget,
        retry_failed=retry_failed,
    )
    nested = {seed: Nested(train, seed=seed) for seed in chosen}
    for size in found_sizes:
        bench.check(nested[chosen[0]].part(size), spec)
    await bench.ready()
    places = [(size, seed) for size in found_sizes for seed in chosen]
    found = await together(
        [
            # Work grows with the rows, as training does; what a job costs beside that is small.
            bench.measure(nested[seed].part(size), spec.model_copy(update={"seed": seed}), work=size)
            for size, seed in places
        ],
        concurrency=concurrency,
    )
    return _curve(bench, train, spec, places, found)


def _curve(
    bench: Bench,
    train: Dataset,
    spec: TuneSpec,
    places: Sequence[tuple[int, int]],
    found: Sequence[tuple[Measured, Evaluation | None]],
) -> LearningCurve:
    points = tuple(
        CurvePoint(size=size, seed=seed, **dict(measured))
        for (size, seed), (measured, _) in zip(places, found, strict=True)
    )
    scores = scores_by_size(points)
    refusal = (
        f"a power law needs {FEWEST_SIZES} sizes with a score, and there are {len(scores)}"
        if len(scores) < FEWEST_SIZES
        else ""
    )
    return LearningCurve(
        target=str(bench.target),
        metric=bench.metric,
        higher_is_better=bench.higher_is_better([evaluation for _, evaluation in found]),
        spec=spec,
        train_fingerprint=train.fingerprint(),
        dev_fingerprint=bench.evaluator.provenance.test_fingerprint,
        n_dev=bench.evaluator.provenance.n_items,
        points=points,
        means=means_of(points),
        law=None if refusal else fit(scores),
        refusal=refusal,
        warnings=tuple(_warnings(bench, train, points)),
    )


def _warnings(bench: Bench, train: Dataset, points: Sequence[CurvePoint]) -> Iterator[str]:
    from tunekit.data.classes import targets

    yield from dev_warnings(train, bench.evaluator)
    names = targets.classes(list(train)) or []
    small = [point.size for point in points if point.size < len(set(names))]
    if small:
        yield f"{min(small):,} rows have no room for all of the {len(set(names)):,} classes"
    if len({point.seed for point in points}) == 1:
        yield "with one seed nobody can tell data from luck: use three or more"
    missing = [point for point in points if point.score is None]
    if missing:
        yield f"{counted(len(missing), 'point')} of {len(points)} without a score; the first: {missing[0].error}"


def _seeds(seeds: int | Sequence[int], first: int) -> tuple[int, ...]:
    if isinstance(seeds, int):
        return tuple(range(first, first + whole("seeds", seeds, least=1)))
    found = sequence("seeds", seeds, of="whole numbers")
    for seed in found:
        whole("a seed", seed, least=0)
    whole("the number of seeds", len(found), least=1)
    return tuple(dict.fromkeys(found))
