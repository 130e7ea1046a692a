"""A real encoder on real data: MiniLM learns to name intents of banking77. Knows rows; not where the weights lie."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import pytest

import tunekit as tk
from tunekit.backends.local import LocalBackend
from tunekit.examples import LabelledExample

pytestmark = [
    pytest.mark.real,
    pytest.mark.timeout(600),
]  # trains for a minute, on machines that have other work too

INTENTS, TRAIN_ROWS, TEST_ROWS = 8, 200, 120


def intents(path: Path, rows: int) -> list[LabelledExample]:
    """Rows of the first intents in the alphabet, drawn with a seed."""
    found = [example for example in tk.Dataset.load(path) if isinstance(example, LabelledExample)]
    chosen = sorted({str(example.label) for example in found})[:INTENTS]
    return random.Random(0).sample([example for example in found if example.label in chosen], rows)


def test_minilm_beats_the_majority_by_far(
    shared_data: Path, minilm: Path, backend: LocalBackend, tmp_path: Path
) -> None:
    """With nothing set but what is learned and for how long: rate and batch are what "auto" makes of a narrow BERT."""
    train, test = (
        intents(shared_data / "banking77" / f"{part}.csv", rows)
        for part, rows in (("train", TRAIN_ROWS), ("test", TEST_ROWS))
    )
    spec, settings = tk.TuneSpec(method=tk.Classify(), epochs=4), tk.Settings(home=tmp_path / "home")
    job = tk.FineTuneJob.submit(
        tk.Dataset(train), f"local:{minilm}", spec, backend=backend, settings=settings
    )
    evaluator = tk.Evaluator(tk.Dataset(test), settings=settings)
    right = evaluator.run(str(job.result()), backend=backend)["exact_match"].value.estimate
    majority = Counter(row.label for row in test).most_common(1)[0][1] / TEST_ROWS
    assert right > 0.6
    assert right > 3 * majority
