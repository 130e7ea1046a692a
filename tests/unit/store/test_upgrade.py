"""Old records become new ones; newer and damaged ones are refused with a way out."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.unit.store.drafts import draft
from tunekit.errors import StorageError
from tunekit.records import SCHEMA_VERSION
from tunekit.store import SqliteStore
from tunekit.store.upgrade import STEPS, Body, run_record, upgrade


def test_every_version_that_ever_was_has_a_way_up() -> None:
    assert sorted(STEPS) == list(range(1, SCHEMA_VERSION))


def test_steps_run_in_order_from_the_version_of_the_record() -> None:
    def note(number: int) -> Body:
        return {1: {"a": 1}, 2: {"b": 2}}[number]

    steps = {1: lambda body: {**body, **note(1)}, 2: lambda body: {**body, **note(2)}}
    old = {"schema_version": 1}
    assert upgrade(old, steps=steps, newest=3) == {"schema_version": 3, "a": 1, "b": 2}
    assert upgrade({"schema_version": 2}, steps=steps, newest=3) == {"schema_version": 3, "b": 2}
    assert upgrade({"schema_version": 3}, steps=steps, newest=3) == {"schema_version": 3}
    assert old == {"schema_version": 1}, "the stored body is left alone"


def test_a_newer_record_is_refused_with_both_versions() -> None:
    with pytest.raises(StorageError, match=r"schema_version 9; this tunekit knows 2") as caught:
        upgrade({"schema_version": 9})
    assert "upgrade tunekit" in caught.value.hint


@pytest.mark.parametrize("version", [None, 0, -1, "1", True, 1.0])
def test_what_was_never_a_version_is_damage(version: object) -> None:
    with pytest.raises(StorageError, match="schema_version"):
        upgrade({"schema_version": version})


def test_a_record_from_before_there_were_places_is_at_none_in_particular() -> None:
    body = draft().model_dump(mode="json")
    del body["place"]
    assert run_record(json.dumps(body | {"schema_version": 1})) == draft()


def test_a_record_of_today_is_read_as_written() -> None:
    assert run_record(draft().model_dump_json()) == draft()


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", '{"schema_version": 1}', '{"schema_version": 1, "x": 2}']
)
def test_a_damaged_record_is_a_storage_error(text: str) -> None:
    with pytest.raises(StorageError) as caught:
        run_record(text)
    assert "backup" in caught.value.hint


def test_a_record_that_a_newer_tunekit_wrote_is_refused_by_the_store(path: Path) -> None:
    store = SqliteStore(path)
    store.claim(draft())
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("UPDATE runs SET body = json_set(body, '$.schema_version', 3)")
    for read in (lambda: store.get("run-k1"), store.list, lambda: store.claim(draft())):
        with pytest.raises(StorageError, match="schema_version 3"):
            read()
