"""Fine-tune, evaluate and promote language models from product code."""

from __future__ import annotations

from tunekit._version import __version__

__all__ = ["__version__"]
