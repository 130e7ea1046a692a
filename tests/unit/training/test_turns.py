"""Whose turn it is on a device: tickets of several queues in one process, and of processes that are killed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.processes import start_python
from tunekit.training.run import turns
from tunekit.training.run.turns import Device, Queue, devices_for

GPU = Device(name="cuda-0", takes=1, capacity=1)


def cores(takes: int) -> Device:
    return Device(name="cpu", takes=takes, capacity=4)


def test_first_come_first_served(tmp_path: Path) -> None:
    first, second, third = (Queue(tmp_path, GPU) for _ in range(3))
    assert [queue.is_our_turn() for queue in (first, second, third)] == [True, False, False]
    assert not third.is_our_turn()
    first.close()
    assert not third.is_our_turn()
    assert second.is_our_turn()
    second.close()
    assert third.is_our_turn()
    third.close()
    assert [item.name for item in (tmp_path / "cuda-0").iterdir()] == ["lock"]


def test_runs_share_the_cores(tmp_path: Path) -> None:
    one, two, three = (Queue(tmp_path, cores(takes)) for takes in (1, 3, 1))
    assert [queue.is_our_turn() for queue in (one, two, three)] == [True, True, False]
    one.close()
    assert three.is_our_turn()


def test_a_large_run_is_not_overtaken_for_ever(tmp_path: Path) -> None:
    small, large, late = (Queue(tmp_path, cores(takes)) for takes in (1, 4, 1))
    assert [queue.is_our_turn() for queue in (small, large, late)] == [True, False, False]
    small.close()
    assert large.is_our_turn()
    assert not late.is_our_turn()


def test_devices_are_apart(tmp_path: Path) -> None:
    assert Queue(tmp_path, GPU).is_our_turn()
    assert Queue(tmp_path, cores(4)).is_our_turn()


HOLD = """
import sys, time
from pathlib import Path
from tunekit.training.run.turns import Device, Queue
queue = Queue(Path(sys.argv[1]), Device(name="cuda-0", takes=1, capacity=1))
print(queue.is_our_turn(), flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize("waits", [False, True], ids=["holder", "waiting"])
def test_a_killed_process_gives_its_turn_back(tmp_path: Path, waits: bool) -> None:
    before = Queue(tmp_path, GPU)
    if waits:
        assert before.is_our_turn()
    with start_python(HOLD, tmp_path) as child:
        assert child.stdout is not None
        assert child.stdout.readline().strip() == str(not waits)
        after = Queue(tmp_path, GPU)
        assert not after.is_our_turn()
        child.kill()
        child.wait()
    before.close()
    assert after.is_our_turn()


@pytest.mark.parametrize(
    ("visible", "name"),
    [(None, "cuda-0"), ("1,0", "cuda-1"), ("GPU-8f/2", "cuda-GPU-8f_2"), ("", "cpu"), ("-1", "cpu")],
)
def test_the_device_is_the_first_that_is_visible(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, visible: str | None, name: str
) -> None:
    (tmp_path / "nvidia0").touch()
    monkeypatch.setattr(turns, "_GPUS", tmp_path)
    (found,) = devices_for(2, {} if visible is None else {"CUDA_VISIBLE_DEVICES": visible})
    assert found.name == name


def test_a_run_takes_as_many_cores_as_it_has_threads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "_GPUS", tmp_path)
    monkeypatch.setattr(turns, "physical_cores", lambda: 4)
    assert [devices_for(threads, {})[0].takes for threads in (1, 3, 99)] == [1, 3, 4]
