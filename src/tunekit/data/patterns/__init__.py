"""What to look for in a text: linear regular expressions and tables, each with what replaces a match. Knows no rows."""

from __future__ import annotations
