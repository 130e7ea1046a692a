"""Where rows come from: files, records in memory, frames, the hub. They know where; not what a row means."""

from __future__ import annotations
