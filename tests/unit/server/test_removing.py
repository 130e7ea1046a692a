"""Files that go: on a full disk, when a kill comes in between, while their list is read. The disk is a real one."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.disks import fill_up, small_disk
from tests.unit.server.hosting import Host, Serve, soon
from tunekit import StorageError
from tunekit.server import files
from tunekit.server import ledger as ledger_module
from tunekit.server.background import Background, sweep
from tunekit.server.disk import Disk
from tunekit.server.ledger import Ledger
from tunekit.server.rows import FileRow


@pytest.fixture
def full(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "home", mib=4) as path:
        yield path


class Full:
    """Whether the ledger may write."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.is_full, self.refused = False, 0
        for name in ("change", "remove", "add"):
            monkeypatch.setattr(Ledger, name, self._guarded(getattr(Ledger, name)))

    def _guarded(self, write: Callable[..., Any]) -> Callable[..., Any]:
        def guarded(*arguments: Any, **named: Any) -> Any:
            if self.is_full:
                self.refused += 1
                raise StorageError("no space left", hint="free some space")
            return write(*arguments, **named)

        return guarded


async def test_a_file_is_deleted_on_a_full_disk(full: Path, serve: Serve) -> None:
    host = serve()
    kept, gone = await host.upload(b"y" * 1000), await host.upload(b"x" * 500_000)
    fill_up(full)
    upload = {"purpose": "batch"}
    assert (
        await host.caller.post("/files", data=upload, files={"file": ("a", b"z" * 9000)})
    ).status_code == 507
    assert host.good(await host.caller.delete(f"/files/{gone['id']}"))["deleted"] is True
    host.refused(await host.caller.get(f"/files/{gone['id']}"), 404)
    assert [file["id"] for file in (await host.get("/files"))["data"]] == [kept["id"]]
    host.good(await host.caller.post("/files", data=upload, files={"file": ("a", b"z" * 9000)}))


async def test_a_file_whose_row_cannot_be_removed_is_gone_and_swept_later(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    service, file = host.app.state.service, await host.upload()
    disk = Full(monkeypatch)
    disk.is_full = True
    assert host.good(await host.caller.delete(f"/files/{file['id']}"))["deleted"] is True
    await is_gone(host, file["id"])
    assert service.ledger.find(FileRow, file["id"]) is not None
    disk.is_full = False
    sweep(service)
    assert service.ledger.find(FileRow, file["id"]) is None
    assert service.disk.all_aside() == []


@pytest.mark.parametrize("step", ["set_aside", "free_aside", "remove_aside"])
async def test_a_removal_that_is_cut_off_leaves_the_file_whole_or_gone(
    host: Host, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    file, disk = await host.upload(b"x" * 1000), Full(monkeypatch)

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as cut:
        cut.setattr(Disk, step, killed)
        disk.is_full = step == "free_aside"
        with pytest.raises(KeyboardInterrupt):
            files.forget(host.app.state.service, file["id"])
        disk.is_full = False
    if step == "set_aside":
        assert (await host.caller.get(f"/files/{file['id']}/content")).content == b"x" * 1000
        return
    await is_gone(host, file["id"])
    sweep(host.app.state.service)
    assert host.app.state.service.disk.all_aside() == []
    await is_gone(host, file["id"])


async def is_gone(host: Host, file_id: str) -> None:
    for path in (f"/files/{file_id}", f"/files/{file_id}/content"):
        host.refused(await host.caller.get(path), 404)
    host.refused(await host.caller.delete(f"/files/{file_id}"), 404)
    assert (await host.get("/files"))["data"] == []


async def test_a_list_goes_on_behind_files_that_were_deleted(host: Host) -> None:
    ids = [(await host.upload(b"x"))["id"] for _ in range(7)]
    seen, after = [], ""
    while True:
        page = await host.get(f"/files?limit=2{after}")
        seen += [file["id"] for file in page["data"]]
        for file in page["data"]:
            host.good(await host.caller.delete(f"/files/{file['id']}"))
        if not page["has_more"]:
            break
        after = f"&after={page['last_id']}"
    assert seen == ids[::-1]
    assert (await host.get("/files"))["data"] == []
    more = (await host.upload(b"y"))["id"]
    assert [file["id"] for file in (await host.get(f"/files?order=asc&after={ids[3]}"))["data"]] == [more]
    host.refused(await host.other.get(f"/files?after={ids[3]}"), 404)  # it was never theirs
    host.refused(await host.caller.get("/files?after=file-of-nobody"), 404)


async def test_only_so_many_places_of_deleted_files_are_remembered(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger_module, "_REMEMBERED", 2)
    ids = [(await host.upload(b"x"))["id"] for _ in range(3)]
    for file_id in ids:
        host.good(await host.caller.delete(f"/files/{file_id}"))
    host.refused(await host.caller.get(f"/files?after={ids[0]}"), 404)
    assert (await host.get(f"/files?after={ids[1]}"))["data"] == []


async def test_what_fails_on_a_full_disk_rests_and_does_not_flood_the_log(
    host: Host, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    disk, service, looks = Full(monkeypatch), host.app.state.service, 0
    due = Ledger.due

    def counted(*arguments: Any, **named: Any) -> Any:
        nonlocal looks
        looks += 1
        return due(*arguments, **named)

    monkeypatch.setattr(Ledger, "due", counted)
    job = await host.create(training_file=(await host.upload())["id"])
    disk.is_full = True
    with caplog.at_level(logging.WARNING):
        await soon(lambda: disk.refused > 0)
        seen = looks
        await soon(lambda: nudged(host.app.state.background) and looks > seen + 40)
    assert len(caplog.records) <= 4, [record.getMessage() for record in caplog.records]
    disk.is_full = False
    later = service.now() + 120
    monkeypatch.setattr(type(service), "now", lambda _: later)
    assert (await host.ended(job))["status"] == "succeeded"


async def test_a_ledger_that_cannot_be_read_does_not_flood_the_log(
    host: Host, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    refused, looks, lines = 0, 0, Ledger.lines

    def due(*_: object, **named: object) -> None:
        nonlocal refused
        refused += 1
        raise StorageError("no disk", hint="look at it")

    def counted(ledger: Ledger) -> list[str]:
        nonlocal looks
        looks += 1
        return lines(ledger)

    monkeypatch.setattr(Ledger, "due", due)
    monkeypatch.setattr(Ledger, "lines", counted)
    with caplog.at_level(logging.WARNING):
        host.good(await host.caller.get("/models"))
        await soon(lambda: nudged(host.app.state.background) and looks > 40)
    assert refused == 1
    assert len(caplog.records) == 1


def nudged(background: Background) -> bool:
    background.nudge()
    return True
