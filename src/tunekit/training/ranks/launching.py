"""The processes that train with this one: started, watched, ended with it. Knows processes; no row and no model.

The process that a host has started leads, and starts the others itself. `torchrun` would put a process of its own above
them, and a lock on the run could then outlive those that write, or end before them: here only the holder of the lock
writes, and whoever follows it ends when its pipe closes. A rank is told what `torchrun` tells (RANK, WORLD_SIZE).
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import torch
from torch import distributed

from tunekit import _files
from tunekit.errors import JobFailedError, SpecError, TunekitError
from tunekit.spec import Probe
from tunekit.training.ranks.group import ALONE, Ranks
from tunekit.training.run.rundir import RunDirectory, RunPlan, RunResult, Strategy

FOLLOWER = ("-P", "-m", "tunekit.training.ranks.follow")
EXIT_ABANDONED = 76
"""A process that trained with this one is gone, so this one goes too; the next trainer goes on."""

_WAIT_FOR_THE_DEAD_S = 10.0
_PATIENCE_S = 20.0
_SILENCE = timedelta(hours=2)  # an evaluation or a checkpoint of one rank may keep the others waiting


def processes_of(plan: RunPlan) -> int:
    """How many train a run. A probe reads its texts once, and fits a classifier that no device helps with."""
    return 1 if isinstance(plan.spec.method, Probe) else plan.devices


def threads_each(plan: RunPlan) -> int:
    """CPU threads of each process of a run."""
    return max(1, plan.threads // processes_of(plan))


@contextmanager
def together(run: RunDirectory) -> Iterator[Ranks]:
    """The ranks of a run, this process leading, inside the block. Afterwards the others are gone.

    Raises:
        SpecError: There are not so many devices.
        JobFailedError: Another rank failed; the error is its own.
        SystemExit: Another rank died, as processes do that run out of memory. The run goes on with the next trainer.
    """
    plan = run.plan()
    if processes_of(plan) == 1:
        yield ALONE
        return
    _require_devices(plan.devices)
    meeting = run.ranks_path
    shutil.rmtree(meeting, ignore_errors=True)
    _files.make_private_directory(meeting)
    followers = [_follower(run, rank, plan) for rank in range(1, plan.devices)]
    watch = _Watch(followers)
    try:
        with joined(meeting / "store", 0, plan.devices, plan.strategy) as ranks:
            yield ranks
            _end(followers)
    except TunekitError:
        raise
    except Exception as error:
        _raise_if_another_failed(followers, meeting, error)
        raise
    finally:
        watch.over = True
        _end(followers)
        shutil.rmtree(meeting, ignore_errors=True)


@contextmanager
def joined(store: Path, rank: int, count: int, strategy: Strategy) -> Iterator[Ranks]:
    """Meet the other ranks; inside the block they hear each other.

    Args:
        store: A file that all of them can write, in a directory that nobody else can.
        rank: This one's number.
        count: How many there are.
        strategy: How they share the work.
    """
    loopback = next(name for _, name in socket.if_nameindex() if name.startswith("lo"))
    # All are on one machine, so nobody else need hear them. This is the child's own process.
    for library in ("GLOO", "NCCL"):
        os.environ.setdefault(f"{library}_SOCKET_IFNAME", loopback)
    has_gpu = torch.cuda.is_available()
    if has_gpu:
        torch.cuda.set_device(rank)
    distributed.init_process_group(
        "cpu:gloo,cuda:nccl" if has_gpu else "gloo",
        init_method=store.as_uri(),
        rank=rank,
        world_size=count,
        timeout=_SILENCE,
    )
    yield Ranks(rank=rank, count=count, strategy=strategy)
    distributed.destroy_process_group()


def failure_path(meeting: Path, rank: int) -> Path:
    """Where a rank that follows says why it failed."""
    return meeting / f"failure-{rank}.json"


class _Watch:
    """Ends this process when another rank is gone and nothing else says so: a collective may wait for it for hours."""

    def __init__(self, followers: Sequence[subprocess.Popen[bytes]]) -> None:
        self.over = False
        for follower in followers:
            threading.Thread(target=self._wait_for, args=(follower,), daemon=True).start()

    def _wait_for(self, follower: subprocess.Popen[bytes]) -> None:
        if follower.wait() == 0:
            return
        time.sleep(_PATIENCE_S)
        if not self.over:
            os._exit(EXIT_ABANDONED)


def _follower(run: RunDirectory, rank: int, plan: RunPlan) -> subprocess.Popen[bytes]:
    threads = str(threads_each(plan))
    environment = {
        **os.environ,
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "WORLD_SIZE": str(plan.devices),
        "OMP_NUM_THREADS": threads,
        "MKL_NUM_THREADS": threads,
    }
    # Its output goes where ours goes. Its stdin is a pipe that closes when this process ends, however it ends.
    return subprocess.Popen(
        [sys.executable, *FOLLOWER, str(run.path)], stdin=subprocess.PIPE, env=environment, cwd=run.path
    )


def _require_devices(wanted: int) -> None:
    there = torch.cuda.device_count() if torch.cuda.is_available() else wanted
    if wanted > there:
        raise SpecError(
            f"the run asks for {wanted} devices, and there are {there} here",
            hint=f"use LocalBackend(devices={there}), or look at CUDA_VISIBLE_DEVICES",
        )


def _raise_if_another_failed(
    followers: Sequence[subprocess.Popen[bytes]], meeting: Path, error: Exception
) -> None:
    """Whoever loses the connection hears nothing of the reason; the other rank has written it down."""
    until = time.monotonic() + _WAIT_FOR_THE_DEAD_S
    while not any(follower.poll() for follower in followers):
        if time.monotonic() > until:
            return
        time.sleep(0.05)
    for rank in range(1, len(followers) + 1):
        if failure_path(meeting, rank).exists():
            told = RunResult.model_validate_json(failure_path(meeting, rank).read_bytes())
            raise JobFailedError(
                f"on device {rank}: {told.message}", hint=told.hint, details=dict(told.details)
            ) from error
    raise SystemExit(EXIT_ABANDONED) from error


def _end(followers: Sequence[subprocess.Popen[bytes]]) -> None:
    """They own nothing and write nothing, so they need no time to leave; those that are gone are left alone."""
    for follower in followers:
        follower.kill()
        follower.wait()
        if follower.stdin is not None:
            follower.stdin.close()
