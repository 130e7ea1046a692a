"""What to compute on, in which precision and with how many threads. Knows hardware; knows no model and no data.

Process-wide settings of torch are made here and only in a child process, never in a host.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """Where and how to compute.

    Attributes:
        name: torch device, such as "cpu" or "cuda:0".
        frozen_dtype: Of weights that are not trained. Trained weights are always fp32.
        compute_dtype: For matrix products under autocast; None computes in the weights' own dtype.
    """

    name: str
    frozen_dtype: torch.dtype
    compute_dtype: torch.dtype | None

    @property
    def is_cpu(self) -> bool:
        """Whether this is the host's processor."""
        return self.name == "cpu"

    @property
    def memory_bytes(self) -> int | None:
        """All the memory of an accelerator; None for the host's processor."""
        return None if self.is_cpu else int(torch.cuda.get_device_properties(self.name).total_memory)

    def autocast(self) -> AbstractContextManager[Any]:
        """Around a forward pass: matrix products in `compute_dtype`."""
        if self.compute_dtype is None:
            return nullcontext()
        return torch.autocast(self.name.partition(":")[0], dtype=self.compute_dtype)


def choose_device(rank: int = 0) -> Device:
    """A CUDA device, in bf16 where it has that, or where there is none the CPU in fp32.

    On CPUs the precision stays fp32 whatever the instruction set: AVX2 emulates bf16 54 to 68 times slower, and where
    AMX makes it fast (9x on one 512 x 512 product) small models gain less than they lose in exactness.

    Args:
        rank: Which of the CUDA devices, for one of several processes that train together.
    """
    if torch.cuda.is_available() and torch.cuda.is_bf16_supported():
        return Device(name=f"cuda:{rank}", frozen_dtype=torch.bfloat16, compute_dtype=torch.bfloat16)
    if torch.cuda.is_available():
        return Device(name=f"cuda:{rank}", frozen_dtype=torch.float32, compute_dtype=None)
    return Device(name="cpu", frozen_dtype=torch.float32, compute_dtype=None)


def configure(threads: int) -> None:
    """Set up torch and transformers in this process: threads, determinism, silence. For child processes only."""
    import transformers

    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(True, warn_only=torch.cuda.is_available())
    # Determinism would otherwise also fill every fresh tensor with NaN, which costs time and proves nothing here.
    setattr(torch.utils.deterministic, "fill_uninitialized_memory", False)  # noqa: B010 - a property with no stub
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
