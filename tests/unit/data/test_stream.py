"""Streams: what `Dataset` does in one pass, without holding rows. Compares the two."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given

from tests.processes import run_python
from tests.unit.data.strategies import example as any_example
from tunekit import CompletionExample, DataError, Dataset, DatasetStream, Example, SpecError


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "rows.jsonl"
    rows = [{"prompt": f"{n % 7} +", "completion": str(n % 5), "day": n} for n in range(50)]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def test_stream_gives_what_a_dataset_holds_again_and_again(path: Path) -> None:
    stream, data = DatasetStream.load(path), Dataset.load(path)
    assert list(stream) == list(stream) == list(data)
    assert [row.id for row in stream] == [row.id for row in data]
    assert stream.collect() == data
    assert stream.collect().source == data.source
    assert stream.fingerprint() == data.fingerprint()
    assert stream.head(3) == data.head(3)


def test_nothing_is_read_before_it_is_gone_through(tmp_path: Path) -> None:
    stream = DatasetStream.load(tmp_path / "later.jsonl").filter(lambda row: True)
    with pytest.raises(DataError, match="no such file"):
        next(iter(stream))
    (tmp_path / "later.jsonl").write_text('{"prompt": "a", "completion": "b"}\n')
    assert len(stream.collect()) == 1


def test_steps_follow_each_other(path: Path) -> None:
    stream = (
        DatasetStream.load(path)
        .filter(lambda row: row.meta["day"] % 2 == 0)
        .map(lambda row: CompletionExample(prompt="p", completion=row.id))
        .to_chat()
    )
    assert [row.messages[1].content for row in stream.head(2) if row.kind == "chat"] == [  # type: ignore[union-attr]
        "rows.jsonl:1",
        "rows.jsonl:3",
    ]
    assert [row.id for row in stream.head(2)] == ["rows.jsonl:1", "rows.jsonl:3"]


def test_check_and_fix_say_the_same_as_of_a_dataset(path: Path) -> None:
    stream, data = DatasetStream.load(path), Dataset.load(path)
    assert stream.check().to_dict() == data.check().to_dict()
    mended, held = stream.fix("drop-duplicates"), data.fix("drop-duplicates")
    assert list(mended) == list(held)
    assert len(held) == 35
    assert mended.fixes is not None
    assert held.fixes is not None
    assert mended.fixes.to_dict() == held.fixes.to_dict()
    assert stream.preview_fix("drop-duplicates").to_dict() == held.fixes.to_dict()
    assert list(stream) == list(data), "the original was touched"


def test_iterator_is_gone_through_once_and_then_named(path: Path) -> None:
    def rows() -> Iterator[dict[str, str]]:
        yield {"prompt": "a", "completion": "b"}

    stream = DatasetStream.from_records(rows())
    assert len(list(stream)) == 1
    with pytest.raises(DataError, match="used up"):
        list(stream)
    again = DatasetStream.from_records([{"prompt": "a", "completion": "b"}])
    assert list(again) == list(again)


def test_unusable_row_ends_the_stream_or_is_listed(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"prompt": "a", "completion": "b"}\n{"prompt": "a", "completion": ""}\n' * 2)
    rows = iter(DatasetStream.load(path))
    next(rows)
    with pytest.raises(DataError, match="empty text") as caught:
        next(rows)
    assert (caught.value.line, caught.value.field) == (2, "completion")
    stream = DatasetStream.load(path, on_error="skip")
    assert len(list(stream)) == 2
    assert stream.check()["skipped-rows"].rows == ("rows.jsonl:2", "rows.jsonl:4")


def test_limit_stops_reading(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"prompt": "a", "completion": "b"}\n' * 300 + "broken\n")
    assert len(list(DatasetStream.load(path, limit=290))) == 290
    with pytest.raises(SpecError, match="limit is 0"):
        DatasetStream.load(path, limit=0)


@given(any_example())
def test_files_of_any_kind_stream_as_they_load(
    tmp_path_factory: pytest.TempPathFactory, example: Example
) -> None:
    path = tmp_path_factory.mktemp("any") / "rows.jsonl"
    Dataset([example]).write_jsonl(path)
    [again] = DatasetStream.load(path)
    assert again == example
    assert (again.id, again.meta) == (example.id, example.meta)


def test_memory_stays_flat_while_a_large_file_passes(tmp_path: Path) -> None:
    path = tmp_path / "large.jsonl"
    line = json.dumps(
        {"messages": [{"role": "user", "content": "u" * 400}, {"role": "assistant", "content": "a" * 400}]}
    )
    path.write_text((line + "\n") * 60_000)
    out = run_python(
        "import resource, sys\n"
        "from tunekit import DatasetStream\n"
        f"stream = DatasetStream.load({str(path)!r})\n"
        "next(iter(stream))\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "count = sum(1 for _ in stream)\n"
        "print(count, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)"
    )
    count, grown_mb = map(int, out.split())
    assert count == 60_000
    assert grown_mb < 20, "50 MB of rows were held"
