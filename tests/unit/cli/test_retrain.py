"""`tunekit retrain` as a cron job runs it, and as a person who decides uses it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import tunekit as tk
from tests.unit.retrain.rounds.products import TEST, Host, records
from tunekit.backends import registry
from tunekit.cli import main


@pytest.fixture
def host() -> Iterator[Host]:
    host = Host(0.7, 0.3, 0.71, 0.9)
    unregister = registry.register("scripted", lambda **options: host)
    yield host
    unregister()


@pytest.fixture
def files(tmp_path: Path) -> Path:
    contents = {"test": TEST, **{name: records(name, 50) for name in "abcd"}}
    for name, rows in contents.items():
        (tmp_path / f"{name}.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return tmp_path


def said(capsys: pytest.CaptureFixture[str], *arguments: Any, code: int = 0) -> str:
    assert main(["retrain", *map(str, arguments)]) == code
    return capsys.readouterr().out


def test_weeks_of_a_cron_job(host: Host, files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    week = ("run", "bot", "scripted:base", "--test", files / "test.jsonl", "--min-gain", "0.02", "--data")
    assert "50 rows: 50 new, 0 old" in said(capsys, *week, files / "a.jsonl", "--dry-run")
    assert host.counters.jobs == 0
    assert "bot@champion: promoted" in said(capsys, *week, files / "a.jsonl")
    assert "rejected" in said(capsys, *week, files / "b.jsonl", code=1)
    assert "inconclusive" in said(capsys, *week, files / "c.jsonl", code=2)
    assert "PROMOTE" in said(capsys, *week, files / "d.jsonl")
    assert "PROMOTE" in said(capsys, *week, files / "d.jsonl") and host.counters.jobs == 4
    assert "is version 1 again; it was version 4" in said(capsys, "rollback", "bot", "--reason", "complaints")
    assert "batch 3 with 50 rows is withdrawn: spam" in said(capsys, "withdraw", "bot", 3, "--reason", "spam")
    assert said(capsys, "batches", "bot").splitlines()[3].split()[-2:] == ["50", "spam"]
    lines = said(capsys, "list", "bot").splitlines()
    assert [line.split()[1] for line in lines[1:]] == ["rolled_back", "inconclusive", "rejected", "promoted"]


def test_a_gate_of_a_file_with_rails_a_budget_and_a_rollout(
    host: Host, files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rail = {"of": "exact_match", "margin": 0.3, "task": "old"}
    (files / "gate.json").write_text(json.dumps({"primary": "exact_match", "guardrails": [rail]}))
    week = ["bot", "scripted:base", "--test", files / "test.jsonl", "--gate", files / "gate.json"]
    week += ["--task", f"old={files / 'test.jsonl'}", "--rollout", "canary", "--max-seconds", 3600]
    assert "nothing was left to do" in said(capsys, "resume", *week)
    shown = said(capsys, "run", *week, "--data", files / "a.jsonl")
    assert "canary" in shown and "exact_match of old" in shown
    (waiting,) = tk.Rounds("bot").list()
    assert "is promoted" in said(capsys, "advance", "bot", waiting.round_id)
    assert main(["retrain", "run", *map(str, week), "--min-gain", "0.1"]) == 1
    assert "--gate is given, and --by or --min-gain, too" in capsys.readouterr().err
    assert main(["retrain", "resume", *map(str, week), "--task", "old"]) == 1
    assert "--task is 'old'" in capsys.readouterr().err


def test_resume_goes_on_with_what_was_asked_for(
    host: Host, files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    retrainer = tk.Retrainer(
        "scripted:base",
        alias="bot",
        evaluator=tk.Evaluator(tk.Dataset.load(files / "test.jsonl")),
        gate=tk.Gate(primary="exact_match"),
        backend=host,
    )
    retrainer.request(tk.Dataset.load(files / "a.jsonl"))
    assert "bot@champion: promoted" in said(
        capsys, "resume", "bot", "scripted:base", "--test", files / "test.jsonl"
    )
    assert host.counters.jobs == 1


def test_answers_are_labels_where_the_recipe_tells_classes_apart(
    host: Host, files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    host.__dict__["capabilities"] = replace(host.capabilities, methods=frozenset({"probe"}))
    (files / "spec.json").write_text('{"method": {"type": "probe"}, "epochs": 1}')
    week = (
        "run",
        "bot",
        "scripted:base",
        "--test",
        files / "test.jsonl",
        "--spec",
        files / "spec.json",
        "--data",
    )
    assert "error:" not in said(capsys, *week, files / "a.jsonl", "--dry-run")
    assert "bot@champion: promoted" in said(capsys, *week, files / "a.jsonl")


def test_deciding(host: Host, files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    week = ("run", "bot", "scripted:base", "--test", files / "test.jsonl", "--approval", "manual", "--data")
    said(capsys, *week, files / "a.jsonl")
    (waiting,) = tk.Rounds("bot").list()
    assert "is promoted" in said(capsys, "approve", "bot", waiting.round_id, "--reason", "fine")
    shown = said(capsys, "show", "bot", waiting.round_id)
    assert "awaiting_approval" in shown and "fine" in shown
    assert main(["retrain", "decline", "bot", waiting.round_id]) == 1
    assert "is promoted, not" in capsys.readouterr().err
