"""What does training cost a machine that has other work? Threads that wait by spinning against threads that soon sleep.

    python benchmarks/busy.py [--steps N] [--repeats N] [--others 0 2]

`nano` is trained with a thread for each core, with so many other processes beside it that compute without a pause, once
as the trainer is started by tunekit and once with libgomp's own patience of 300,000 rounds, which is what TRL or
transformers.Trainer run with unless told otherwise. How much that costs is a matter of luck, of which core each thread
happens to be on, so every arm runs several times, in turns. Reported are the times of the training, from its first step
to its last: the middle one and the worst; and, in the middle, how much of their work the others got done meanwhile,
against the same time without the training.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path

import tunekit as tk

ROOT = Path(__file__).resolve().parents[1]
ARMS = {"tunekit": {}, "libgomp's own": {"GOMP_SPINCOUNT": "300000"}}
ALONE_S = 5.0


def work(done: Synchronized[float]) -> None:
    """Compute until killed, and count."""
    while True:
        sum(range(10_000))
        done.value += 1


@contextmanager
def others(count: int) -> Iterator[list[Synchronized[float]]]:
    """So many processes that are never idle; the pace of each is in its counter."""
    context = multiprocessing.get_context("spawn")
    counters: list[Synchronized[float]] = [context.Value("d", 0.0) for _ in range(count)]
    processes = [context.Process(target=work, args=(counter,), daemon=True) for counter in counters]
    for process in processes:
        process.start()
    try:
        while not all(counter.value for counter in counters):
            time.sleep(0.05)
        yield counters
    finally:
        for process in processes:
            process.kill()
            process.join()


def pace(counters: Sequence[Synchronized[float]], since: float, begun_with: float) -> float:
    """Work done a second, by all of them."""
    return (sum(counter.value for counter in counters) - begun_with) / (time.monotonic() - since)


def train(
    steps: int, environment: dict[str, str], counters: Sequence[Synchronized[float]]
) -> tuple[float, float]:
    """Seconds from the first step to the last, and the pace of the others meanwhile."""
    os.environ.pop("GOMP_SPINCOUNT", None)
    os.environ.update(environment)
    data = tk.Dataset.load(ROOT / "examples" / "data" / "support_tickets.csv", input="text", target="intent")
    spec = tk.TuneSpec(epochs=steps * 8 / len(data), batch_size=8)
    with tempfile.TemporaryDirectory() as home:
        target = f"local:{ROOT / 'examples' / 'models' / 'nano'}"
        job = tk.FineTuneJob.submit(data, target, spec, settings=tk.Settings(home=Path(home)))
        begun, with_ = 0.0, 0.0
        for event in job.events():
            if isinstance(event, tk.Step) and not begun:
                begun, with_ = time.monotonic(), sum(counter.value for counter in counters)
        job.result()
        return time.monotonic() - begun, pace(counters, begun, with_)


def measured(steps: int, environment: dict[str, str], count: int) -> tuple[float, float]:
    """Seconds of one training beside so many others, and their pace meanwhile as a share of what they do alone."""
    with others(count) as counters:
        begun, with_ = time.monotonic(), sum(counter.value for counter in counters)
        time.sleep(ALONE_S if count else 0.0)
        alone = pace(counters, begun, with_)
        seconds, beside = train(steps, environment, counters)
    return seconds, beside / alone if count else 1.0


def main(arguments: Sequence[str]) -> None:
    """Print a row for each arm and each number of others."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--others", type=int, nargs="+", default=[0, os.cpu_count() or 1])
    options = parser.parse_args(arguments)
    print(f"{os.cpu_count()} cores, {options.steps} steps of nano, {options.repeats} times\n")
    print(
        "| other processes | threads wait | training, s: median | worst | the others' pace |\n|--:|---|--:|--:|--:|"
    )
    for count in options.others:
        found: dict[str, list[tuple[float, float]]] = {name: [] for name in ARMS}
        for _ in range(options.repeats):
            for name, environment in ARMS.items():
                found[name].append(measured(options.steps, environment, count))
        for name, runs in found.items():
            seconds, shares = zip(*runs, strict=True)
            share = f"{statistics.median(shares):.0%}" if count else ""
            print(
                f"| {count} | {name} | {statistics.median(seconds):.1f} | {max(seconds):.1f} | {share} |",
                flush=True,
            )


if __name__ == "__main__":
    main(sys.argv[1:])
