"""What a host would refuse or ignore is refused here, all of it at once and before a byte is sent."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from tunekit.backends.base import SubmitRequest
from tunekit.backends.openai import fitting
from tunekit.backends.openai.hosts import host_of
from tunekit.errors import PreflightError
from tunekit.spec import DPO, RFT, SFT, FullWeights, LoRA, TuneSpec
from tunekit.testing import tiny_dataset

TODAY = date(2026, 11, 22)
GRADER: dict[str, Any] = {"type": "string_check"}


def problems(
    spec: TuneSpec,
    *,
    host: str = "openai",
    model: str = "gpt-4.1-2025-04-14",
    today: date = TODAY,
    validation: bool = True,
) -> tuple[str, ...]:
    request = SubmitRequest(
        model=model,
        spec=spec,
        train=tiny_dataset(),
        validation=tiny_dataset() if validation else None,
        idempotency_key="",
    )
    try:
        fitting.check(request, host_of(host), backend="openai", today=today)
    except PreflightError as error:
        return error.problems
    return ()


FITTING: list[tuple[str, TuneSpec]] = [
    ("openai", TuneSpec()),
    (
        "openai",
        TuneSpec(method=SFT(adapter=FullWeights()), epochs=50, batch_size=256, seed=2**31 - 1, name="x" * 64),
    ),
    ("openai", TuneSpec(method=DPO(beta=2.0), options={"learning_rate_multiplier": "auto"})),
    ("nebius", TuneSpec(method=SFT(adapter=LoRA(rank=64)), learning_rate=1e-4, warmup_ratio=0.1)),
    ("foundry", TuneSpec(options={"trainingType": "Standard"})),
    ("generic", TuneSpec(method=RFT(grader=GRADER), evaluate_every_steps=3)),
]


@pytest.mark.parametrize(("host", "spec"), FITTING)
def test_what_fits_passes(host: str, spec: TuneSpec) -> None:
    assert problems(spec, host=host) == ()


UNFIT: list[tuple[str, TuneSpec, str]] = [
    ("openai", TuneSpec(epochs=1.5), "whole ones"),
    ("openai", TuneSpec(epochs=51), "more than 50"),
    ("openai", TuneSpec(batch_size=257), "more than 256"),
    ("openai", TuneSpec(seed=2**31), "more than 2147483647"),
    ("foundry", TuneSpec(name="x" * 41, options={"trainingType": "Standard"}), "more than 40"),
    ("openai", TuneSpec(learning_rate=1e-4), "an absolute rate"),
    ("openai", TuneSpec(schedule="cosine"), "schedule would be ignored"),
    ("openai", TuneSpec(warmup_ratio=0.2), "warmup_ratio would be ignored"),
    ("openai", TuneSpec(evaluate_every_steps=3), "evaluate_every_steps would be ignored"),
    ("openai", TuneSpec(method=SFT(adapter=LoRA(rank=8))), "adapter.rank would be ignored"),
    ("nebius", TuneSpec(method=SFT(adapter=LoRA(dora=True))), "adapter.dora would be ignored"),
    ("openai", TuneSpec(method=SFT(prompt_format="text")), "prompt_format 'text' would be ignored"),
    ("openai", TuneSpec(method=DPO(beta=2.5)), "beta is 2.5"),
    ("openai", TuneSpec(method=DPO(loss="ipo")), "method.loss would be ignored"),
    ("generic", TuneSpec(method=RFT(grader=GRADER, group_size=4)), "method.group_size would be ignored"),
    ("bedrock", TuneSpec(method=RFT(grader=GRADER)), "not taken there, but 'lambda'"),
    ("openai", TuneSpec(options={"learning_rate_multiplier": 0}), "not more than 0"),
    ("openai", TuneSpec(options={"eval_samples": 3}), "says nothing of method 'sft'"),
    ("generic", TuneSpec(method=RFT(grader=GRADER), options={"compute_multiplier": 11}), "at most 10"),
    ("generic", TuneSpec(method=RFT(grader=GRADER), options={"eval_interval": True}), "not a whole number"),
    ("generic", TuneSpec(method=RFT(grader=GRADER), options={"reasoning_effort": "huge"}), "not one of"),
    ("generic", TuneSpec(method=RFT(grader=GRADER), options={"response_format": {}}), "not a filled object"),
    (
        "generic",
        TuneSpec(method=RFT(grader=GRADER), evaluate_every_steps=2, options={"eval_interval": 2}),
        "the same thing twice",
    ),
    ("openai", TuneSpec(options={"integrations": ["wandb"]}), "not a list of objects"),
    ("openai", TuneSpec(options={"metadata": {"tunekit_run": "x"}}), "tunekit's own"),
    ("openai", TuneSpec(options={"metadata": {"a": "b" * 513}}), "up to 512"),
    ("openai", TuneSpec(options={"metadata": {str(at): "b" for at in range(16)}}), "more than 15"),
    ("foundry", TuneSpec(), "option 'trainingType' is missing"),
    ("foundry", TuneSpec(options={"trainingType": "fast"}), "not one of 'Standard'"),
    (
        "openai",
        TuneSpec(warm_start="openai:ft:gpt-4o-2024-08-06:acme::x"),
        "was tuned from 'gpt-4o-2024-08-06'",
    ),
]


@pytest.mark.parametrize(("host", "spec", "said"), UNFIT, ids=[said for _, _, said in UNFIT])
def test_what_does_not_fit_is_named(host: str, spec: TuneSpec, said: str) -> None:
    (problem,) = problems(spec, host=host)
    assert said in problem


def test_model_and_its_dates_are_held_against_the_host() -> None:
    rft = TuneSpec(method=RFT(grader=GRADER))
    assert "is not trained with 'rft'" in problems(rft)[0]
    assert "since 2026-10-23" in problems(rft, model="o4-mini-2025-04-16")[0]
    assert "since 2027-01-06" in problems(TuneSpec(), today=date(2027, 1, 6))[0]
    assert problems(TuneSpec(), today=date(2027, 1, 5)) == ()
    assert problems(TuneSpec(), model="a-model-of-tomorrow") == ()


def test_reinforcement_asks_for_validation_data() -> None:
    found = problems(TuneSpec(method=RFT(grader=GRADER)), model="new-model", validation=False)
    assert found == ("reinforcement fine-tuning needs validation data there",)


def test_everything_is_said_at_once() -> None:
    assert len(problems(TuneSpec(epochs=0.5, schedule="cosine", learning_rate=1.0, seed=2**40))) == 4
