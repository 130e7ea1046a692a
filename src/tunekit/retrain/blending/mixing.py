"""Models mixed from others, in a child process. Knows what a model string stands for; imports no torch."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tunekit import _files, _portal
from tunekit._settings import Settings
from tunekit.backends.local import models, packages
from tunekit.backends.local.worker import InferenceWorker
from tunekit.data.wording import brief
from tunekit.errors import SpecError, UnsupportedError
from tunekit.refs import ModelRef
from tunekit.training.run.turns import physical_cores
from tunekit.training.saving.mixture import Mixture, read_mixture

_MIXER = ("-P", "-m", "tunekit.training.saving.blend")
"""How the interpreter is asked to mix. -P: the current directory must not shadow installed packages."""


class Mixer:
    """The child process that mixes models, for as long as a block lasts.

    Args:
        settings: Where runs are kept.
        threads: CPU threads; None takes the physical cores that this process may use.
        python: Interpreter of the child, which must have `tunekit[local]`; None takes this one.

    Raises:
        MissingExtraError: torch, transformers or peft is not installed.
    """

    def __init__(self, settings: Settings, *, threads: int | None = None, python: str | None = None) -> None:
        if python is None:  # what another interpreter has, it says itself
            packages.require_for(None)
        self.runs = settings.runs
        self._worker = InferenceWorker(
            logs=settings.home / "workers",
            threads=threads or physical_cores(),
            idle_timeout_s=60.0,
            python=python or sys.executable,
            server=_MIXER,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._worker.close()

    async def blend(self, base: str, tuned: str, alpha: float) -> tuple[ModelRef, bool]:
        """See `blend`; and whether the model was not there before."""
        return await self._mixed("blend", base=self._part(base), tuned=self._part(tuned), alpha=alpha)

    async def merge(self, siblings: Sequence[str], shares: Sequence[float]) -> tuple[ModelRef, bool]:
        """See `merge_siblings`; and whether the model was not there before."""
        parts = [self._part(model) for model in siblings]
        return await self._mixed("merge", parts=parts, shares=list(shares))

    async def _mixed(self, operation: str, **told: Any) -> tuple[ModelRef, bool]:
        done = await self._worker.ask(operation, runs=str(self.runs), **told)
        return ModelRef.of("local", done["run_id"]), bool(done["created"])

    def _part(self, model: str) -> Mapping[str, str]:
        return {"model": str(model), "source": models.resolve(local_id(model), self.runs)}


def blend(
    base: str,
    tuned: str,
    alpha: float,
    *,
    settings: Settings | None = None,
    threads: int | None = None,
    python: str | None = None,
) -> ModelRef:
    """A new local model with the weights base + alpha * (tuned - base) (WiSE-FT, Wortsman et al. 2021).

    Less than the whole way keeps more of what the base knew (arXiv 2109.01903), and no training is needed. An adapter
    is scaled: 0 answers as the base does and 1 as the tuned model does, to the last bit. Whole models are interpolated
    in fp64, tensor by tensor. The same call gives the same model, which is written once.

    Args:
        base: What the tuned model was tuned from: `"local:Qwen/Qwen3-0.6B"`, a directory, or a run. An earlier model of
            the same base is allowed as well; between two adapters the result is one of the sum of their ranks.
        tuned: The tuned model.
        alpha: How far to go, from 0 to 1.
        settings: Where runs are kept; None reads the environment.
        threads: CPU threads; None takes the physical cores that this process may use.
        python: Interpreter of the child process, which must have `tunekit[local]`; None takes this one.

    Returns:
        The new model, which is asked and evaluated like a run's. Its card names what it comes from, `mixture_of` by
        which shares.

    Raises:
        SpecError: `alpha` is not from 0 to 1.
        MissingExtraError: torch, transformers or peft is not installed.
        NotFoundError: There is no such model.
        ModelError: The two do not belong together (base, classes, template, vocabulary or layers differ), or one is
            damaged; the message names what.
        UnsupportedError: A model is not a local one, a probe, or a DoRA adapter.
        BackendError: The child process died, often because memory ran out.
        StorageError: The disk said no; nothing is left behind.

    Examples:
        >>> blend("local:Qwen/Qwen3-0.6B", "local:run-9f2c", 1.5)
        Traceback (most recent call last):
        ...
        tunekit.errors.SpecError: alpha is 1.5
          hint: use a number from 0 (the base) to 1 (the tuned model)
    """
    return _portal.run(
        blend_async(base, tuned, alpha, settings=settings, threads=threads, python=python),
        instead="blend_async",
    )


async def blend_async(
    base: str,
    tuned: str,
    alpha: float,
    *,
    settings: Settings | None = None,
    threads: int | None = None,
    python: str | None = None,
) -> ModelRef:
    """See `blend`."""
    checked_alpha(alpha)
    with Mixer(settings or Settings(), threads=threads, python=python) as mixer:
        return (await mixer.blend(base, tuned, alpha))[0]


def merge_siblings(
    siblings: Sequence[str],
    weights: Sequence[float] | None = None,
    *,
    settings: Settings | None = None,
    threads: int | None = None,
    python: str | None = None,
) -> ModelRef:
    """A new local model whose weights are the mean of models tuned from one base (Wortsman et al. 2022).

    A "model soup" (arXiv 2203.05482): often better than each, at the price of one. Of adapters it is the mean of their
    changes, exactly, and so an adapter whose rank is the sum of theirs: averaging A and B each would be wrong.

    Args:
        siblings: Two or more models of the same base.
        weights: What each counts, relative to the others; None counts all alike.
        settings: As in `blend`.
        threads: As in `blend`.
        python: As in `blend`.

    Returns:
        The new model.

    Raises:
        SpecError: There are fewer than two models, one is named twice, or the weights are not as many positive numbers.
        TunekitError: What `blend` raises.

    Examples:
        >>> merge_siblings(["local:run-9f2c"])
        Traceback (most recent call last):
        ...
        tunekit.errors.SpecError: siblings are 1 model
          hint: name two or more, each once
    """
    return _portal.run(
        merge_siblings_async(siblings, weights, settings=settings, threads=threads, python=python),
        instead="merge_siblings_async",
    )


async def merge_siblings_async(
    siblings: Sequence[str],
    weights: Sequence[float] | None = None,
    *,
    settings: Settings | None = None,
    threads: int | None = None,
    python: str | None = None,
) -> ModelRef:
    """See `merge_siblings`."""
    shares = _shares(siblings, weights)
    with Mixer(settings or Settings(), threads=threads, python=python) as mixer:
        return (await mixer.merge(siblings, shares))[0]


def mixture_of(model: str, *, settings: Settings | None = None) -> Mixture:
    """What a mixed model consists of, once every byte of it was read again.

    Args:
        model: What `blend` or `merge_siblings` returned.
        settings: Where runs are kept; None reads the environment.

    Raises:
        NotFoundError: There is no such model.
        ModelError: It was not mixed, or a file has changed since.
        StorageError: A file cannot be read.

    Examples:
        >>> mixture_of("openai:gpt-4o")
        Traceback (most recent call last):
        ...
        tunekit.errors.UnsupportedError: 'openai:gpt-4o' is not a local model: its weights are not here
          hint: mix models of the backend 'local'
    """
    return read_mixture(Path(models.resolve(local_id(model), (settings or Settings()).runs)))


def discard(model: str, *, settings: Settings | None = None) -> None:
    """Remove a mixed model. What it was mixed from stays, and the same call makes it again.

    Args:
        model: What `blend` or `merge_siblings` returned.
        settings: Where runs are kept; None reads the environment.

    Raises:
        NotFoundError: There is no such model.
        ModelError: It was not mixed, or a file has changed since.
        SpecError: It is given by its path, so it may lie anywhere.
        StorageError: The disk said no.

    Examples:
        >>> discard("local:/srv/models/soup")
        Traceback (most recent call last):
        ...
        tunekit.errors.SpecError: 'local:/srv/models/soup' is no name of a mixed model
          hint: give what blend() or merge_siblings() returned, such as 'local:run-9f2c...'
    """
    runs, name = (settings or Settings()).runs, local_id(model)
    if not models.RUN_ID.match(name):
        raise SpecError(
            f"{str(model)!r} is no name of a mixed model",
            hint="give what blend() or merge_siblings() returned, such as 'local:run-9f2c...'",
        )
    read_mixture(Path(models.resolve(name, runs)))
    _files.remove_directory(runs / name)


def checked_alpha(alpha: float) -> float:
    """A number from 0 to 1. Raises `SpecError` for anything else."""
    if not 0.0 <= alpha <= 1.0:
        raise SpecError(
            f"alpha is {brief(alpha)}", hint="use a number from 0 (the base) to 1 (the tuned model)"
        )
    return float(alpha)


def local_id(model: str) -> str:
    """What the local backend calls a model. Raises `UnsupportedError` for one of another backend."""
    reference = ModelRef(model)
    if reference.backend != "local":
        raise UnsupportedError(
            f"{str(model)!r} is not a local model: its weights are not here",
            hint="mix models of the backend 'local'",
        )
    return reference.id


def equal_shares(siblings: Sequence[str]) -> list[float]:
    """What each of several models counts in their mean.

    Raises:
        SpecError: There are fewer than two, or one is named twice.
    """
    return _shares(siblings, None)


def _shares(siblings: Sequence[str], weights: Sequence[float] | None) -> list[float]:
    """What each counts of the whole."""
    count = len(siblings)
    if isinstance(siblings, str) or count < 2 or len(set(siblings)) < count:
        said = "one string" if isinstance(siblings, str) else f"{count} model{'s' * (count != 1)}"
        again = ", one of them twice" if said != "one string" and count > 1 else ""
        raise SpecError(f"siblings are {said}{again}", hint="name two or more, each once")
    given = [1.0] * count if weights is None else [float(weight) for weight in weights]
    if len(given) != count or not all(math.isfinite(weight) and weight > 0.0 for weight in given):
        raise SpecError(
            f"weights are {brief(list(weights or ()))} for {count} models",
            hint="give each model a number above 0, or leave weights out",
        )
    whole = math.fsum(given)
    return [weight / whole for weight in given]
