"""The pull to the start as a part of a step's gradient. Knows tensors; not where a start or an importance comes from.

    P(w) = strength / 2 * sum_i f_i (w_i - s_i)^2,    dP / dw_i = strength * f_i (w_i - s_i)

with f_i = 1 for L2-SP (Li et al. 2018, arXiv 1802.01483) and the Fisher diagonal for EWC (Kirkpatrick et al. 2017,
arXiv 1612.00796). It is added once per step, behind the gradients of all passes and ranks: so it does not depend on how
a step was cut or shared out. It is clipped with them, as every part of a loss.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch.distributed.tensor import DTensor

from tunekit.training.ranks.group import Ranks


@dataclass(frozen=True, kw_only=True)
class Pull:
    """Where the weights are pulled to, and how hard.

    Attributes:
        strength: Of all of it.
        start: Where each weight began, by parameter, on the device and shared out as the parameter is.
        importance: How much each weight matters, likewise; None where all matter alike.
    """

    strength: float
    start: Mapping[str, torch.Tensor]
    importance: Mapping[str, torch.Tensor] | None = None

    @torch.no_grad()
    def add_to_gradients(self, parameters: Mapping[str, torch.nn.Parameter], ranks: Ranks) -> float:
        """Add the pull's gradient to those that are there.

        Args:
            parameters: What is trained, by name. What has no gradient is not stepped with, so it does not move either.
            ranks: This process among those that train together.

        Returns:
            The pull, P(w).
        """
        sums = []
        for name, parameter in parameters.items():
            away = parameter - self.start[name]
            force = away if self.importance is None else away * self.importance[name]
            sums.append(_own(force * away).sum())
            if parameter.grad is not None:
                parameter.grad.add_(force, alpha=self.strength)
        total = float(torch.stack(sums).double().sum())
        if ranks.in_step:  # each has summed up its share
            total = ranks.total({"pull": total})["pull"]
        return self.strength / 2.0 * total


def _own(value: torch.Tensor) -> torch.Tensor:
    """This rank's share of a tensor."""
    return value.to_local() if isinstance(value, DTensor) else value
