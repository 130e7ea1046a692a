"""Where runs are remembered. Knows durability, claims and leases; it does not know what a job does."""

from __future__ import annotations

from tunekit.store.base import Lease, RunStore
from tunekit.store.memory import MemoryStore
from tunekit.store.sqlite import SqliteStore

__all__ = ["Lease", "MemoryStore", "RunStore", "SqliteStore"]
