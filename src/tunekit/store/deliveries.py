"""Which webhooks were dealt with, so that a second copy is told from the first. Knows names of messages; nothing else.

They lie in a file of their own beside the runs: what other senders name their messages is no business of the runs'
table, and a host that has a Redis for this purpose passes its own two methods instead.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from tunekit._settings import Settings
from tunekit.store._database import Database

KEPT_S = 7 * 24 * 3600.0
"""How long a name is kept. Senders stop after three days at most (OpenAI: 72 hours)."""

MOST = 100_000
"""Names kept at most; the oldest are forgotten first."""

_LAYOUT_VERSION = 1
_LAYOUT = (
    "CREATE TABLE deliveries (id TEXT PRIMARY KEY, handled_at REAL NOT NULL) WITHOUT ROWID",
    "CREATE INDEX deliveries_by_age ON deliveries (handled_at)",
)


class Deliveries(Protocol):
    """Remembers names of messages for some days. Methods block for milliseconds; async code calls them in a thread."""

    def is_handled(self, delivery_id: str) -> bool:
        """Whether `remember` was called with this name."""

    def remember(self, delivery_id: str) -> None:
        """Note that a message was dealt with; twice is once."""


class SqliteDeliveries:
    """The default `Deliveries`: one small SQLite file, shared by all processes of the host that use it.

    Args:
        location: The file, or the `Settings` in whose home it lies; default: the settings of the environment.
        deadline_s: How long a call waits for other processes before it gives up, in seconds.
        now: Unix time; replace it to let names expire in a test.

    Raises:
        StorageError: From any method: the file cannot be created, read or written, or is damaged.
        DeadlineError: From any method: other processes kept the file locked for `deadline_s`.

    Examples:
        >>> import tempfile
        >>> handled = SqliteDeliveries(Path(tempfile.mkdtemp()) / "deliveries.sqlite3")
        >>> handled.remember("wh_1")
        >>> handled.is_handled("wh_1"), handled.is_handled("wh_2")
        (True, False)
    """

    def __init__(
        self,
        location: Path | Settings | None = None,
        *,
        deadline_s: float = 60.0,
        now: Callable[[], float] = time.time,
    ) -> None:
        path = (
            location if isinstance(location, Path) else (location or Settings()).home / "deliveries.sqlite3"
        )
        self._database = Database(
            path.absolute(), schema=_LAYOUT, version=_LAYOUT_VERSION, deadline_s=deadline_s
        )
        self._now = now

    def is_handled(self, delivery_id: str) -> bool:
        """See `Deliveries.is_handled`."""
        query = "SELECT 1 FROM deliveries WHERE id = ?"
        return self._database.read(lambda db: db.execute(query, (delivery_id,)).fetchone() is not None)

    def remember(self, delivery_id: str) -> None:
        """See `Deliveries.remember`."""
        now = self._now()

        def work(db: sqlite3.Connection) -> None:
            db.execute("INSERT OR IGNORE INTO deliveries (id, handled_at) VALUES (?, ?)", (delivery_id, now))
            db.execute("DELETE FROM deliveries WHERE handled_at < ?", (now - KEPT_S,))
            newest = "SELECT handled_at FROM deliveries ORDER BY handled_at DESC LIMIT 1 OFFSET ?"
            db.execute(f"DELETE FROM deliveries WHERE handled_at < ({newest})", (MOST - 1,))

        self._database.write(work)

    def close(self) -> None:
        """Let go of the file. It is opened again when used again."""
        self._database.close()
