"""Bounds on somebody else's programs, such as the chat template: CPU time and memory. For child processes only.

CPU time and not the clock's: a machine that sleeps, or has no time for us, is no reason to fail. Memory is address
space beyond what the process has when the block begins, so a template that asks for gigabytes is refused by the kernel
at once instead of taking the machine with it.
"""

from __future__ import annotations

import math
import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from tunekit.errors import JobFailedError

TEMPLATE_SECONDS = 60.0
TEMPLATE_BYTES = 2 << 30
_HINT = "the model's chat template or tokenizer is broken, or made to do harm; use another model"


@contextmanager
def cpu_limit(what: str, *, seconds: float = TEMPLATE_SECONDS) -> Iterator[None]:
    """Bound the CPU time of a block in the main thread. Inside of another such block, that one's limit counts.

    Python looks at signals between two of its instructions. One that does not come to an end, such as a tokenizer's
    pattern, ends with the process: the kernel takes it down some seconds after twice the time.

    Args:
        what: What happens inside, for the error.
        seconds: Of CPU time.

    Raises:
        JobFailedError: It took more.
    """

    def expire(number: int, frame: FrameType | None) -> None:
        raise JobFailedError(f"{what} takes more than {seconds:g} s of CPU time", hint=_HINT)

    if signal.getitimer(signal.ITIMER_VIRTUAL)[0]:
        yield
        return
    # The child's own process, so nothing is taken from anybody. JobFailedError is no ValueError, so nobody on the way
    # takes it for a template's.
    before = signal.signal(signal.SIGVTALRM, expire)  # noqa: TID251
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    soft, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (_last_second(soft, seconds), hard))
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        resource.setrlimit(resource.RLIMIT_CPU, (soft, hard))
        signal.signal(signal.SIGVTALRM, before)  # noqa: TID251


def _last_second(soft: int, seconds: float) -> int:
    """Of this process's CPU time: twice what it may take from now on and a little, or what somebody has set before.

    The timer is of this thread's own code, the limit of all threads and of the kernel's work for them.
    """
    used = resource.getrusage(resource.RUSAGE_SELF)
    last = math.ceil(used.ru_utime + used.ru_stime + 2 * seconds) + 5
    return last if soft == resource.RLIM_INFINITY else min(soft, last)


@contextmanager
def memory_limit(what: str, *, further_bytes: int = TEMPLATE_BYTES) -> Iterator[None]:
    """Bound the address space that a block may take beside what the process has, where the system can tell that.

    Args:
        what: What happens inside, for the error.
        further_bytes: How much.

    Raises:
        JobFailedError: It wanted more.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    used = _address_space()
    lower = bool(used) and (soft == resource.RLIM_INFINITY or used + further_bytes < soft)
    if lower:
        resource.setrlimit(resource.RLIMIT_AS, (used + further_bytes, hard))
    try:
        yield
    except MemoryError:
        raise JobFailedError(f"{what} takes more than {further_bytes >> 20} MiB", hint=_HINT) from None
    finally:
        if lower:
            resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


@contextmanager
def rendering_limit(what: str) -> Iterator[None]:
    """Both, for one use of a chat template."""
    with cpu_limit(what), memory_limit(what):
        yield


def _address_space() -> int:
    """Bytes of it in use; 0 where nobody says."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    except OSError:
        return 0
