"""Leave OpenAI fine-tuning without guessing: record what your tuned model answers while it answers, retrain, compare.

    python examples/leave_openai.py
    python examples/leave_openai.py --model ft:... --train TRAIN.jsonl --test TEST.jsonl --to local:DIR_OR_HUB_ID

Without a model it prints the inventory: every tuned model of the account with the days that it still answers. With one
it goes on to a report. What was done lies in the --directory and is not done again, so run it today for the recording
and any day later for the rest: the old model is never asked twice, and a job is never paid for twice.

The key comes from OPENAI_API_KEY.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import sys
from pathlib import Path

import tunekit as tk
from tunekit.backends.openai import OpenAIBackend
from tunekit.backends.openai.lifecycle import Inventory, TunedModel

MOST_DIFFERENCES = 20


def main() -> int:
    arguments = parse_arguments(sys.argv[1:])
    try:
        query = dict(pair.split("=", 1) for pair in arguments.query)
        leave(arguments, OpenAIBackend(host=arguments.host, base_url=arguments.base_url, query=query))
    except tk.TunekitError as error:
        say(f"\n{type(error).__name__}: {error}")
        return 1
    return 0


def leave(arguments: argparse.Namespace, account: OpenAIBackend) -> None:
    """From an inventory to a report; every step that was done before is taken from the directory."""
    # 1. What is there, and how long does it answer?
    models = asyncio.run(inventory(account))
    for model in models:
        say(f"{model.id}  from {model.base or 'an unknown base'}  {remaining(model)}")
    for missing in models.missing:
        say(f"warning: {missing}")
    if not arguments.model:
        say(f"{len(models)} tuned models; name one with --model to go on")
        return

    # 2. Record its answers to the evaluation set. This is the step with a deadline.
    evaluator = tk.Evaluator(
        tk.Dataset.load(arguments.test),
        scorers=[tk.scorers.ExactMatch()],
        sampling=tk.Sampling(max_tokens=arguments.max_tokens),
    )
    arguments.directory.mkdir(parents=True, exist_ok=True)
    old = recorded(evaluator, arguments.model, account, arguments.directory)
    say(str(old))
    if not arguments.to:
        say("recorded; name a backend with --to to retrain there")
        return

    # 3. Retrain elsewhere. The same data and spec are the same job, however often this is run.
    spec = tk.TuneSpec(epochs=arguments.epochs, seed=7)
    job = tk.FineTuneJob.submit(tk.Dataset.load(arguments.train), arguments.to, spec)
    say(f"job       {job.ref} ({arguments.to})")
    tuned = job.result()

    # 4. Compare, paired, with what was recorded: the old model is no longer needed.
    new = evaluator.run(tuned)
    comparison = evaluator.compare(old, new)
    say(f"\n{comparison}\n")
    report = arguments.directory / "report.md"
    known = next((model for model in models if model.id == arguments.model), None)
    report.write_text(told(evaluator, old, new, comparison, known), encoding="utf-8")
    say(f"report    {report}")


async def inventory(account: OpenAIBackend) -> Inventory:
    """Every tuned model of the account, those that stop answering soonest first."""
    try:
        return await account.tuned_models()
    finally:
        await account.aclose()


def recorded(evaluator: tk.Evaluator, model: str, account: OpenAIBackend, directory: Path) -> tk.Evaluation:
    """The old model's answers and scores: as they were recorded, or else asked for now and recorded."""
    path = directory / f"{re.sub('[^A-Za-z0-9.-]', '_', model)}.json"
    before = stored(evaluator, path) if path.is_file() else None
    if before and not unanswered(before):
        say(f"recorded  {path}, which is taken as it is")
        return before
    try:
        evaluation = evaluator.run(f"{account.name}:{model}", backend=account)
    except tk.TunekitError as error:
        if before is None:
            raise
        say(
            f"  warning: {unanswered(before)} of the answers in {path} are missing, and cannot be had now: {error}"
        )
        return before
    if before is None or unanswered(evaluation) < unanswered(before):
        partial = path.with_suffix(".partial")  # a recording that was cut off must not be taken for one
        partial.write_text(evaluation.to_json(indent=1), encoding="utf-8")
        partial.replace(path)
        before = evaluation
    say(f"recorded  {len(before.items) - unanswered(before)} answers in {path}")
    if unanswered(before):
        say(f"  warning: {unanswered(before)} were not answered; run this again while the model answers")
    return before


def stored(evaluator: tk.Evaluator, path: Path) -> tk.Evaluation:
    """A recording made earlier, if it is one of these questions."""
    try:
        evaluation = tk.Evaluation.from_json(path.read_bytes())
    except tk.SpecError as error:
        raise tk.EvaluationError(
            f"{path} is no recording: {error}", hint="move it away and record again"
        ) from error
    if differences := evaluator.provenance.differences(evaluation.provenance):
        raise tk.EvaluationError(
            f"{path} is a recording of something else: {'; '.join(differences)}",
            hint="pass the --test and --max-tokens that it was made with, or another --directory",
        )
    return evaluation


def unanswered(evaluation: tk.Evaluation) -> int:
    return sum(item.answer is None for item in evaluation.items)


def told(
    evaluator: tk.Evaluator,
    old: tk.Evaluation,
    new: tk.Evaluation,
    comparison: tk.Comparison,
    known: TunedModel | None,
) -> str:
    """The report: which model is better, and where the new one says something else."""
    pairs = [
        (item.prompt, before.answer, after.answer)
        for item, before, after in zip(evaluator.items, old.items, new.items, strict=True)
    ]
    different = [pair for pair in pairs if pair[1] != pair[2]]
    lines = [
        f"# From {old.model} to {new.model}",
        "",
        f"The old model: {remaining(known)}." if known else "The old model is no longer listed.",
        "",
        "```",
        str(comparison),
        "```",
        "",
        f"{len(pairs) - len(different)} of {len(pairs)} answers are the same, word for word. The first that are not:",
        "",
        *(
            f"- {prompt!r}: {before!r} became {after!r}"
            for prompt, before, after in different[:MOST_DIFFERENCES]
        ),
    ]
    return "\n".join(lines) + "\n"


def remaining(model: TunedModel) -> str:
    if model.days_left is None:
        return model.ends_by or "no end announced"
    return f"{model.days_left} days left, until {model.ends_on} ({model.ends_by})"


def say(text: str) -> None:
    """Write a line at once, also into a pipe; what a host named oddly cannot steer the terminal."""
    shown = (char if char.isprintable() or char == "\n" else ascii(char)[1:-1] for char in text)
    sys.stdout.write("".join(shown) + "\n")
    sys.stdout.flush()


def parse_arguments(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--host", default="openai", help="whose account it is")
    parser.add_argument(
        "--base-url", default=None, help="address of the API, where the host has more than one"
    )
    parser.add_argument(
        "--query", action="append", default=[], metavar="NAME=VALUE", help="sent with every call, for proxies"
    )
    parser.add_argument("--model", default="", help="tuned model to replace, as the inventory names it")
    parser.add_argument("--test", default="", help="evaluation set, in any shape that Dataset.load reads")
    parser.add_argument("--train", default="", help="training set; keep the evaluation set out of it")
    parser.add_argument("--to", default="", help="where to train which base, such as local:Qwen/Qwen3-0.6B")
    parser.add_argument("--epochs", type=float, default=3)
    parser.add_argument("--max-tokens", type=int, default=256, help="longest answer, in tokens")
    parser.add_argument("--directory", type=Path, default=Path("leaving"), help="recording and report")
    arguments = parser.parse_args(argv)
    if arguments.model and not arguments.test:
        parser.error("--model needs --test: the questions to record its answers to")
    if arguments.to and not (arguments.model and arguments.train):
        parser.error("--to needs --model and --train")
    return arguments


if __name__ == "__main__":
    raise SystemExit(main())
