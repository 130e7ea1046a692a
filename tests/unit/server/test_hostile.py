"""Callers who mean ill, or have a bad line: slow bodies, swollen forms, graders that multiply texts, hasty ends."""

from __future__ import annotations

import asyncio
import select
import socket
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from tests.unit.server.hosting import KEY, LINE, Host, Serve, soon
from tests.wire.serving import serving
from tunekit import Settings
from tunekit.server import Limits, create_app, reading
from tunekit.testing import ScriptedBackend

if TYPE_CHECKING:
    from collections.abc import Iterator

GRADERS = "/fine_tuning/alpha/graders"
FORM = {"content-type": "multipart/form-data; boundary=b"}
FILE = b'--b\r\ncontent-disposition: form-data; name="file"; filename="t.jsonl"\r\n\r\n' + LINE + b"\r\n"
PURPOSE = b'--b\r\ncontent-disposition: form-data; name="purpose"\r\n\r\nfine-tune\r\n'
END = b"--b--\r\n"


@pytest.fixture
def port(settings: Settings) -> Iterator[int]:
    """A server on a real socket that waits a second for its callers."""
    app = create_app(
        {"base": "scripted:base"},
        keys={KEY: "a"},
        backends=[ScriptedBackend()],
        limits=Limits(patience_s=1, json_bytes=1000),
        settings=settings,
    )
    with serving(app) as url:
        yield urlsplit(url).port or 0


def told(connection: socket.socket) -> bytes:
    """All that is answered until the other side closes."""
    connection.settimeout(20)
    found = b""
    while piece := connection.recv(65536):
        found += piece
    return found


def head(path: str, kind: str, length: int) -> bytes:
    return (
        f"POST /v1{path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {KEY}\r\n"
        f"content-type: {kind}\r\ncontent-length: {length}\r\n\r\n"
    ).encode()


@pytest.mark.parametrize(
    ("path", "kind", "begun"),
    [
        ("/chat/completions", "application/json", b'{"model": '),
        ("/files", "multipart/form-data; boundary=b", PURPOSE + FILE[:90]),
        ("/files", "multipart/form-data; boundary=b", b""),
    ],
)
def test_a_body_that_stalls_is_given_up(
    port: int, settings: Settings, path: str, kind: str, begun: bytes
) -> None:
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(head(path, kind, 500) + begun)
        answer = told(connection)
    assert answer.startswith(b"HTTP/1.1 408")
    assert b"request_timeout" in answer
    files = settings.home / "server" / "files"
    assert not files.exists() or list(files.iterdir()) == []


def test_a_body_that_drips_is_given_up(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(head("/completions", "application/json", 900))
        for _ in range(100):
            if select.select([connection], [], [], 0.1)[0]:
                break
            connection.sendall(b" ")
        assert told(connection).startswith(b"HTTP/1.1 408")


def test_nobody_reads_on_after_a_body_that_is_too_long(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(head("/completions", "application/json", 10**9))
        assert told(connection).startswith(b"HTTP/1.1 413")


async def test_patience_grows_with_what_came(serve: Serve) -> None:
    host = serve(limits=Limits(patience_s=1))

    async def pieces() -> Any:
        yield PURPOSE + FILE.removesuffix(b"\r\n") + b"x" * 4096
        for piece in (b"y", b"z", b"\r\n" + END):
            await asyncio.sleep(0.4)
            yield piece

    host.good(await host.caller.post("/files", content=pieces(), headers=FORM))


@pytest.mark.parametrize(
    "part",
    [
        b"--b\r\ncontent-disposition: form-data; name=" + b"x" * 100_000 + b"\r\n\r\n1\r\n",
        b"--b\r\nx-" + b"x" * 100_000 + b': 1\r\ncontent-disposition: form-data; name="a"\r\n\r\n1\r\n',
        b'--b\r\ncontent-disposition: form-data; name="a"\r\n\r\n' + b"x" * 5000 + b"\r\n",
        b"".join(
            b'--b\r\ncontent-disposition: form-data; name="f%d"\r\n\r\n1\r\n' % at for at in range(1000)
        ),
        PURPOSE * 2,
    ],
    ids=["long name", "long header", "long field", "many fields", "twice"],
)
async def test_a_form_that_swells_is_refused(host: Host, settings: Settings, part: bytes) -> None:
    answer = await host.caller.post("/files", content=part + PURPOSE + FILE + END, headers=FORM)
    assert answer.status_code == 400, answer.text
    assert list((settings.home / "server" / "files").iterdir()) == []


@pytest.mark.parametrize(
    "name",
    ["..", "../../ledger.sqlite3", "C:\\x\\..\\a", "/etc/passwd", "a\x00b", 'a"; x="', "\u202egpj.exe"],
)
async def test_no_name_of_a_file_leads_anywhere(host: Host, settings: Settings, name: str) -> None:
    body = {"bytes": 4, "filename": name, "mime_type": "x", "purpose": "batch"}
    upload = host.good(await host.caller.post("/uploads", json=body))
    part = await host.caller.post(f"/uploads/{upload['id']}/parts", files={"data": ("a", b"abcd")})
    path = f"/uploads/{upload['id']}/complete"
    done = host.good(await host.caller.post(path, json={"part_ids": [part.json()["id"]]}))
    answer = await host.caller.get(f"/files/{done['file']['id']}/content")
    assert (answer.status_code, answer.content) == (200, b"abcd")
    assert answer.headers["content-disposition"].startswith("attachment; ")
    assert "/" not in done["file"]["filename"]
    assert done["file"]["id"] in [item.name for item in (settings.home / "server" / "files").iterdir()]


async def test_a_grader_does_not_multiply_a_text(host: Host) -> None:
    many = {"type": "string_check", "name": "g", "operation": "eq", "reference": "b"}
    many["input"] = "{{sample.output_text}}" * 100
    two = {"type": "string_check", "name": "g", "operation": "eq", "input": "a" * 40_000, "reference": "b"}
    for grader, sample, param in ((many, "x" * 1000, None), (two, "x", "grader")):
        body = {"grader": grader, "model_sample": sample}
        answer = await host.caller.post("/fine_tuning/alpha/graders/run", json=body)
        assert "more than 32768 characters" in host.refused(answer, 400, param)
    body = {"grader": many, "model_sample": "x" * 100}
    host.good(await host.caller.post("/fine_tuning/alpha/graders/run", json=body))


@pytest.mark.parametrize(
    ("metric", "text", "reference"),
    [("rouge_l", "b a " * 4000, "a b " * 4000), ("fuzzy_match", "a b " * 2000, "ab ba" * 4800)],
)
async def test_a_grader_compares_no_two_long_texts(
    host: Host, metric: str, text: str, reference: str
) -> None:
    one = {"type": "text_similarity", "name": "s", "evaluation_metric": metric, "reference": reference}
    one["input"] = "{{sample.output_text}}"
    answer = await host.caller.post(f"{GRADERS}/run", json={"grader": one, "model_sample": text})
    assert "pairs of characters" in host.refused(answer, 400)


async def test_the_pairs_of_all_graders_of_one_count_together(serve: Serve) -> None:
    host = serve(limits=Limits(grader_pairs=300))
    one = {"type": "text_similarity", "name": "s", "evaluation_metric": "rouge_l", "reference": "x" * 10}
    one["input"] = "{{sample.output_text}}"
    for names, status in (("abc", 200), ("abcd", 400)):
        graders = dict.fromkeys(names, one)
        many = {"type": "multi", "name": "m", "graders": graders, "calculate_output": " + ".join(names)}
        body = {"grader": many, "model_sample": "y" * 10}
        answer = await host.caller.post(f"{GRADERS}/run", json=body)
        assert answer.status_code == status, answer.text


@pytest.mark.parametrize("value", [[[]] * 10_000, [1e100] * 10_000, {f"k{at}": {} for at in range(5000)}])
async def test_what_a_grader_reads_counts_as_it_is_written(host: Host, value: Any) -> None:
    one = {"type": "string_check", "name": "g", "operation": "eq", "input": "{{item.x}}", "reference": "b"}
    body = {"grader": one, "model_sample": "a", "item": {"x": value}}
    answer = await host.caller.post(f"{GRADERS}/run", json=body)
    assert "more than 32768 characters" in host.refused(answer, 400)


async def test_a_grader_of_what_is_nested_deep_has_a_grade(host: Host) -> None:
    one = {"type": "string_check", "name": "g", "operation": "eq", "reference": "b"}
    one["input"] = "{{sample.output_json[0]}}"
    for depth in range(900, 1000, 4):  # somewhere there a text can be read and not be written
        body = {"grader": one, "model_sample": "[" * depth + "]" * depth}
        host.good(await host.caller.post(f"{GRADERS}/run", json=body))


@pytest.mark.parametrize(
    ("path", "begun"),
    [
        ("/fine_tuning/jobs", b'{"integrations":['),
        ("/chat/completions", b'{"model":"base","messages":['),
        ("/embeddings", b'{"model":"base","input":[['),
        ("/completions", b'{"model":"base","x":[['),
    ],
)
async def test_a_body_of_millions_of_values_is_refused_before_each_is_looked_at(
    host: Host, path: str, begun: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_at = 0

    def inside(value: Any) -> Any:
        nonlocal looked_at
        looked_at += 1
        return real(value)

    real = reading._inside
    monkeypatch.setattr(reading, "_inside", inside)
    content = begun + b"0," * 2_000_000 + (b"0]]}" if begun.endswith(b"[[") else b"0]}")
    headers = {"content-type": "application/json"}
    answer = await host.caller.post(path, content=content, headers=headers)
    assert "more than 32768 names and values" in host.refused(answer, 400)
    assert looked_at < 100_000


async def test_as_many_values_as_there_may_be(serve: Serve) -> None:
    host = serve(limits=Limits(json_values=9))
    chat = {
        "model": "base",
        "messages": [{"role": "user", "content": "a"}],
    }  # 2 names, 2 values, 1 message of 4
    host.good(await host.caller.post("/chat/completions", json=chat))
    answer = await host.caller.post("/chat/completions", json={**chat, "user": "me"})
    assert "more than 9" in host.refused(answer, 400)


async def test_an_upload_that_the_end_of_the_server_cuts_leaves_nothing(
    host: Host, settings: Settings
) -> None:
    async def endless() -> Any:
        yield PURPOSE + FILE
        while True:
            yield b"x" * (1 << 20)
            await asyncio.sleep(0)

    sending = asyncio.create_task(host.caller.post("/files", content=endless(), headers=FORM))
    files = settings.home / "server" / "files"
    await soon(lambda: files.is_dir() and any(item.stat().st_size for item in files.iterdir()))
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    assert list(files.iterdir()) == []
    assert (await host.get("/files"))["data"] == []


@pytest.mark.parametrize(
    "path", ["/evals", "/responses", "/fine_tuning/checkpoints/x/permissions", "/nowhere"]
)
async def test_what_is_not_served_is_said(host: Host, path: str) -> None:
    assert f"/v1{path}" in host.refused(await host.caller.get(path), 404)
