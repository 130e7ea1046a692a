"""`search`: which spec does best on dev. Knows proposals and rungs; how one job is run is the bench's."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from tunekit import _portal
from tunekit._settings import Settings
from tunekit.backends.base import Backend
from tunekit.data.arguments import one_of, whole
from tunekit.data.wording import counted
from tunekit.errors import SpecError
from tunekit.evaluation.evaluator import Evaluator
from tunekit.refs import Target
from tunekit.spec import Budget, TuneSpec
from tunekit.store.base import RunStore
from tunekit.tuning.bench import Bench
from tunekit.tuning.course import Course
from tunekit.tuning.guards import dev_warnings
from tunekit.tuning.halving import rungs
from tunekit.tuning.luck import optimism
from tunekit.tuning.optuna import OptunaProposer, require_optuna
from tunekit.tuning.proposing import METHODS, BuiltIn, Method, Proposer
from tunekit.tuning.results import Search, Trial, best_of
from tunekit.tuning.space import Space, checked_space

if TYPE_CHECKING:
    from tunekit.data.dataset import Dataset


def search(
    space: Space,
    train: Dataset,
    target: str | Target,
    *,
    evaluator: Evaluator,
    trials: int = 16,
    spec: TuneSpec | None = None,
    metric: str | None = None,
    method: Method | Proposer = "halton",
    eta: int | None = None,
    seed: int = 0,
    validation: Dataset | None = None,
    budget: Budget | None = None,
    concurrency: int = 4,
    retry_failed: bool = False,
    backend: Backend | None = None,
    store: RunStore | None = None,
    settings: Settings | None = None,
) -> Search:
    """Try specs out, score each model on dev, and name the best.

    There is one `FineTuneJob` for each trial, or for each trial and rung. Calling it again, also after the process was
    killed, finds the same jobs and pays for none of them twice; with more `trials`, it goes on where it was. A trial
    that fails is a trial with its error.

    Args:
        space: What is chosen, by field of the spec, nested ones with dots: `{"method.adapter.rank": Choice([8, 32])}`.
        train: Training examples.
        target: Where to train which base model.
        evaluator: Scores on dev. Never give it the test split: the best of many is the best on these items.
        trials: How many specs; fewer where the space has no more.
        spec: What the space does not choose; None is `TuneSpec()`.
        metric: The scorer whose mean is the score; None is the evaluator's first.
        method: `"halton"` covers the space evenly, `"random"` by chance, `"grid"` whole; `"optuna"` proposes by what it
            has seen (`tunekit[optuna]`), as an `OptunaProposer` or an object of your own does. What these propose
            rests on whole batches, so that another `concurrency` is another search.
        eta: Successive halving: every trial starts with few epochs, and the best one in `eta` goes on with `eta` times
            as many, up to those of the spec. None trains every trial to its end.
        seed: Another seed tries other specs.
        validation: Held-out examples for metrics during training.
        budget: For all jobs together; nothing is sent that would exceed it, and a trial that was not sent says so.
            `spec.budget` is the budget of one job.
        concurrency: Jobs under way at the same time. Models are scored one at a time.
        retry_failed: Whether jobs that were accepted and failed in an earlier call are tried once more. Those whose
            failure says that it may pass are tried again in any case.
        backend: A configured backend; None loads the installed one by name.
        store: Where runs are remembered; None is the SQLite store of the settings.
        settings: Knobs of the host; None reads the environment.

    Raises:
        SpecError: An argument is wrong, or the spec has no such field.
        MissingExtraError: `"optuna"`, and Optuna is not installed.
        NotFoundError: No such backend is installed.
        ModelError: The base model is not one.
        StorageError: The store cannot be written.

    Examples:
        >>> import tunekit as tk
        >>> from tunekit.store import MemoryStore
        >>> from tunekit.testing import ScriptedBackend, tiny_dataset
        >>> from tunekit.tuning import Choice, LogUniform
        >>> backend = ScriptedBackend(generate=lambda prompt: prompt.split()[-1])
        >>> found = search(
        ...     {"learning_rate": LogUniform(low=1e-5, high=1e-3), "method.adapter.rank": Choice([8, 32])},
        ...     tiny_dataset(), "scripted:base", trials=9, spec=tk.TuneSpec(epochs=9), eta=3,
        ...     evaluator=tk.Evaluator(tiny_dataset(rows=10, name="dev")), backend=backend, store=MemoryStore())
        >>> [len(trial.rungs) for trial in found.trials], backend.counters.jobs
        ([3, 2, 2, 1, 1, 1, 1, 1, 1], 13)
    """
    coroutine = search_async(
        space,
        train,
        target,
        evaluator=evaluator,
        trials=trials,
        spec=spec,
        metric=metric,
        method=method,
        eta=eta,
        seed=seed,
        validation=validation,
        budget=budget,
        concurrency=concurrency,
        retry_failed=retry_failed,
        backend=backend,
        store=store,
        settings=settings,
    )
    return _portal.run(coroutine, instead="tunekit.search_async")


async def search_async(
    space: Space,
    train: Dataset,
    target: str | Target,
    *,
    evaluator: Evaluator,
    trials: int = 16,
    spec: TuneSpec | None = None,
    metric: str | None = None,
    method: Method | Proposer = "halton",
    eta: int | None = None,
    seed: int = 0,
    validation: Dataset | None = None,
    budget: Budget | None = None,
    concurrency: int = 4,
    retry_failed: bool = False,
    backend: Backend | None = None,
    store: RunStore | None = None,
    settings: Settings | None = None,
) -> Search:
    """`search` for async code. Cancelling it leaves the jobs going; calling it again finds them."""
    spec = spec or TuneSpec()
    whole("concurrency", concurrency, least=1)
    whole("seed", seed, least=0)
    steps = rungs(spec, whole("trials", trials, least=1), eta)
    dimensions = checked_space(space, spec)
    _check_halving(dimensions, eta)
    chosen = _method(method, seed)
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
    await bench.ready()
    course = Course(bench=bench, train=train, spec=spec, space=dimensions, concurrency=concurrency)
    await course.first(steps[0], chosen, seed)
    for step in steps[1:]:
        await course.rung(step)
    found = tuple(course.trials)
    return Search(
        target=str(bench.target),
        metric=bench.metric,
        higher_is_better=course.higher_is_better,
        base=spec,
        space=dimensions,
        method=method if isinstance(method, str) else type(method).__name__,
        seed=seed,
        eta=eta,
        train_fingerprint=train.fingerprint(),
        dev_fingerprint=bench.evaluator.provenance.test_fingerprint,
        n_dev=bench.evaluator.provenance.n_items,
        trials=found,
        best_number=best_of(found, higher_is_better=course.higher_is_better),
        optimism=(luck := optimism(course.item_scores)),
        warnings=tuple(_warnings(course, found, trials, len(steps), luck)),
    )


def _method(method: Method | Proposer, seed: int) -> BuiltIn | Proposer:
    if isinstance(method, Proposer):
        return method
    chosen = one_of("method", method, METHODS)
    if chosen != "optuna":
        return chosen
    require_optuna()
    return OptunaProposer(seed=seed)


def _check_halving(space: Space, eta: int | None) -> None:
    if eta is not None and "epochs" in space:
        raise SpecError(
            "both the space and eta choose epochs",
            hint="leave one out: eta gives epochs to the trials that do well",
        )


def _warnings(
    course: Course, trials: Sequence[Trial], wanted: int, steps: int, luck: float | None
) -> Iterator[str]:
    yield from dev_warnings(course.train, course.bench.evaluator)
    if len(trials) < wanted:
        yield f"there were only {counted(len(trials), 'different spec')} to try, and {wanted} were asked for"
    missing = [trial for trial in trials if trial.why]
    if missing:
        yield f"{counted(len(missing), 'trial')} of {len(trials)} without a score; the first: {missing[0].why}"
    deepest = max((len(trial.rungs) for trial in trials if trial.score is not None), default=0)
    if 0 < deepest < steps:
        yield f"no trial has a score with all epochs; the best is that of rung {deepest} of {steps}"
    if luck is not None:
        n = course.bench.evaluator.provenance.n_items
        yield (
            f"the best of {len(course.item_scores)} equal trials would read about {luck:.3f} too high on {n:,} dev"
            " items: confirm it once on the test split"
        )
