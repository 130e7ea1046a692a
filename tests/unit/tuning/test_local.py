"""A curve and a search on the local backend, with a tiny model that really learns. Knows no scripted service."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

import tunekit as tk
from tunekit.backends.local import LocalBackend
from tunekit.tuning import Choice, Search, search

pytest.importorskip("torch", reason="needs the local extra")
ROOT = Path(__file__).resolve().parents[3]
NANO = f"local:{ROOT / 'examples' / 'models' / 'nano'}"


@pytest.fixture
def backend(home: Path) -> Iterator[LocalBackend]:
    local = LocalBackend(settings=tk.Settings(home=home))
    yield local
    asyncio.run(local.aclose())


def tickets() -> tuple[tk.Dataset, tk.Dataset]:
    rows = tk.Dataset.load(
        ROOT / "examples" / "data" / "support_tickets.csv", input="text", target="intent", kind="labelled"
    )
    return rows.split(test=60, seed=0)


def found(backend: LocalBackend, *poolings: str) -> Search:
    train, dev = tickets()
    return search(
        {"method.pooling": Choice(poolings)}, train.sample(60, seed=0), NANO, method="grid", trials=len(poolings),
        evaluator=tk.Evaluator(dev, batch_size=60), backend=backend,
        spec=tk.TuneSpec(method=tk.Probe(layer=-1, folds=2)),
    )  # fmt: skip


@pytest.mark.timeout(300)
def test_a_search_trains_and_scores(backend: LocalBackend) -> None:
    tried = found(backend, "last")
    assert [trial.outcome for trial in tried.trials] == ["scored"]
    assert tried.best.score is not None and tried.best.score.estimate > 0.15  # of eight intents
    assert {job.run_id for job in tk.FineTuneJob.list()} == {trial.rungs[0].run_id for trial in tried.trials}


@pytest.mark.soak
@pytest.mark.timeout(1200)
def test_a_search_finds_its_jobs_again(backend: LocalBackend) -> None:
    assert found(backend, "mean", "last") == found(backend, "mean", "last")
    assert len(tk.FineTuneJob.list()) == 2
