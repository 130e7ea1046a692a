"""What a type checker sees of the installed package: every public name, and no name that is not there."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from mypy import api

import tunekit

ROOT = Path(__file__).resolve().parent.parent


def check(code: str, tmp_path: Path) -> str:
    page = tmp_path / "host.py"
    page.write_text(code, encoding="utf-8")
    options = ["--config-file", str(ROOT / "pyproject.toml"), "--cache-dir", os.devnull]
    stdout, stderr, _ = api.run([*options, "--python-executable", sys.executable, str(page)])
    return stdout + stderr


def test_every_public_name_has_a_type(tmp_path: Path) -> None:
    lines = ["import tunekit as tk", *(f"reveal_type(tk.{item})" for item in tunekit.__all__)]
    found = check("\n".join(lines), tmp_path)
    assert "has no attribute" not in found
    assert found.count("Revealed type is") == len(tunekit.__all__)
    assert 'Revealed type is "Any"' not in found


def test_a_misspelt_name_is_an_error(tmp_path: Path) -> None:
    assert 'Module has no attribute "Datset"' in check("import tunekit as tk\ntk.Datset", tmp_path)
