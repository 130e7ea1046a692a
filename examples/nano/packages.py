"""Fetches Debian packages and Python wheels into the cache, unpacked. Runs apt-get, dpkg-deb and pip; needs no root.

Versions are pinned: with another text the corpus, and so the model, would be another. A mirror that has moved on makes
the source count as missing; then change the pin here and train again.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

from nano.rows import MissingSourceError

VERSIONS = {
    "python3.11-doc": "3.11.2-6+deb12u9",
    "r-cran-janeaustenr": "1.0.0-1",
    "sqlite3-doc": "3.40.1-2+deb12u2",
    "squareup": "46.0.0.20260916",
    "stripe": "16.1.0",
    "wordnet-base": "1:3.0-37",
}


def debian(package: str, cache: Path) -> Path:
    """The unpacked tree of a Debian package in its pinned version, fetched once.

    Raises:
        MissingSourceError: The package cannot be fetched here.
    """
    tree = cache / "packages" / package
    if _version(tree) != VERSIONS[package]:
        fetched = _fresh(cache / "packages" / f"{package}.fetch")
        _run(
            ["apt-get", "download", f"{package}={VERSIONS[package]}"],
            cwd=fetched,
            hint="run apt-get update; these are packages of Debian 12",
        )
        archive = next(fetched.glob("*.deb"))
        _run(["dpkg-deb", "-x", str(archive.resolve()), str(_fresh(fetched / "tree"))], cwd=fetched, hint="")
        _keep(fetched / "tree", tree, VERSIONS[package])
    return tree


def wheel(project: str, cache: Path) -> Path:
    """The unpacked wheel of a Python project in its pinned version, fetched once.

    Raises:
        MissingSourceError: The wheel cannot be fetched here.
    """
    tree = cache / "packages" / f"{project}.whl"
    if _version(tree) != VERSIONS[project]:
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
            f"{project}=={VERSIONS[project]}",
        ]
        _run(command, cwd=fetched, hint="the package index must be reachable")
        archive = next(fetched.glob("*.whl"))
        with zipfile.ZipFile(archive) as file:
            file.extractall(fetched / "tree")
        _keep(fetched / "tree", tree, VERSIONS[project])
    return tree


def version(package: str, cache: Path) -> str:
    """What was fetched, for the manifest; empty for a source that is not a package."""
    found = (_version(cache / "packages" / name) for name in (package, f"{package}.whl"))
    return next(filter(None, found), "")


def _version(tree: Path) -> str:
    marker = tree / "VERSION"
    return marker.read_text(encoding="utf-8") if marker.is_file() else ""


def _keep(unpacked: Path, tree: Path, found: str) -> None:
    (unpacked / "VERSION").write_text(found, encoding="utf-8")
    shutil.rmtree(tree, ignore_errors=True)
    unpacked.rename(tree)
    shutil.rmtree(unpacked.parent)


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
