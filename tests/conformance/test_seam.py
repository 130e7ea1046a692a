"""What every backend owes to core, asked of each of ours and of the scripted one: a claim is a check."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from tests.wire.inprocess import InProcess
from tests.wire.service import Service
from tunekit import TuneSpec
from tunekit.backends import Backend, SubmitRequest, available, create
from tunekit.backends.openai.backend import OpenAIBackend
from tunekit.errors import NotFoundError, UnsupportedError
from tunekit.testing import ScriptedBackend, tiny_dataset

OPTIONAL = (
    "find",
    "cancel",
    "pause",
    "resume",
    "checkpoints",
    "generate",
    "score",
    "embed",
    "artifact",
    "delete_artifacts",
)
# Arguments of the right shape; none of them names anything that exists.
ARGUMENTS: dict[str, tuple[object, ...]] = {
    "generate": ("nothing", [], None),
    "score": ("nothing", []),
    "embed": ("nothing", []),
}
MAKERS: dict[str, Callable[[], Backend]] = {
    **{info.name: partial(create, info.name) for info in available() if info.distribution == "tunekit"},
    "openai": lambda: OpenAIBackend(transport=InProcess(handler=Service())),
    "scripted": partial(ScriptedBackend, artifact="/models/{number}"),
    "scripted-that-cannot": lambda: ScriptedBackend(find=False, cancellable=False),
}


@pytest.fixture(params=MAKERS)
def backend(request: pytest.FixtureRequest) -> Backend:
    return MAKERS[request.param]()


def test_name_is_the_part_before_the_colon(backend: Backend) -> None:
    assert backend.name in {*(info.name for info in available()), "scripted"}
    assert backend.poll_interval_s > 0


def test_claimed_verbs_are_verbs(backend: Backend) -> None:
    assert backend.capabilities.verbs <= set(OPTIONAL)
    assert backend.capabilities.methods


@pytest.mark.parametrize("verb", OPTIONAL)
async def test_verb_is_refused_exactly_if_it_is_not_claimed(backend: Backend, verb: str) -> None:
    if verb in backend.capabilities.verbs:
        assert getattr(type(backend), verb) is not getattr(Backend, verb), "claimed and not implemented"
        return
    with pytest.raises(UnsupportedError, match=verb):
        await getattr(backend, verb)(*ARGUMENTS.get(verb, ("nothing",)))


@pytest.mark.parametrize("verb", ["snapshot", "events", "cancel", "pause", "resume", "artifact"])
async def test_job_that_was_never_submitted_is_not_found(backend: Backend, verb: str) -> None:
    if verb in OPTIONAL and not backend.capabilities.supports(verb):
        return
    arguments = ("run-00000000", None) if verb == "events" else ("run-00000000",)
    with pytest.raises(NotFoundError):
        await getattr(backend, verb)(*arguments)


async def test_key_that_was_never_submitted_is_not_found(backend: Backend) -> None:
    if backend.capabilities.supports("find"):
        assert await backend.find("run-00000000") is None


@pytest.mark.parametrize("verb", ["submit", "snapshot", "events", *OPTIONAL, "identify", "aclose", "close"])
def test_signatures_are_those_of_the_seam(backend: Backend, verb: str) -> None:
    theirs = list(inspect.signature(getattr(type(backend), verb)).parameters)
    assert theirs == list(inspect.signature(getattr(Backend, verb)).parameters)


async def test_submitted_key_is_found_from_another_instance(tmp_path: Path) -> None:
    # The scripted one only: the local backend's own tests do this with a real child process.
    first, second = ScriptedBackend(directory=tmp_path), ScriptedBackend(directory=tmp_path)
    request = SubmitRequest(model="base", spec=TuneSpec(), train=tiny_dataset(), idempotency_key="run-1")
    assert await first.submit(request) == await second.find("run-1")
