"""The evaluator on real models behind the real local backend; tiny ones with random weights."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from tunekit._settings import Settings
from tunekit.backends.local import LocalBackend
from tunekit.data.dataset import Dataset
from tunekit.evaluation.evaluator import Evaluator
from tunekit.evaluation.scorers import Accuracy, ExactMatch
from tunekit.spec import Sampling
from tunekit.testing.tiny_models import make_tiny_llama

CLASSES = ("delivery", "billing", "refund")


@pytest.fixture
def backend(home: Path) -> Iterator[LocalBackend]:
    local = LocalBackend(settings=Settings(home=home), threads=1)
    yield local
    asyncio.run(local.aclose())


def test_two_tiny_models(backend: LocalBackend, tmp_path: Path) -> None:
    a, b = (f"local:{make_tiny_llama(tmp_path / str(seed), seed=seed)}" for seed in (0, 1))
    test = Dataset.from_records(
        [{"prompt": f"Ticket {number}", "completion": CLASSES[number % 3]} for number in range(30)]
    )
    evaluator = Evaluator(
        test, scorers=[ExactMatch(), Accuracy()], sampling=Sampling(max_tokens=4), batch_size=8, margin=0.02
    )
    report = evaluator.compare(a, b, backend=backend)
    # Random weights spell no class, and choosing one of three by chance is right sometimes.
    assert report["exact_match"].a.value.estimate == report["exact_match"].b.value.estimate == 0.0
    assert report["accuracy"].n_paired == 30
    assert report["accuracy"].a.value.estimate > 0 or report["accuracy"].b.value.estimate > 0
    assert evaluator.run(a, backend=backend)["accuracy"] == report["accuracy"].a
