"""The learning curve of a probe on banking77, held against the numbers of the research. Knows where the data lie."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from pathlib import Path

import pytest

import tunekit as tk
from tunekit.backends.local import LocalBackend
from tunekit.store import MemoryStore
from tunekit.tuning import learning_curve
from tunekit.tuning.power_law import fit

pytestmark = [pytest.mark.real, pytest.mark.soak, pytest.mark.timeout(7200)]

SIZES = (77, 154, 308, 616, 1232, 2310, 4620, 10_003)
# research/evaluation.md, section 6: accuracy of 77 and of all rows, and what part of the curve foretells of all.
FIRST, ALL = 0.54, 0.9305
FORETOLD = {616: 0.962, 1232: 0.940, 2310: 0.932}


def test_curve_of_a_probe_on_banking77(shared_data: Path, minilm: Path, tmp_path: Path) -> None:
    train, dev = (tk.Dataset.load(shared_data / "banking77" / f"{part}.csv") for part in ("train", "test"))
    settings = tk.Settings(home=tmp_path / "home")
    backend = LocalBackend(settings=settings)
    try:
        curve = learning_curve(
            train, f"local:{minilm}", evaluator=tk.Evaluator(dev, batch_size=512), sizes=SIZES, seeds=2,
            spec=tk.TuneSpec(method=tk.Probe(layer=-1)), backend=backend, store=MemoryStore(), settings=settings,
        )  # fmt: skip
    finally:
        asyncio.run(backend.aclose())
    (tmp_path / "curve.json").write_text(curve.to_json(indent=1))
    means = {mean.size: mean.score.estimate for mean in curve.means}
    assert means[77] == pytest.approx(FIRST, abs=0.05)
    assert means[10_003] == pytest.approx(ALL, abs=0.01)
    gains = [means[large] - means[small] for small, large in pairwise(SIZES)]
    assert gains == sorted(gains, reverse=True)
    for most, theirs in FORETOLD.items():
        law = fit({n: [score] for n, score in means.items() if n <= most})
        ours = law.at(min(10_003, law.furthest)).estimate
        assert ours == pytest.approx(theirs, abs=0.03), most
    assert not curve.needed_for(0.99)
