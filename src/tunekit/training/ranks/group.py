"""What the processes of one run tell each other. Knows torch.distributed; knows no row, no model and no file.

Every process, or rank, runs the same code over the same rows. The one that leads holds the run's lock and is the only
one that writes and that may be told to leave; the others follow and are ended with it. Whatever could differ between
them (clocks, files, free memory, who asks for a stop) is the leader's word. It is told as JSON: nothing that comes from
another process is ever unpickled.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import distributed

from tunekit.training.run.rundir import Strategy
from tunekit.training.run.stops import AskStop, Stop

_BUCKET_VALUES = 1 << 25  # gradients are added up in pieces of 128 MB


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranks:
    """This process among those that train a run; by default it is alone, and nothing below does anything.

    Attributes:
        rank: Its number; 0 leads.
        count: How many there are.
        strategy: How they share the work.
    """

    rank: int = 0
    count: int = 1
    strategy: Strategy = "ddp"

    @property
    def leads(self) -> bool:
        """Whether this process writes and decides."""
        return self.rank == 0

    @property
    def in_step(self) -> bool:
        """Whether every forward pass is one of all ranks, because each has only a share of the weights."""
        return self.count > 1 and self.strategy == "fsdp"

    def share(self, value: Any) -> Any:
        """The leader's value, JSON-ready, on every rank; what the others give is not looked at."""
        if self.count == 1:
            return value
        told = _bytes(value) if self.leads else b""
        length = torch.tensor([len(told)])
        distributed.broadcast(length, 0)
        body = _tensor(told, int(length))
        distributed.broadcast(body, 0)
        return value if self.leads else _value(body, int(length))

    def gather(self, value: Any) -> list[Any]:
        """Every rank's value, JSON-ready, in the order of the ranks, on every rank."""
        if self.count == 1:
            return [value]
        told = _bytes(value)
        lengths = [torch.zeros(1, dtype=torch.int64) for _ in range(self.count)]
        distributed.all_gather(lengths, torch.tensor([len(told)]))
        longest = max(map(int, lengths))
        bodies = [torch.zeros(longest, dtype=torch.uint8) for _ in range(self.count)]
        distributed.all_gather(bodies, _tensor(told, longest))
        return [_value(body, int(length)) for body, length in zip(bodies, lengths, strict=True)]

    def total(self, sums: Mapping[str, float]) -> dict[str, float]:
        """Numbers of all ranks added up by name; a rank that has none of a name adds nothing."""
        if self.count == 1:
            return dict(sums)
        found = self.gather(dict(sums))
        named = dict.fromkeys(name for part in found for name in part)
        return {name: math.fsum(part.get(name, 0.0) for part in found) for name in named}

    def add_up(self, parameters: Sequence[torch.nn.Parameter]) -> None:
        """Make every gradient the sum over all ranks. One that no rank has stays None, so it is not stepped with.

        Once per step, behind its last backward pass: what is trained is an adapter more often than not, and ranks need
        not make equally many passes. Weights that are shared out have the mean of theirs already, from each pass.
        """
        if self.count == 1:
            return
        if self.in_step:
            for value in parameters:
                if value.grad is not None:
                    value.grad.mul_(self.count)
            return
        have = torch.tensor([value.grad is not None for value in parameters], dtype=torch.uint8)
        distributed.all_reduce(have, distributed.ReduceOp.MAX)
        used = [value for value, anywhere in zip(parameters, have.tolist(), strict=True) if anywhere]
        for value in used:
            if value.grad is None:
                value.grad = torch.zeros_like(value)
        for bucket in _buckets([value.grad for value in used if value.grad is not None]):
            flat = torch.cat([gradient.reshape(-1) for gradient in bucket])
            distributed.all_reduce(flat)
            sizes = [gradient.numel() for gradient in bucket]
            for gradient, summed in zip(bucket, flat.split(sizes), strict=True):
                gradient.copy_(summed.view_as(gradient))

    def clock(self) -> float:
        """The leader's `time.monotonic()`."""
        if self.count == 1:
            return time.monotonic()
        now = torch.tensor([time.monotonic()], dtype=torch.float64)
        distributed.broadcast(now, 0)
        return float(now)

    def agreed(self, stop: AskStop) -> AskStop:
        """What a training loop asks whether to leave.

        Where each rank has a whole model, the leader leaves alone: it has all that is saved. Where weights are shared
        out, saving takes every rank, so all of them leave at the same pass.
        """
        if not self.in_step:
            return stop

        def ask() -> Stop | None:
            reason = stop() if self.leads else None
            found = self.share(reason.value if reason else None)
            return Stop(found) if found else None

        return ask

    @contextmanager
    def leader_first(self) -> Iterator[None]:
        """Let the leader go through the block before the others: it may download what they only read."""
        if not self.leads:
            self.share(None)
        yield
        if self.leads:
            self.share(None)


ALONE = Ranks()
"""The only process of a run."""


def _buckets(gradients: Sequence[torch.Tensor]) -> Iterator[list[torch.Tensor]]:
    bucket: list[torch.Tensor] = []
    values = 0
    for gradient in gradients:
        if bucket and values + gradient.numel() > _BUCKET_VALUES:
            yield bucket
            bucket, values = [], 0
        bucket.append(gradient)
        values += gradient.numel()
    if bucket:
        yield bucket


def _bytes(value: Any) -> bytes:
    return json.dumps(value).encode()


def _tensor(told: bytes, length: int) -> torch.Tensor:
    return torch.frombuffer(bytearray(told.ljust(max(length, 1))), dtype=torch.uint8)[:length].clone()


def _value(body: torch.Tensor, length: int) -> Any:
    return json.loads(bytes(body[:length].tolist()))
