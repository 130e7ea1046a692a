"""Fixes: each mends one kind of finding, row by row, and says what it changed. `catalogue` lists them all."""

from __future__ import annotations
