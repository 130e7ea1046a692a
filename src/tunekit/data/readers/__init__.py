"""One module for each file format: bytes in, numbered rows out. They know formats; not what a row means."""

from __future__ import annotations
