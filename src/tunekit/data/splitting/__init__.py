"""Which rows are held out, drawn or used how often: by hashes of content, never by a random state. They know no files.

A random generator's stream is not promised across Python versions, and depends on where a row stands. A hash of seed
and content is the same everywhere, and keeps a row's rank when others come or go.
"""

from __future__ import annotations
