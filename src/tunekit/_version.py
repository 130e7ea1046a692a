"""The version, read by the build and by `tunekit.__version__`; knows nothing else."""

from __future__ import annotations

__version__ = "0.1.0.dev0"
