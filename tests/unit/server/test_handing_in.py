"""Training files that would kill whoever reads them: what is packed, and what was begun and never ended."""

from __future__ import annotations

import gzip
import hashlib
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from tests.unit.server.hosting import LINE, Host, Serve, soon
from tunekit import Dataset, Settings, StorageError
from tunekit.server.rows import FileRow, JobRow
from tunekit.testing import ScriptedBackend
from tunekit.testing.scripted import training_script

PACKED = gzip.compress(LINE * 1000)


async def test_a_packed_training_file_is_refused_whichever_way_it_comes(
    host: Host, settings: Settings
) -> None:
    form, sent = {"purpose": "fine-tune"}, {"file": ("train.jsonl", PACKED)}
    said = host.refused(await host.caller.post("/files", data=form, files=sent), 400, "file")
    assert "packed with gzip" in said
    assert "unpack it" in said
    body = {"bytes": len(PACKED), "filename": "t", "mime_type": "text/jsonl", "purpose": "fine-tune"}
    upload = host.good(await host.caller.post("/uploads", json=body))
    path = f"/uploads/{upload['id']}"
    part = host.good(await host.caller.post(f"{path}/parts", files={"data": ("blob", PACKED)}))
    whole = {"part_ids": [part["id"]], "md5": hashlib.md5(PACKED).hexdigest()}
    host.refused(await host.caller.post(f"{path}/complete", json=whole), 400, "file")
    left = [item.name for item in (settings.home / "server" / "files").iterdir()]
    assert left == [part["id"]]
    assert (await host.get("/files"))["data"] == []


async def test_a_packed_file_that_is_there_is_not_read(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    service, read = host.app.state.service, []
    monkeypatch.setattr(Dataset, "load", lambda *arguments, **named: read.append(arguments))
    service.disk.write("file-old", PACKED)
    row = FileRow(
        id="file-old", tenant="support", created_at=0, bytes=1, filename="old.gz", purpose="fine-tune"
    )
    service.ledger.add(row)
    job = await host.ended(await host.create(training_file="file-old"))
    assert (job["error"]["code"], job["error"]["param"]) == ("invalid_training_file", "training_file")
    assert "old.gz: it is packed with gzip (unpack it" in job["error"]["message"].replace("'", "")
    assert read == []


async def test_other_files_may_be_packed(host: Host) -> None:
    file = await host.upload(PACKED, purpose="user_data")
    assert (await host.caller.get(f"/files/{file['id']}/content")).content == PACKED


@pytest.fixture
def reading(monkeypatch: pytest.MonkeyPatch) -> Iterator[Reading]:
    """Files are read only once the test says so."""
    found = Reading(monkeypatch)
    yield found
    found.may_go_on.set()


class Reading:
    """Files being read: whether that has begun, and how often it fails before it works."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.has_begun, self.may_go_on = threading.Event(), threading.Event()
        self.reads, self.failures, self._load = 0, 0, Dataset.load
        monkeypatch.setattr(Dataset, "load", self._read)

    def _read(self, *arguments: Any, **named: Any) -> Dataset:
        self.reads += 1
        self.has_begun.set()
        self.may_go_on.wait(20)
        if self.reads <= self.failures:
            raise StorageError("disk trouble", hint="wait")
        return self._load(*arguments, **named)


def row_of(host: Host, job: dict[str, Any]) -> JobRow:
    row = host.app.state.service.ledger.find(JobRow, job["id"])
    assert isinstance(row, JobRow)
    return row


async def test_an_attempt_is_counted_before_it_is_made(host: Host, reading: Reading) -> None:
    job = await host.create()
    await soon(reading.has_begun.is_set)
    assert row_of(host, job).begun == 1
    reading.may_go_on.set()
    assert (await host.ended(job))["status"] == "succeeded"
    assert row_of(host, job).begun == 0


async def test_an_attempt_that_the_end_of_the_server_cuts_does_not_count(
    host: Host, reading: Reading
) -> None:
    job = await host.create()
    await soon(reading.has_begun.is_set)
    await host.app.state.background.aclose()
    assert row_of(host, job).begun == 0


async def test_an_attempt_that_fails_and_passes_does_not_count(
    host: Host, reading: Reading, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tunekit.server.following._SHORTEST_PAUSE_S", 0.0)
    reading.failures = 5
    reading.may_go_on.set()
    assert (await host.ended(await host.create()))["status"] == "succeeded"
    assert reading.reads == 7  # once more to look through it, and once to hand it in


async def test_a_job_that_may_be_at_its_backend_is_looked_for_and_not_given_up(
    serve: Serve, reading: Reading
) -> None:
    host = serve(ScriptedBackend(script=training_script()[:-1]))
    reading.may_go_on.set()
    job = await host.create()
    await host.until(job, "running")
    await host.app.state.background.aclose()
    # As the third process left it that died right behind the submission.
    host.app.state.service.ledger.change(row_of(host, job), phase="starting", begun=3, due=0.0)
    reads = reading.reads
    await host.get("/models")  # the server goes on
    await soon(lambda: row_of(host, job).phase == "submitted")
    assert (host.backend.counters.jobs, reading.reads) == (1, reads)
