"""When two rows are the same, nearly the same, or share a passage. Knows texts and rows; not what to say about them."""

from __future__ import annotations
