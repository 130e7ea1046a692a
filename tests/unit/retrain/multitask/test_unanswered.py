"""A model that does not answer is not one that is right: nothing is concluded from the items that are left."""

from __future__ import annotations

from typing import Any

import pytest

import tunekit as tk
from tunekit.evaluation.scorers import ExactMatch
from tunekit.retrain.continual import Forgetting
from tunekit.retrain.multitask import leave_one_task_out, macro_average, negative_transfer

TEST = tk.Dataset.from_records([{"prompt": f"{n}", "completion": f"{n}"} for n in range(100)])
EVALUATOR = tk.Evaluator(TEST, scorers=[ExactMatch()])


def right(prompt: Any) -> str:
    return str(prompt)


def halved(prompt: Any) -> str:
    if int(prompt) % 2:
        raise tk.BackendError("503", hint="later", retryable=False)
    return str(prompt)


def test_in_every_report_over_tasks() -> None:
    whole, half = EVALUATOR.run(right), EVALUATOR.run(halved)
    assert half["exact_match"].n_errors == 50
    with pytest.raises(tk.EvaluationError, match="50 of 100 items of 'a' could not be scored"):
        negative_transfer({"a": half}, {"a": whole})
    with pytest.raises(tk.EvaluationError, match="50 of 100 items"):
        macro_average({"a": half})
    with pytest.raises(tk.EvaluationError, match="50 of 100 items"):
        Forgetting.of({"s1": {"a": whole}, "s2": {"a": half, "b": whole}})


def test_what_is_wrong_with_a_test_is_known_before_anything_is_trained() -> None:
    parts = {
        task: tk.Dataset.from_records([{"prompt": f"{task} {n}", "completion": task} for n in range(20)])
        for task in "ab"
    }
    mix, _ = tk.Dataset.mix(parts)
    trained: list[int] = []

    def train(data: tk.Dataset) -> Any:
        trained.append(len(data))
        return right

    evaluators = {task: tk.Evaluator(data) for task, data in parts.items()}
    with pytest.raises(tk.SpecError, match="'acuracy'"):
        leave_one_task_out(mix, train, evaluators, scorer="acuracy")
    sealed = {**evaluators, "b": tk.Evaluator(parts["b"], sealed=True)}
    with pytest.raises(tk.SpecError, match="test of 'b' is sealed"):
        leave_one_task_out(mix, train, sealed)
    assert not trained
