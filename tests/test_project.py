"""The commands around the code: CI tells the truth, set-up finds a Python, every extra is what the docs say."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def executable(path: Path, script: str) -> Path:
    path.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize(
    ("make", "status", "last_line"),
    [
        ("echo '===== 2 passed, 1 skipped in 3.21s ====='", 0, "2 passed, 1 skipped in 3.21s"),
        ("echo '===== 1 failed, 2 passed in 0.01s ====='; exit 2", 2, "1 failed, 2 passed in 0.01s"),
        ("echo 'error: Type mismatch'; exit 2", 2, "did not get to run"),
    ],
)
def test_ci_ends_with_pytests_closing_line_and_its_status(
    tmp_path: Path, make: str, status: int, last_line: str
) -> None:
    executable(tmp_path / "make", make)
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        [ROOT / ".ci" / "run"], capture_output=True, text=True, env={**os.environ, "PATH": path}
    )
    assert done.returncode == status
    assert last_line in done.stdout.splitlines()[-1]


def test_set_up_passes_over_a_python_that_is_too_old(tmp_path: Path) -> None:
    executable(tmp_path / "python3", "exit 1")  # what `sys.exit(sys.version_info < (3, 11))` gives on 3.10
    good = executable(tmp_path / "python3.12", "exit 0")
    assert f'"{good}" -m venv' in set_up(tmp_path, "--dry-run").stdout


def test_set_up_without_python_says_what_to_do(tmp_path: Path) -> None:
    done = set_up(tmp_path)
    assert done.returncode != 0
    assert "tunekit needs Python >= 3.11" in done.stderr
    assert not (tmp_path / "venv").exists()


def set_up(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """`make setup` into `folder/venv`, where only make, sh and the commands in `folder` can be found."""
    for command in ("make", "sh"):
        found = shutil.which(command)
        assert found, f"this test needs {command}"
        (folder / command).symlink_to(found)
    environment = {"PATH": str(folder), "HOME": str(folder)}
    arguments = ["make", *options, f"VENV={folder / 'venv'}", "setup"]
    return subprocess.run(arguments, cwd=ROOT, env=environment, capture_output=True, text=True)


def test_constraints_pin_and_name_no_index() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    assert [line for line in pins if not re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][A-Za-z0-9.]*", line)] == []
    assert "torch==2.13.0" in pins


def test_every_direct_dependency_that_the_checks_install_is_pinned() -> None:
    text = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    pinned = {line.partition("==")[0].lower().replace("_", "-") for line in text.splitlines() if "==" in line}
    extras = PROJECT["optional-dependencies"]
    wanted = [*PROJECT["dependencies"], *extras["local"], *extras["dev"], *extras["excel"]]
    names = {re.split(r"[\[<>=]", item)[0].lower().replace("_", "-") for item in wanted} - {"tunekit"}
    assert names - pinned == set()


def test_readme_names_every_extra() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    users = set(PROJECT["optional-dependencies"]) - {"dev", "bench"}
    assert [extra for extra in users if f"`{extra}`" not in readme and f"[{extra}]" not in readme] == []
