"""Do the defaults work? A bare `TuneSpec()` on real tasks, against its peers' defaults and the best of 12 settings.

    python benchmarks/defaults.py [--tasks NAME ...] [--arms default peer sweep] [--runs N]
    python benchmarks/defaults.py --runs 0        # runs nothing and prints the table of what is there
    python benchmarks/defaults.py --quick         # two tasks with few rows, to see that all works; says nothing

Three arms for each task, three seeds each:

- default: tunekit with nothing set but the method, where that is not SFT;
- peer: TRL's SFTTrainer, or transformers.Trainer for classes, with its own defaults and as many epochs;
- sweep: tunekit with 12 settings of learning rate, batch size and rank (of a probe: layer and regularisation). The best
  on the dev rows with the first seed is run with the others, too.

The test rows are scored in every run and read only for the table. The runs of an arm of a task share a process, which
has one thread, and nothing else. What a run gave is a line of a file in `--results`, under a key of everything that was
asked for: start again after an interruption, or after a change of the rules, and only what is missing is run. Peers run
in `--peer-python`.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path
from statistics import fmean
from typing import Any

from quality.arms import run
from quality.runs import ARMS, Plan, Run
from quality.table import report
from quality.tasks import ROOT, TASKS, base_directory

QUICK_TASKS, QUICK_ROWS = ("spam-nano", "banking77"), 40
MARK = "result: "
"""Begins the lines of a child that are ours; peers print, too."""
ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "HF_HUB_OFFLINE": "1",
}


def read(path: Path) -> dict[str, dict[str, Any]]:
    """What was run so far, by key. A line that an interruption cut off does not count."""
    found: dict[str, dict[str, Any]] = {}
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
        try:
            one = json.loads(line)
        except ValueError:
            continue
        found[one["key"]] = one
    return found


def write(path: Path, result: dict[str, Any]) -> None:
    """Add a result, on a line of its own whatever lies before it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    torn = path.exists() and not path.read_bytes().endswith(b"\n")
    with path.open("a", encoding="utf-8") as file:
        file.write("\n" * torn + json.dumps(result) + "\n")


def carry_out(asked: Sequence[Run], python: Path, model: Path) -> Iterator[dict[str, Any]]:
    """Do runs of one arm, one after the other, in a process of their own; each result comes as soon as it is there."""
    requests = [{**one.request, "model": str(model)} for one in asked]
    with tempfile.TemporaryFile("w+") as errors:
        command = [str(python), __file__, "--child", json.dumps(requests)]
        with subprocess.Popen(
            command, env={**os.environ, **ONE_THREAD}, stdout=subprocess.PIPE, stderr=errors, text=True
        ) as process:
            assert process.stdout is not None
            lines = (line.removeprefix(MARK) for line in process.stdout if line.startswith(MARK))
            for one, line in zip(asked, lines, strict=False):
                yield {"key": one.key, **one.request, **json.loads(line)}
        if process.returncode:
            errors.seek(0)
            raise SystemExit(f"{asked[0].task}, {asked[0].arm} failed:\n{errors.read()[-3000:]}")


def child(text: str) -> None:
    """Do runs in this process and print a line of JSON for each."""
    import torch

    torch.set_num_threads(1)
    for request in json.loads(text):
        with tempfile.TemporaryDirectory() as scratch:
            found = run(request, TASKS[request["task"]], Path(request["model"]), Path(scratch))
        print(MARK + json.dumps(found), flush=True)


def run_missing(options: argparse.Namespace, rows: int) -> None:
    """Run what has no result yet, at most `--runs` of them."""
    left = options.runs if options.runs >= 0 else sys.maxsize
    with tempfile.TemporaryDirectory() as models:
        for name, arm, _ in product(options.tasks, options.arms, ("all", "best")):
            # The best of a sweep is known after its first round; other arms have nothing left for the second.
            path = options.results / f"{name}.jsonl"
            results = read(path)
            asked = [one for one in Plan(TASKS[name], rows).of(arm, results) if one.key not in results][:left]
            if not asked:
                continue
            left -= len(asked)
            python = options.peer_python if arm == "peer" else Path(sys.executable)
            for result in carry_out(asked, python, base_directory(TASKS[name].base, Path(models))):
                write(path, result)
                print(progress(result), file=sys.stderr)  # a long run should show that it lives


def progress(result: dict[str, Any]) -> str:
    """A run in a line; the test rows stay unseen."""
    mean = fmean(result["dev"])
    who, took = f"{result['task']} {result['arm']} {result['seed']}", f"{result['cpu_s']} CPU-seconds"
    return f"{who}: dev {mean:.4f}, {took}, {result['decided']}"


def main(arguments: Sequence[str]) -> None:
    """Run what is missing and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tasks", nargs="+", choices=list(TASKS), default=list(TASKS))
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=list(ARMS))
    parser.add_argument("--runs", type=int, default=-1, help="stop after so many; below 0 there is no limit")
    parser.add_argument(
        "--quick", action="store_true", help="few rows of two tasks, into a folder of its own"
    )
    parser.add_argument("--results", type=Path, default=ROOT / ".benchmarks" / "defaults")
    parser.add_argument("--peer-python", type=Path, default=ROOT / ".venv-bench" / "bin" / "python")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.child:
        child(options.child)
        return
    rows = QUICK_ROWS if options.quick else 0
    if options.quick:
        options.tasks, options.results = list(QUICK_TASKS), options.results / "quick"
    run_missing(options, rows)
    tasks = [TASKS[name] for name in options.tasks]
    print(report([(task, Plan(task, rows), read(options.results / f"{task.name}.jsonl")) for task in tasks]))


if __name__ == "__main__":
    main(sys.argv[1:])
