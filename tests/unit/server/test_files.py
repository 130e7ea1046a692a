"""Files and uploads: bytes arrive as they were sent, within limits, and leave nothing behind when they do not."""

from __future__ import annotations

import asyncio
import hashlib
import io
import time

import httpx
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from tests.unit.server.hosting import Host, Serve, soon
from tunekit import Settings
from tunekit.server import Limits
from tunekit.server.forms import Form, read_form
from tunekit.server.service import Service


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
        return await read_form(Request(scope, receive), "file", into, limit=5000)

    form = asyncio.run(read())
    assert (form.fields, form.filename, form.size) == ({"purpose": "batch"}, "f", len(data))
    assert into.getvalue() == data
