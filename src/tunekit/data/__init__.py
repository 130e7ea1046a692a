"""Data: from a file to typed examples, and from those to training and test parts. Knows no backend and no model."""

from __future__ import annotations
