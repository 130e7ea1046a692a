"""Training on this machine, in a child process. The torch-free half: what runs in the host."""

from __future__ import annotations

from tunekit.backends.local.backend import LocalBackend

__all__ = ["LocalBackend"]
