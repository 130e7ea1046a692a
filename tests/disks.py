"""Disks that are small, full or read-only, for tests that need a real one."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def small_disk(path: Path, *, mib: int) -> Iterator[Path]:
    """A filesystem of its own at `path`. Skips the test where we may not mount one."""
    path.mkdir()
    _mount("-t", "tmpfs", "-o", f"size={mib}m", "tmpfs", str(path))
    try:
        yield path
    finally:
        subprocess.run(["umount", "--lazy", str(path)], check=True)


@contextmanager
def read_only_disk(path: Path) -> Iterator[Path]:
    """A directory that even root cannot write to."""
    with small_disk(path, mib=1):
        _mount("-o", "remount,ro", str(path))
        yield path


def fill_up(disk: Path) -> None:
    """Take whatever space is left."""
    with (disk / "ballast").open("ab", buffering=0) as file:
        for size in (1 << 16, 1 << 8, 1):
            try:
                while file.write(b"\1" * size) == size:
                    pass
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise


def make_room(disk: Path) -> None:
    """Give back what `fill_up` took."""
    (disk / "ballast").unlink()


def _mount(*arguments: str) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root may mount a small disk")
    done = subprocess.run(["mount", *arguments], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"this machine may not mount a small disk: {done.stderr.strip()}")
