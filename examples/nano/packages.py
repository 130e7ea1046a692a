"""Fetches Debian packages and Python wheels into the cache, unpacked. Runs apt-get, dpkg-deb and pip; needs no root."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

from nano.rows import MissingSourceError


def debian(package: str, cache: Path) -> Path:
    """The unpacked tree of a Debian package, fetched once.

    Raises:
        MissingSourceError: The package cannot be fetched here.
    """
    tree = cache / "packages" / package
    if not tree.is_dir():
        fetched = _fresh(cache / "packages" / f"{package}.fetch")
        _run(["apt-get", "download", package], cwd=fetched, hint="run apt-get update")
        archive = next(fetched.glob("*.deb"))
        _run(["dpkg-deb", "-x", str(archive.resolve()), str(_fresh(fetched / "tree"))], cwd=fetched, hint="")
        (fetched / "tree").rename(tree)
        (tree / "VERSION").write_text(archive.name.split("_")[1].replace("%3a", ":"), encoding="utf-8")
        shutil.rmtree(fetched)
    return tree


def wheel(project: str, cache: Path) -> Path:
    """The unpacked wheel of a Python project, fetched once.

    Raises:
        MissingSourceError: The wheel cannot be fetched here.
    """
    tree = cache / "packages" / f"{project}.whl"
    if not tree.is_dir():
        fetched = _fresh(cache / "packages" / f"{project}.fetch")
        command = [
            sys.executable,
            "-m",
            "pip",
            "download",
            "-q",
            "--no-deps",
            "--only-binary",
            ":all:",
            project,
        ]
        _run(command, cwd=fetched, hint="the package index must be reachable")
        archive = next(fetched.glob("*.whl"))
        with zipfile.ZipFile(archive) as file:
            file.extractall(fetched / "tree")
        (fetched / "tree" / "VERSION").write_text(archive.name.split("-")[1], encoding="utf-8")
        (fetched / "tree").rename(tree)
        shutil.rmtree(fetched)
    return tree


def version(package: str, cache: Path) -> str:
    """What was fetched, for the manifest; empty for a source that is not a package."""
    for tree in (cache / "packages" / package, cache / "packages" / f"{package}.whl"):
        if (tree / "VERSION").is_file():
            return (tree / "VERSION").read_text(encoding="utf-8")
    return ""


def _fresh(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def _run(command: list[str], *, cwd: Path, hint: str) -> None:
    try:
        done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False, timeout=600)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise MissingSourceError(f"{' '.join(command)}: {error}") from error
    if done.returncode:
        raise MissingSourceError(f"{' '.join(command)}: {done.stderr.strip()[-200:]!r}; {hint}")
