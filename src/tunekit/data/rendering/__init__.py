"""Reports for people: on a terminal and as a page. They know wording and layout; they find nothing."""

from __future__ import annotations
