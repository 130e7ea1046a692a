"""Checks: each sees every row once and says what is wrong. One file for each subject; `catalogue` lists them all."""

from __future__ import annotations
