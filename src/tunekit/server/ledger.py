"""The server's own rows in one SQLite file, safe for many processes. Knows queries; not what the rows are about.

Every row of every kind is in one table, as JSON beside the few columns that are searched for.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from tunekit.errors import ConflictError
from tunekit.server.rows import KINDS, Row, shown_id
from tunekit.server.telling import UnknownHereError
from tunekit.store._database import Database

R = TypeVar("R", bound=Row)

_LAYOUT_VERSION = 2
_LAYOUT = (
    """
    CREATE TABLE rows (
        position INTEGER PRIMARY KEY AUTOINCREMENT,  -- order of insertion, never given twice
        kind TEXT NOT NULL,
        id TEXT NOT NULL UNIQUE,
        tenant TEXT NOT NULL,
        parent TEXT NOT NULL,
        due REAL,
        line TEXT,
        turn_at REAL,
        version INTEGER NOT NULL,
        body TEXT NOT NULL  -- the row as JSON; the columns above repeat what is searched for
    )
    """,
    "CREATE INDEX rows_by_tenant ON rows (kind, tenant, parent)",
    "CREATE INDEX rows_by_parent ON rows (kind, parent)",
    "CREATE INDEX rows_by_due ON rows (due) WHERE due IS NOT NULL",
    "CREATE INDEX rows_by_line ON rows (line, tenant) WHERE line IS NOT NULL",
    "CREATE INDEX rows_by_turn ON rows (tenant, turn_at) WHERE turn_at IS NOT NULL",
    """
    CREATE TABLE removed (  -- the latest, so that a list can go on behind them
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        position INTEGER NOT NULL,
        kind TEXT NOT NULL,
        id TEXT NOT NULL,
        tenant TEXT NOT NULL,
        parent TEXT NOT NULL
    )
    """,
    "CREATE INDEX removed_by_id ON removed (id)",
)
_REMEMBERED = 100_000
"""Removed rows whose places are known: ten of the longest pages, and some 10 MB."""

# However much of a tenant is due, what is due of another is seen within the same look.
_DUE = """
    SELECT kind, body FROM rows JOIN (
        SELECT position, ROW_NUMBER() OVER (
            PARTITION BY tenant, kind, json_extract(body, '$.phase') ORDER BY due
        ) AS place FROM rows WHERE due <= ?
    ) USING (position) ORDER BY place, due LIMIT ?
"""
# The oldest of the tenant whose last turn is the longest ago; whoever had none comes first, as NULL does.
_NEXT = """
    SELECT body FROM rows JOIN (
        SELECT MIN(position) AS position FROM rows WHERE line = ? GROUP BY tenant
    ) USING (position)
    ORDER BY (
        SELECT MAX(turn_at) FROM rows AS past WHERE past.tenant = rows.tenant AND past.turn_at IS NOT NULL
    ), position LIMIT 1
"""
# Of a removed one that is there again, the place of today.
_PLACE = """
    SELECT position FROM (
        SELECT position, kind, id, tenant, parent FROM rows WHERE id = :id
        UNION ALL SELECT position, kind, id, tenant, parent FROM removed WHERE id = :id
    ) WHERE kind = :kind AND tenant = :tenant AND parent = COALESCE(:parent, parent)
    ORDER BY position DESC LIMIT 1
"""


@dataclass(frozen=True, slots=True)
class Where:
    """A condition on the JSON of rows.

    Attributes:
        sql: With question marks for values.
        values: For the question marks.
    """

    sql: str
    values: tuple[Any, ...]


def field_is(name: str, value: str | int | None) -> Where:
    """Rows with a field of this value; the name is one of the code's own."""
    return Where(f"json_extract(body, '$.{name}') IS ?", (value,))


def entry_is(name: str, key: str, value: str) -> Where:
    """Rows in whose mapping `name` there is this entry."""
    return Where(
        f"EXISTS (SELECT 1 FROM json_each(body, '$.{name}') AS entry WHERE entry.key = ? AND entry.value = ?)",
        (key, value),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """How many rows of a kind there may be.

    Attributes:
        most: So many.
        where: Of those that count.
        is_shared: Whether those of all tenants do, and not only those of the row's own.
    """

    most: int
    where: Where
    is_shared: bool = False


class NoRoomError(ConflictError):
    """There are as many rows of a kind as there may be; who asked for room says of what."""


@dataclass(frozen=True, slots=True)
class Page(Generic[R]):
    """Some rows in order, and whether there are more behind them."""

    rows: list[R]
    has_more: bool


class Ledger:
    """What the server must not lose. Methods block for milliseconds; async code calls them in a thread.

    Args:
        path: The SQLite file.

    Raises:
        StorageError: From any method: the file cannot be used.
        DeadlineError: From any method: other processes kept it locked for a minute.
    """

    def __init__(self, path: Path) -> None:
        self._database = Database(path.absolute(), schema=_LAYOUT, version=_LAYOUT_VERSION, deadline_s=60.0)

    def add(self, *rows: Row, room: Room | None = None) -> bool:
        """Insert all rows, or none of them if the id of one is taken already.

        Args:
            rows: What to insert.
            room: What there must be room for, counted in the same transaction: whoever comes at once waits for it.

        Raises:
            NoRoomError: There are as many as there may be.
        """

        def work(db: sqlite3.Connection) -> None:
            if room is not None:
                _require_room(db, rows[0], room)
            _insert(db, rows)

        try:
            self._database.write(work)
        except NoRoomError:
            raise
        except ConflictError:
            return False
        return True

    def get(self, kind: type[R], row_id: str, *, tenant: str) -> R:
        """A tenant's row.

        Raises:
            NotFoundError: The tenant has none of that name, whoever else may.
        """
        found = self.find(kind, row_id)
        if found is None or found.tenant != tenant:
            raise UnknownHereError(
                f"no {kind.kind} {shown_id(row_id)}", hint="check the id, and whose key you use"
            )
        return found

    def find(self, kind: type[R], row_id: str) -> R | None:
        """A row of any tenant."""
        found = self._database.read(
            lambda db: db.execute(
                "SELECT body FROM rows WHERE kind = ? AND id = ?", (kind.kind, row_id)
            ).fetchone()
        )
        return None if found is None else kind.model_validate_json(found[0])

    def page(
        self,
        kind: type[R],
        *,
        tenant: str,
        parent: str | None = None,
        after: str | None = None,
        limit: int,
        newest_first: bool = True,
        where: Sequence[Where] = (),
    ) -> Page[R]:
        """A tenant's rows in order of insertion, behind the one called `after`.

        Raises:
            NotFoundError: The tenant has no row called `after` and none that was removed lately, or it is a part of
                something else.
        """
        conditions = [Where("kind = ? AND tenant = ?", (kind.kind, tenant)), *where]
        if parent is not None:
            conditions.append(Where("parent = ?", (parent,)))
        if after is not None:
            comparison = "<" if newest_first else ">"
            conditions.append(
                Where(f"position {comparison} ?", (self._position(kind, after, tenant, parent),))
            )
        found = self._select(kind, conditions, limit + 1, newest_first=newest_first)
        return Page(found[:limit], len(found) > limit)

    def all(self, kind: type[R], *, parent: str) -> list[R]:
        """The rows that are parts of something, oldest first."""
        return self._select(kind, [Where("kind = ? AND parent = ?", (kind.kind, parent))], -1)

    def due(self, now: float, *, limit: int) -> list[Row]:
        """What something is to be done about: the longest waiting of each tenant, kind and phase; then the next."""
        found = self._database.read(lambda db: db.execute(_DUE, (now, limit)).fetchall())
        return [KINDS[kind].model_validate_json(body) for kind, body in found]

    def lines(self) -> list[str]:
        """All lines in which there are rows."""
        found = self._database.read(
            lambda db: db.execute("SELECT DISTINCT line FROM rows WHERE line IS NOT NULL").fetchall()
        )
        return [line for (line,) in found]

    def in_line(self, line: str) -> int:
        """How many rows there are in a line."""
        (count,) = self._database.read(
            lambda db: db.execute("SELECT COUNT(*) FROM rows WHERE line = ?", (line,)).fetchone()
        )
        return int(count)

    def next_in_line(self, kind: type[R], line: str) -> R | None:
        """Whose turn it is: the oldest row of the tenant whose last turn is the longest ago."""
        found = self._database.read(lambda db: db.execute(_NEXT, (line,)).fetchone())
        return None if found is None else kind.model_validate_json(found[0])

    def total_bytes(self, tenant: str) -> int:
        """What a tenant's files and parts take."""
        (total,) = self._database.read(
            lambda db: db.execute(
                "SELECT COALESCE(SUM(json_extract(body, '$.bytes')), 0) FROM rows"
                " WHERE kind IN ('file', 'part') AND tenant = ?",
                (tenant,),
            ).fetchone()
        )
        return int(total)

    def change(self, row: R, *beside: Row, room: Room | None = None, **changes: Any) -> R:
        """Write a changed row back, and insert others, in one transaction; nothing if somebody else wrote in between.

        Args:
            row: The row as it was read.
            beside: Rows to insert.
            room: What there must be room for before, counted in the same transaction.
            changes: Fields and their new values.

        Raises:
            NoRoomError: There are as many as there may be.
            ConflictError: Somebody else has changed or removed it, or a row beside it is there already.
        """
        changed = row.model_copy(update={**changes, "version": row.version + 1})

        def work(db: sqlite3.Connection) -> None:
            if room is not None:
                _require_room(db, row, room)
            done = db.execute(
                "UPDATE rows SET parent = :parent, due = :due, line = :line, turn_at = :turn_at,"
                " version = :version, body = :body"
                " WHERE kind = :kind AND id = :id AND version = :version - 1",
                _columns(changed),
            )
            if done.rowcount != 1:
                raise ConflictError(
                    f"{row.kind} {row.id!r} was changed by somebody else", hint="read it again"
                )
            _insert(db, beside)

        self._database.write(work)
        return changed

    def remove(self, row: Row) -> bool:
        """Remove a row; False if it was gone or changed."""

        def work(db: sqlite3.Connection) -> bool:
            if row.keeps_place:
                _remember(db, row)
            done = db.execute("DELETE FROM rows WHERE id = ? AND version = ?", (row.id, row.version))
            return done.rowcount == 1

        return self._database.write(work)

    def close(self) -> None:
        """Let go of the file until it is used again."""
        self._database.close()

    def _position(self, kind: type[R], row_id: str, tenant: str, parent: str | None) -> int:
        found = self._database.read(
            lambda db: db.execute(
                _PLACE, {"kind": kind.kind, "id": row_id, "tenant": tenant, "parent": parent}
            ).fetchone()
        )
        if found is None:
            raise UnknownHereError(
                f"no {kind.kind} {shown_id(row_id)} to go on after", hint="pass the id of the last item seen"
            )
        return int(found[0])

    def _select(
        self, kind: type[R], conditions: Sequence[Where], limit: int, *, newest_first: bool = False
    ) -> list[R]:
        query = (
            f"SELECT body FROM rows WHERE {' AND '.join(item.sql for item in conditions)}"
            f" ORDER BY position {'DESC' if newest_first else 'ASC'} LIMIT ?"
        )
        values = [value for item in conditions for value in item.values]
        found = self._database.read(lambda db: db.execute(query, (*values, limit)).fetchall())
        return [kind.model_validate_json(body) for (body,) in found]


def _remember(db: sqlite3.Connection, row: Row) -> None:
    """Where a row was that is about to be removed."""
    db.execute(
        "INSERT INTO removed (position, kind, id, tenant, parent)"
        " SELECT position, kind, id, tenant, parent FROM rows WHERE id = ? AND version = ?",
        (row.id, row.version),
    )
    db.execute("DELETE FROM removed WHERE number <= (SELECT MAX(number) FROM removed) - ?", (_REMEMBERED,))


def _require_room(db: sqlite3.Connection, row: Row, room: Room) -> None:
    whose = Where("TRUE", ()) if room.is_shared else Where("tenant = ?", (row.tenant,))
    (count,) = db.execute(
        f"SELECT COUNT(*) FROM rows WHERE {room.where.sql} AND {whose.sql} AND kind = ?",
        (*room.where.values, *whose.values, row.kind),
    ).fetchone()
    if count >= room.most:
        raise NoRoomError(
            f"there are {count} of kind {row.kind!r}, and no room for more",
            hint="wait for one of them to end",
        )


def _insert(db: sqlite3.Connection, rows: Sequence[Row]) -> None:
    try:
        db.executemany(
            "INSERT INTO rows (kind, id, tenant, parent, due, line, turn_at, version, body)"
            " VALUES (:kind, :id, :tenant, :parent, :due, :line, :turn_at, :version, :body)",
            [_columns(row) for row in rows],
        )
    except sqlite3.IntegrityError:
        raise ConflictError("a row of that name is there already", hint="read it") from None


def _columns(row: Row) -> dict[str, Any]:
    return {
        "kind": row.kind,
        "id": row.id,
        "tenant": row.tenant,
        "parent": row.parent,
        "due": row.due,
        "line": row.line,
        "turn_at": row.turn_at,
        "version": row.version,
        "body": row.model_dump_json(),
    }
