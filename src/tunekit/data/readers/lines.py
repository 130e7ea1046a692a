"""Names that moved: to `files` and `encoding`. Knows nothing itself."""

from __future__ import annotations

from tunekit.data.readers.encoding import check as check_encoding
from tunekit.data.readers.files import opened

__all__ = ["check_encoding", "opened"]
