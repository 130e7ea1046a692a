"""Jobs: submit exactly once, follow, attach from anywhere."""

from __future__ import annotations

from tunekit.jobs.job import FineTuneJob
from tunekit.jobs.stream import EventStream

__all__ = ["EventStream", "FineTuneJob"]
