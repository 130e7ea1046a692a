"""Supervised fine-tuning on one CPU thread: tunekit against TRL and transformers.Trainer, same model, rows and batches.

    python benchmarks/train_cpu.py [--epochs N] [--repeats N] [--arms NAME ...] [--text full] [--isa avx2]

Every arm runs in a process of its own with one thread. Measured is process CPU time from the first step to the last
(not imports, loading or tokenising), so a busy machine changes the numbers little; the best of the repeats counts. The
measure is real tokens per CPU-second: padding is work and not a result. All arms get the very same token ids.

The model is a Llama of 15M parameters (width 288, 6 layers, 32k vocabulary, tied) with random weights. "completion"
data are 48 prompt/completion rows in which a third of the tokens carry loss; "full" data carry loss on every token.

The share of the peak is what the work needs at least, counted once for all arms, over what square fp32 products keep up
here: the products for real tokens forward and backward, those of the output layer only where there is loss. Norms, the
optimizer and padding count as nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

BATCH_SIZE = 8
LEARNING_RATE = 1e-3
ROWS = 48
WIDTH, INNER, LAYERS, VOCABULARY = 288, 768, 6, 32_000


def rows(text: str, seed: int = 0) -> list[tuple[str, str]]:
    """Prompts and completions of random letters; the tokenizer makes one token of each."""
    rng = random.Random(seed)

    def letters(low: int, high: int) -> str:
        return "".join(rng.choices("abcdefghijklmnopqrstuvwxyz ", k=rng.randint(low, high)))

    pairs = [(letters(15, 110), letters(8, 48)) for _ in range(ROWS)]
    if text == "full":
        return [("", prompt + completion) for prompt, completion in pairs]
    return pairs


def examples_of(text: str) -> list[Any]:
    """The rows as tunekit's examples."""
    from tunekit.examples import CompletionExample

    return [CompletionExample(prompt=prompt, completion=completion) for prompt, completion in rows(text)]


def make_model(path: Path) -> None:
    """The 15M Llama with a byte tokenizer."""
    import torch
    from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

    from tunekit.testing.tiny_models import make_tiny_llama

    make_tiny_llama(path, chat_template=None)
    tokenizer = AutoTokenizer.from_pretrained(path)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=WIDTH,
        intermediate_size=INNER,
        num_hidden_layers=LAYERS,
        num_attention_heads=6,
        max_position_embeddings=512,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    LlamaForCausalLM(config).save_pretrained(path)


def tokenised(model: Path, text: str) -> tuple[Any, list[Any]]:
    """Tokenizer and rows as ids with weights, as tunekit renders them; every peer gets these ids."""
    from tunekit.training.models import load
    from tunekit.training.texts import render

    tokenizer = load.load_tokenizer(model)
    return tokenizer, [render.render_example(tokenizer, example, "text") for example in examples_of(text)]


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """CPU-seconds of this process, all threads, and what the work returned."""
    start = time.process_time()
    value = work()
    return time.process_time() - start, value


def run_tunekit(model: Path, text: str, epochs: int, scratch: Path) -> tuple[float, float]:
    """The real path from run directory to artifact; only the loop is on the clock, and saving is off it."""
    from tunekit.data.dataset import Dataset
    from tunekit.events import Step
    from tunekit.spec import SFT, FullWeights, TuneSpec
    from tunekit.training import trainer
    from tunekit.training.plan.device import configure
    from tunekit.training.run.events_log import EventLog
    from tunekit.training.run.rundir import RunDirectory, RunPlan

    configure(threads=1)
    spec = TuneSpec(
        method=SFT(adapter=FullWeights(), prompt_format="text"),
        epochs=epochs,
        batch_size=BATCH_SIZE,
        learning_rate=LEARNING_RATE,
    )
    plan = RunPlan(
        run_id="bench",
        key="bench",
        model=str(model),
        spec=spec,
        python=sys.executable,
        threads=1,
        created_at=0.0,
    )
    run = RunDirectory.create(scratch, plan, Dataset(examples_of(text)), None)
    seconds: list[float] = []
    names = vars(trainer)
    loop = names["train"]

    def on_the_clock(training: Any, state: Any, hooks: Any, log: Any) -> Any:
        unsaved = replace(hooks, save=lambda state: None)
        spent, value = timed(lambda: loop(training, state, unsaved, log))
        seconds.append(spent)
        return value

    names["train"] = on_the_clock
    with EventLog(run) as log:
        trainer.run_training(run, log, lambda: None)
    losses = [
        event.loss for event in run.events_from(0)[0] if isinstance(event, Step) and event.loss is not None
    ]
    return seconds[0], sum(losses) / len(losses)


def training_arguments(epochs: int, scratch: Path) -> dict[str, Any]:
    """What all arms of the transformers family are told."""
    return {
        "output_dir": str(scratch),
        "per_device_train_batch_size": BATCH_SIZE,
        "num_train_epochs": epochs,
        "learning_rate": LEARNING_RATE,
        "use_cpu": True,
        "report_to": "none",
        "save_strategy": "no",
        "disable_tqdm": True,
        "seed": 0,
    }


def run_trainer(model: Path, text: str, epochs: int, scratch: Path) -> tuple[float, float]:
    """transformers.Trainer with its defaults, in fp32, with padded batches and labels."""
    import torch
    from transformers import AutoModelForCausalLM, Trainer, TrainingArguments

    tokenizer, examples = tokenised(model, text)
    data = [{"input_ids": list(item.ids), "weights": list(item.weights)} for item in examples]

    def collate(batch: list[dict[str, Any]]) -> dict[str, Any]:
        longest = max(len(item["input_ids"]) for item in batch)

        def padded(values: list[int], fill: int) -> list[int]:
            return values + [fill] * (longest - len(values))

        def labels(item: dict[str, Any]) -> list[int]:
            pairs = zip(item["input_ids"], item["weights"], strict=True)
            return [token if weight else -100 for token, weight in pairs]

        return {
            "input_ids": torch.tensor([padded(item["input_ids"], tokenizer.pad_token_id) for item in batch]),
            "attention_mask": torch.tensor([padded([1] * len(item["input_ids"]), 0) for item in batch]),
            "labels": torch.tensor([padded(labels(item), -100) for item in batch]),
        }

    trainer = Trainer(
        model=AutoModelForCausalLM.from_pretrained(model),
        args=TrainingArguments(**training_arguments(epochs, scratch), remove_unused_columns=False),
        train_dataset=data,
        data_collator=collate,
    )
    seconds, output = timed(trainer.train)
    return seconds, float(output.training_loss)


def run_trl(model: Path, text: str, epochs: int, scratch: Path, **options: Any) -> tuple[float, float]:
    """TRL's SFTTrainer on the same ids; its collator pads and masks the prompt itself."""
    from datasets import Dataset
    from transformers import AutoModelForCausalLM
    from trl import SFTConfig, SFTTrainer

    tokenizer, examples = tokenised(model, text)
    columns = {
        "input_ids": [list(item.ids) for item in examples],
        "completion_mask": [[int(weight != 0) for weight in item.weights] for item in examples],
    }
    trainer = SFTTrainer(
        model=AutoModelForCausalLM.from_pretrained(model),
        args=SFTConfig(**training_arguments(epochs, scratch), **options),
        train_dataset=Dataset.from_dict(columns),
        processing_class=tokenizer,
    )
    seconds, output = timed(trainer.train)
    return seconds, float(output.training_loss)


def run_trl_fp32(model: Path, text: str, epochs: int, scratch: Path) -> tuple[float, float]:
    """TRL told to compute in fp32 and not to recompute activations."""
    return run_trl(model, text, epochs, scratch, bf16=False, gradient_checkpointing=False)


def run_trl_bf16(model: Path, text: str, epochs: int, scratch: Path) -> tuple[float, float]:
    """TRL with its bf16 autocast, told not to recompute activations."""
    return run_trl(model, text, epochs, scratch, gradient_checkpointing=False)


ARMS: dict[str, tuple[str, Callable[[Path, str, int, Path], tuple[float, float]]]] = {
    "trl": ("TRL, defaults (bf16 autocast, checkpointing)", run_trl),
    "trl-bf16": ("TRL, bf16 autocast, no checkpointing", run_trl_bf16),
    "trl-fp32": ("TRL, fp32, no checkpointing", run_trl_fp32),
    "trainer": ("transformers.Trainer, fp32", run_trainer),
    "tunekit": ("tunekit", run_tunekit),
}


def needed_flops(lengths: Sequence[int], targets: int) -> float:
    """Of an epoch: 6 for each weight of the layers and token, and for each of the output layer and target.

    Attention adds 12 for each value of a token and each token that it sees, which are half of them (Chowdhery et al.
    2022, arXiv 2204.02311, appendix B, with the causal half left out).
    """
    layers = LAYERS * (4 * WIDTH * WIDTH + 3 * WIDTH * INNER)
    seen = sum(length * length / 2 for length in lengths)
    return 6.0 * (layers * sum(lengths) + WIDTH * VOCABULARY * targets) + 12.0 * LAYERS * WIDTH * seen


def gemm_peak(sizes: Sequence[int] = (256, 512, 1024, 2048), seconds: float = 2.0) -> float:
    """Floating point operations per CPU-second that square fp32 products keep up on one thread, for the best size."""
    import torch

    best = 0.0
    for size in sizes:
        left, right, done = torch.randn(size, size), torch.randn(size, size), 0
        started = time.process_time()
        while (spent := time.process_time() - started) < seconds:
            torch.mm(left, right)
            done += 1
        best = max(best, done * 2 * size**3 / spent)
    return best


def child(arm: str, model: Path, text: str, epochs: int) -> None:
    """Measure one arm in this process and print one line of JSON."""
    import torch

    torch.set_num_threads(1)
    if arm == "gemm":
        print(json.dumps({"peak": gemm_peak()}))
        return
    with tempfile.TemporaryDirectory() as scratch:
        seconds, loss = ARMS[arm][1](model, text, epochs, Path(scratch))
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"seconds": seconds, "loss": loss, "peak_mb": peak_mb}))


def capped(isa: str) -> dict[str, str]:
    """Environment that keeps every library from using instructions beyond `isa`, for all arms alike."""
    if isa == "native":
        return {}
    return {"ATEN_CPU_CAPABILITY": "avx2", "MKL_ENABLE_INSTRUCTIONS": "AVX2", "ONEDNN_MAX_CPU_ISA": "AVX2"}


def measure(arm: str, model: Path, text: str, epochs: int, repeats: int, isa: str) -> list[dict[str, float]]:
    """What several processes found."""
    command = [
        sys.executable,
        __file__,
        "--child",
        arm,
        "--model",
        str(model),
        "--epochs",
        str(epochs),
        "--text",
        text,
    ]
    one_thread = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
    environment = {**os.environ, **one_thread, **capped(isa)}
    found = []
    for _ in range(repeats):
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"{arm} failed:\n{done.stderr[-3000:]}")
        found.append(json.loads(done.stdout.splitlines()[-1]))
        print(f"{arm}: {found[-1]}", file=sys.stderr)  # a long run should show that it lives
    return found


def fastest(found: list[dict[str, float]]) -> dict[str, float]:
    """The process that took the least CPU time."""
    return min(found, key=lambda one: one["seconds"])


def table(results: dict[str, dict[str, float]], tokens: int, flops: float, peak: float) -> str:
    """Markdown: real tokens per CPU-second, how many times the first arm that is, and the share of the peak."""
    lines = [
        "| setup | real tokens per CPU-second | times TRL defaults | times Trainer | of fp32 peak | peak RSS, MB |",
        "|---|--:|--:|--:|--:|--:|",
    ]
    speeds = {arm: tokens / result["seconds"] for arm, result in results.items()}
    for arm, result in results.items():
        against = [
            f"{speeds[arm] / speeds[base]:.1f}x" if base in speeds else "" for base in ("trl", "trainer")
        ]
        share = flops / result["seconds"] / peak
        cells = [ARMS[arm][0], f"{speeds[arm]:.0f}", *against, f"{share:.0%}", f"{result['peak_mb']:.0f}"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def cpu_name() -> str:
    """What the processor calls itself, with the instruction sets that decide about bf16."""
    text = Path("/proc/cpuinfo").read_text(encoding="utf-8") if Path("/proc/cpuinfo").exists() else ""
    fields = dict(line.split(":", 1) for line in text.split("\n\n")[0].splitlines() if ":" in line)
    name = next(
        (value.strip() for key, value in fields.items() if key.strip() == "model name"), "unknown processor"
    )
    flags = next((value.split() for key, value in fields.items() if key.strip() == "flags"), [])
    return f"{name} ({', '.join(flag for flag in ('avx2', 'avx512f', 'avx512_bf16', 'amx_bf16') if flag in flags)})"


def main(arguments: Sequence[str]) -> None:
    """Run the arms and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--arms", nargs="+", choices=list(ARMS), default=list(ARMS))
    parser.add_argument("--text", choices=["completion", "full"], default="completion")
    parser.add_argument(
        "--isa",
        choices=["native", "avx2"],
        default="native",
        help="avx2: as on a CPU without AVX-512 and AMX",
    )
    parser.add_argument("--child", help=argparse.SUPPRESS)
    parser.add_argument("--model", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.child:
        child(options.child, options.model, options.text, options.epochs)
        return
    with tempfile.TemporaryDirectory() as directory:
        model = Path(directory) / "llama15m"
        make_model(model)
        _, examples = tokenised(model, options.text)
        lengths = [len(item.ids) for item in examples]
        tokens = sum(lengths)
        targets = sum(item.target_count for item in examples)
        asked = options.text, options.epochs, options.repeats, options.isa
        results = {arm: fastest(measure(arm, model, *asked)) for arm in options.arms}
        peak = max(one["peak"] for one in measure("gemm", model, *asked))
    limit = "" if options.isa == "native" else f", limited to {options.isa}"
    print(f"{cpu_name()}{limit}, one thread. {ROWS} rows, {tokens} tokens, {targets} with loss, ", end="")
    print(f"batch {BATCH_SIZE}, ", end="")
    print(f"{options.epochs} epochs, best of {options.repeats}.")
    flops = needed_flops(lengths, targets) * options.epochs
    print(f"Square fp32 products keep up {peak / 1e9:.0f} GFLOP per CPU-second.\n")
    print(table(results, tokens * options.epochs, flops, peak))
    print("\nMean training loss:", ", ".join(f"{arm} {one['loss']:.3f}" for arm, one in results.items()))


if __name__ == "__main__":
    main(sys.argv[1:])
