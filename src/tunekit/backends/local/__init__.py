"""Training on this machine, in a child process. The torch-free half: what runs in the host."""

from __future__ import annotations

from tunekit.backends.local.backend import LocalBackend
from tunekit.backends.local.token_counter import token_counter

__all__ = ["LocalBackend", "token_counter"]
