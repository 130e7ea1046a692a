"""Records to files, the same bytes every time. They know file formats; not what a record means."""

from __future__ import annotations
