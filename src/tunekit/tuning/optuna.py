"""Optuna as a way to propose trials. Knows its distributions and samplers; not what a trial costs or scores.

Optuna is asked and told in memory, and a study lives for one batch: what is stored of a search is its jobs, and from
these the same study is made again.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from itertools import islice
from typing import TYPE_CHECKING, Any

from tunekit._canonical import canonical_json
from tunekit.data.arguments import whole
from tunekit.errors import MissingExtraError
from tunekit.tuning.proposing import Values, proposals, share
from tunekit.tuning.space import AnyDimension, Choice, IntUniform, LogUniform, Space, rounded

if TYPE_CHECKING:
    import optuna
    from optuna.distributions import BaseDistribution
    from pydantic import JsonValue

    from tunekit.tuning.results import Trial

_TIRED = 100
"""Proposals in a row that were all made before: Optuna has no more, and the space is walked through instead."""
_import_turn = threading.Lock()


@dataclass(frozen=True, slots=True, kw_only=True)
class OptunaProposer:
    """Proposes by what it has seen, with a sampler of Optuna (Akiba et al. 2019, arXiv 1907.10902).

    Given the same trials it proposes the same, so a search that is called again finds its jobs. What is proposed next
    rests on whole batches of `concurrency` trials: another concurrency is another search.

    Attributes:
        seed: Another seed proposes others.
        startup_trials: So many trials cover the space evenly before anything is learned from them.
        sampler: Makes the sampler for a seed; None is the tree-structured Parzen estimator (Bergstra et al. 2011).
        higher_is_better: Which way is up; a search sets it by its metric.

    Raises:
        SpecError: A number is out of range.
        MissingExtraError: On the first proposal, where Optuna is not installed.

    Examples:
        >>> proposer = OptunaProposer(seed=1)
        >>> (first,) = proposer.propose({"learning_rate": LogUniform(low=1e-5, high=1e-3)}, [], 1)
        >>> 1e-5 <= first["learning_rate"] <= 1e-3
        True
    """

    seed: int = 0
    startup_trials: int = 8
    sampler: Callable[[int], optuna.samplers.BaseSampler] | None = None
    higher_is_better: bool = True

    def __post_init__(self) -> None:
        whole("seed", self.seed, least=0)
        whole("startup_trials", self.startup_trials, least=0)

    def propose(self, space: Space, done: Sequence[Trial], n: int) -> Sequence[Mapping[str, JsonValue]]:
        """The values of the next `n` trials, none of them tried before; fewer where the space has no more."""
        met = {canonical_json(trial.values) for trial in done}
        even = proposals(space, "halton", self.seed)
        found = list(_fresh(even, met, max(0, min(n, self.startup_trials - len(done)))))
        if len(found) < n:
            with _quiet():
                found += _fresh(self._asked(space, done, found), met, n - len(found))
        return [*found, *_fresh(even, met, n - len(found))]

    def _asked(self, space: Space, done: Sequence[Trial], begun: Sequence[Values]) -> Iterator[Values]:
        """What Optuna proposes, for as long as it is asked."""
        module = require_optuna()
        distributions = {path: _distribution(module, dimension) for path, dimension in space.items()}
        study = module.create_study(
            sampler=self._sampler(module, len(done) + len(begun)),
            direction="maximize" if self.higher_is_better else "minimize",
        )
        for trial in done:
            study.add_trial(_told(module, space, distributions, trial.values, trial))
        for values in begun:
            study.add_trial(_told(module, space, distributions, values, None))
        while True:
            params = study.ask(distributions).params
            yield {path: _value(dimension, params[path]) for path, dimension in space.items()}

    def _sampler(self, module: Any, number: int) -> optuna.samplers.BaseSampler:
        # A fresh seed for each batch: with one for all, batches that learn nothing would be the same draws.
        seed = int(share(f"optuna:{self.seed}:{number}") * 2**32)
        if self.sampler is not None:
            return self.sampler(seed)
        found: optuna.samplers.BaseSampler = module.samplers.TPESampler(seed=seed, n_startup_trials=1)
        return found


def _fresh(proposed: Iterator[Values], met: set[bytes], n: int) -> Iterator[Values]:
    """The next `n` that were not met before, which then are."""
    return islice(_unmet(proposed, met), n)


def _unmet(proposed: Iterator[Values], met: set[bytes]) -> Iterator[Values]:
    repeated = 0
    for values in proposed:
        key = canonical_json(values)
        repeated = repeated + 1 if key in met else 0
        if repeated > _TIRED:
            return
        if not repeated:
            met.add(key)
            yield values


# --- between a space and Optuna's ----------------------------------------------------------------------


def _distribution(module: Any, dimension: AnyDimension | Any) -> BaseDistribution:
    kinds = module.distributions
    match dimension:
        case Choice(options=options):
            # By number: Optuna takes no dictionaries, and whole methods and adapters are options, too.
            found = kinds.CategoricalDistribution(tuple(range(len(options))))
        case IntUniform(low=low, high=high):
            found = kinds.IntDistribution(low, high)
        case _:
            is_log = isinstance(dimension, LogUniform)
            found = kinds.FloatDistribution(dimension.low, dimension.high, log=is_log)
    made: BaseDistribution = found
    return made


def _value(dimension: AnyDimension | Any, param: Any) -> JsonValue:
    """The value of a field, from Optuna's."""
    if isinstance(dimension, Choice):
        return dimension.options[int(param)]
    if isinstance(dimension, IntUniform):
        return int(param)
    return rounded(float(param), dimension.low, dimension.high)


def _param(dimension: AnyDimension | Any, value: Any) -> Any:
    """Optuna's value, from that of a field."""
    if not isinstance(dimension, Choice):
        return value
    keys = [canonical_json(option) for option in dimension.options]
    return keys.index(canonical_json(value))


def _told(
    module: Any,
    space: Space,
    distributions: Mapping[str, BaseDistribution],
    values: Mapping[str, JsonValue],
    trial: Trial | None,
) -> optuna.trial.FrozenTrial:
    """A trial as Optuna is told of it: with its score, as failed, or as one that is still running."""
    states = module.trial.TrialState
    state = states.RUNNING if trial is None else states.COMPLETE if trial.score else states.FAIL
    found: optuna.trial.FrozenTrial = module.trial.create_trial(
        state=state,
        params={path: _param(dimension, values[path]) for path, dimension in space.items()},
        distributions=dict(distributions),
        value=trial.score.estimate if trial is not None and trial.score else None,
    )
    return found


# --- a guest of the host's logging ---------------------------------------------------------------------


def require_optuna() -> Any:
    """Optuna, with its logger as the host has it: importing it takes away the host's settings.

    Raises:
        MissingExtraError: It is not installed.
    """
    logger = logging.getLogger("optuna")
    with _import_turn:
        handlers, level, propagates = list(logger.handlers), logger.level, logger.propagate
        try:
            return import_module("optuna")
        except ModuleNotFoundError as error:
            if error.name is not None and error.name.partition(".")[0] == "optuna":
                raise MissingExtraError("optuna", extra="optuna") from None
            raise
        finally:
            logger.handlers[:] = handlers
            logger.setLevel(level)
            logger.propagate = propagates


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep back what Optuna says on this thread: that a study in memory was made is no news to a host."""
    require_optuna()
    here, key = threading.get_ident(), "optuna."

    def elsewhere(_: logging.LogRecord) -> bool:
        return threading.get_ident() != here

    named = [name for name in list(logging.root.manager.loggerDict) if name.startswith(key)]
    loggers = [logging.getLogger(name) for name in named]
    for logger in loggers:
        logger.addFilter(elsewhere)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeFilter(elsewhere)
