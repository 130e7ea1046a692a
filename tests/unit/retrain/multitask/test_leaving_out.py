"""What each task does to the others, and that a second call pays for nothing twice. Knows scripted models."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import tunekit as tk
from tunekit.backends.base import Prompt
from tunekit.errors import SpecError
from tunekit.evaluation.arms.arm import ArmLike
from tunekit.retrain.multitask import LeftOut, leave_one_task_out, leave_one_task_out_async
from tunekit.store import SqliteStore
from tunekit.testing import ScriptedBackend

TASKS = ("good", "harmful", "plain")
PARTS = {
    task: tk.Dataset.from_records([{"prompt": f"{task} {n}", "completion": task} for n in range(60)])
    for task in TASKS
}
MIX, _ = tk.Dataset.mix(PARTS)


def evaluators() -> dict[str, tk.Evaluator]:
    return {task: tk.Evaluator(data, cache=False) for task, data in PARTS.items()}


def answer(known: set[str], prompt: str) -> str:
    """Knows the tasks it has learned; "harmful" ruins "good" by half, "good" helps "plain"."""
    task, number = prompt.split()
    n = int(number)
    if task == "good" and "harmful" in known and n % 2:
        return "?"
    if task == "plain" and "good" not in known and n % 2:
        return "?"
    return task if task in known else "?"


def learned(data: tk.Dataset) -> ArmLike:
    known = set(data.targets())
    return lambda prompt: answer(known, str(prompt))


def test_who_harms_whom() -> None:
    found = leave_one_task_out(MIX, learned, evaluators())
    assert found.harmful == {"harmful": ("good",)}
    assert found.helpful == {"good": ("plain",)}
    assert found.effects["harmful"]["good"].delta.estimate == pytest.approx(-0.5)
    assert {task: set(row) for task, row in found.effects.items()} == {
        task: set(TASKS) - {task} for task in TASKS
    }
    assert [effect.outcome for effect in found.own.values()] == ["better"] * 3
    assert LeftOut.from_json(found.to_json()) == found
    assert "HARMS" in str(found)


def test_others_learn_the_same_rows_with_and_without_a_task() -> None:
    seen: list[tk.Dataset] = []

    def note(data: tk.Dataset) -> ArmLike:
        seen.append(data)
        return learned(data)

    leave_one_task_out(MIX, note, evaluators())
    assert [set(data.targets()) for data in seen] == [
        set(TASKS), {"harmful", "plain"}, {"good", "plain"}, {"good", "harmful"},
    ]  # fmt: skip
    assert seen[0] == MIX
    assert [row.id for row in seen[2]] == [row.id for row in MIX if row.meta["task"] != "harmful"]


async def test_async() -> None:
    async def train(data: tk.Dataset) -> ArmLike:
        return learned(data)

    found = await leave_one_task_out_async(MIX, train, evaluators())
    assert found.harmful == {"harmful": ("good",)}


def test_a_second_call_finds_the_jobs_of_the_first(tmp_path: Path) -> None:
    settings = tk.Settings(home=tmp_path)
    store = SqliteStore(settings)
    backend = ScriptedBackend(generate=lambda prompt: _first(prompt))
    cut = [2]

    def train(data: tk.Dataset) -> ArmLike:
        job = tk.FineTuneJob.submit(data, "scripted:base", backend=backend, store=store, settings=settings)
        if not cut[0]:
            raise KeyboardInterrupt
        cut[0] -= 1
        return job.result()

    with pytest.raises(KeyboardInterrupt):
        leave_one_task_out(MIX, train, evaluators(), backend=backend)
    assert backend.counters.jobs == 3
    cut[0] = 99
    found = leave_one_task_out(MIX, train, evaluators(), backend=backend)
    assert backend.counters.jobs == 4
    assert found.harmful == {} and len(set(found.models.values())) == 4


def _first(prompt: Prompt) -> str:
    return str(prompt).split()[0]


@pytest.mark.parametrize(
    ("mix", "train", "given", "says"),
    [
        (MIX, "local:m", None, "train is 'local:m'"),
        (MIX, learned, {}, "only one of mix and evaluators has"),
        (MIX.filter(lambda row: row.meta["task"] == "good"), learned, None, "the mix has only 'good'"),
        (tk.Dataset(), learned, None, "the mix has only no task"),
        (PARTS["good"], learned, None, "has None as its task"),
    ],
)
def test_wrong_arguments_are_named(mix: Any, train: Any, given: Any, says: str) -> None:
    with pytest.raises(SpecError, match=says) as caught:
        leave_one_task_out(mix, train, evaluators() if given is None else given)
    assert caught.value.hint
