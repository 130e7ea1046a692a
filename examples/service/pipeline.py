"""What is trained, on what, and what a new model has to show: the one file to change. Knows no web framework.

The web application, the worker, the cron script and the Celery tasks all make their retrainer here. Equal terms make
equal requests, so whichever of them asks for the same data gets the same round.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast, get_args

import tunekit as tk

Approval = Literal["auto", "manual"]
PRODUCT = "support-bot"

SAMPLING = tk.Sampling(max_tokens=8)
"""How answers are drawn, in the test and for users alike: what is measured is what is served."""

RECIPE = tk.TuneSpec(method=tk.SFT(adapter=tk.LoRA(rank=8)), epochs=6, batch_size=4, seed=7)
GATE = tk.Gate(primary="exact_match", min_gain=0.01)

_BATCH_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}\.jsonl")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pipeline:
    """What the environment says about the pipeline. TUNEKIT_HOME says where it keeps everything.

    Attributes:
        model: Backend and base model (`SERVICE_MODEL`, such as "local:Qwen/Qwen3-0.6B").
        batches: Directory of new data (`SERVICE_BATCHES`): one JSONL file a batch, with a prompt and a completion in
            each row. A file never changes once it has its name: write it under another name and rename it.
        test: Rows that every model is asked and none is trained on (`SERVICE_TEST`).
        product: Name of the models in the registry (`SERVICE_PRODUCT`, "support-bot" unless told).
        approval: "auto" promotes what passes the gate, "manual" waits for a person (`SERVICE_APPROVAL`).
    """

    model: str
    batches: Path
    test: Path
    product: str = PRODUCT
    approval: Approval = "auto"

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Pipeline:
        """Read and check everything at once, so that a wrong setting stops the start and not the first round.

        Raises:
            SpecError: A variable is missing or wrong.
        """
        batches = Path(required(environment, "SERVICE_BATCHES"))
        if not batches.is_dir():
            raise tk.SpecError(f"SERVICE_BATCHES={str(batches)!r} is no directory", hint="make it")
        test = Path(required(environment, "SERVICE_TEST"))
        if not test.is_file():
            raise tk.SpecError(
                f"SERVICE_TEST={str(test)!r} is no file", hint="name a JSONL file of test rows"
            )
        approval = one_of(environment, "SERVICE_APPROVAL", get_args(Approval))
        return cls(
            model=required(environment, "SERVICE_MODEL"),
            batches=batches,
            test=test,
            product=environment.get("SERVICE_PRODUCT") or PRODUCT,
            approval=cast("Approval", approval),
        )

    @property
    def alias(self) -> str:
        """What product code resolves for each request."""
        return f"{self.product}@champion"

    def retrainer(self) -> tk.Retrainer:
        """The terms of every round. It reads the test file: make it once, where a process starts.

        Raises:
            TunekitError: The model, the product's name or the test is none.
        """
        test = tk.Dataset.load(self.test)
        return tk.Retrainer(
            self.model,
            alias=self.product,
            evaluator=tk.Evaluator(test, scorers=[tk.scorers.ExactMatch()], sampling=SAMPLING),
            gate=GATE,
            spec=RECIPE,
            approval=self.approval,
        )

    def batch(self, name: str) -> tk.Dataset:
        """The rows of one file in the directory of batches.

        Args:
            name: Of the file. It comes from outside, so anything with a path in it is refused.

        Raises:
            DataError: This is not the name of a batch, or the file cannot be read as rows.
            NotFoundError: There is no such file.
        """
        if not _BATCH_NAME.fullmatch(name):
            raise tk.DataError(
                f"batch {name[:100]!r} is no file name", hint='give one such as "week_46.jsonl"'
            )
        path = self.batches / name
        if not path.is_file():
            raise tk.NotFoundError(
                f"there is no batch {name!r}", hint="write it into SERVICE_BATCHES, then ask"
            )
        return tk.Dataset.load(path)

    def batch_names(self) -> list[str]:
        """All batches by name, so names that sort by date are handed in in order."""
        return sorted(path.name for path in self.batches.iterdir() if _BATCH_NAME.fullmatch(path.name))


def required(environment: Mapping[str, str], name: str) -> str:
    """A variable that must be there. Its value stays out of the message: it may be a secret."""
    if value := environment.get(name, "").strip():
        return value
    raise tk.SpecError(f"{name} is not set", hint="examples/service/README.md has the list")


def one_of(environment: Mapping[str, str], name: str, allowed: tuple[str, ...]) -> str:
    """A variable that has one of a few values; the first where it is not set."""
    value = environment.get(name) or allowed[0]
    if value not in allowed:
        raise tk.SpecError(
            f"{name}={value!r} is none of {', '.join(allowed)}", hint=f"for example {allowed[0]}"
        )
    return value
