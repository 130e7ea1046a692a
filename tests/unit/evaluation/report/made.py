"""Evaluations as two models might leave them, of any size, made without a model. Knows stored results only."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

from tunekit.evaluation.arms.costs import CallPrice
from tunekit.evaluation.arms.record import ArmRecord
from tunekit.evaluation.baseline import with_baselines
from tunekit.evaluation.compare import Rule, compare_evaluations
from tunekit.evaluation.comparison import Comparison
from tunekit.evaluation.measuring import metric_of
from tunekit.evaluation.metrics.classification import counts_of
from tunekit.evaluation.results import Evaluation, ItemResult, Provenance
from tunekit.refs import ModelRef
from tunekit.spec import Sampling

FEW = ("billing", "delivery", "refund", "technical", "other")
_WORDS = ("where", "is", "my", "parcel", "the", "card", "was", "charged", "twice", "please", "refund", "help")


def comparison(
    n: int = 300,
    classes: Sequence[str] = FEW,
    *,
    rule: Rule | None = None,
    right: tuple[float, float] = (0.72, 0.84),
    corpus: bool = True,
    weighed: bool = True,
) -> Comparison:
    """Two models that are right on these shares of the items."""
    a, b = (
        evaluation(model, n, classes, share, seed, corpus=corpus, weighed=weighed)
        for model, share, seed in (
            ("local:Qwen/Qwen3-0.6B", right[0], 1),
            ("local:run-9f2c41d0", right[1], 2),
        )
    )
    return compare_evaluations(a, b, rule)


def evaluation(
    model: str,
    n: int,
    classes: Sequence[str],
    right: float,
    seed: int,
    *,
    corpus: bool = True,
    weighed: bool = True,
) -> Evaluation:
    """One model that is right on this share of the items."""
    draws = random.Random(seed)
    items = tuple(_item(at, classes, right, draws, corpus=corpus, weighed=weighed) for at in range(n))
    columns = {"accuracy": "", **({"f1_macro": "f1_macro"} if corpus else {})}
    made = Evaluation(
        model=ModelRef(model),
        arm=ArmRecord(name=model, kind="model", calls=n, price=CallPrice(usd_per_million_input_tokens=0.4)),
        provenance=Provenance(
            test_fingerprint="3f1c9a",
            n_items=n,
            sampling=Sampling(),
            scorers={
                "accuracy": {"type": "Accuracy", "choices": list(classes) if weighed else [], "by": "total"},
                **({"f1_macro": {"type": "Classification"}} if corpus else {}),
            },
        ),
        metrics={name: metric_of(items, name, corpus=metric) for name, metric in columns.items()},
        items=items,
        input_tokens=sum(item.input_tokens for item in items),
        output_tokens=2 * n,
        seconds=31.5,
        created_at=1_795_000_000.0,
        tunekit_version="0.0",
        warnings=("3 of 300 answers were cut at max_tokens=16",),
    )
    return with_baselines(made)


def _item(
    at: int, classes: Sequence[str], right: float, draws: random.Random, *, corpus: bool, weighed: bool
) -> ItemResult:
    asking = random.Random(at)
    prompt = " ".join(asking.choices(_WORDS, k=asking.choice((8, 15, 120))))
    reference = classes[min(asking.randrange(len(classes)), asking.randrange(len(classes)))]
    slices = {"language": asking.choice(("English", "Deutsch", "العربية")), "channel": asking.choice("ab")}
    correct = draws.random() < right
    choice = reference if correct else draws.choice(classes)
    sure = draws.uniform(0.4, 0.99)
    others = math.log((1 - sure) / max(1, len(classes) - 1))
    return ItemResult(
        id=f"tickets.csv:{at + 1}",
        prompt=prompt,
        reference=reference,
        answer=choice if at % 9 else f"{choice}, because the customer says: {prompt}",
        finish_reason="stop",
        scores={
            "accuracy": float(choice == reference),
            **({"f1_macro": float(choice == reference)} if corpus else {}),
        },
        counts={"f1_macro": counts_of(reference, choice)} if corpus else {},
        choices={"accuracy": choice},
        log_probs={"accuracy": tuple(math.log(sure) if name == choice else others for name in classes)}
        if weighed
        else {},
        slices=slices,
        input_tokens=len(prompt) // 4,
        output_tokens=2,
        seconds=draws.uniform(0.01, 0.02),
    )
