"""The plugin seam: what a backend is, what it claims, and how one is found."""

from __future__ import annotations

from tunekit.backends.base import (
    Backend,
    EventPage,
    Failure,
    GenerateRequest,
    Generation,
    PartialError,
    Prompt,
    ScoreRequest,
    Scores,
    Snapshot,
    SubmitRequest,
    Version,
    all_answered,
)
from tunekit.backends.capabilities import Capabilities, preflight
from tunekit.backends.registry import BackendInfo, available, create, register, shared

__all__ = [
    "Backend",
    "BackendInfo",
    "Capabilities",
    "EventPage",
    "Failure",
    "GenerateRequest",
    "Generation",
    "PartialError",
    "Prompt",
    "ScoreRequest",
    "Scores",
    "Snapshot",
    "SubmitRequest",
    "Version",
    "all_answered",
    "available",
    "create",
    "preflight",
    "register",
    "shared",
]
