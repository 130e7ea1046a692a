"""The OpenAI dialect, as a client: OpenAI and every host that speaks it. Knows the wire; knows no training."""

from __future__ import annotations

from tunekit.backends.openai.backend import OpenAIBackend

__all__ = ["OpenAIBackend"]
