"""Whatever is sent, the answer is one of the original's errors, and never a failure of the server's own."""

from __future__ import annotations

import asyncio
import copy
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.server.hosting import KEY, LINE
from tests.wire.serving import Described
from tunekit import Settings
from tunekit.server import create_app
from tunekit.server.app import ROUTES
from tunekit.testing import ScriptedBackend

if TYPE_CHECKING:
    from collections.abc import Iterator

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(st.text(max_size=6), inside, max_size=3),
    max_leaves=8,
)
QUERY = ["after", "limit", "order", "purpose", "metadata[a]", "metadata"]
STARTS = [b"", b"--b\r\n", b'--b\r\ncontent-disposition: form-data; name="file"']
CHAT = [{"role": "user", "content": "hi"}]
GRADER = {"type": "string_check", "name": "g", "operation": "eq", "input": "a", "reference": "b"}
GOOD: dict[str, dict[str, Any]] = {
    "/fine_tuning/jobs": {
        "model": "base",
        "training_file": "file-1",
        "suffix": "s",
        "seed": 1,
        "method": {"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 1}}},
        "metadata": {"a": "b"},
    },
    "/chat/completions": {
        "model": "base",
        "messages": CHAT,
        "max_tokens": 5,
        "stop": ["a"],
        "stream": True,
        "n": 1,
    },
    "/completions": {"model": "base", "prompt": "hi", "max_tokens": 5, "temperature": 0.5, "seed": 3, "n": 2},
    "/embeddings": {"model": "base", "input": ["hi"], "encoding_format": "float"},
    "/uploads": {"bytes": 10, "filename": "a", "mime_type": "text/jsonl", "purpose": "fine-tune"},
    "/uploads/upload_1/complete": {"part_ids": ["part_1"], "md5": "0"},
    "/batches": {"input_file_id": "file-1", "endpoint": "/v1/embeddings", "completion_window": "24h"},
    "/fine_tuning/alpha/graders/run": {"grader": GRADER, "model_sample": "a", "item": {}},
    "/fine_tuning/alpha/graders/validate": {"grader": GRADER},
}
"""A body for each path with which nothing is wrong, but that what it names may not be there."""


@st.composite
def bodies(draw: st.DrawFn) -> tuple[str, Any]:
    """A path, and a good body of which up to two fields, at any depth, became something else."""
    path = draw(st.sampled_from(sorted(GOOD)))
    body = copy.deepcopy(GOOD[path])
    for _ in range(draw(st.integers(0, 2))):
        inside: Any = body
        while True:
            keys = list(inside) if isinstance(inside, dict) else list(range(len(inside)))
            if not keys:
                break
            key = draw(st.sampled_from(keys))
            if not isinstance(inside[key], (dict, list)) or draw(st.booleans()):
                inside[key] = draw(JSON)
                break
            inside = inside[key]
    return path, body


class Asked:
    """A server that is asked one thing at a time."""

    def __init__(self, home: Path) -> None:
        backend = ScriptedBackend(generate=lambda prompt: "four")
        self._app = create_app(
            {"base": "scripted:base"}, keys={KEY: "a"}, backends=[backend], settings=Settings(home=home)
        )
        self.described = Described(self._app)

    def ask(self, method: str, path: str, **how: Any) -> httpx.Response:
        return asyncio.run(self._ask(method, path, how))

    async def _ask(self, method: str, path: str, how: dict[str, Any]) -> httpx.Response:
        transport = httpx.ASGITransport(app=self.described)
        how["headers"] = {"authorization": f"Bearer {KEY}", **how.get("headers", {})}
        try:
            async with httpx.AsyncClient(transport=transport, base_url="http://testserver/v1") as client:
                return await client.request(method, path, **how)
        finally:
            await self._app.state.background.aclose()


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asked]:
    server = Asked(tmp_path_factory.mktemp("fuzzed"))
    yield server
    assert server.described.problems == []


def test_every_route_that_takes_json_is_fuzzed() -> None:
    takes_no_json = ("/files", "/parts", "/cancel", "/pause", "/resume")
    for route in ROUTES:
        if "POST" in (route.methods or ()) and not route.path.endswith(takes_no_json):
            assert any(route.path_regex.match(path) for path in GOOD), route.path


def check(answer: httpx.Response) -> None:
    assert answer.status_code < 500, answer.text
    if answer.status_code >= 400:
        error = answer.json()["error"]
        assert error.keys() == {"message", "type", "param", "code"}
        assert error["message"]


@given(bodies())
@settings(max_examples=150)
def test_bodies(asked: Asked, sent: tuple[str, Any]) -> None:
    path, body = sent
    data = json.dumps(body).encode()
    check(asked.ask("POST", path, content=data, headers={"content-type": "application/json"}))


@given(st.sampled_from(sorted(GOOD)), st.binary(max_size=64))
@settings(max_examples=40)
def test_bytes(asked: Asked, path: str, data: bytes) -> None:
    answer = asked.ask("POST", path, content=data, headers={"content-type": "application/json"})
    assert answer.status_code == 400


@given(
    st.sampled_from(
        ["/files", "/fine_tuning/jobs", "/fine_tuning/jobs/j/events", "/models", "/models/x", "/batches"]
    ),
    st.dictionaries(st.sampled_from(QUERY), st.text(max_size=8)),
)
@settings(max_examples=60)
def test_queries(asked: Asked, path: str, query: dict[str, str]) -> None:
    check(asked.ask("GET", path, params=query))


@given(st.binary(max_size=200), st.sampled_from(STARTS))
@settings(max_examples=60)
def test_forms(asked: Asked, data: bytes, start: bytes) -> None:
    headers = {"content-type": "multipart/form-data; boundary=b"}
    check(asked.ask("POST", "/files", content=start + data, headers=headers))


@pytest.mark.parametrize("path", ["/files", "/uploads/u/parts"])
@given(cut=st.integers(0, 400))
@settings(max_examples=25)
def test_forms_that_end_early(asked: Asked, path: str, cut: int) -> None:
    whole = (
        b'--b\r\ncontent-disposition: form-data; name="purpose"\r\n\r\nfine-tune\r\n--b\r\n'
        b'content-disposition: form-data; name="file"; filename="t.jsonl"\r\n\r\n' + LINE + b"\r\n--b--\r\n"
    )
    headers = {"content-type": "multipart/form-data; boundary=b"}
    answer = asked.ask("POST", path, content=whole[: max(len(whole) - 3 - cut, 0)], headers=headers)
    assert answer.status_code in (400, 404)


@given(st.text(min_size=1, max_size=20), st.sampled_from(["GET", "POST", "DELETE", "PUT", "HEAD"]))
@settings(max_examples=60)
def test_paths(asked: Asked, name: str, method: str) -> None:
    for prefix in ("/files/", "/models/", "/fine_tuning/jobs/", "/"):
        path = prefix + "".join(f"%{byte:02x}" for byte in name.encode(errors="replace"))
        answer = asked.ask(method, path)
        assert answer.status_code in (307, 403, 404, 405, 415, 400), (path, answer.text)


@pytest.mark.parametrize(
    "data",
    [
        b"[" * 100_000,
        b'{"model":' * 100 + b"1" + b"}" * 100,
        b'{"model": NaN}',
        b'{"model": 1e999}',
        b'{"seed": 1' + b"0" * 30 + b"}",
        b'{"seed": 1' + b"0" * 5000 + b"}",
        b'{"model": "\\ud800", "training_file": "f"}',
        b'{"\\udfff": 1}',
        b'{"model": "\\u0000", "training_file": "\\u0000"}',
        b"\xff\xfe{\x00}\x00",
        b"",
    ],
    ids=lambda data: data[:20].decode("latin-1"),
)
def test_what_breaks_parsers(asked: Asked, data: bytes) -> None:
    for path in ("/fine_tuning/jobs", "/chat/completions"):
        answer = asked.ask("POST", path, content=data, headers={"content-type": "application/json"})
        assert answer.status_code in (400, 404), answer.text


def test_a_body_that_is_too_long(asked: Asked) -> None:
    data = b'{"model": "' + b"x" * (5 << 20) + b'"}'
    answer = asked.ask("POST", "/completions", content=data, headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "request_too_large")
