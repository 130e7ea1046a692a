"""Rewards in runs: graders that fail, that take their time, and that tell nothing apart."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.unit.training.conftest import MakeRun, events, train
from tests.unit.training.test_reinforcement import RIGHT, prompts, python, rft
from tunekit.errors import JobFailedError
from tunekit.events import JobState
from tunekit.examples import PromptExample
from tunekit.graders import Grade, Grader, Sample
from tunekit.spec import LoRA
from tunekit.training.models import load
from tunekit.training.objectives.drawing import Drawn
from tunekit.training.objectives.rewards import Question, all_grades
from tunekit.training.run.events_log import EventLog
from tunekit.training.run.stops import Stop
from tunekit.training.trainer import run_training

FAILS_ON = (
    "def grade(sample, item):\n    if item['n'] in {}: raise ValueError('no idea')\n"
    "    return len(sample['output_text'])"
)


def numbered(count: int = 8) -> list[PromptExample]:
    return [row.replace(reference={"n": n}) for n, row in enumerate(prompts(count))]


def warnings_of(run: Any) -> list[str]:
    return [event.message for event in events(run, "notice") if event.level == "warning"]


# --- graders that fail


def test_rows_whose_grader_fails_are_left_out_and_named(make_run: MakeRun) -> None:
    run = make_run(numbered(), method=rft(grader=python(FAILS_ON.format("[2]"))), epochs=1, batch_size=8)
    result = train(run)
    assert result is not None and result.state is JobState.SUCCEEDED
    (step,) = events(run, "step")
    assert step.metrics["grader_error_share"] == pytest.approx(1 / 8)
    assert any(
        "'row-2'" in text and "python_grader_runtime_error: ValueError in line 2" in text
        for text in warnings_of(run)
    )


def test_a_grader_that_fails_for_most_rows_ends_the_run(make_run: MakeRun) -> None:
    run = make_run(numbered(), method=rft(grader=python(FAILS_ON.format("[1, 2, 3, 4, 5]"))), batch_size=8)
    with pytest.raises(JobFailedError, match="fails for more than half of 8 rows") as failed:
        train(run)
    assert len(failed.value.details["rows"]) == 5


def test_an_answer_that_cannot_be_read_gets_nothing_and_is_counted(make_run: MakeRun) -> None:
    grader = {**RIGHT, "input": "{{sample.output_json.answer}}"}
    run = make_run(prompts(), method=rft(grader=grader), epochs=1)
    with pytest.raises(JobFailedError, match="taught the model anything"):
        train(run)
    assert all(event.metrics["unreadable_share"] == 1.0 for event in events(run, "step"))
    assert all(event.metrics["reward"] == 0.0 for event in events(run, "step"))


def test_grading_stops_at_the_row_that_makes_it_too_many() -> None:
    asked: list[Any] = []

    class Broken(Grader):
        def _grade(self, sample: Sample, item: Any) -> Grade:
            asked.append(item)
            return Grade.failed("model_grader_server_error", "down")

    questions = [
        Question(id=f"row-{n}", prompt=(1,), item={"n": n}, copies=2, max_tokens=1) for n in range(10)
    ]
    drawn = [Drawn(ids=(1,), log_prob=-1.0, stopped=True)] * 2
    with pytest.raises(JobFailedError):
        all_grades([(each, drawn) for each in questions], Broken(name="x"), lambda q, d: Sample("x"))
    assert [item["n"] for item in asked] == [0, 1, 2, 3, 4, 5]


def test_a_grader_that_fails_on_an_empty_answer_is_doubted(make_run: MakeRun) -> None:
    source = "def grade(sample, item):\n    return ord(sample['output_text'][0])"
    run = make_run(prompts(), method=rft(grader=python(source)), epochs=1)
    train(run)
    (report,) = events(run, "preflight")
    assert any(
        "fails on an empty answer" in text and "IndexError" in text for text in report.report["warnings"]
    )


# --- graders that take their time


def stopped_while_grading(run: Any, *, begins: str) -> Any:
    """Train until stopped at the eleventh question behind an event: where one grade takes long, two seconds into it."""
    asked = 0

    def stop() -> Stop | None:
        nonlocal asked
        asked += bool(events(run, begins))
        return Stop.PAUSED if asked > 10 else None

    with EventLog(run) as log:
        return run_training(run, log, stop)


@pytest.mark.parametrize("begins", ["state", "preflight"], ids=["the first try", "a step"])
def test_a_stop_does_not_wait_for_a_grader(make_run: MakeRun, begins: str) -> None:
    tried = "if sample['output_text']: " if begins == "preflight" else ""
    source = f"import time\ndef grade(sample, item):\n    {tried}time.sleep(600)\n    return 1.0"
    run = make_run(prompts(), method=rft(grader=python(source)), epochs=1)
    began = time.monotonic()
    assert stopped_while_grading(run, begins=begins) is None
    assert time.monotonic() - began < 60.0, "a grade may take 120 s"
    assert events(run, "state")[-1].state is JobState.PAUSED
    assert events(run, "step") == []


# --- graders that tell nothing apart


CONSTANT = "def grade(sample, item): return 0.7"
ONE_QUESTION = (
    "def grade(sample, item):\n    early = sum('a' <= c <= 'm' for c in sample['output_text'])\n"
    "    return early if item['n'] == 7 else 0"
)


@pytest.mark.parametrize("fields", [{}, {"kl_weight": 0.1, "adapter": LoRA(rank=4, dropout=0.2)}])
def test_a_run_that_no_reward_has_taught_fails_and_says_so_early(
    make_run: MakeRun, fields: dict[str, Any]
) -> None:
    run = make_run(prompts(), method=rft(grader=python(CONSTANT), **fields), epochs=4)
    with pytest.raises(
        JobFailedError, match="none of 8 steps taught the model anything: all answers"
    ) as failed:
        train(run)
    assert "raise group_size" in str(failed.value.hint)
    assert all(event.metrics["zero_advantage_share"] == 1.0 for event in events(run, "step"))
    (told,) = [event for event in events(run, "notice") if "last 5 steps taught" in event.message]
    assert told.level == "warning" and told.data["step"] == 5
    assert not run.artifact_path.exists()


def test_a_resumed_run_counts_the_steps_before(make_run: MakeRun) -> None:
    run = make_run(prompts(), method=rft(grader=python(CONSTANT)), epochs=4)
    assert train(run, stop_after=3) is None
    with pytest.raises(JobFailedError, match="none of 8 steps"):
        train(run)
    assert sum("last 5 steps taught" in text for text in warnings_of(run)) == 1
    with pytest.raises(JobFailedError, match="none of 8 steps"):
        train(run)


def test_a_step_without_a_gradient_changes_nothing_and_is_no_error(make_run: MakeRun) -> None:
    run = make_run(
        numbered(), method=rft(grader=python(ONE_QUESTION)), epochs=1, batch_size=1, learning_rate=1e-3
    )
    result = train(run)
    assert result is not None and result.state is JobState.SUCCEEDED
    steps = events(run, "step")
    idle = [event for event in steps if event.metrics["zero_advantage_share"] == 1.0]
    assert len(idle) == 7 and len(steps) == 8
    assert {(event.gradient_norm, event.loss) for event in idle} == {(0.0, 0.0)}
    weights = load.load(run.artifact_path).model.state_dict()
    assert any(value.any() for name, value in weights.items() if "lora_B" in name)
