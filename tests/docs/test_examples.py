"""The example scripts run to their end as a user starts them; here with few rows, so the numbers mean nothing."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

import tunekit as tk

ROOT = Path(__file__).resolve().parents[2]
NANO = ROOT / "examples" / "models" / "nano" / "model.safetensors"
needs_nano = pytest.mark.skipif(not NANO.is_file(), reason="trains nano, which is not in this checkout")
SMALL = ["--max-rows", "60", "--epochs", "1"]


def quickstart(*arguments: str) -> subprocess.CompletedProcess[str]:
    script = str(ROOT / "examples" / "quickstart.py")
    environment = {**os.environ, "PYTHONWARNINGS": "error"}
    return subprocess.run(
        [sys.executable, script, *arguments], capture_output=True, text=True, env=environment
    )


@needs_nano
@pytest.mark.timeout(300)
def test_quickstart_runs_to_its_table(home: Path) -> None:
    done = quickstart(*SMALL)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "exact_match" in done.stdout
    artifact = next(
        line.split(maxsplit=1)[1] for line in done.stdout.splitlines() if line.startswith("artifact")
    )
    assert Path(artifact).is_relative_to(home)
    assert (Path(artifact) / "adapter_config.json").is_file()


def test_quickstart_shows_what_preflight_warns_of(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "examples"))
    report = {"rows": 3, "warnings": ["2 rows are cut at max_length"]}
    importlib.import_module("quickstart").show(tk.Preflight(id="1", at=0.0, message="3 rows", report=report))
    assert "warning: 2 rows are cut at max_length" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--data", "nowhere.csv"], "nowhere.csv"),
        (["--target", "intention"], "'intention'"),
        (["--model", "/nowhere/at/all"], "/nowhere/at/all"),
        (["--backend", "acme"], "'acme'"),
    ],
)
def test_quickstart_names_what_is_wrong_and_what_to_do(arguments: list[str], message: str) -> None:
    done = quickstart(*SMALL, *arguments)
    assert done.returncode == 1, done.stdout + done.stderr
    last = "\n".join(done.stdout.splitlines()[-3:])
    assert message in last
    assert "hint:" in last
    assert "Traceback" not in done.stderr
