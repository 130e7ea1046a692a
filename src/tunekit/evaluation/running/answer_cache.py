"""Answers that were paid for, in a file. Knows keys, bytes and age; not models, questions or what an answer is worth.

The file may be used by several processes at once, and be deleted at any time: it holds nothing that asking again would
not give.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from tunekit._clock import SystemClock
from tunekit.evaluation.running.answer_journal import Row
from tunekit.store._database import Database

_LAYOUT_VERSION = 1
_LAYOUT = (
    "CREATE TABLE answers (key BLOB PRIMARY KEY, body TEXT NOT NULL, kept_at REAL NOT NULL, expires_at REAL)",
    "CREATE INDEX answers_by_age ON answers (kept_at)",
    "CREATE INDEX answers_by_end ON answers (expires_at) WHERE expires_at IS NOT NULL",
)
_AT_ONCE = 500  # keys in one query; SQLite takes 999 in its oldest builds
MAX_BYTES = 4 << 30


@dataclass(frozen=True, slots=True)
class Kept:
    """An answer as it was kept.

    Attributes:
        body: What was kept.
        kept_at: Unix seconds.
    """

    body: str
    kept_at: float


class AnswerCache:
    """Answers by key. Safe to use from several threads and processes.

    Args:
        path: The SQLite file, made with its directory when first used; readable by this user alone.
        max_bytes: Above this size, the answers that were kept longest go.

    Examples:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as home:
        ...     cache = AnswerCache(Path(home) / "answers.sqlite3")
        ...     cache.keep([Row(b"a", "yes", kept_at=0.0, lifetime_s=None)])
        ...     found = cache.find([b"a", b"b"])
        ...     cache.close()
        >>> {key: kept.body for key, kept in found.items()}
        {b'a': 'yes'}
    """

    def __init__(self, path: Path, *, max_bytes: int = MAX_BYTES) -> None:
        self.path = path
        self._max_bytes = max_bytes
        self._clock = SystemClock()
        # A power failure may cost the last answers; they are asked for again then.
        self._database = Database(
            path.absolute(),
            schema=_LAYOUT,
            version=_LAYOUT_VERSION,
            deadline_s=30.0,
            survives_power_loss=False,
        )

    def find(self, keys: Sequence[bytes]) -> dict[bytes, Kept]:
        """What there is of these that has not expired.

        Raises:
            StorageError: The file cannot be read, is damaged, or is of a newer tunekit.
            DeadlineError: Another process held it for too long.
        """
        return self._database.read(lambda connection: dict(self._found(connection, keys)))

    def keep(self, rows: Iterable[Row]) -> None:
        """Keep answers, in place of earlier ones of the same key.

        Raises:
            StorageError: The file cannot be written, is damaged, or is of a newer tunekit.
            DeadlineError: Another process held it for too long.
        """
        found = (
            (row.key, row.body, row.kept_at, None if row.lifetime_s is None else row.kept_at + row.lifetime_s)
            for row in rows
        )
        while some := list(islice(found, _AT_ONCE)):
            self._insert(some)

    def forget(self, keys: Iterable[bytes]) -> None:
        """Remove answers. Raises what `keep` raises."""
        rows = [(key,) for key in keys]
        self._database.write(
            lambda connection: connection.executemany("DELETE FROM answers WHERE key = ?", rows)
        )

    def trim(self) -> int:
        """Remove what has expired and, above the size, what was kept longest. Raises what `keep` raises.

        Returns:
            How many answers were removed for their size.
        """
        now = self._clock.now()
        self._database.write(
            lambda connection: connection.execute("DELETE FROM answers WHERE expires_at <= ?", (now,))
        )
        removed = 0
        while self._database.read(_used_bytes) > self._max_bytes:
            removed += (some := self._database.write(_remove_oldest))
            if not some:
                break
        return removed

    def _insert(self, rows: Sequence[tuple[bytes, str, float, float | None]]) -> None:
        """One transaction, short enough for other processes to come in between."""
        self._database.write(
            lambda connection: connection.executemany(
                "INSERT OR REPLACE INTO answers VALUES (?, ?, ?, ?)", rows
            )
        )

    def close(self) -> None:
        """Let go of the file until it is used again."""
        self._database.close()

    def _found(self, connection: sqlite3.Connection, keys: Sequence[bytes]) -> Iterator[tuple[bytes, Kept]]:
        now = self._clock.now()
        for start in range(0, len(keys), _AT_ONCE):
            some = keys[start : start + _AT_ONCE]
            marks = ",".join("?" * len(some))
            rows = connection.execute(
                f"SELECT key, body, kept_at FROM answers WHERE key IN ({marks})"
                " AND (expires_at IS NULL OR expires_at > ?)",
                (*some, now),
            )
            yield from ((key, Kept(body, kept_at)) for key, body, kept_at in rows)


def _used_bytes(connection: sqlite3.Connection) -> int:
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    (free,) = connection.execute("PRAGMA freelist_count").fetchone()
    (size,) = connection.execute("PRAGMA page_size").fetchone()
    return int((pages - free) * size)


def _remove_oldest(connection: sqlite3.Connection) -> int:
    oldest = "SELECT key FROM answers ORDER BY kept_at LIMIT 2000"
    return connection.execute(f"DELETE FROM answers WHERE key IN ({oldest})").rowcount
