"""The command line, as a person or a script meets it."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest

import tunekit
from tunekit.backends import registry
from tunekit.cli import main
from tunekit.testing import ScriptedBackend, tiny_dataset


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["--version"])
    assert stopped.value.code == 0
    assert capsys.readouterr().out == f"tunekit {tunekit.__version__}\n"


def test_no_command_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main([])
    assert stopped.value.code == 2
    assert "COMMAND" in capsys.readouterr().err


def test_backends_lists_without_importing(capsys: pytest.CaptureFixture[str]) -> None:
    def never() -> None:
        raise AssertionError("listing must not construct a backend")

    unregister = registry.register("acme", never)  # type: ignore[arg-type]
    try:
        assert main(["backends"]) == 0
    finally:
        unregister()
    header, *rows = capsys.readouterr().out.splitlines()
    assert header.split() == ["NAME", "PACKAGE", "CLASS"]
    assert any(row.startswith("local ") and "tunekit.backends.local:LocalBackend" in row for row in rows)
    assert any(row.startswith("acme ") and "(registered)" in row for row in rows)


def test_every_registered_backend_loads() -> None:
    points = [
        point for point in entry_points(group=registry.GROUP) if point.dist and point.dist.name == "tunekit"
    ]
    assert points
    assert all(issubclass(point.load(), tunekit.backends.Backend) for point in points)


def test_an_error_is_one_line_with_its_hint_and_exit_code_1(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TUNEKIT_SUBMIT_TIMEOUT_S", "soon")
    assert main(["jobs"]) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "TUNEKIT_SUBMIT_TIMEOUT_S='soon'" in printed.err
    assert "hint:" in printed.err


def test_a_reader_that_goes_away_is_no_error() -> None:
    command = [str(Path(sys.executable).with_name("tunekit")), "backends"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.wait(timeout=60) == 0
        assert process.stderr is not None
        assert process.stderr.read() == b""


def test_jobs_lists_what_this_home_submitted(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["jobs"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 1, "a header and nothing else"
    job = tunekit.FineTuneJob.submit(tiny_dataset(), "scripted:base", backend=ScriptedBackend())
    job.result()

    assert main(["jobs", "--limit", "5"]) == 0
    _, row = capsys.readouterr().out.splitlines()
    assert row.startswith(job.ref)
    assert "succeeded" in row
    assert main(["jobs", "--backend", "local"]) == 0
    assert job.ref not in capsys.readouterr().out
