"""The same kills for every other method than SFT: what each keeps in the run directory is another thing to lose.

    python -m tests.kill.methods DIRECTORY SHARE RANDOM_KILLS SEED

kills, for each method, before every SHARE-th operation on files while the run gets ready, and at RANDOM_KILLS random
moments. It writes a `forks.Report` for each as JSON.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from tests.kill.forks import Report, Site, Work, getting_ready, random_moments
from tests.unit.training.judged import judgements, preferences
from tests.unit.training.tiny_classifiers import labelled
from tunekit import (
    DPO,
    KTO,
    RFT,
    SFT,
    Classify,
    CompletionExample,
    Dataset,
    EarlyStopping,
    FullWeights,
    LoRA,
    Message,
    Probe,
    PromptExample,
    TuneSpec,
)
from tunekit.spec import Method
from tunekit.testing.tiny_models import make_tiny_bert, make_tiny_llama

LORA = LoRA(rank=2, dropout=0.1)
GRADER = {
    "type": "python",
    "source": "def grade(sample, item):\n    return sum('a' <= c <= 'm' for c in sample['output_text']) / 8",
}
DRAWS = RFT(adapter=LORA, grader=GRADER, group_size=4, max_tokens=4, kl_weight=0.1)


def spec(method: Method, **fields: object) -> TuneSpec:
    return TuneSpec.model_validate(
        {
            "method": method,
            "epochs": 2,
            "batch_size": 4,
            "learning_rate": 1e-2,
            "checkpoint_every_steps": 2,
            "evaluate_every_steps": 3,
            **fields,
        }
    )


def texts(count: int) -> Dataset:
    return Dataset(
        CompletionExample(prompt=f"ask {n % 4}", completion=f"answer {n % 4}") for n in range(count)
    )


def prompts(count: int) -> Dataset:
    asked = (Message(role="user", content=f"ask {n}") for n in range(count))
    return Dataset(PromptExample(messages=(message,)) for message in asked)


METHODS: dict[str, Callable[[Path], Work]] = {
    "sft": lambda base: Work(  # all that SFT can keep besides
        make_tiny_llama(base),
        spec(
            SFT(adapter=FullWeights()), learning_rate="range-test", early_stopping=EarlyStopping(patience=2)
        ),
        texts(20),
        texts(3),
    ),
    "dpo": lambda base: Work(
        make_tiny_llama(base), spec(DPO(adapter=LORA)), Dataset(preferences(16)), Dataset(preferences(3))
    ),
    "kto": lambda base: Work(make_tiny_llama(base), spec(KTO(adapter=LORA)), Dataset(judgements(16))),
    "rft": lambda base: Work(make_tiny_llama(base), spec(DRAWS), prompts(12), prompts(3)),
    "classify": lambda base: Work(
        make_tiny_bert(base, max_length=64),
        spec(Classify(adapter=LORA, dropout=0.1), early_stopping=EarlyStopping(metric="accuracy")),
        Dataset(labelled(18)),
        Dataset(labelled(5)),
    ),
    "probe": lambda base: Work(
        make_tiny_bert(base, max_length=64),
        spec(Probe(layer=-1, regularisation=(0.1, 1.0), folds=2)),
        Dataset(labelled(600)),
        Dataset(labelled(6)),
    ),
}


def killed(work: Callable[[Path], Work], directory: Path, share: int, kills: int, seed: int) -> Report:
    directory.mkdir()
    site = Site(work(directory / "base"), directory)
    getting_ready(site, share)
    random_moments(site, kills, seed)
    return site.report


def _main(directory: str, share: str, kills: str, seed: str) -> None:
    from tunekit.training import trainer  # noqa: F401  # torch and all, once for every fork
    from tunekit.training.plan.device import configure

    configure(1)
    os.environ["OMP_NUM_THREADS"] = "1"
    reports = {
        name: asdict(killed(work, Path(directory) / name, int(share), int(kills), int(seed)))
        for name, work in METHODS.items()
    }
    sys.stdout.write(json.dumps(reports))


if __name__ == "__main__":
    _main(*sys.argv[1:])
