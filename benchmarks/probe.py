"""Probe's second epoch: the same run again on cached features, against the first, on one CPU thread.

    python benchmarks/probe.py [--rows N] [--width N] [--layers N]

An "epoch" is what a run does with all of its texts. The first reads them with the frozen model; every later one
(another seed, other strengths, a run that was killed) reads the vectors from the disk. Measured is process CPU time of
making the vectors, and of a whole run with the cross-validation in it. The model is a BERT with random weights, by
default in the shape of all-MiniLM-L6-v2 (width 384, 6 layers). Texts have 11 to 61 tokens.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

CLASSES = 20


def examples(rows: int) -> list[Any]:
    """Random letters; the class is in the first word."""
    from tunekit.examples import LabelledExample

    draw, letters = random.Random(0), "abcdefghijklmnopqrstuvwxyz "
    made = []
    for at in range(rows):
        name = f"class {at % CLASSES:02d}"
        text = f"{name} " + "".join(draw.choices(letters, k=draw.randint(0, 50)))
        made.append(LabelledExample(id=f"row-{at}", text=text, label=name))
    return made


def run(runs: Path, name: str, model: Path, rows: list[Any]) -> dict[str, float]:
    """CPU seconds of one run: to the last vector, and in all."""
    from tunekit.data.dataset import Dataset
    from tunekit.spec import Probe, TuneSpec
    from tunekit.training.run.events_log import EventLog
    from tunekit.training.run.rundir import RunDirectory, RunPlan
    from tunekit.training.trainer import run_training

    plan = RunPlan(
        run_id=name,
        key=name,
        model=str(model),
        spec=TuneSpec(method=Probe(layer=-1, regularisation=(0.1, 1.0))),
        python=sys.executable,
        threads=1,
        created_at=0.0,
    )
    directory = RunDirectory.create(runs, plan, Dataset(rows), None)
    with EventLog(directory) as log:
        clock = _Clock(log, blocks=-(-len(rows) // 512))
        began = time.process_time()
        run_training(directory, log, lambda: None)
        whole = time.process_time() - began
    return {"vectors": clock.last - clock.first, "whole": whole}


class _Clock:
    """Reads the CPU clock when the log says that a run is ready, and after its last block of texts."""

    def __init__(self, log: Any, *, blocks: int) -> None:
        self.first = self.last = 0.0
        preflight, step = log.preflight, log.step

        def ready(*told: Any, **facts: Any) -> None:
            preflight(*told, **facts)
            self.first = time.process_time()

        def done(number: int, **facts: Any) -> None:
            step(number, **facts)
            if number == blocks:
                self.last = time.process_time()

        log.preflight, log.step = ready, done


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rows", type=int, default=2048)
    parser.add_argument("--width", type=int, default=384)
    parser.add_argument("--layers", type=int, default=6)
    asked = parser.parse_args()
    from tunekit.testing.tiny_models import make_tiny_bert
    from tunekit.training.plan.device import configure

    configure(threads=1)
    with tempfile.TemporaryDirectory() as directory:
        home = Path(directory)
        model = make_tiny_bert(
            home / "model", hidden=asked.width, layers=asked.layers, heads=asked.width // 32
        )
        rows = examples(asked.rows)
        first, second = (run(home / "runs", name, model, rows) for name in ("first", "second"))
    print(
        f"{asked.rows} texts, BERT of width {asked.width} with {asked.layers} layers, CPU seconds on one thread"
    )
    for name, times in (("first epoch", first), ("second epoch", second)):
        print(f"{name:>13}: vectors {times['vectors']:8.3f}   whole run {times['whole']:8.3f}")
    print(
        f"second epoch on cached vectors: {first['vectors'] / second['vectors']:.0f} x the first (goal 20 x)"
    )


if __name__ == "__main__":
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ.setdefault(name, "1")
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    main()
