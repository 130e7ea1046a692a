"""What the base class does for every backend: refuse what is not implemented, and close from either side."""

from __future__ import annotations

import inspect
import warnings

import pytest

from tunekit.backends import Backend, Failure, ScoreRequest
from tunekit.errors import UnsupportedError
from tunekit.testing import ScriptedBackend


class Closable(ScriptedBackend):
    closed = 0

    async def aclose(self) -> None:
        self.closed += 1


def test_closing_from_a_script_is_closing() -> None:
    backend = Closable()
    backend.close()
    assert backend.closed == 1
    ScriptedBackend().close()  # nothing to let go of


async def test_closing_where_a_loop_runs_says_what_to_call_instead() -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        Closable().close()
    assert all("aclose" in str(item.message) for item in caught)


def test_both_ways_to_close_take_and_give_the_same() -> None:
    assert inspect.signature(Backend.close) == inspect.signature(Backend.aclose)
    assert inspect.iscoroutinefunction(Backend.aclose)
    assert not inspect.iscoroutinefunction(Backend.close)


async def test_artifacts_are_not_given_out_unless_a_backend_says_so() -> None:
    with pytest.raises(UnsupportedError, match="cannot artifact"):
        await ScriptedBackend().artifact("job-1")


def test_values_have_defaults_for_what_older_plugins_do_not_say() -> None:
    failure = Failure(message="no")
    assert (failure.code, dict(failure.details)) == ("job-failed", {})
    assert isinstance(hash(Failure(message="no", details={"a": 1})), int)
    assert ScoreRequest(prompt="x", choices=("a",)).tools == ()
