"""What is known before a job is handed in is said before: gates that cannot pass, rows that are too few or not new."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import tunekit as tk
from tests.unit.retrain.rounds.products import TEST, Host, product, rows
from tunekit.backends.base import GenerateRequest, Generation, Snapshot
from tunekit.events import JobState
from tunekit.testing import training_script
from tunekit.testing.tiny_models import make_tiny_llama


@pytest.mark.parametrize(
    ("gate", "says"),
    [
        (tk.Gate(primary="exact_macth"), "exact_macth"),
        (
            tk.Gate(
                primary="exact_match", guardrails=(tk.Guardrail(of="exact_match", margin=0.1, task="old"),)
            ),
            "no test",
        ),
        (
            tk.Gate(
                primary="exact_match",
                guardrails=(tk.Guardrail(of="exact_match", margin=0.1, column="language", value="de"),),
            ),
            "no item of the test is in",
        ),
    ],
    ids=["primary", "task", "slice"],
)
def test_a_gate_that_asks_of_what_is_not_measured(tmp_path: Path, gate: tk.Gate, says: str) -> None:
    with pytest.raises(tk.SpecError, match=says) as caught:
        product(tmp_path, Host(0.9), gate=gate)
    assert caught.value.hint


def test_too_few_new_rows_end_a_round_before_it_costs(tmp_path: Path) -> None:
    host = Host(0.9)
    retrainer = product(tmp_path, host, gate=tk.Gate(primary="exact_match", min_new_rows=100))
    said = str(retrainer.dry_run(rows("a")))
    assert said.count("it ends before training: 50 rows are new, and the gate asks for 100") == 1
    done = retrainer.run(rows("a"))
    assert done.state is tk.RoundState.REJECTED and host.counters.jobs == 0
    assert retrainer.run(rows("b")).promoted, "they wait for the others"


def test_nothing_new_to_go_on_with_is_no_second_bill(tmp_path: Path) -> None:
    host = Host(0.8, 0.9)
    retrainer = product(tmp_path, host, start="champion")
    retrainer.run(rows("a"), key="webhook")
    with pytest.raises(tk.DataError, match="no row is new since bot@1"):
        retrainer.run(rows("a"))
    assert host.counters.jobs == 1


def test_chances_count_the_items_of_each_guardrail(tmp_path: Path) -> None:
    marked = tk.Dataset.from_records(
        [{**row, "kind": "rare" if at < 20 else "usual"} for at, row in enumerate(TEST)]
    )
    evaluator = tk.Evaluator(marked, slices=("kind",), settings=tk.Settings(home=tmp_path))
    given: dict[str, Any] = {"of": "exact_match", "margin": 0.05}

    def chances(*rails: tk.Guardrail) -> tuple[float, str]:
        gate = tk.Gate(primary="exact_match", guardrails=rails)
        plan = product(tmp_path, Host(0.9), evaluator=evaluator, gate=gate).dry_run(rows("a"))
        return plan.chances[-1].power, str(plan)

    all_of_it, _ = chances(tk.Guardrail(**given))
    few, _ = chances(tk.Guardrail(**given, column="kind", value="rare"))
    assert all_of_it > 0.4 and few < 0.15
    _, said = chances(tk.Guardrail(of="seconds per item", ratio=0.1))
    assert "the chances leave out 'seconds per item'" in said


def test_a_model_in_use_that_is_gone_is_known_before_the_bill(tmp_path: Path) -> None:
    class Gone(Host):
        async def generate(
            self, model: str, requests: Sequence[GenerateRequest], sampling: tk.Sampling
        ) -> list[Generation]:
            if model == "gone":
                raise tk.NotFoundError("no model 'gone'", hint="it was shut down")
            return await super().generate(model, requests, sampling)

    host = Gone(0.9)
    retrainer = product(tmp_path, host)
    registry = retrainer.rounds.registry
    registry.register("bot", "scripted:gone")
    registry.promote("bot@1")
    with pytest.raises(tk.NotFoundError, match="bot@1, which is in use, answers no more") as caught:
        retrainer.run(rows("a"))
    assert host.counters.jobs == 0 and "nothing was spent" in caught.value.hint
    registry.register("bot", "scripted:base")
    registry.promote("bot@2")
    assert retrainer.run(rows("a")).promoted


def test_a_drift_that_nobody_can_see_is_said(tmp_path: Path) -> None:
    def chats(name: str) -> tk.Dataset:
        turns = ({"role": "user", "content": f"{name} %d"}, {"role": "assistant", "content": "%d"})
        return tk.Dataset.from_records(
            [{"messages": [{**turn, "content": turn["content"] % at} for turn in turns]} for at in range(30)]
        )

    gate = tk.Gate(primary="exact_match", max_label_drift=0.1)
    retrainer = product(tmp_path, Host(0.8, 0.9), gate=gate)
    retrainer.run(chats("a"))
    done = retrainer.run(chats("b"))
    assert "no single label" in done.notes[0] and not [each for each in done.reasons if "drift" in each]


def test_what_a_failed_job_has_cost_is_kept(tmp_path: Path) -> None:
    class Dear(Host):
        async def snapshot(self, job_id: str) -> Snapshot:
            return replace(await super().snapshot(job_id), cost_usd=12.5)

    retrainer = product(tmp_path, Dear(script=training_script(end=JobState.FAILED)))
    with pytest.raises(tk.JobFailedError):
        retrainer.run(rows("a"))
    assert retrainer.rounds.list()[0].cost_usd == 12.5


def test_a_local_model_that_was_removed_is_known_before_the_training(tmp_path: Path) -> None:
    base = make_tiny_llama(tmp_path / "llama")
    given: dict[str, Any] = {"alias": "bot", "settings": tk.Settings(home=tmp_path)}
    retrainer = tk.Retrainer(
        f"local:{base}",
        evaluator=tk.Evaluator(tk.Dataset.from_records(TEST)),
        gate=tk.Gate(primary="exact_match"),
        **given,
    )
    retrainer.rounds.registry.register("bot", f"local:{shutil.copytree(base, tmp_path / 'gone')}")
    retrainer.rounds.registry.promote("bot@1")
    shutil.rmtree(tmp_path / "gone")
    with pytest.raises(tk.NotFoundError, match="bot@1, which is in use, answers no more"):
        retrainer.run(rows("a"))
    assert not list(tk.Settings(home=tmp_path).runs.glob("run-*"))
