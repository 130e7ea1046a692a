"""LoRA fine-tuning on one GPU: tunekit against transformers.Trainer and TRL, same shape, rows and batches, one run.

    python benchmarks/train_gpu.py [--shapes 0.6B 1.7B 8B] [--arms tunekit trainer trl] [--data ragged|full] [--steps N]

Models have the shapes of Qwen3-0.6B, Qwen3-1.7B and Llama-3.1-8B and random weights, so nothing is downloaded; without
a GPU the shape is "toy", which shows only that the script runs. Rows are random tokens: "ragged" ones are of 64 to
4,096 tokens, a third of which carry loss; "full" ones all have 4,096 and learn every token. Every arm runs in a process
of its own; the first steps warm it up and do not count. Reported are real tokens per second (padding is no result), the
share of the bf16 peak with the operations that LoRA needs (4 per weight and token, `tunekit.training.plan.flops`; the
same count for every arm), and the peak of memory that torch had allocated.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import math
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch

QWEN = {"model_type": "qwen3", "num_attention_heads": 16, "num_key_value_heads": 8, "head_dim": 128}
QWEN |= {"num_hidden_layers": 28, "vocab_size": 151_936, "tie_word_embeddings": True}
SHAPES: dict[str, dict[str, Any]] = {
    "toy": {"model_type": "llama", "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2}
    | {"num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 512},
    "0.6B": {**QWEN, "hidden_size": 1024, "intermediate_size": 3072},
    "1.7B": {**QWEN, "hidden_size": 2048, "intermediate_size": 6144},
    "8B": {"model_type": "llama", "hidden_size": 4096, "intermediate_size": 14_336, "num_hidden_layers": 32}
    | {"num_attention_heads": 32, "num_key_value_heads": 8, "vocab_size": 128_256},
}
RANK, LEARNING_RATE, WARM_UP = 16, 1e-4, 3


def longest(shape: str) -> int:
    """Tokens of the longest row."""
    return 128 if shape == "toy" else 4096


def rows_of(shape: str, data: str, count: int) -> list[tuple[list[int], int]]:
    """Token ids of each row, and how many at its end carry loss."""
    draw, most = random.Random(0), longest(shape)
    vocabulary = SHAPES[shape]["vocab_size"]
    found = []
    for _ in range(count):
        # Logarithms spread evenly: as many rows between 64 and 128 tokens as between 2,048 and 4,096.
        length = most if data == "full" else int(math.exp(draw.uniform(math.log(most / 64), math.log(most))))
        ids = [draw.randrange(vocabulary) for _ in range(max(4, length))]
        found.append((ids, len(ids) - 1 if data == "full" else max(1, len(ids) // 3)))
    return found


def make_model(shape: str) -> Any:
    """The shape with random weights, frozen in bf16 on a GPU and in fp32 on a CPU."""
    from transformers import AutoConfig, AutoModelForCausalLM

    facts = dict(SHAPES[shape])
    config = AutoConfig.for_model(
        facts.pop("model_type"), **facts, max_position_embeddings=2 * longest(shape)
    )
    torch.manual_seed(0)
    with torch.device("cuda" if torch.cuda.is_available() else "cpu"):
        dtype = torch.bfloat16 if torch.cuda.is_available() else torch.float32
        model = AutoModelForCausalLM.from_config(config, dtype=dtype)
    return model.requires_grad_(False)


def with_lora(model: Any) -> Any:
    """The same adapter for every arm."""
    from tunekit.spec import LoRA
    from tunekit.training.models.adapters import make_trainable

    return make_trainable(model, LoRA(rank=RANK), seed=0)


class Clock:
    """Times the steps after the first few."""

    def __init__(self) -> None:
        self._steps = 0
        self.seconds = 0.0
        self._began = 0.0

    def tick(self) -> None:
        """A step is over."""
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        self._steps += 1
        if self._steps == WARM_UP:
            self._began = time.perf_counter()
        self.seconds = time.perf_counter() - self._began


def run_tunekit(shape: str, rows: list[tuple[list[int], int]], batch: int, steps: int) -> tuple[float, Any]:
    """The loop of the trainer, without its files."""
    from tunekit.spec import SFT, LoRA, TuneSpec
    from tunekit.training.loop import Hooks, train
    from tunekit.training.models.adapters import trainable_parameters
    from tunekit.training.models.language_model import Decoder
    from tunekit.training.objectives.sft import SupervisedLearner
    from tunekit.training.plan import flops
    from tunekit.training.plan.device import choose_device
    from tunekit.training.plan.recipe import Facts, resolve
    from tunekit.training.run.checkpoint import TrainingState
    from tunekit.training.steps import Training
    from tunekit.training.texts.rows import Answers, Tokens

    def row(number: int, ids: list[int], learned: int) -> Answers:
        weights = (0.0,) * (len(ids) - learned) + (1.0,) * learned
        answer = Tokens(ids=tuple(ids), weights=weights)
        return Answers(id=str(number), answers=(answer,), weight=float(learned))

    clock, device = Clock(), choose_device()

    class Log:
        """Counts steps; nothing is written."""

        def step(self, *facts: Any, **more: Any) -> None:
            clock.tick()

        def __getattr__(self, name: str) -> Callable[..., None]:
            return lambda *facts, **more: None

    model = with_lora(make_model(shape))
    learner = SupervisedLearner(Decoder.of(model, device, pad_id=0, longest=longest(shape)))
    parameters = trainable_parameters(model)
    spec = TuneSpec(
        method=SFT(adapter=LoRA(rank=RANK)), epochs=1.0, batch_size=batch, learning_rate=LEARNING_RATE
    )
    facts = Facts(
        rows=len(rows),
        hidden_size=SHAPES[shape]["hidden_size"],
        model_type=SHAPES[shape]["model_type"],
        vocabulary=SHAPES[shape]["vocab_size"],
        max_length=longest(shape),
        memory_bytes=device.memory_bytes,
    )
    recipe = replace(
        resolve(spec, facts),
        evaluate_every=steps + 1,
        checkpoint_every=steps + 1,
    )
    training = Training(
        spec=spec,
        recipe=recipe,
        model=model,
        parameters=parameters,
        optimizer=torch.optim.AdamW(parameters.values(), lr=LEARNING_RATE, fused=True),
        learner=learner,
        work=flops.Work.of(model),
        peak=None,
        rows=[row(number, *each) for number, each in enumerate(rows)],
        validation=[],
    )
    hooks = Hooks(stop=lambda: None, save=lambda *state, **more: None)
    log: Any = Log()
    train(training, TrainingState(), hooks, log)
    return clock.seconds, model


def run_trainer(shape: str, rows: list[tuple[list[int], int]], batch: int, steps: int) -> tuple[float, Any]:
    """transformers.Trainer with padded batches of similar length, bf16 autocast and the fused optimizer."""
    from transformers import Trainer, TrainerCallback, TrainingArguments

    clock = Clock()

    class Ticks(TrainerCallback):
        """Counts steps."""

        def on_step_end(self, *facts: Any, **more: Any) -> None:
            clock.tick()

    def collate(items: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
        width = max(len(item["input_ids"]) for item in items)
        ids, labels, mask = torch.zeros((3, len(items), width), dtype=torch.int64).unbind()
        labels.fill_(-100)
        for at, item in enumerate(items):
            length = len(item["input_ids"])
            ids[at, :length] = torch.tensor(item["input_ids"])
            mask[at, :length] = 1
            learned = item["learned"]
            labels[at, length - learned : length] = ids[at, length - learned : length]
        return {"input_ids": ids, "labels": labels, "attention_mask": mask}

    model = with_lora(make_model(shape))
    with tempfile.TemporaryDirectory() as scratch:
        trainer = Trainer(
            model=model,
            args=TrainingArguments(**arguments(scratch, batch, steps)),
            train_dataset=[{"input_ids": ids, "learned": learned} for ids, learned in rows],
            data_collator=collate,
            callbacks=[Ticks()],
        )
        trainer.train()
    return clock.seconds, model


def arguments(scratch: str, batch: int, steps: int) -> dict[str, Any]:
    """What both peers are told; passes are a quarter of a batch, as long rows need."""
    passes = max(1, batch // 4)
    return {
        "output_dir": scratch,
        "per_device_train_batch_size": passes,
        "gradient_accumulation_steps": batch // passes,
        "max_steps": steps,
        "learning_rate": LEARNING_RATE,
        "bf16": torch.cuda.is_available(),
        "use_cpu": not torch.cuda.is_available(),
        "optim": "adamw_torch_fused",
        "logging_strategy": "no",
        "save_strategy": "no",
        "report_to": [],
        "disable_tqdm": True,
        "remove_unused_columns": False,
        "train_sampling_strategy": "group_by_length",
        "length_column_name": "length",
        "seed": 0,
    }


def run_trl(shape: str, rows: list[tuple[list[int], int]], batch: int, steps: int) -> tuple[float, Any]:
    """TRL's SFTTrainer on the same ids, told not to recompute activations."""
    from datasets import Dataset
    from transformers import TrainerCallback
    from trl import SFTConfig, SFTTrainer

    from tunekit.testing.tiny_models import make_tiny_llama

    clock = Clock()

    class Ticks(TrainerCallback):
        """Counts steps."""

        def on_step_end(self, *facts: Any, **more: Any) -> None:
            clock.tick()

    columns = {
        "input_ids": [ids for ids, _ in rows],
        "completion_mask": [[0] * (len(ids) - learned) + [1] * learned for ids, learned in rows],
    }
    model = with_lora(make_model(shape))
    with tempfile.TemporaryDirectory() as scratch:
        from transformers import AutoTokenizer

        told = arguments(scratch, batch, steps) | {
            "max_length": longest(shape),
            "gradient_checkpointing": False,
        }
        for name in ("remove_unused_columns", "train_sampling_strategy", "length_column_name"):
            told.pop(name)
        trainer = SFTTrainer(
            model=model,
            args=SFTConfig(**told),
            train_dataset=Dataset.from_dict(columns),
            processing_class=AutoTokenizer.from_pretrained(make_tiny_llama(f"{scratch}/tokenizer")),
            callbacks=[Ticks()],
        )
        trainer.train()
    return clock.seconds, model


ARMS = {"tunekit": run_tunekit, "trainer": run_trainer, "trl": run_trl}


def child(arm: str, shape: str, data: str, batch: int, steps: int) -> None:
    """Measure one arm in this process and print one line of JSON."""
    from tunekit.training.plan import flops
    from tunekit.training.plan.device import choose_device
    from tunekit.training.texts.rows import Answers, Tokens

    rows = rows_of(shape, data, batch * steps)
    seconds, model = ARMS[arm](shape, rows, batch, steps)
    # Arms see the rows in orders of their own, so what was timed is taken to be an average of all.
    timed = (steps - WARM_UP) / steps
    tokens = timed * sum(len(ids) for ids, _ in rows)
    counted = [
        Answers(
            id="",
            answers=(Tokens(ids=tuple(ids), weights=(0.0,) * (len(ids) - learned) + (1.0,) * learned),),
            weight=1.0,
        )
        for ids, learned in rows
    ]
    operations = timed * flops.Work.of(model).of_rows(counted)
    peak = flops.peak(choose_device().name)
    memory = torch.cuda.max_memory_allocated() >> 20 if torch.cuda.is_available() else None
    facts = {"tokens_per_s": tokens / seconds, "mfu": operations / seconds / peak if peak else None}
    print(json.dumps({**facts, "memory_mb": memory}))


def measured(arm: str, shape: str, options: argparse.Namespace) -> dict[str, Any]:
    """One arm in a process of its own."""
    command = [sys.executable, __file__, "--child", arm, "--shapes", shape, "--data", options.data]
    command += ["--batch", str(options.batch), "--steps", str(options.steps)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        print(f"{arm} on {shape} failed:\n{done.stderr[-2000:]}", file=sys.stderr)
        return {"tokens_per_s": None, "mfu": None, "memory_mb": None}
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    print(f"{arm} on {shape}: {found}", file=sys.stderr)  # a long run should show that it lives
    return found


def table(results: dict[tuple[str, str], dict[str, Any]]) -> str:
    """Markdown, one line for each shape and arm."""
    lines = [
        "| shape | arm | real tokens/s | times Trainer | MFU (4N) | peak memory, MB |",
        "|---|---|--:|--:|--:|--:|",
    ]
    for (shape, arm), found in results.items():
        if found["tokens_per_s"] is None:
            lines.append(f"| {shape} | {arm} | failed | | | |")
            continue
        base = results.get((shape, "trainer"), {}).get("tokens_per_s")
        times = f"{found['tokens_per_s'] / base:.2f}x" if base else ""
        share = f"{found['mfu']:.1%}" if found["mfu"] else ""
        memory = found["memory_mb"] if found["memory_mb"] is not None else ""
        lines.append(f"| {shape} | {arm} | {found['tokens_per_s']:,.0f} | {times} | {share} | {memory} |")
    return "\n".join(lines)


def main(words: Sequence[str]) -> None:
    """Run the arms and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    there = torch.cuda.is_available()
    at_hand = [arm for arm in ARMS if arm != "trl" or importlib.util.find_spec("trl")]
    parser.add_argument(
        "--shapes", nargs="+", choices=list(SHAPES), default=["0.6B", "1.7B", "8B"] if there else ["toy"]
    )
    parser.add_argument("--arms", nargs="+", choices=list(ARMS), default=at_hand)
    parser.add_argument("--data", choices=["ragged", "full"], default="ragged")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--steps", type=int, default=23 if there else 6)
    parser.add_argument("--child", choices=list(ARMS), help=argparse.SUPPRESS)
    options = parser.parse_args(words)
    if options.child:
        child(options.child, options.shapes[0], options.data, options.batch, options.steps)
        return
    results = {
        (shape, arm): measured(arm, shape, options) for shape in options.shapes for arm in options.arms
    }
    device = torch.cuda.get_device_name() if there else "CPU (a toy: it shows only that this runs)"
    print(f"{device}; torch {torch.__version__}; {options.data} rows, {options.batch} to a step\n")
    print(table(results))


if __name__ == "__main__":
    main(sys.argv[1:])
