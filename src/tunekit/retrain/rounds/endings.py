"""A round that has failed, as the error that it failed with. Knows error classes; not what a round does."""

from __future__ import annotations

from collections.abc import Iterator

from tunekit.errors import JobFailedError, PreflightError, TunekitError
from tunekit.retrain.rounds.records import Round, RoundState


def raise_if_failed(round_: Round) -> Round:
    """The round, unless it has failed.

    Raises:
        TunekitError: It has, with this error, in this process or another.
    """
    if round_.state is not RoundState.FAILED or round_.error is None:
        return round_
    stored = round_.error
    error = _class_of(stored.code)(
        f"round {round_.round_id!r} has failed: {stored.message}", hint=stored.hint
    )
    error.details["round_id"] = round_.round_id
    raise error


def _class_of(code: str) -> type[TunekitError]:
    known = {each.code: each for each in _all(TunekitError) if each.__module__ == TunekitError.__module__}
    found = known.get(code, JobFailedError)
    return JobFailedError if issubclass(found, PreflightError) else found  # that one is made of its problems


def _all(kind: type[TunekitError]) -> Iterator[type[TunekitError]]:
    for each in kind.__subclasses__():
        yield each
        yield from _all(each)
