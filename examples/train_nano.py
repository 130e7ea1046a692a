"""Make the embedded base model `nano`: corpus, tokenizer, random weights, training with tunekit, model card.

    python examples/train_nano.py --minutes 65
    python examples/train_nano.py --tokens 200000 --out /tmp/nano     # a quick try

Run it again after an interruption: finished steps are kept, and the training job goes on where it was.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import time
from pathlib import Path
from typing import Any

import tunekit as tk
from nano import card, corpus, measure, model, staging, tokenizer

HERE = Path(__file__).resolve().parent
TOKENS_PER_SECOND = 2500  # of one core; only turns --minutes into tokens
TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja")


def main() -> None:
    arguments = parse_arguments()
    cache = arguments.cache.resolve()
    base, manifest = prepare(arguments, cache)
    sizes = stage(base, cache, arguments.tokens or int(arguments.minutes * 60 * TOKENS_PER_SECOND))
    say(f"training  {sizes['rows']:,} rows, {sizes['tokens']:,} of {sizes['available']:,} tokens")
    spec = recipe(arguments)
    started = time.monotonic()
    artifact, seconds = train(base, cache, spec, arguments.threads)
    say(f"trained   {artifact} ({time.monotonic() - started:.0f} s here)")
    publish(artifact, base, arguments.out)
    chats, prose = staging.held_out(cache, arguments.held_out)
    run = {
        **sizes,
        "batch_size": spec.batch_size,
        "learning_rate": spec.learning_rate,
        "seed": spec.seed,
        "threads": arguments.threads,
        "minutes": seconds / 60,
        "before": measure.measure(base, chats, prose),
        "after": measure.measure(arguments.out, chats, prose),
    }
    (cache / "run.json").write_text(json.dumps(run, indent=2) + "\n", encoding="utf-8")
    (arguments.out / "README.md").write_text(card.card(manifest, shape(arguments.out), run), encoding="utf-8")
    for part in ("chat", "prose"):
        say(f"held out  {part}: loss {run['after'][part]['loss']:.3f}, was {run['before'][part]['loss']:.3f}")
    for prompt, answer in run["after"]["samples"]:
        say(f"  {prompt}\n    {answer}")


def prepare(arguments: argparse.Namespace, cache: Path) -> tuple[Path, dict[str, Any]]:
    """Corpus, tokenizer and random weights; what is there already is kept."""
    base = cache / "untrained"
    if not (base / "model.safetensors").is_file():
        tickets = HERE / "data" / "support_tickets.csv"
        manifest = corpus.build(arguments.shared, cache, unseen_files=[tickets])
        trained = tokenizer.train(staging.texts(cache), base)
        counts = staging.tokens_by_source(cache, trained)
        for item in manifest["sources"]:
            item["tokens"] = counts[item["name"]]
        (cache / corpus.MANIFEST_FILE).write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
        model.write_untrained(base)
    manifest = json.loads((cache / corpus.MANIFEST_FILE).read_text(encoding="utf-8"))
    for item in manifest["sources"]:
        say(f"  {item['name']:<24} {item['rows']:>7,} rows {item['tokens']:>9,} tokens  {item['licence']}")
    for name, why in manifest["missing"].items():
        say(f"  MISSING {name}: {why}")
    return base, manifest


def stage(base: Path, cache: Path, token_budget: int) -> dict[str, int]:
    """The training rows as raw text, shuffled, up to the budget."""
    from transformers import AutoTokenizer

    return staging.write_training_rows(cache, AutoTokenizer.from_pretrained(base), token_budget)


def recipe(arguments: argparse.Namespace) -> tk.TuneSpec:
    """One pass over everything. Small batches: at this size many cheap steps beat few good ones."""
    return tk.TuneSpec(
        method=tk.SFT(adapter=tk.FullWeights(), prompt_format="text"),
        epochs=1,
        batch_size=arguments.batch_size,
        learning_rate=arguments.learning_rate,
        warmup_ratio=0.02,
        max_length=tokenizer.CONTEXT,
        seed=arguments.seed,
        name="nano",
    )


def train(base: Path, cache: Path, spec: tk.TuneSpec, threads: int) -> tuple[Path, float]:
    """Submit, or find again, the one job for these rows and this recipe, and follow it to its end."""
    from tunekit.backends.local import LocalBackend

    settings = tk.Settings(home=cache / "home")
    backend = LocalBackend(settings=settings, threads=threads)
    data = tk.Dataset.load(cache / staging.TRAIN_FILE)
    job = tk.FineTuneJob.submit(data, f"local:{base}", spec, backend=backend, settings=settings)
    say(f"job       {job.ref}  (log and events: {settings.runs / job.ref.id})")
    for event in job.events():
        if isinstance(event, tk.Step) and (event.step % 100 == 0 or event.step == event.total_steps):
            loss = "" if event.loss is None else f"{event.loss:.3f}"
            say(
                f"  step {event.step:>6}/{event.total_steps}  loss {loss:<6} {event.tokens_per_s or 0:,.0f} tokens/s"
            )
        elif not isinstance(event, tk.Step):
            say(f"  {event}")
    job.result()
    usage = job.snapshot().usage
    return Path(job.artifact()), usage.seconds if usage else 0.0


def publish(artifact: Path, base: Path, out: Path) -> None:
    """The tuned weights cast to bf16, with the tokenizer and the generation config they started from."""
    import torch
    from transformers import AutoModelForCausalLM

    out.mkdir(parents=True, exist_ok=True)
    trained = AutoModelForCausalLM.from_pretrained(artifact, dtype=torch.bfloat16)
    trained.generation_config = model.generation_config()
    trained.save_pretrained(out)
    for name in TOKENIZER_FILES:
        shutil.copyfile(base / name, out / name)
    for path in out.iterdir():
        path.chmod(0o644)


def shape(out: Path) -> dict[str, Any]:
    """What the card's first table says."""
    from transformers import AutoModelForCausalLM

    return {
        "parameters": AutoModelForCausalLM.from_pretrained(out).num_parameters(),
        "hidden": model.HIDDEN,
        "layers": model.LAYERS,
        "heads": model.HEADS,
        "head_size": model.HIDDEN // model.HEADS,
        "key_heads": model.KEY_HEADS,
        "inner": model.INNER,
        "vocabulary": tokenizer.VOCABULARY,
        "context": tokenizer.CONTEXT,
        "megabytes": (out / "model.safetensors").stat().st_size / 1e6,
    }


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=65, help="length of training on one core, roughly")
    parser.add_argument("--tokens", type=int, default=0, help="token budget; wins over --minutes")
    parser.add_argument("--out", type=Path, default=HERE / "models" / "nano", help="where the model goes")
    parser.add_argument("--cache", type=Path, default=HERE / ".cache" / "nano", help="corpus, packages, runs")
    parser.add_argument(
        "--shared", type=Path, default=HERE.parents[1] / "shared" / "data", help="shared data sets"
    )
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--learning-rate", type=float, default=4e-3)
    parser.add_argument("--held-out", type=int, default=400, help="rows of each kind to measure on")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


if __name__ == "__main__":
    main()
