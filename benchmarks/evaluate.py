"""What does the evaluator cost beside the model's own answers, and what does it save?

    python benchmarks/evaluate.py [--harness PYTHON] [--only overhead regrade choices]

- `overhead`: 10,000 questions to a host that answers at once, one in a call as a hosted model is asked, by the
  evaluator (with exact match, answers kept) and by a bare loop of the same calls at the same concurrency.
- `regrade`: 100,000 answers that are known, evaluated again with another scorer, in a process of its own.
- `choices`: `nano`, tuned on the tickets of the quickstart, and its base, by weighing the 8 classes and by writing an
  answer and comparing it. Then the weighing alone beside lm-evaluation-harness, if `--harness` names a Python that has
  it: the same weights, items and tokens, two threads each, models loaded before the clock starts.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import tunekit as tk
from tunekit.backends.base import GenerateRequest, Generation
from tunekit.events import Usage
from tunekit.testing import ScriptedBackend

ROOT = Path(__file__).resolve().parents[1]
NANO = ROOT / "examples" / "models" / "nano"
TICKETS = ROOT / "examples" / "data" / "support_tickets.csv"
SECTIONS = ("overhead", "regrade", "choices")


class Instant(ScriptedBackend):
    """Answers at once, so that all the time is the evaluator's."""

    async def generate(
        self, model: str, requests: Sequence[GenerateRequest], sampling: tk.Sampling
    ) -> list[Generation]:
        """Each prompt's last letter."""
        await asyncio.sleep(0)
        usage = Usage(input_tokens=9, output_tokens=1)
        return [Generation(text=str(each.prompt)[-1], finish_reason="stop", usage=usage) for each in requests]


def questions(count: int) -> tk.Dataset:
    """Each with a number of its own."""
    return tk.Dataset.from_records(
        [{"prompt": f"ticket {at}", "completion": f"{at % 10}"} for at in range(count)]
    )


def host() -> Instant:
    return Instant(generate=lambda prompt: "", version="1")


async def bare(backend: ScriptedBackend, prompts: Sequence[str], concurrency: int) -> None:
    """The calls and nothing else."""
    waiting = iter(prompts)

    async def work() -> None:
        for prompt in waiting:
            await backend.generate("base", [GenerateRequest(prompt=prompt)], tk.Sampling())

    await asyncio.gather(*(work() for _ in range(concurrency)))


def overhead(items: int) -> None:
    """Milliseconds for an item, the least of three."""
    test = questions(items)
    alone, evaluated = [], []
    for repeat in range(3):
        started = time.perf_counter()
        asyncio.run(bare(host(), [f"ticket {at}" for at in range(items)], 4))
        alone.append(time.perf_counter() - started)
        with tempfile.TemporaryDirectory() as home:
            evaluator = tk.Evaluator(test, settings=tk.Settings(home=Path(home)))
            started = time.perf_counter()
            evaluator.run(f"scripted:base{repeat}", backend=host())
            evaluated.append(time.perf_counter() - started)
    cost = 1000 * (min(evaluated) - min(alone)) / items
    say(f"overhead: {cost:.3f} ms an item over the bare calls ({items:,} items, exact match, answers kept)")


def length(item: Any, answer: str) -> float:
    """Another scorer."""
    return float(len(answer))


def regrade(items: int) -> None:
    """Seconds, and what the process takes at its largest."""
    with tempfile.TemporaryDirectory() as home:
        settings = tk.Settings(home=Path(home))
        test = questions(items)
        started = time.perf_counter()
        tk.Evaluator(test, settings=settings).run("scripted:base", backend=host())
        first_s = time.perf_counter() - started
        started = time.perf_counter()
        found = tk.Evaluator(test, scorers=[length], settings=settings).run("scripted:base", backend=host())
        again_s = time.perf_counter() - started
        size = sum(path.stat().st_size for path in Path(home).rglob("answers*") if path.is_file())
    assert found.reused == items
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    say(
        f"regrade: {items:,} known answers with another scorer in {again_s:.1f} s; asked for, graded and kept before in"
        f" {first_s:.1f} s; {size / 1e6:.0f} MB on disk, {peak:.0f} MB in memory"
    )


def choices(harness: str | None) -> None:
    """Accuracy and seconds of each way."""
    with tempfile.TemporaryDirectory() as home:
        settings = tk.Settings(home=Path(home))
        backend = tk.backends.create("local", settings=settings, threads=2)
        data = tk.Dataset.load(str(TICKETS), input="text", target="intent").sample(800, seed=7)
        train, test = data.split(test=0.25, seed=7, groups="customer_id")
        target = f"local:{NANO}"
        spec = tk.TuneSpec(method=tk.SFT(adapter=tk.LoRA(rank=16)), epochs=20, batch_size=8, seed=7)
        job = tk.FineTuneJob.submit(train, target, spec, backend=backend, settings=settings)
        tuned = job.result()
        classes = sorted(test.targets())
        ways: dict[str, tuple[tk.scorers.Scorer, int]] = {
            "weighing": (tk.scorers.Accuracy(choices=classes), 24),
            "generate-and-match, 24 tokens": (tk.scorers.ExactMatch(), 24),
            "generate-and-match, 128 tokens": (tk.scorers.ExactMatch(), 128),
        }
        tk.generate(tuned, "a ticket", backend=backend)  # loads it
        seconds: dict[str, float] = {}
        for name, (scorer, most) in ways.items():
            sampling = tk.Sampling(max_tokens=most)
            evaluator = tk.Evaluator(
                test, scorers=[scorer], sampling=sampling, cache=False, settings=settings
            )
            base = evaluator.run(target, backend=backend)
            tk.generate(tuned, "a ticket", backend=backend)
            found = evaluator.run(tuned, backend=backend)
            compared = evaluator.compare(base, found)[scorer.name]
            seconds[name] = found.seconds
            say(
                f"choices: {name}: base {compared.a.value.estimate:.3f}, tuned {compared.b.value.estimate:.3f},"
                f" {compared.verdict}; tuned in {found.seconds:.2f} s,"
                f" {found.seconds / seconds['weighing']:.1f} times the weighing"
            )
            if name == "weighing" and harness:
                picked = [item.choices[scorer.name] for item in found.items]
                beside(
                    harness,
                    test,
                    classes,
                    Path(job.artifact()),
                    picked,
                    compared.b.value.estimate,
                    found.seconds,
                )
        backend.close()


def beside(
    harness: str,
    test: tk.Dataset,
    classes: list[str],
    artifact: Path,
    picked: list[str],
    accuracy: float,
    seconds: float,
) -> None:
    """The same items by lm-evaluation-harness."""
    from tunekit.training.models.load import load
    from tunekit.training.serving.answering.decoder import DecoderAnswering

    loaded = load(artifact)
    answering = DecoderAnswering(loaded)
    with tempfile.TemporaryDirectory() as directory:
        items = Path(directory) / "items.jsonl"
        with items.open("w") as file:
            for example in test:
                assert isinstance(example, tk.CompletionExample)
                request = {"prompt": example.prompt}
                prompt = answering.prompt_ids(request)
                ends = [
                    loaded.tokenizer.decode(answering.choice_ids(request, name, prompt)) for name in classes
                ]
                right = classes.index(str(example.completion))
                row = {"text": loaded.tokenizer.decode(prompt), "choices": ends, "right": right}
                file.write(json.dumps(row) + "\n")
        script = str(Path(__file__).with_name("evaluate_harness.py"))
        environment = {
            **os.environ,
            "HF_HUB_OFFLINE": "1",
            "HF_DATASETS_CACHE": directory,
            "OMP_NUM_THREADS": "2",
        }
        done = subprocess.run(
            [harness, script, str(NANO), str(artifact), str(items)],
            check=True, capture_output=True, text=True, env=environment,
        )  # fmt: skip
    theirs = json.loads(done.stdout.splitlines()[-1])
    same = sum(classes[pick] == mine for pick, mine in zip(theirs["picks"], picked, strict=True))
    say(
        f"beside lm-evaluation-harness: accuracy {accuracy:.4f} against {theirs['accuracy']:.4f}, the same class on"
        f" {same} of {len(picked)} items; {seconds:.2f} s against {theirs['seconds']:.2f} s:"
        f" {theirs['seconds'] / seconds:.1f} times as fast"
    )


def say(text: str) -> None:
    """A line at once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def main(arguments: Sequence[str]) -> None:
    """Measure what was asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--harness", metavar="PYTHON", help="interpreter with lm_eval and peft")
    parser.add_argument("--only", nargs="+", choices=SECTIONS, default=SECTIONS)
    options = parser.parse_args(arguments)
    if "overhead" in options.only:
        overhead(10_000)
    if "regrade" in options.only:
        regrade(100_000)
    if "choices" in options.only:
        choices(options.harness)


if __name__ == "__main__":
    main(sys.argv[1:])
