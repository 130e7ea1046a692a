"""A spec becomes the create call that OpenAI's description allows; a remote job becomes a snapshot of ours."""

from __future__ import annotations

from typing import Any

import pytest

from tests.wire.openai_spec import description
from tunekit.backends.base import SubmitRequest
from tunekit.backends.openai import translate, wire
from tunekit.backends.openai.hosts import host_of
from tunekit.events import JobState, Usage
from tunekit.spec import DPO, RFT, SFT, FullWeights, LoRA, TuneSpec
from tunekit.testing import tiny_dataset

GRADER = {
    "type": "string_check",
    "name": "right",
    "operation": "eq",
    "input": "{{sample.output_text}}",
    "reference": "{{item.answer}}",
}


def body_of(spec: TuneSpec, host: str = "openai", *, validation_file: str = "") -> dict[str, Any]:
    request = SubmitRequest(
        model="gpt-4.1-mini-2025-04-14", spec=spec, train=tiny_dataset(), idempotency_key="run-1"
    )
    return translate.create_body(
        request, host_of(host), training_file="file-1", validation_file=validation_file
    )


SPECS = {
    "plain": TuneSpec(),
    "everything": TuneSpec(
        epochs=2,
        batch_size=8,
        seed=7,
        name="support",
        options={
            "learning_rate_multiplier": 1.5,
            "metadata": {"team": "a"},
            "integrations": [{"type": "wandb", "wandb": {"project": "p", "tags": ["x"]}}],
        },
    ),
    "dpo": TuneSpec(method=DPO(beta=0.2), epochs="auto"),
    "rft": TuneSpec(
        method=RFT(grader=GRADER),
        evaluate_every_steps=5,
        options={
            "reasoning_effort": "low",
            "compute_multiplier": 2.0,
            "eval_samples": 3,
            "response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {}}},
        },
    ),
}


@pytest.mark.parametrize("name", SPECS)
def test_create_call_is_as_described_and_holds_no_null(name: str) -> None:
    body = body_of(SPECS[name], validation_file="file-2")
    assert description().request_problems("POST", "/fine_tuning/jobs", body) == []
    assert None not in _values(body)
    assert body["metadata"]["tunekit_run"] == "run-1"


def _values(value: Any) -> list[Any]:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [value, *(item for part in inner for item in _values(part))]


def test_everything_that_was_asked_for_is_in_the_call() -> None:
    assert body_of(SPECS["everything"]) == {
        "model": "gpt-4.1-mini-2025-04-14",
        "training_file": "file-1",
        "suffix": "support",
        "seed": 7,
        "metadata": {"team": "a", "tunekit_run": "run-1"},
        "integrations": [{"type": "wandb", "wandb": {"project": "p", "tags": ["x"]}}],
        "method": {
            "type": "supervised",
            "supervised": {
                "hyperparameters": {"n_epochs": 2, "batch_size": 8, "learning_rate_multiplier": 1.5}
            },
        },
    }


def test_hyperparameters_of_preferences_and_reinforcement() -> None:
    assert body_of(SPECS["dpo"])["method"] == {"type": "dpo", "dpo": {"hyperparameters": {"beta": 0.2}}}
    assert body_of(SPECS["rft"])["method"]["reinforcement"] == {
        "grader": GRADER,
        "response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {}}},
        "hyperparameters": {
            "n_epochs": 3,
            "eval_interval": 5,
            "reasoning_effort": "low",
            "compute_multiplier": 2.0,
            "eval_samples": 3,
        },
    }


def test_nebius_takes_the_rate_itself_and_the_adapter() -> None:
    spec = TuneSpec(method=SFT(adapter=LoRA(rank=8)), learning_rate=2e-5, batch_size=4, weight_decay=0.1)
    body = body_of(spec, "nebius")
    assert "method" not in body and "metadata" not in body
    assert body["hyperparameters"] == {
        "n_epochs": 3,
        "batch_size": 4,
        "learning_rate_multiplier": 2e-5,
        "warmup_ratio": 0.05,
        "weight_decay": 0.1,
        "lora": True,
        "lora_r": 8,
        "lora_alpha": 16,
        "lora_dropout": 0.0,
    }
    whole = body_of(TuneSpec(method=SFT(adapter=FullWeights())), "nebius")
    assert whole["hyperparameters"]["lora"] is False


def test_hosts_get_their_own_fields_and_not_those_they_lack() -> None:
    foundry = body_of(TuneSpec(options={"trainingType": "globalStandard"}), "foundry")
    assert foundry["trainingType"] == "globalStandard"
    bedrock = body_of(TuneSpec(method=RFT(grader=GRADER), name="x"), "bedrock")
    assert "suffix" not in bedrock and "metadata" not in bedrock


def test_warm_start_is_the_model_to_train() -> None:
    spec = TuneSpec(warm_start="openai:ft:gpt-4.1-mini-2025-04-14:acme::x")
    assert body_of(spec)["model"] == "ft:gpt-4.1-mini-2025-04-14:acme::x"


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("validating_files", JobState.QUEUED),
        ("pending", JobState.QUEUED),
        ("running", JobState.RUNNING),
        ("paused", JobState.PAUSED),
        ("awaiting_stars", JobState.RUNNING),
        ("", JobState.RUNNING),
        ("cancelled", JobState.CANCELLED),
        ("Succeeded", JobState.SUCCEEDED),
        (" Canceled\n", JobState.CANCELLED),
    ],
)
def test_states(status: str, state: JobState) -> None:
    assert translate.snapshot_of(wire.job({"id": "j", "status": status})).state is state


def test_success_names_the_model_and_what_was_trained() -> None:
    job = {"id": "j", "status": "succeeded", "fine_tuned_model": "ft:x", "trained_tokens": 5, "error": {}}
    seen = translate.snapshot_of(wire.job(job))
    assert (seen.model, seen.failure, seen.usage) == ("ft:x", None, Usage(trained_tokens=5))
    assert seen.raw == job


def test_error_of_a_job_that_runs_is_no_failure() -> None:
    job = {
        "id": "j",
        "status": "running",
        "error": {"message": "a worker restarted"},
        "fine_tuned_model": "ft:x",
    }
    seen = translate.snapshot_of(wire.job(job))
    assert (seen.failure, seen.model) == (None, None)


@pytest.mark.parametrize(
    ("error", "hint", "retryable"),
    [
        (
            {"code": "invalid_training_file", "message": "line 3", "param": "training_file"},
            "Dataset.check",
            False,
        ),
        ({"code": "exceeded_quota", "message": "no credit"}, "credit", True),
        ({"code": "server_error", "message": "oops"}, "submit the same again", True),
        ({"code": "moderation_blocked", "message": "unsafe"}, "moderation_checks", False),
        ({"code": "novelty", "message": "?"}, "events", False),
        (None, "events", False),
    ],
)
def test_failure_says_what_to_do(error: Any, hint: str, retryable: bool) -> None:
    failure = translate.snapshot_of(wire.job({"id": "j", "status": "failed", "error": error})).failure
    assert failure is not None
    assert hint in failure.hint and failure.retryable is retryable and failure.message
