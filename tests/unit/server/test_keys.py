"""API keys: who is let in, and that a key is shown nowhere."""

from __future__ import annotations

import json
import logging
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.unit.server.hosting import KEY, Host
from tunekit import Settings, SpecError, StorageError
from tunekit.server import Keys, add_key, create_app, hashed, read_keys
from tunekit.testing import ScriptedBackend

CANARY = "sk-canary-7f3e9a1b5c"


@pytest.mark.parametrize(
    "header", [None, "", "Bearer", "Bearer ", "Basic abc", "Bearer sk-wrong-wrong", f"Bearer {KEY}x"]
)
async def test_without_a_good_key_nothing_is_told(host: Host, header: str | None) -> None:
    headers = {} if header is None else {"authorization": header}
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app=host.described), base_url="http://testserver/v1", headers=headers
    ) as nobody:
        for path in ("/models", "/files", "/nowhere"):
            answer = await nobody.get(path)
            host.refused(answer, 401)
            assert answer.headers["x-request-id"].startswith("req_")


def test_a_key_is_kept_as_a_hash_only(tmp_path: Path) -> None:
    path = tmp_path / "server" / "keys.json"
    key, other = add_key(path, "a"), add_key(path, "b")
    assert key not in path.read_text() and len(key) > 40
    assert path.stat().st_mode & 0o777 == 0o600
    keys = read_keys(path)
    assert (keys.tenant_of(key), keys.tenant_of(other), keys.tenant_of(hashed(key))) == ("a", "b", None)
    assert key not in repr(keys)


@pytest.mark.parametrize(
    "bad", [{"short": "a"}, {"kéy-of-sixteen-chars": "a"}, {CANARY: ""}, {CANARY: "a/b"}]
)
def test_keys_that_are_none(bad: dict[str, str]) -> None:
    with pytest.raises(SpecError) as caught:
        Keys(bad)
    assert CANARY not in str(caught.value)


def test_a_file_that_is_none_of_keys(tmp_path: Path) -> None:
    with pytest.raises(StorageError):
        read_keys(tmp_path / "nothing.json")
    for text in ("[]", "{", '{"sha256:0": 1}', "[" * 100_000):
        (tmp_path / "keys.json").write_text(text)
        with pytest.raises(SpecError):
            read_keys(tmp_path / "keys.json")


def test_keys_that_are_added_at_once_are_all_kept(tmp_path: Path) -> None:
    path = tmp_path / "server" / "keys.json"
    with ThreadPoolExecutor(8) as threads:
        made = list(threads.map(lambda number: add_key(path, f"tenant-{number}"), range(32)))
    keys = read_keys(path)
    assert [keys.tenant_of(key) for key in made] == [f"tenant-{number}" for number in range(32)]


def test_keys_follow_their_file(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    old = add_key(path, "a")
    keys = read_keys(path)
    new = add_key(path, "b")
    assert (keys.tenant_of(old), keys.tenant_of(new)) == ("a", "b")
    path.write_text(json.dumps({hashed(new): "b"}))
    assert (keys.tenant_of(old), keys.tenant_of(new)) == (None, "b")


@pytest.mark.parametrize("broken", ["{", "[]", '{"sha256:0": "a"}', None])
def test_a_broken_file_takes_no_key_back(
    tmp_path: Path, broken: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "keys.json"
    key = add_key(path, "a")
    keys = read_keys(path)
    path.unlink() if broken is None else path.write_text(broken)
    assert [keys.tenant_of(key) for _ in range(3)] == ["a"] * 3
    (record,) = caplog.records  # once, and not with every request
    assert "the keys stay what they were" in record.message and key not in record.message
    other = hashed("sk-of-another-key-of-ours")
    path.write_text(json.dumps({other: "b"}))
    assert (keys.tenant_of(key), keys.tenant_of("sk-of-another-key-of-ours")) == (None, "b")


@pytest.mark.parametrize("ends_with", ["{}", "[" * 100_000, None])
def test_a_file_that_comes_later_closes_the_door_for_good(tmp_path: Path, ends_with: str | None) -> None:
    path = tmp_path / "keys.json"
    keys = read_keys(path, meanwhile="local")
    assert (keys.are_asked, keys.tenant_of("")) == (False, "local")
    key = add_key(path, "a")
    assert (keys.are_asked, keys.tenant_of(""), keys.tenant_of(key)) == (True, None, "a")
    path.unlink() if ends_with is None else path.write_text(ends_with)
    assert (keys.are_asked, keys.tenant_of("")) == (True, None)


def test_whoever_writes_a_broken_file_of_keys_wants_keys(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    keys = read_keys(path, meanwhile="local")
    path.write_text("{")
    assert (keys.are_asked, keys.tenant_of("sk-of-whoever-comes-by")) == (True, None)
    with pytest.raises(SpecError):
        read_keys(path, meanwhile="local")


def written(folder: Path) -> list[str]:
    return [path.read_bytes().decode("latin-1") for path in folder.rglob("*") if path.is_file()]


async def test_a_canary_key_appears_nowhere(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    app = create_app(
        {"base": "scripted:base"},
        keys={CANARY: "a"},
        backends=[ScriptedBackend()],
        settings=Settings(home=tmp_path),
    )
    headers = {"authorization": f"Bearer {CANARY}"}
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app=app), base_url="http://testserver/v1", headers=headers
    ) as client:
        answers = [
            await client.get("/models"),
            await client.get("/nowhere"),
            await client.post("/files", content=b""),
        ]
    await app.state.background.aclose()
    assert [answer.status_code for answer in answers] == [200, 404, 415]
    seen = [answer.text for answer in answers] + [caplog.text, repr(app.state.service), repr(app)]
    seen += written(tmp_path)
    assert not [text for text in seen if CANARY in text]


async def test_without_keys_only_local_names_are_answered(tmp_path: Path) -> None:
    app = create_app(
        {"base": "scripted:base"},
        keys=Keys.nobody_asks(),
        backends=[ScriptedBackend()],
        settings=Settings(home=tmp_path),
    )
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app)) as client:
        good = [
            await client.get(f"http://{name}/v1/models")
            for name in ("localhost:8000", "127.0.0.1", "[::1]:80")
        ]
        bad = [
            await client.get(f"http://{name}/v1/models")
            for name in ("evil.example", "127.0.0.1.evil.example")
        ]
    await app.state.background.aclose()
    assert [answer.status_code for answer in (*good, *bad)] == [200, 200, 200, 403, 403]
