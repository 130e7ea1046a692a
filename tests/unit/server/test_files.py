"""Files and uploads: bytes arrive as they were sent, within limits, and leave nothing behind when they do not."""

from __future__ import annotations

import asyncio
import gc
import hashlib
import io
import threading
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from tests.unit.server.hosting import Host, Serve, soon
from tests.wire.serving import serving
from tunekit import Settings
from tunekit.server import Limits
from tunekit.server.disk import Disk
from tunekit.server.forms import Form, read_form
from tunekit.server.service import Service, blocking
from tunekit.testing import ScriptedBackend


def on_disk(settings: Settings) -> list[str]:
    folder = settings.home / "server" / "files"
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


async def test_a_file_comes_back_as_it_was(host: Host, settings: Settings) -> None:
    data = bytes(range(256)) * 8192
    file = await host.upload(
        data,
        name="../../etc/päss.jsonl",
        **{"expires_after[anchor]": "created_at", "expires_after[seconds]": "3600"},
    )
    assert (file["bytes"], file["filename"]) == (len(data), "päss.jsonl")
    assert file["expires_at"] == file["created_at"] + 3600
    assert (await host.caller.get(f"/files/{file['id']}/content")).content == data
    assert on_disk(settings) == [file["id"]]
    assert host.good(await host.caller.delete(f"/files/{file['id']}"))["deleted"] is True
    assert on_disk(settings) == []
    host.refused(await host.caller.get(f"/files/{file['id']}"), 404)


async def test_pages_of_files(host: Host) -> None:
    ids = [(await host.upload(purpose=purpose))["id"] for purpose in ("fine-tune", "batch", "fine-tune")]
    assert [file["id"] for file in (await host.get("/files"))["data"]] == ids[::-1]
    assert [file["id"] for file in (await host.get("/files?order=asc&limit=2"))["data"]] == ids[:2]
    tuning = await host.get(f"/files?purpose=fine-tune&after={ids[2]}")
    assert ([file["id"] for file in tuning["data"]], tuning["has_more"]) == ([ids[0]], False)


async def test_what_is_too_large_leaves_nothing(serve: Serve, settings: Settings) -> None:
    host = serve(limits=Limits(file_bytes=1000, tenant_bytes=1500))
    form = {"purpose": "fine-tune"}
    answer = await host.caller.post("/files", data=form, files={"file": ("a", b"x" * 1001)})
    assert "1000 bytes" in host.refused(answer, 413)
    assert on_disk(settings) == []
    await host.upload(b"x" * 1000)
    answer = await host.caller.post("/files", data=form, files={"file": ("a", b"x" * 501)})
    assert "delete some" in host.refused(answer, 403)
    assert len(on_disk(settings)) == 1
    theirs = await host.other.post("/files", data=form, files={"file": ("a", b"x" * 501)})
    assert theirs.status_code == 200


async def test_files_that_come_at_once_share_the_room(serve: Serve, settings: Settings) -> None:
    host = serve(limits=Limits(tenant_bytes=3000))
    sent = (
        host.caller.post("/files", data={"purpose": "batch"}, files={"file": ("a", b"x" * 1000)})
        for _ in range(10)
    )
    answers = await asyncio.gather(*sent)
    assert 1 <= sum(answer.status_code == 200 for answer in answers) <= 3
    assert {answer.status_code for answer in answers} == {200, 403}
    assert sum(file["bytes"] for file in (await host.get("/files"))["data"]) <= 3000
    assert host.app.state.service.arriving == {"support": 0}


@pytest.mark.parametrize(
    ("form", "param"),
    [
        ({}, "purpose"),
        ({"purpose": "magic"}, "purpose"),
        ({"purpose": "batch", "colour": "red"}, "colour"),
        ({"purpose": "batch", "expires_after[seconds]": "3600"}, "expires_after"),
        (
            {"purpose": "batch", "expires_after[anchor]": "created_at", "expires_after[seconds]": "1"},
            "expires_after",
        ),
    ],
)
async def test_what_is_wrong_with_a_form(
    host: Host, settings: Settings, form: dict[str, str], param: str
) -> None:
    host.refused(await host.caller.post("/files", data=form, files={"file": ("a", b"x")}), 400, param)
    assert on_disk(settings) == []


async def test_a_form_without_a_file(host: Host) -> None:
    form = {"purpose": (None, "batch")}
    host.refused(await host.caller.post("/files", files=form), 400, "file")
    two = [("file", ("a", b"x")), ("file", ("b", b"y"))]
    host.refused(await host.caller.post("/files", data={"purpose": "batch"}, files=two), 400, "file")
    host.refused(await host.caller.post("/files", json={"purpose": "batch"}), 415)


async def upload(host: Host, parts: list[bytes], size: int | None = None) -> tuple[str, list[str]]:
    body = {
        "bytes": sum(map(len, parts)) if size is None else size,
        "filename": "big.jsonl",
        "mime_type": "text/jsonl",
        "purpose": "fine-tune",
    }
    made = host.good(await host.caller.post("/uploads", json=body))
    assert made["status"] == "pending"
    sent = [
        host.good(await host.caller.post(f"/uploads/{made['id']}/parts", files={"data": ("blob", part)}))
        for part in parts
    ]
    return made["id"], [part["id"] for part in sent]


async def test_parts_become_one_file_in_the_order_given(host: Host, settings: Settings) -> None:
    upload_id, parts = await upload(host, [b"world", b"hello "])
    body = {"part_ids": parts[::-1], "md5": hashlib.md5(b"hello world").hexdigest()}
    done = host.good(await host.caller.post(f"/uploads/{upload_id}/complete", json=body))
    assert done["status"] == "completed"
    assert (await host.caller.get(f"/files/{done['file']['id']}/content")).content == b"hello world"
    again = host.good(await host.caller.post(f"/uploads/{upload_id}/complete", json=body))
    assert again["file"]["id"] == done["file"]["id"]
    await soon(lambda: on_disk(settings) == [done["file"]["id"]])  # the parts go in the background


@pytest.fixture
def joined_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two requests that complete an upload both have its bytes before the first of them goes on."""
    barrier, join = threading.Barrier(2), Disk.join

    def joined(disk: Disk, *arguments: Any) -> None:
        join(disk, *arguments)
        is_second = barrier.wait(timeout=20) == 1
        if is_second:
            time.sleep(0.1)

    monkeypatch.setattr(Disk, "join", joined)


@pytest.mark.usefixtures("joined_at_once")
async def test_a_wrong_sum_harms_no_file_that_is_completed_at_once(host: Host, settings: Settings) -> None:
    upload_id, parts = await upload(host, [b"hello"])
    path, good = f"/uploads/{upload_id}/complete", hashlib.md5(b"hello").hexdigest()
    done, refused = await asyncio.gather(
        host.caller.post(path, json={"part_ids": parts, "md5": good}),
        host.caller.post(path, json={"part_ids": parts, "md5": "0" * 32}),
    )
    host.refused(refused, 400, "md5")
    file_id = host.good(done)["file"]["id"]
    assert (await host.caller.get(f"/files/{file_id}/content")).content == b"hello"
    await soon(lambda: on_disk(settings) == [file_id])


@pytest.mark.usefixtures("joined_at_once")
async def test_a_file_has_the_bytes_of_the_request_that_completed_it(host: Host, settings: Settings) -> None:
    upload_id, parts = await upload(host, [b"hello ", b"world"])
    path = f"/uploads/{upload_id}/complete"
    answers = await asyncio.gather(
        host.caller.post(path, json={"part_ids": parts}),
        host.caller.post(path, json={"part_ids": parts[::-1]}),
    )
    assert sorted(answer.status_code for answer in answers) == [200, 409]
    (won,) = (at for at, answer in enumerate(answers) if answer.status_code == 200)
    file_id = answers[won].json()["file"]["id"]
    content = (await host.caller.get(f"/files/{file_id}/content")).content
    assert content == (b"hello world", b"worldhello ")[won]
    await soon(lambda: on_disk(settings) == [file_id])


async def test_a_file_that_is_removed_while_it_is_asked_for_is_sent_whole(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, steps = await host.upload(b"x" * 1000), []

    async def then_removed(function: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        steps.append(await blocking(function, *arguments, **named))
        if len(steps) == 2:  # its row was found, and after that its bytes
            host.app.state.service.disk.remove(file["id"])
        return steps[-1]

    monkeypatch.setattr("tunekit.server.files.blocking", then_removed)
    answer = await host.caller.get(f"/files/{file['id']}/content")
    assert (answer.status_code, answer.content) == (200, b"x" * 1000)
    assert answer.headers["content-length"] == "1000"
    host.refused(await host.caller.get(f"/files/{file['id']}/content"), 404)


async def test_a_caller_that_leaves_in_the_middle_of_a_file(host: Host) -> None:
    """The file is closed, or there would be a warning, which is an error here."""
    file = await host.upload(b"x" * 5_000_000)
    with serving(host.app) as url:
        async with httpx.AsyncClient(headers=host.caller.headers) as client:
            for _ in range(3):
                async with client.stream("GET", f"{url}/files/{file['id']}/content") as answer:
                    assert await anext(answer.aiter_bytes())
    gc.collect()


async def test_parts_that_do_not_add_up(host: Host) -> None:
    upload_id, parts = await upload(host, [b"hello", b"world"])
    path = f"/uploads/{upload_id}/complete"
    for body, param in (
        ({"part_ids": parts[:1]}, "part_ids"),
        ({"part_ids": [parts[0], parts[0]]}, "part_ids"),
        ({"part_ids": [*parts, "part_of_nobody"]}, "part_ids"),
        ({"part_ids": parts, "md5": "0" * 32}, "md5"),
    ):
        host.refused(await host.caller.post(path, json=body), 400, param)
    assert host.good(await host.caller.post(path, json={"part_ids": parts}))["status"] == "completed"


async def test_an_upload_that_is_cancelled_or_expired_takes_no_parts(
    host: Host, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload_id, parts = await upload(host, [b"hello"])
    assert host.good(await host.caller.post(f"/uploads/{upload_id}/cancel"))["status"] == "cancelled"
    host.refused(await host.caller.post(f"/uploads/{upload_id}/complete", json={"part_ids": parts}), 409)
    upload_id, parts = await upload(host, [b"world"])
    monkeypatch.setattr(Service, "now", lambda service: time.time() + 3602)
    await soon(lambda: not on_disk(settings))
    answer = await host.caller.post(f"/uploads/{upload_id}/complete", json={"part_ids": parts})
    assert "expired" in host.refused(answer, 409)


async def test_limits_of_uploads(serve: Serve) -> None:
    host = serve(limits=Limits(part_bytes=10, upload_bytes=20))
    body = {"bytes": 21, "filename": "a", "mime_type": "b", "purpose": "batch"}
    host.refused(await host.caller.post("/uploads", json=body), 400, "bytes")
    upload_id, _ = await upload(host, [], size=20)
    part = {"data": ("blob", b"x" * 11)}
    host.refused(await host.caller.post(f"/uploads/{upload_id}/parts", files=part), 413)


@given(st.binary(max_size=3000), st.integers(1, 200))
@examples(max_examples=60)
def test_any_bytes_in_any_pieces(data: bytes, piece: int) -> None:
    request = httpx.Request("POST", "http://x/", data={"purpose": "batch"}, files={"file": ("f", data)})
    body, into = request.read(), io.BytesIO()

    async def read() -> Form:
        from starlette.requests import Request

        pieces = [body[at : at + piece] for at in range(0, len(body), piece)]

        async def receive() -> dict[str, object]:
            return {"type": "http.request", "body": pieces.pop(0), "more_body": bool(pieces)}

        headers = [(b"content-type", request.headers["content-type"].encode())]
        scope = {"type": "http", "method": "POST", "path": "/", "headers": headers}
        return await read_form(Request(scope, receive), "file", into, limit=5000, limits=Limits())

    form = asyncio.run(read())
    assert (form.fields, form.filename, form.size) == ({"purpose": "batch"}, "f", len(data))
    assert into.getvalue() == data


async def test_uploads_and_their_parts_are_counted(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    host = serve(ScriptedBackend(), limits=Limits(tenant_uploads=2))
    body = {"bytes": 5, "filename": "t.jsonl", "purpose": "fine-tune", "mime_type": "text/jsonl"}
    first, _ = [host.good(await host.caller.post("/uploads", json=body)) for _ in range(2)]
    host.refused(await host.caller.post("/uploads", json=body), 429)
    host.good(await host.other.post("/uploads", json=body))
    parts = f"/uploads/{first['id']}/parts"
    host.refused(await host.caller.post(parts, files={"data": ("blob", b"")}), 400, "data")
    monkeypatch.setattr("tunekit.server.uploads._MAX_PARTS", 2)
    for _ in range(2):
        host.good(await host.caller.post(parts, files={"data": ("blob", b"x")}))
    host.refused(await host.caller.post(parts, files={"data": ("blob", b"x")}), 400, "data")
    assert len(list(host.app.state.service.disk.path("").iterdir())) == 2
    host.good(await host.caller.post(f"/uploads/{first['id']}/cancel"))
    host.good(await host.caller.post("/uploads", json=body))
