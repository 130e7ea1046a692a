"""Many processes write at once, and what some of them leave spoilt or half written harms no other line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunekit.errors import StorageError
from tunekit.retrain.collecting import Collector
from tunekit.retrain.collecting.files import files, seal
from tunekit.retrain.collecting.records import Feedback, Turn, digest, line, row

RECORDING = """
import sys
from tunekit.retrain.collecting import Collector
collector = Collector("bot", directory=sys.argv[1], max_bytes=2000, strict=True)
for n in range(int(sys.argv[2])):
    turn = collector.record(f"{n}?", f"{n}", user=f"u-{n % 3}")
    assert collector.feedback(turn, thumb="up")
"""


def waited(child: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def in_child(work: Callable[[], object]) -> int:
    """Fork as servers do, and do something there."""
    child = os.fork()
    if child:
        return child
    try:
        work()
        os._exit(0)
    finally:
        os._exit(1)


def test_processes_and_threads_write_at_once(tmp_path: Path) -> None:
    """Small files, so that many are begun while others are read."""
    directory = tmp_path / "bot"
    command = [sys.executable, "-c", RECORDING, str(directory), "100"]
    children = [subprocess.Popen(command) for _ in range(3)]
    collector = Collector("bot", directory=directory, max_bytes=2000, strict=True)

    def work() -> None:
        for n in range(100):
            collector.feedback(collector.record(f"{n}?", f"{n}", user="u-9"), thumb="down")

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    while any(child.poll() is None for child in children):
        assert collector.counts().spoilt == ()
    for thread in threads:
        thread.join()
    assert [child.wait() for child in children] == [0, 0, 0]
    found = collector.counts()
    assert (found.turns, found.thumbs_up, found.thumbs_down, found.spoilt) == (700, 300, 400, ())
    assert found.files > 50
    assert len({turn.meta["user"] for turn in collector.unpaired()}) == 4, "one key for all processes"


def test_after_a_fork_each_has_its_own_file(tmp_path: Path) -> None:
    collector = Collector("bot", directory=tmp_path, strict=True)
    collector.record("before", "a")
    child = in_child(lambda: [collector.record("child", str(n)) for n in range(50)])
    for n in range(50):
        collector.record("parent", str(n))
    assert waited(child) == 0
    assert collector.counts().turns == 101 and len(files(tmp_path)) == 2


def test_a_fork_while_a_thread_writes_does_not_hang(tmp_path: Path) -> None:
    collector = Collector("bot", directory=tmp_path, strict=True)
    stop = threading.Event()

    def work() -> None:
        while not stop.is_set():
            collector.record("thread", "a" * 2000)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        children = [in_child(lambda: collector.record("child", "b")) for _ in range(20)]
        assert [waited(child) for child in children] == [0] * 20
    finally:
        stop.set()
        thread.join()
    assert collector.counts().spoilt == ()


def test_a_file_that_is_taken_is_followed_by_another(tmp_path: Path) -> None:
    collector = Collector("bot", directory=tmp_path, strict=True)
    for n in range(3):
        collector.record(f"{n}", "a")
        (path,) = tmp_path.glob("*.open")
        assert seal(path, patience_s=0.0)
    assert collector.counts().turns == 3
    assert not list(tmp_path.glob("*.open")) and len(list(tmp_path.glob("*.jsonl"))) == 3
    collector.close()


def test_closed_it_leaves_nothing_open_and_goes_on(tmp_path: Path) -> None:
    with Collector("bot", directory=tmp_path, strict=True) as collector:
        collector.record("1", "a")
    assert not list(tmp_path.glob("*.open"))
    collector.record("2", "b")
    assert collector.counts().turns == 2


@given(st.lists(st.binary(max_size=60), max_size=6), st.binary(max_size=40))
def test_spoilt_lines_are_counted_and_the_rest_is_read(
    tmp_path_factory: pytest.TempPathFactory, spoilt: list[bytes], torn: bytes
) -> None:
    directory = tmp_path_factory.mktemp("spoilt")
    collector = Collector("bot", directory=directory, strict=True)
    turn = collector.record("a", "b")
    (path,) = files(directory)
    with path.open("ab") as file:
        file.writelines(each.replace(b"\n", b" ") + b"\n" for each in spoilt)
    collector.feedback(turn, correction="c")
    with path.open("ab") as file:
        file.write(torn.replace(b"\n", b" "))
    assert [example.completion for example in collector.sft()] == ["c"]  # type: ignore[union-attr]
    assert len(collector.counts().spoilt) == len(spoilt)


@given(st.dictionaries(st.text(max_size=8), st.integers() | st.text(max_size=8) | st.none(), max_size=6))
def test_any_object_is_a_row_or_none(body: dict[str, object]) -> None:
    for kind in ("turn/1", "feedback/1", "other", 5):
        found = row(json.dumps({**body, "type": kind}).encode())
        assert found is None or isinstance(found, (Turn, Feedback))


@pytest.mark.parametrize("text", [b"[" * 100_000, b"1" * 100_000, b"null", b'{"type":"turn/1"}', b"\xff"])
def test_hostile_lines(text: bytes) -> None:
    assert row(text) is None


def test_lines_of_a_newer_tunekit_are_not_passed_over(tmp_path: Path) -> None:
    collector = Collector("bot", directory=tmp_path, strict=True)
    collector.record("a", "b")
    (path,) = files(tmp_path)
    newer = line(Feedback(turn=digest("x"), at=1.0, thumb="up")).replace(b"feedback/1", b"feedback/2")
    path.write_bytes(path.read_bytes() + newer)
    with pytest.raises(StorageError, match="newer tunekit"):
        collector.sft()


def test_a_key_that_is_none_is_named(tmp_path: Path) -> None:
    (tmp_path / "users.key").write_bytes(b"short")
    with pytest.raises(StorageError, match="5 bytes"):
        Collector("bot", directory=tmp_path, strict=True).record("a", "b", user="u")
