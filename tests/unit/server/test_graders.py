"""Graders over the wire: checked, run, and sent along with a job; source code runs only where the host said so."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.server.hosting import Host, Serve
from tunekit import RFT, FineTuneJob, Settings
from tunekit.server import Limits
from tunekit.testing import ScriptedBackend

EQUAL = {
    "type": "string_check",
    "name": "equal",
    "operation": "eq",
    "input": "{{sample.output_text}}",
    "reference": "{{item.answer}}",
}
SOURCE = "def grade(sample, item):\n    return 0.25\n"
PYTHON = {"type": "python", "name": "quarter", "source": SOURCE}
MULTI = {"type": "multi", "name": "both", "graders": {"a": EQUAL, "b": EQUAL}, "calculate_output": "a + b"}
GRADERS = "/fine_tuning/alpha/graders"
PROMPT = b'{"messages": [{"role": "user", "content": "2+2?"}], "answer": "4"}\n'


async def run(host: Host, grader: dict[str, Any], sample: str, **item: Any) -> dict[str, Any]:
    body = {"grader": grader, "model_sample": sample, "item": item}
    return host.good(await host.caller.post(f"{GRADERS}/run", json=body))


async def test_a_grade(host: Host) -> None:
    done = await run(host, EQUAL, "4", answer="4")
    assert (done["reward"], done["metadata"]["scores"], done["sub_rewards"]) == (1.0, {"equal": 1.0}, {})
    assert not any(done["metadata"]["errors"].values())


async def test_parts_of_a_grade(host: Host) -> None:
    done = await run(host, MULTI, "4", answer="4")
    assert (done["reward"], done["sub_rewards"]) == (2.0, {"a": 1.0, "b": 1.0})


async def test_a_grader_that_fails_says_how(host: Host) -> None:
    done = await run(host, EQUAL, "4")
    assert done["reward"] == 0.0
    assert done["metadata"]["errors"]["invalid_variable_error"] is True


@pytest.mark.parametrize("nested", [False, True])
async def test_source_runs_only_where_the_host_said_so(serve: Serve, nested: bool) -> None:
    grader = {**MULTI, "graders": {"a": EQUAL, "b": PYTHON}} if nested else PYTHON
    host = serve()
    for path in ("run", "validate"):
        body = {"grader": grader, "model_sample": "4"} if path == "run" else {"grader": grader}
        assert "python" in host.refused(await host.caller.post(f"{GRADERS}/{path}", json=body), 400, "grader")
    trusting = serve(limits=Limits(python_graders=True))
    done = await run(trusting, grader, "4", answer="4")
    assert done["reward"] == (1.25 if nested else 0.25)


@pytest.mark.parametrize(
    ("model", "said", "reward", "flag"),
    [
        ("base", '{"result": 0.75}', 0.75, None),
        ("base", "well...", 0.0, "model_grader_parse_error"),
        ("nobody", "", 0.0, "model_grader_server_error"),
    ],
)
async def test_a_judge_is_a_model_that_the_caller_may_use(
    serve: Serve, model: str, said: str, reward: float, flag: str | None
) -> None:
    asked = []

    def answer(prompt: object) -> str:
        asked.append(prompt)
        return said

    host = serve(ScriptedBackend(generate=answer))
    question = {"role": "user", "content": "How good is {{sample.output_text}}?"}
    done = await run(host, {"type": "score_model", "name": "j", "model": model, "input": [question]}, "this")
    assert done["reward"] == reward
    assert {name for name, is_so in done["metadata"]["errors"].items() if is_so is True} == {flag} - {None}
    assert bool(asked) == (model == "base")


async def test_a_reinforcement_job(host: Host, settings: Settings) -> None:
    file = (await host.upload(PROMPT * 3))["id"]
    method = {
        "type": "reinforcement",
        "reinforcement": {"grader": EQUAL, "hyperparameters": {"eval_interval": 5, "n_epochs": 1}},
    }
    body = {"model": "base", "training_file": file, "method": method}
    answer = await host.caller.post("/fine_tuning/jobs", json=body)
    assert "validation" in host.refused(answer, 400, "validation_file")
    job = await host.ended(await host.create(training_file=file, validation_file=file, method=method))
    assert (job["status"], job["hyperparameters"]) == ("succeeded", {})
    assert job["method"]["reinforcement"]["grader"] == EQUAL
    (made,) = await FineTuneJob.list_async(settings=settings, backend=host.backend)
    assert made.spec is not None
    assert made.spec.method == RFT(grader=EQUAL)
    assert made.spec.evaluate_every_steps == 5


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"grader": PYTHON}, "grader"),
        ({"grader": {"type": "magic"}}, "grader"),
        ({"grader": {**EQUAL, "reference": "a" * 40_000}}, "grader"),
        ({"response_format": {"type": "json_schema"}}, "response_format"),
        ({"hyperparameters": {"reasoning_effort": "high"}}, "hyperparameters.reasoning_effort"),
        ({"hyperparameters": {"compute_multiplier": 2.0}}, "hyperparameters.compute_multiplier"),
    ],
)
async def test_what_a_reinforcement_job_cannot_have(host: Host, change: dict[str, Any], param: str) -> None:
    file = (await host.upload(PROMPT * 3))["id"]
    method = {"type": "reinforcement", "reinforcement": {"grader": EQUAL, **change}}
    body = {"model": "base", "training_file": file, "validation_file": file, "method": method}
    host.refused(await host.caller.post("/fine_tuning/jobs", json=body), 400, f"method.reinforcement.{param}")
