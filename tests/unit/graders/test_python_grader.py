"""`python` graders: a real child process, and sources that do what they must not."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

import pytest

from tests.processes import eventually, is_running
from tunekit.errors import SpecError
from tunekit.graders import Grade, Grader, Limits, Sample, parse
from tunekit.graders.watching import watched

LIMITS = Limits(seconds=20.0, memory_bytes=1 << 30)


@contextmanager
def running(source: str, limits: Limits = LIMITS) -> Iterator[Grader]:
    grader = parse({"type": "python", "name": "code", "source": source}, limits=limits)
    try:
        yield grader
    finally:
        grader.close()


def graded(source: str, limits: Limits = LIMITS) -> Grade:
    with running(source, limits) as grader:
        return grader.grade(Sample('{"a": 2}'), {"b": 4})


def body(*lines: str) -> str:
    return "\n".join(["import os, sys", "def grade(sample, item):", *(f"    {line}" for line in lines)])


def test_sample_and_item_arrive_whole() -> None:
    source = body(
        "assert sample['choices'][0]['message']['content'] == sample['output_text']",
        "assert sample['output_tools'] == []",
        "return sample['output_json']['a'] / item['b']",
    )
    assert graded(source) == Grade.of(0.5)


def test_the_official_example_runs() -> None:
    # From the guide on graders, its grading function without the import of rapidfuzz.
    source = "from typing import Any\ndef grade(sample: dict[str, Any], item: dict[str, Any]) -> float:\n    return 1.0"
    assert graded(source) == Grade.of(1.0)


def test_one_child_serves_many_calls() -> None:
    with running(body("return os.getpid()")) as grader:
        found = {grader.grade(Sample(""), {}).value for _ in range(50)}
    assert len(found) == 1 and found != {float(os.getpid())}


def test_several_threads_share_a_child() -> None:
    found: list[float | None] = []
    with running(body("return item['n']")) as grader:
        ask = [
            Thread(target=lambda n=n: found.append(grader.grade(Sample(""), {"n": n}).value))
            for n in range(8)
        ]
        for thread in ask:
            thread.start()
        for thread in ask:
            thread.join()
    assert sorted(value for value in found if value is not None) == list(range(8))


def test_order_in_sets_and_random_numbers_repeat() -> None:
    source = body("import random", "return hash('text') % 1000 + random.random()")
    assert graded(source) == graded(source)


@pytest.mark.parametrize(
    ("lines", "detail"),
    [
        (["raise KeyError('x')"], "KeyError in line 3"),
        (["sys.exit(0)"], "SystemExit"),
        (["raise KeyboardInterrupt"], "KeyboardInterrupt"),
        (["os._exit(3)"], "exited (3)"),
        (["os.abort()"], "signal 6"),
        (["return 'good'"], "returned str"),
        (["return None"], "no finite number"),
        (["return float('nan')"], "not finite"),
        (["return float('inf')"], "not finite"),
        (["return [1.0]"], "TypeError"),
        (["return grade(sample, item)"], "RecursionError"),
        (["return len(b'x' * (1 << 40))"], "MemoryError"),
        (["kept = []", "while True: kept.append(bytearray(1 << 26))"], ""),
        (["return os.fork()"], "may not do os.fork"),
        (["return os.system('true')"], "may not do os.system"),
        (["import subprocess", "return subprocess.call(['true'])"], "may not do subprocess"),
        (["os.kill(os.getppid(), 9)"], "may not do os.kill"),
        (["return len(open('/etc/passwd').read())"], "may not open"),
        (["return len(os.listdir('/'))"], "may not open"),
        (["open('left', 'w').write('x')"], "may not open"),
        (["os.remove(sys.executable)"], "may not do os.remove"),
        (["import socket", "socket.create_connection(('127.0.0.1', 9))"], "may not do socket"),
        (["import urllib.request as r", "r.urlopen('http://127.0.0.1:9')"], "may not do"),
        (
            ["import _posixsubprocess", "_posixsubprocess.fork_exec([b'/bin/true'], [b'/bin/true'])"],
            "may not do _posixsubprocess.fork_exec",
        ),
        (
            ["import signal", "signal.pidfd_send_signal(os.pidfd_open(os.getppid()), 0)"],
            "may not do signal.pidfd_send_signal",
        ),
        (["os.setpriority(os.PRIO_PROCESS, os.getppid(), 19)"], "may not do os.setpriority"),
        (["os.mkfifo('left')"], "may not do os.mkfifo"),
        (["import posix", "posix.mknod('left')"], "may not do os.mknod"),
        (["import sqlite3", "sqlite3.connect('left.db')"], "may not do sqlite3.connect"),
        (["class Bad(Exception):", "    def __str__(self): sys.exit(1)", "raise Bad"], "Bad in line"),
    ],
)
def test_what_goes_wrong_is_an_error_and_no_grade(lines: list[str], detail: str) -> None:
    found = graded(body(*lines))
    assert found.value is None and found.error is not None
    assert found.error.flag == "python_grader_runtime_error"
    assert detail in found.error.detail
    assert found.error.record()["python_grader_runtime_error_details"] == found.error.detail


def test_printing_and_reading_do_not_disturb() -> None:
    lines = ["print('{\"value\": 9}', flush=True)", "os.write(1, b'{}')", "sys.stderr.write('x')"]
    assert graded(body(*lines, "assert sys.stdin.read() == ''", "return 0.5")) == Grade.of(0.5)


def test_a_loop_is_ended_and_the_next_call_is_served() -> None:
    source = body("while sample['output_text'] == 'stuck': pass", "return 1.0")
    with running(source, Limits(seconds=0.5)) as grader:
        before = time.monotonic()
        stuck = grader.grade(Sample("stuck"), {})
        assert time.monotonic() - before < 10.0
        assert stuck.error is not None and "more than 0.5 s" in stuck.error.detail
        assert grader.grade(Sample("fine"), {}) == Grade.of(1.0)


def test_a_source_that_fails_at_once_says_so() -> None:
    found = graded("import no_such_module\ndef grade(sample, item): return 1.0")
    assert found.error is not None and "ModuleNotFoundError in line 1" in found.error.detail


class Leave(BaseException):
    """What somebody raises who waits for no grade."""


def test_whoever_watches_ends_the_child_in_the_middle_of_a_grade() -> None:
    asked, pids = 0, []

    def leave_soon() -> None:
        nonlocal asked
        asked += 1
        if asked > 3:
            raise Leave

    source = body("if item.get('sleep'): import time; time.sleep(600)", "return os.getpid()")
    with running(source, Limits(seconds=60.0)) as grader:
        pids.append(grader.grade(Sample(""), {}).value)
        began = time.monotonic()
        with watched(leave_soon), pytest.raises(Leave):
            grader.grade(Sample(""), {"sleep": True})
        assert time.monotonic() - began < 30.0, "long before its time is up"
        assert not Path(f"/proc/{int(pids[0] or 0)}").exists()
        assert grader.grade(Sample(""), {}).value not in (None, pids[0]), "nobody watches any more"


def test_nothing_is_left_behind(tmp_path: Path) -> None:
    with running(body("return os.getpid()")) as grader:
        pid = grader.grade(Sample(""), {}).value
        assert pid is not None and Path(f"/proc/{int(pid)}").exists()
    assert not Path(f"/proc/{int(pid)}").exists()


def test_a_host_that_leaves_at_once_leaves_nothing_behind(tmp_path: Path) -> None:
    """As a training process does when it is told to go."""
    program = f"""
import os
from tunekit.graders import Sample, parse
grader = parse({{"type": "python", "name": "code", "source": {body("return os.getpid()")!r}}})
print(int(grader.grade(Sample(""), {{}}).value), flush=True)
os._exit(0)
"""
    kept = {**os.environ, "TMPDIR": str(tmp_path)}
    said = subprocess.run([sys.executable, "-c", program], env=kept, capture_output=True, check=True)
    assert list(tmp_path.iterdir()) == []
    eventually(lambda: not is_running(int(said.stdout)))


def test_the_child_sees_nothing_of_our_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUNEKIT_SECRET", "1")
    assert graded(body("return float('TUNEKIT_SECRET' in os.environ)")) == Grade.of(0.0)


def test_a_large_item_goes_through() -> None:
    with running(body("return len(item['text'])")) as grader:
        assert grader.grade(Sample(""), {"text": "ä" * 1_000_000}).value == 1_000_000


def test_an_item_that_cannot_be_written_is_an_error_and_the_next_call_is_served() -> None:
    deep: list[object] = []
    for _ in range(2 * sys.getrecursionlimit()):  # which Hypothesis moves while its tests run
        deep = [deep]
    with running(body("return 1.0")) as grader:
        found = grader.grade(Sample(""), {"x": deep})
        assert found.error is not None and found.error.flag == "other_error"
        assert grader.grade(Sample(""), {}) == Grade.of(1.0)


def test_a_child_that_cannot_start_is_a_server_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **options: object) -> None:
        raise OSError("no more processes")

    monkeypatch.setattr(subprocess, "Popen", refuse)
    found = graded(body("return 1"))
    assert found.error is not None and found.error.flag == "python_grader_server_error"


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ("def grade(sample, item)", "no Python in line 1"),
        ("x = 1", "defines no function grade"),
        ("def grade(sample): return 1", "exactly two arguments"),
        ("def grade(a, b, c): return 1", "exactly two arguments"),
        ("def grade(a, b): return 1\n" + "#" * 256_000, "256,000 bytes"),
        ("x = \0", "no Python"),
        ("def grade(a, b): return " + "(" * 5000, "no Python"),
    ],
)
def test_a_source_that_cannot_be_one_is_refused(source: str, problem: str) -> None:
    with pytest.raises(SpecError, match=problem):
        parse({"type": "python", "name": "code", "source": source})
