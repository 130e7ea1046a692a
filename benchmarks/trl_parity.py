"""Step by step, the losses of tunekit and of TRL: same model, rows, batches, AdamW. They must be one curve.

    python benchmarks/trl_parity.py [--epochs N]

SFT, DPO and IPO train every weight of a tiny Llama in fp32. tunekit takes its real path, from a run directory to an
artifact, with its own batches and layout (rows end to end, the prompt of a pair computed once); TRL is handed the texts
in the order in which tunekit took them, and pads. The largest difference of a loss at any step is printed, and the exit
status is 1 where it is above 1e-5.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

BATCH_SIZE = 4
LEARNING_RATE = 1e-3
ROWS = 24
TOLERANCE = 1e-5


def texts() -> list[tuple[str, str, str]]:
    """Prompts with a better and a worse answer, of different lengths."""
    return [
        ("ask " * (1 + n % 5) + str(n), f" yes {n % 4}", " no" * (1 + n % 3) + f" {n % 4}")
        for n in range(ROWS)
    ]


def examples_of(method: Any) -> list[Any]:
    """The texts as tunekit's examples."""
    from tunekit.examples import CompletionExample, Message, PreferenceExample

    if method.type == "sft":
        return [CompletionExample(prompt=prompt, completion=better) for prompt, better, _ in texts()]
    return [
        PreferenceExample(messages=(Message(role="user", content=prompt),), chosen=better, rejected=worse)
        for prompt, better, worse in texts()
    ]


def run_tunekit(model: Path, method: Any, epochs: int, scratch: Path) -> tuple[list[float], list[int]]:
    """Losses by step, and the rows in the order in which they were taken."""
    from tunekit.data.dataset import Dataset
    from tunekit.events import Step
    from tunekit.spec import TuneSpec
    from tunekit.training import trainer
    from tunekit.training.plan.batches import Sampler
    from tunekit.training.run.events_log import EventLog
    from tunekit.training.run.rundir import RunDirectory, RunPlan

    spec = TuneSpec(
        method=method,
        epochs=epochs,
        batch_size=BATCH_SIZE,
        learning_rate=LEARNING_RATE,
        schedule="constant",
        warmup_ratio=0.0,
    )
    plan = RunPlan(
        run_id=method.type,
        key=method.type,
        model=str(model),
        spec=spec,
        python=sys.executable,
        threads=1,
        created_at=0.0,
    )
    run = RunDirectory.create(scratch, plan, Dataset(examples_of(method)), None)
    order: list[int] = []

    class Watched(Sampler):
        def at(self, step: int) -> list[int]:
            found = super().at(step)
            order.extend(found)
            return found

    loop = sys.modules["tunekit.training.loop"]
    vars(loop)["Sampler"] = Watched
    with EventLog(run) as log:
        trainer.run_training(run, log, lambda: None)
    vars(loop)["Sampler"] = Sampler
    losses = [event.loss for event in run.events_from(0)[0] if isinstance(event, Step)]
    return [loss for loss in losses if loss is not None], order


def run_trl(model: Path, method: Any, order: Sequence[int], scratch: Path) -> list[float]:
    """Losses by step of TRL on the texts in this order."""
    from datasets import Dataset
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from trl import DPOConfig, DPOTrainer, SFTConfig, SFTTrainer

    sft = method.type == "sft"
    names = ("prompt", "completion") if sft else ("prompt", "chosen", "rejected")
    rows = [dict(zip(names, texts()[index], strict=False)) for index in order]
    arguments = {
        "output_dir": str(scratch),
        "per_device_train_batch_size": BATCH_SIZE,
        "num_train_epochs": 1,
        "learning_rate": LEARNING_RATE,
        "lr_scheduler_type": "constant",
        "train_sampling_strategy": "sequential",
        "optim": "adamw_torch",
        "max_length": None,
        "use_cpu": True,
        "bf16": False,
        "gradient_checkpointing": False,
        "logging_strategy": "no",
        "report_to": "none",
        "save_strategy": "no",
        "disable_tqdm": True,
    }
    losses: list[float] = []
    base: Any = SFTTrainer if sft else DPOTrainer

    class Watched(base):  # type: ignore[misc]  # chosen at run time
        def training_step(self, *values: Any, **named: Any) -> Any:
            loss = super().training_step(*values, **named)
            losses.append(float(loss))
            return loss

    config = (
        SFTConfig(**arguments) if sft else DPOConfig(**arguments, beta=method.beta, loss_type=method.loss)
    )
    Watched(
        model=AutoModelForCausalLM.from_pretrained(model),
        args=config,
        train_dataset=Dataset.from_list(rows),
        processing_class=AutoTokenizer.from_pretrained(model),
    ).train()
    return losses


def main(arguments: Sequence[str]) -> int:
    """Train both ways and print the table."""
    from tunekit.spec import DPO, SFT, FullWeights
    from tunekit.testing.tiny_models import make_tiny_llama
    from tunekit.training.plan.device import configure

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--epochs", type=int, default=4)
    epochs = parser.parse_args(arguments).epochs
    configure(threads=1)
    lines, worst = (
        ["| loss | steps | first loss | last loss | largest difference |", "|---|--:|--:|--:|--:|"],
        0.0,
    )
    with tempfile.TemporaryDirectory() as directory:
        model = make_tiny_llama(Path(directory) / "llama", chat_template=None)
        full = FullWeights()
        for method in (SFT(adapter=full), DPO(adapter=full), DPO(adapter=full, loss="ipo", beta=0.5)):
            name = getattr(method, "loss", "sft")
            ours, order = run_tunekit(model, method, epochs, Path(directory) / name)
            theirs = run_trl(model, method, order, Path(directory) / "trl")
            apart = max(abs(one - other) for one, other in zip(ours, theirs, strict=True))
            worst = max(worst, apart)
            lines.append(f"| {name} | {len(ours)} | {ours[0]:.6f} | {ours[-1]:.6f} | {apart:.1e} |")
    print("\n".join(lines))
    return 0 if worst <= TOLERANCE else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
