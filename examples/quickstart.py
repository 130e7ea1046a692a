"""Fine-tune a small language model on a table of your own, and find out whether it got better.

    python examples/quickstart.py
    python examples/quickstart.py --data FILE --input COLUMN --target COLUMN --model DIR_OR_HUB_ID --backend NAME

Without arguments it teaches the embedded `nano` model to sort support tickets by intent, in a few minutes on two cores.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import tunekit as tk

HERE = Path(__file__).resolve().parent
TICKETS = str(HERE / "data" / "support_tickets.csv")


def main() -> int:
    arguments = parse_arguments()
    try:
        run(arguments)
    except tk.TunekitError as error:
        say(f"\n{type(error).__name__}: {error}")
        return 1
    return 0


def run(arguments: argparse.Namespace) -> None:
    # 1. Load the table: one column is what the model reads, another is what it should answer.
    data = tk.Dataset.load(
        arguments.data,
        input=arguments.input,
        target=arguments.target,
        encoding=arguments.encoding,
        delimiter=arguments.delimiter,
    )
    say(f"loaded    {len(data)} rows from {arguments.data}")
    if len(data) > arguments.max_rows:
        data = data.sample(arguments.max_rows, seed=arguments.seed)
        say(f"sampled   {len(data)} of them (--max-rows {arguments.max_rows})")
    answers = data.targets()
    common = ", ".join(f"{answer} {count}" for answer, count in answers.most_common(4))
    say(f"targets   {len(answers)} different; most common: {common}")

    # 2. Hold out a part that training never sees. Classes keep their shares; equal inputs, and rows of one group
    #    (here one customer), stay on one side.
    train, test = data.split(test=arguments.test, seed=arguments.seed, groups=arguments.group)
    say(f"split     {len(train)} to train on, {len(test)} held out")

    # 3. Fine-tune. The job lives outside this process; `job.ref` attaches to it from anywhere.
    target = f"{arguments.backend}:{arguments.model}"
    spec = tk.TuneSpec(
        method=tk.SFT(adapter=tk.LoRA(rank=arguments.rank)),
        epochs=arguments.epochs,
        batch_size=arguments.batch_size,
        seed=arguments.seed,
    )
    job = tk.FineTuneJob.submit(train, target, spec)
    say(f"job       {job.ref} ({target})")
    for event in job.events():
        show(event)
    tuned = job.result()

    # 4. Evaluate base and tuned on the same held-out rows, paired.
    scorers: list[tk.scorers.Scorer] = [tk.scorers.ExactMatch()]
    if len(answers) <= arguments.max_classes:
        scorers.append(tk.scorers.Accuracy(choices=sorted(answers)))
    evaluator = tk.Evaluator(test, scorers=scorers, sampling=tk.Sampling(max_tokens=arguments.max_tokens))
    say("\nevaluating base and tuned on the held-out rows ...")
    comparison = evaluator.compare(target, tuned)
    say(f"\n{comparison}\n")

    # 5. Use it.
    for example in test.head(3):
        if isinstance(example, tk.CompletionExample):
            answer = tk.generate(tuned, example.prompt, sampling=tk.Sampling(max_tokens=arguments.max_tokens))
            say(f"prompt    {example.prompt[:100]!r}")
            say(f"answer    {answer.text!r}   (expected {example.completion!r})")
    say(f"model     {tuned}")
    try:
        say(f"artifact  {job.artifact()}")
    except tk.UnsupportedError:  # a hosted service may keep the weights to itself
        pass


def show(event: tk.JobEvent) -> None:
    """Print the events a person wants to see while training runs."""
    if isinstance(event, tk.Step):
        loss = "" if event.loss is None else f"loss {event.loss:.3f}"
        speed = "" if event.tokens_per_s is None else f"{event.tokens_per_s:,.0f} tokens/s"
        live, last = sys.stdout.isatty(), event.step == event.total_steps
        if live or last or event.step % max(1, event.total_steps // 12) == 0:
            line = f"  step {event.step:>4}/{event.total_steps}  epoch {event.epoch:4.1f}  {loss:<11} {speed}"
            say(f"{line:<70}" if live else line, end="\r" if live and not last else "\n")
    elif isinstance(event, tk.Preflight):
        for warning in event.report.get("warnings", ()):
            say(f"  warning: {warning}")
    elif isinstance(event, tk.StateChanged | tk.Notice) and event.message:
        say(f"  {event.message}")


def say(text: str, end: str = "\n") -> None:
    """Write a line at once, also into a pipe."""
    sys.stdout.write(text + end)
    sys.stdout.flush()


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", default=TICKETS, help="CSV, TSV or JSONL file")
    parser.add_argument("--input", default="text", help="column that the model reads")
    parser.add_argument("--target", default="intent", help="column that it should answer with")
    parser.add_argument(
        "--group", default=None, help="column whose equal values must stay on one side of the split"
    )
    parser.add_argument(
        "--model", default=str(HERE / "models" / "nano"), help="directory or hub id of the base model"
    )
    parser.add_argument("--backend", default="local", help="where training runs")
    parser.add_argument("--encoding", default=None, help="for example cp1252; UTF-8 unless told")
    parser.add_argument("--delimiter", default=None, help="of a table; comma, or tab for .tsv, unless told")
    parser.add_argument("--max-rows", type=int, default=800, help="train and test on at most this many rows")
    parser.add_argument("--test", type=float, default=0.25, help="share of rows to hold out")
    parser.add_argument("--epochs", type=float, default=20)
    parser.add_argument("--batch-size", type=int, default=8, help="examples per optimizer step")
    parser.add_argument("--rank", type=int, default=16, help="rank of the LoRA adapter")
    parser.add_argument("--max-tokens", type=int, default=24, help="longest answer, in tokens")
    parser.add_argument(
        "--max-classes", type=int, default=100, help="score answers as classes up to this many"
    )
    parser.add_argument("--seed", type=int, default=7)
    arguments = parser.parse_args()
    if arguments.data == TICKETS:
        arguments.group = arguments.group or "customer_id"
    return arguments


if __name__ == "__main__":
    raise SystemExit(main())
