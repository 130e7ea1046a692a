"""What is minimised, one objective per file. It knows a model's outputs; it knows no optimizer and no file."""

from __future__ import annotations
