"""A probe through the local backend with nothing replaced: trained in a child, killed, served, asked for vectors."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.training.test_main import child, finish, wait_for_step
from tests.unit.training.tiny_classifiers import CLASSES, labelled
from tunekit import Dataset, FineTuneJob, ModelRef, Probe, Sampling, Settings, TuneSpec
from tunekit.backends.base import GenerateRequest, ScoreRequest, SubmitRequest
from tunekit.backends.local import LocalBackend
from tunekit.errors import InvalidError, MissingExtraError, ModelError
from tunekit.testing.tiny_models import make_tiny_bert
from tunekit.training.run.rundir import RunDirectory, RunPlan

pytestmark = pytest.mark.timeout(300)  # interpreters that import torch, on machines that have other work too

SPEC = TuneSpec(method=Probe(layer=-1, regularisation=(1.0,), folds=2))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_bert(tmp_path_factory.mktemp("model") / "bert", max_length=64)


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings(home=tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="module")
def backend(settings: Settings) -> Iterator[LocalBackend]:
    backend = LocalBackend(settings=settings, threads=1)
    yield backend
    asyncio.run(backend.aclose())


@pytest.fixture(scope="module")
def tuned(model: Path, backend: LocalBackend, settings: Settings) -> ModelRef:
    job = FineTuneJob.submit(
        Dataset(labelled(24)), f"local:{model}", SPEC, backend=backend, settings=settings
    )
    return job.result(timeout_s=250)


async def test_it_answers_scores_and_gives_vectors(
    model: Path, tuned: ModelRef, backend: LocalBackend
) -> None:
    asked = [GenerateRequest(prompt="ask zzz"), GenerateRequest(prompt="ask ask ooo")]
    assert [item.text for item in await backend.generate(tuned.id, asked, Sampling())] == [
        "billing",
        "delivery",
    ]
    scores = await backend.score(tuned.id, [ScoreRequest(prompt="ask zzz", choices=CLASSES)])
    assert max(scores[0].log_probs) == scores[0].log_probs[CLASSES.index("billing")]
    of_base, of_probe = [await backend.embed(name, ["ask zzz", "ask"]) for name in (str(model), tuned.id)]
    assert of_base == of_probe, "the frozen model is the base"
    assert [len(vector) for vector in of_base] == [32, 32]
    assert await backend.embed(str(model), []) == []
    path = await backend.artifact(tuned.id)
    assert [item.text for item in await backend.generate(path, asked[:1], Sampling())] == ["billing"]


async def test_texts_that_cannot_be_read(model: Path, tuned: ModelRef, backend: LocalBackend) -> None:
    with pytest.raises(InvalidError, match="text 1 has 102 tokens, more than the 64"):
        await backend.embed(str(model), ["ask", "a" * 100])
    with pytest.raises(ModelError, match="an encoder writes no text"):
        await backend.generate(str(model), [GenerateRequest(prompt="ask")], Sampling())


async def test_a_probe_is_no_base(tuned: ModelRef, backend: LocalBackend) -> None:
    request = SubmitRequest(
        model=tuned.id, spec=SPEC, train=Dataset(labelled(6)), idempotency_key="run-" + "0" * 20
    )
    with pytest.raises(ModelError, match="is a probe, not a base model"):
        await backend.submit(request)


async def test_without_scikit_learn(
    model: Path, backend: LocalBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "tunekit.backends.local.packages.find_spec", lambda name: None if name == "sklearn" else name
    )
    request = SubmitRequest(model=str(model), spec=SPEC, train=Dataset(labelled(6)), idempotency_key="a")
    with pytest.raises(MissingExtraError) as caught:
        await backend.submit(request)
    assert caught.value.extra == "probe"


def test_killed_while_it_makes_vectors_it_goes_on_to_the_same_bytes(model: Path, tmp_path: Path) -> None:
    killed, whole = (
        RunDirectory.create(
            tmp_path / name,
            RunPlan(
                run_id="run", key="run", model=str(model), spec=SPEC, python="", threads=1, created_at=0.0
            ),
            Dataset(labelled(1600)),
            None,
        )
        for name in ("killed", "whole")
    )
    with child(killed) as process:
        wait_for_step(killed, process, 1)
        process.kill()
    blocks = {path.name: path.stat().st_mtime_ns for path in (killed.untrained_path / "train").iterdir()}
    assert killed.result() is None
    assert blocks
    assert finish(killed) == finish(whole) == 0
    for path in (killed.untrained_path / "train").iterdir():
        assert blocks.get(path.name, path.stat().st_mtime_ns) == path.stat().st_mtime_ns, "not computed again"
    for path in whole.artifact_path.iterdir():
        assert path.read_bytes() == (killed.artifact_path / path.name).read_bytes()
