"""Data go to a host once: in its shape, reused by their content, in parts where they are large, whatever is lost."""

from __future__ import annotations

import codecs
import json
from pathlib import Path

import msgspec
import pytest

from tests.wire.exchange import Request, Response
from tests.wire.inprocess import InProcess
from tests.wire.service import Service
from tunekit.backends.openai import datafiles
from tunekit.backends.openai.datafiles import DataFile
from tunekit.backends.openai.files import MAX_ATTEMPTS, Files
from tunekit.backends.openai.hosts import host_of
from tunekit.backends.openai.transport import Call
from tunekit.data.dataset import Dataset
from tunekit.errors import BackendError, DataError, PreflightError
from tunekit.examples import CompletionExample
from tunekit.testing import FakeClock, tiny_dataset

MODEL = "gpt-4.1-mini-2025-04-14"


def written(directory: Path, data: Dataset, host: str = "openai", tag: str = "") -> DataFile:
    return datafiles.written(data, directory, host_of(host), model=MODEL, backend="openai", tag=tag)


@pytest.fixture
def files(transport: InProcess) -> Files:
    return Files(transport=transport, clock=FakeClock(), takes_parts=True, part_bytes=100)


@pytest.fixture
def small(tmp_path: Path) -> DataFile:
    return written(tmp_path, tiny_dataset(rows=1))


@pytest.fixture
def large(tmp_path: Path) -> DataFile:
    return written(tmp_path, tiny_dataset(rows=50))


# --- what is in a file --------------------------------------------------------------------------------


def test_pairs_become_chats_in_openais_shape(tmp_path: Path) -> None:
    file = written(tmp_path, tiny_dataset(rows=2))
    rows = [json.loads(line) for line in file.path.read_text().splitlines()]
    assert [turn["role"] for turn in rows[0]["messages"]] == ["user", "assistant"]
    assert len(rows) == 2 and file.size_bytes == file.path.stat().st_size


def test_foundry_gets_a_byte_order_mark_and_so_another_name(tmp_path: Path) -> None:
    here, there = (written(tmp_path, tiny_dataset(), host) for host in ("openai", "foundry"))
    assert there.path.read_bytes() == codecs.BOM_UTF8 + here.path.read_bytes()
    assert here.filename != there.filename


def test_equal_data_have_one_name_and_a_tag_another(tmp_path: Path) -> None:
    names = [
        written(tmp_path, tiny_dataset(name=name), tag=tag).filename
        for name, tag in (
            ("a", ""),
            ("a", ""),
            ("b", ""),
            ("a", "run-1"),
        )
    ]
    assert names[0] == names[1] and len(set(names)) == 3
    assert [datafiles.bears(name, "run-1") for name in names] == [False, False, False, True]


def test_row_that_no_chat_can_hold_is_named(tmp_path: Path) -> None:
    data = Dataset([CompletionExample(prompt="a", completion="\ud800", id="rows.csv:7")])
    with pytest.raises(DataError, match=r"rows\.csv:7"):
        written(tmp_path, data)


def test_file_that_is_too_large_is_refused_before_it_is_sent(
    tmp_path: Path,
) -> None:
    host = msgspec.structs.replace(host_of("foundry"), max_file_bytes=100)
    with pytest.raises(PreflightError, match="at most 100"):
        datafiles.written(tiny_dataset(), tmp_path, host, model=MODEL, backend="openai")


# --- where it goes ------------------------------------------------------------------------------------


async def test_file_is_uploaded_whole_and_then_reused(
    files: Files, small: DataFile, service: Service
) -> None:
    file_id = await files.ensure(small)
    assert service.contents[file_id] == small.path.read_bytes()
    assert await files.ensure(small) == file_id
    assert len(service.files) == 1


async def test_reuse_looks_through_all_pages(small: DataFile) -> None:
    service = Service(page_size=2)
    files = Files(transport=InProcess(handler=service), clock=FakeClock())
    file_id = await files.ensure(small)
    for number in range(5):
        service.keep(f"other-{number}.jsonl", b"{}\n")
    assert await files.ensure(small) == file_id


@pytest.mark.parametrize(
    "change",
    [{"status": "error"}, {"bytes": 1}, {"filename": "x.jsonl"}, {"expires_at": 1}, {"purpose": "batch"}],
)
async def test_file_that_is_not_the_same_or_will_not_last_is_not_reused(
    files: Files, small: DataFile, service: Service, change: dict[str, object]
) -> None:
    first = await files.ensure(small)
    service.files[first] |= change
    service.described = None  # some of these the description does not know
    assert await files.ensure(small) != first


async def test_large_file_goes_in_parts_side_by_side(
    files: Files, large: DataFile, service: Service, transport: InProcess
) -> None:
    file_id = await files.ensure(large)
    assert service.contents[file_id] == large.path.read_bytes()
    assert transport.largest_part == 100 and 1 < transport.most_at_once <= 4
    assert all(isinstance(call.file.source, Path) for call in transport.calls if call.file), (
        "read as it is sent"
    )


async def test_expiry_is_asked_for_either_way(
    small: DataFile, large: DataFile, transport: InProcess, service: Service
) -> None:
    files = Files(
        transport=transport, clock=FakeClock(), takes_parts=True, part_bytes=100, expire_after_s=7200
    )
    await files.ensure(small)
    await files.ensure(large)
    form = next(dict(call.form) for call in transport.calls if call.form)
    assert form == {
        "purpose": "fine-tune",
        "expires_after[anchor]": "created_at",
        "expires_after[seconds]": "7200",
    }
    assert service.bodies("POST", "/uploads")[0]["expires_after"] == {"anchor": "created_at", "seconds": 7200}


@pytest.mark.parametrize(("left_s", "is_reused"), [(3500.0, True), (1000.0, False)])
async def test_file_that_lasts_as_long_as_is_asked_for_is_reused(
    small: DataFile, transport: InProcess, service: Service, left_s: float, is_reused: bool
) -> None:
    files = Files(transport=transport, clock=FakeClock(), expire_after_s=3600)
    first = await files.ensure(small)
    service.files[first]["expires_at"] = int(FakeClock().now() + left_s)
    assert (await files.ensure(small) == first) is is_reused


# --- what goes wrong ----------------------------------------------------------------------------------


def makes_a_file(call: Call) -> bool:
    return (call.method, call.path) == ("POST", "/files") or call.path.endswith("/complete")


@pytest.mark.parametrize("size", ["small", "large"])
async def test_lost_reply_makes_no_second_file(
    files: Files, size: str, transport: InProcess, service: Service, request: pytest.FixtureRequest
) -> None:
    transport.loses = makes_a_file
    file_id = await files.ensure(request.getfixturevalue(size))
    assert list(service.files) == [file_id]


async def test_call_that_came_to_nothing_is_made_again(
    files: Files, small: DataFile, transport: InProcess, service: Service
) -> None:
    broken = Response.of({"error": {"message": "oops"}}, status=500)
    left = [broken, broken]

    def handler(request: Request) -> Response:
        return left.pop() if left and request.method == "POST" else service(request)

    transport.handler = handler
    assert [await files.ensure(small)] == list(service.files)


async def test_host_that_always_breaks_is_given_up(
    files: Files, small: DataFile, transport: InProcess, service: Service
) -> None:
    broken = Response.of({}, status=503)
    transport.handler = lambda request: broken if request.method == "POST" else service(request)
    with pytest.raises(BackendError, match="503"):
        await files.ensure(small)
    assert sum(call.method == "POST" for call in transport.calls) == MAX_ATTEMPTS


async def test_refusal_is_final_and_leaves_no_open_upload(
    files: Files, large: DataFile, transport: InProcess, service: Service
) -> None:
    refused = Response.of({"error": {"message": "no more parts", "code": "quota"}}, status=400)
    transport.handler = lambda request: refused if request.path.endswith("/parts") else service(request)
    with pytest.raises(BackendError, match="no more parts"):
        await files.ensure(large)
    assert [upload["body"]["status"] for upload in service.uploads.values()] == ["cancelled"]
    assert service.files == {}


@pytest.mark.parametrize("body", [{}, {"id": None}, []])
async def test_answer_that_names_no_file_is_looked_up(
    files: Files, small: DataFile, transport: InProcess, service: Service, body: object
) -> None:
    def handler(request: Request) -> Response:
        response = service(request)
        return Response.of(body) if request.method == "POST" else response

    transport.handler = handler
    assert [await files.ensure(small)] == list(service.files)


async def test_deleting_twice_is_deleting_once(files: Files, small: DataFile, service: Service) -> None:
    file_id = await files.ensure(small)
    await files.delete(file_id)
    await files.delete(file_id)
    assert service.files == {}
