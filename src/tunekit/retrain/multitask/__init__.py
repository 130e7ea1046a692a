"""One model for several tasks: does each fare well in it? Knows evaluations of tasks; trains nothing by itself."""

from __future__ import annotations

from tunekit.data.splitting.task_keys import ask

__all__ = ["ask"]
