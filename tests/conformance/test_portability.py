"""One script, three backends: only the target string changes, and what comes back is of the same kinds.

Behind "openai:" stands our own server, on a real socket, with a trainer of this machine behind it; so this is also our
client and our server together, and what goes between them is held to OpenAI's description.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.wire.serving import Described, serving
from tunekit import FineTuneJob, Message, Settings, TuneSpec, generate
from tunekit.backends import Backend, create, register
from tunekit.data.dataset import Dataset
from tunekit.errors import InvalidError, NotFoundError, PreflightError, TunekitError
from tunekit.events import JobEvent, JobState, StateChanged, Step
from tunekit.examples import ChatExample
from tunekit.refs import ModelRef
from tunekit.server import create_app
from tunekit.spec import KTO
from tunekit.store import MemoryStore
from tunekit.testing import ScriptedBackend
from tunekit.testing.tiny_models import make_tiny_llama

if TYPE_CHECKING:
    from collections.abc import Callable

KEY = "sk-of-the-portable-script"
DATA = Dataset(
    ChatExample(
        messages=(Message(role="user", content=f"say {row}"), Message(role="assistant", content=f"{row}!"))
    )
    for row in range(12)
)


@dataclass(frozen=True)
class Outcome:
    """What the script saw."""

    model: ModelRef
    events: list[JobEvent]
    answer: str
    errors: list[type[TunekitError]]


def script(target: str, backend: Backend) -> Outcome:
    """What a product does: tune, follow, use; and what goes wrong in one."""
    job = FineTuneJob.submit(
        DATA, target, TuneSpec(epochs=1, batch_size=4, seed=7), backend=backend, store=MemoryStore()
    )
    events = list(job.events())
    model = job.result(timeout_s=90)
    answer = generate(model, "say 3", backend=backend)
    name = backend.name
    return Outcome(
        model=model,
        events=events,
        answer=answer.text,
        errors=[
            raised(lambda: FineTuneJob.attach(f"{name}:run-00000000", backend=backend, store=MemoryStore())),
            raised(lambda: FineTuneJob.submit(DATA, target, TuneSpec(method=KTO()), backend=backend)),
            raised(lambda: generate(f"{name}:no-such-model", "say 3", backend=backend)),
            raised(lambda: generate(model, "say " * 5000, backend=backend)),
        ],
    )


def raised(work: Callable[[], object]) -> type[TunekitError]:
    with pytest.raises(TunekitError) as caught:
        work()
    assert caught.value.hint
    return caught.type


def scripted() -> ScriptedBackend:
    """One that knows its models, and how much they read, as the others do."""
    return ScriptedBackend(generate=lambda prompt: "3!", models=["tiny"], context_words=256)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_llama(tmp_path_factory.mktemp("portability") / "tiny")


@pytest.fixture(scope="module")
def url(tiny: Path) -> Iterator[str]:
    app = create_app(
        {"tiny": f"local:{tiny}"}, keys={KEY: "portable"}, settings=Settings(home=tiny.parent / "served")
    )
    described = Described(app)
    with serving(described) as url:
        yield url
    assert described.problems == []


@pytest.fixture(scope="module")
def outcomes(tiny: Path, url: str) -> Iterator[dict[str, Outcome]]:
    targets = {"local": f"local:{tiny}", "openai": "openai:tiny", "scripted": "scripted:tiny"}
    with ExitStack() as ends, pytest.MonkeyPatch.context() as environment:
        ends.callback(register("scripted", lambda **_: scripted()))
        # What the official package reads, too: the script itself names no address and no key.
        environment.setenv("OPENAI_BASE_URL", url)
        environment.setenv("OPENAI_API_KEY", KEY)
        environment.setenv("TUNEKIT_HOME", str(tiny.parent / "here"))
        backends = {name: create(name) for name in targets}
        for backend in backends.values():
            ends.callback(backend.close)
        yield {name: script(target, backends[name]) for name, target in targets.items()}


@pytest.mark.parametrize("name", ["local", "openai", "scripted"])
def test_same_script_gives_the_same_kinds_of_things(outcomes: dict[str, Outcome], name: str) -> None:
    outcome = outcomes[name]
    states = [event.state for event in outcome.events if isinstance(event, StateChanged)]
    assert states[-2:] == [JobState.RUNNING, JobState.SUCCEEDED]
    steps = [event for event in outcome.events if isinstance(event, Step)]
    assert [event.step for event in steps] == [1, 2, 3]
    assert all(event.loss is not None and event.loss > 0 for event in steps)
    assert outcome.model.startswith(f"{name}:")
    assert outcome.errors == [NotFoundError, PreflightError, NotFoundError, InvalidError]


def test_model_that_our_server_trained_is_the_one_that_is_trained_here(outcomes: dict[str, Outcome]) -> None:
    here, there = outcomes["local"], outcomes["openai"]
    assert losses(there) == pytest.approx(losses(here), abs=1e-5)
    assert there.answer == here.answer


def losses(outcome: Outcome) -> list[float | None]:
    return [event.loss for event in outcome.events if isinstance(event, Step)]
