"""Old records, made new on read. Knows how each schema version became the next; not where records are kept."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from tunekit.errors import StorageError
from tunekit.records import SCHEMA_VERSION, RunRecord

Body = dict[str, Any]
Step = Callable[[Body], Body]

_DAMAGED = "restore the store from a backup, or move it away to start with an empty one"

# {n: how a body of version n becomes one of version n + 1}. Pure; `upgrade` itself counts the version up.
STEPS: Mapping[int, Step] = {
    1: lambda body: {**body, "place": ""},
}


def upgrade(body: Body, *, steps: Mapping[int, Step] = STEPS, newest: int = SCHEMA_VERSION) -> Body:
    """Bring the body of a record to the newest schema, one version at a time.

    Args:
        body: As it was stored, with its `schema_version`.
        steps: How each version becomes the next.
        newest: Version to stop at.

    Returns:
        A new dictionary; `body` is left alone.

    Raises:
        StorageError: The version is newer than this tunekit, or is no version that ever was.

    Examples:
        >>> rename = lambda body: {"name": body["title"]}
        >>> upgrade({"title": "a", "schema_version": 1}, steps={1: rename}, newest=2)
        {'name': 'a', 'schema_version': 2}
    """
    version = body.get("schema_version")
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise StorageError(f"a stored record has schema_version {version!r}", hint=_DAMAGED)
    if version > newest:
        raise StorageError(
            f"a stored record has schema_version {version}; this tunekit knows {newest} and older",
            hint="a newer tunekit wrote it: upgrade tunekit here too, or give this process its own TUNEKIT_HOME",
        )
    for number in range(version, newest):
        body = {**steps[number](dict(body)), "schema_version": number + 1}
    return dict(body)


def run_record(text: str) -> RunRecord:
    """A `RunRecord` from the JSON that was stored, whichever version wrote it. Raises `StorageError`."""
    try:
        body = json.loads(text)
        if not isinstance(body, dict):
            raise ValueError("not an object")
        return RunRecord.model_validate(upgrade(body))
    except ValueError as error:  # of json, or a ValidationError, which names the field
        raise StorageError(f"the stored run {text[:60]!r}... is damaged: {error}", hint=_DAMAGED) from error
