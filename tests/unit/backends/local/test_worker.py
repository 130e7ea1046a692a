"""The pipe to the inference worker, both ends real; only the answering is a stand-in, so there is no torch."""

from __future__ import annotations

import asyncio
import gc
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.processes import eventually, holders, is_running, kill, run_python, start_python
from tunekit import errors
from tunekit.backends.local.worker import InferenceWorker
from tunekit.errors import BackendError, DataError, PreflightError, TunekitError

SERVER = """
import os, pathlib, signal, sys, time
from tunekit import errors
from tunekit.training.serving import serve
class Answerer:
    def __init__(self, threads):
        self.threads = threads
    def __call__(self, operation, **request):
        return getattr(self, operation)(**request)
    def echo(self, **request):
        return request
    def about(self):
        return [os.getpid(), self.threads]
    def say(self, text):
        print(text)
        os.system("echo and so does a child")
        return "said"
    def die(self, words=""):
        print(words, file=sys.stderr)
        os.kill(os.getpid(), signal.SIGKILL)
    def die_once(self, mark):
        if not os.path.exists(mark):
            pathlib.Path(mark).touch()
            self.die()
        return "alive"
    def hang(self, mark):
        pathlib.Path(mark).touch()
        signal.pause()
    def fail(self, name, args, state):
        raise getattr(errors, name)(*args, **state)
    def crash(self):
        {}["missing"]
    def count(self, to, pause_s=0.0, die_at=None, fail_at=None):
        for n in range(to):
            if n == die_at:
                self.die()
            if n == fail_at:
                raise errors.InvalidError("no more", hint="do this")
            time.sleep(pause_s)
            yield f"{n} \\n"
        return {"counted": to}
serve._Answerer = Answerer
serve.main(sys.argv[1:])
"""


def make_worker(logs: Path, *, idle_timeout_s: float = 600.0) -> InferenceWorker:
    return InferenceWorker(logs=logs, threads=5, idle_timeout_s=idle_timeout_s, server=("-c", SERVER))


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[InferenceWorker]:
    worker = make_worker(tmp_path / "logs")
    yield worker
    worker.close()


def pid_of(worker: InferenceWorker) -> int:
    pid = worker.call("about")[0]
    assert isinstance(pid, int)
    return pid


def test_one_worker_answers_all_calls(worker: InferenceWorker) -> None:
    pid = pid_of(worker)
    assert worker.call("about") == [pid, 5]
    assert pid != os.getpid()


@pytest.mark.parametrize(
    "text",
    ["", "line\nbreak\r\n", "✓ \N{GRINNING FACE}", "\ud800 alone", "\0", "x" * 5_000_000],
    ids=["empty", "newline", "unicode", "surrogate", "nul", "5 MB"],
)
def test_any_text_travels_both_ways_unchanged(worker: InferenceWorker, text: str) -> None:
    assert worker.call("echo", text=text) == {"text": text}


def test_printing_does_not_disturb_the_replies(worker: InferenceWorker, tmp_path: Path) -> None:
    assert worker.call("say", text='{"value": "forged"}') == "said"
    assert worker.call("echo", n=1) == {"n": 1}
    eventually(lambda: "and so does a child" in log_of(tmp_path))


def log_of(tmp_path: Path) -> str:
    return (tmp_path / "logs" / f"inference-{os.getpid()}.log").read_text()


SIGNATURES: dict[type[TunekitError], tuple[tuple[object, ...], dict[str, object]]] = {
    DataError: (("bad row",), {"path": "f.csv", "line": 3, "field": "text", "hint": "fix it"}),
    PreflightError: ((("a", "b"),), {"backend": "local", "hint": "do"}),
    errors.MissingExtraError: (("torch",), {"extra": "local"}),
    BackendError: (("broke",), {"ambiguous": True, "retryable": True}),
}
LEAVES = [cls for cls in vars(errors).values() if isinstance(cls, type) and issubclass(cls, TunekitError)]


@pytest.mark.parametrize("cls", LEAVES, ids=lambda cls: cls.__name__)
def test_an_error_arrives_as_what_it_was(worker: InferenceWorker, cls: type[TunekitError]) -> None:
    args, state = SIGNATURES.get(cls, (("went wrong",), {"hint": "do this"}))
    original = cls(*args, **state)  # type: ignore[arg-type]  # the table knows each signature
    with pytest.raises(TunekitError) as caught:
        worker.call("fail", name=cls.__name__, args=args, state=state)
    assert type(caught.value) is cls
    assert str(caught.value) == str(original)
    assert caught.value.backend == "local"
    assert {**vars(caught.value), "backend": None, "problems": None} == {
        **vars(original),
        "backend": None,
        "problems": None,
    }


def test_a_bug_in_the_worker_is_a_backend_error_and_the_worker_lives_on(
    worker: InferenceWorker, tmp_path: Path
) -> None:
    pid = pid_of(worker)
    with pytest.raises(BackendError, match="KeyError: 'missing'"):
        worker.call("crash")
    with pytest.raises(BackendError, match="no_such_operation"):
        worker.call("no_such_operation")
    assert pid_of(worker) == pid
    assert "Traceback" in log_of(tmp_path)


def test_a_worker_killed_between_calls_is_replaced(worker: InferenceWorker) -> None:
    first = pid_of(worker)
    assert kill(first)
    second = pid_of(worker)
    assert second != first


def test_a_worker_that_dies_over_a_request_is_asked_once_more(
    worker: InferenceWorker, tmp_path: Path
) -> None:
    assert worker.call("die_once", mark=str(tmp_path / "mark")) == "alive"


def test_a_request_that_kills_twice_is_a_typed_error_with_the_last_words(worker: InferenceWorker) -> None:
    with pytest.raises(BackendError, match="died while it served 'die'") as caught:
        worker.call("die", words="Cannot allocate memory")
    assert "Cannot allocate memory" in caught.value.hint
    assert caught.value.retryable
    assert worker.call("echo", n=1) == {"n": 1}


def test_an_idle_worker_gives_its_memory_back_and_the_next_call_starts_another(tmp_path: Path) -> None:
    worker = make_worker(tmp_path, idle_timeout_s=0.05)
    first = pid_of(worker)
    eventually(lambda: not is_running(first))
    second = pid_of(worker)
    assert second != first
    worker.close()
    gc.collect()  # a pipe left open would be a ResourceWarning, which is an error here


def test_close_ends_the_worker_and_a_later_call_starts_another(worker: InferenceWorker) -> None:
    pid = pid_of(worker)
    worker.close()
    assert not is_running(pid)
    worker.close()
    assert pid_of(worker) != pid


def test_a_worker_ends_with_its_last_reference(tmp_path: Path) -> None:
    worker = make_worker(tmp_path)
    pid = pid_of(worker)
    del worker
    gc.collect()
    eventually(lambda: not is_running(pid))


def test_callers_take_turns_and_each_gets_its_own_answer(worker: InferenceWorker) -> None:
    answers: dict[int, Any] = {}
    callers = [
        threading.Thread(target=lambda n=n: answers.update({n: worker.call("echo", n=n)})) for n in range(8)
    ]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert answers == {n: {"n": n} for n in range(8)}


def test_an_abandoned_call_ends_and_the_next_one_gets_its_own_answer(
    worker: InferenceWorker, tmp_path: Path
) -> None:
    mark, abandoned = tmp_path / "mark", threading.Event()
    failures: list[Exception] = []

    def wait_for_ever() -> None:
        try:
            worker.call("hang", abandoned=abandoned, mark=str(mark))
        except BackendError as error:
            failures.append(error)

    caller = threading.Thread(target=wait_for_ever)
    caller.start()
    eventually(mark.exists)
    worker.abandon(abandoned)
    caller.join(30)
    assert len(failures) == 1
    assert worker.call("echo", n=2) == {"n": 2}


async def test_cancelled_calls_stop_at_once_and_those_in_the_queue_are_never_made(
    worker: InferenceWorker, tmp_path: Path
) -> None:
    mark, late = tmp_path / "mark", tmp_path / "late"
    hanging = asyncio.create_task(worker.ask("hang", mark=str(mark)))
    queued = [asyncio.create_task(worker.ask("die_once", mark=str(late))) for _ in range(20)]
    await asyncio.to_thread(
        eventually, mark.exists
    )  # a thread of the loop's own: the queue must not use them up
    for call in (*queued, hanging):
        call.cancel()
    await asyncio.gather(hanging, *queued, return_exceptions=True)
    assert await worker.ask("echo", n=2) == {"n": 2}
    assert not late.exists()


def test_abandoning_a_call_that_waits_its_turn_spares_the_one_being_served(worker: InferenceWorker) -> None:
    pid = pid_of(worker)
    abandoned = threading.Event()
    worker.abandon(abandoned)
    with pytest.raises(BackendError):
        worker.call("about", abandoned=abandoned)
    assert pid_of(worker) == pid


def test_logs_are_private(worker: InferenceWorker, tmp_path: Path) -> None:
    worker.call("about")
    assert (tmp_path / "logs").stat().st_mode & 0o777 == 0o700
    assert {item.stat().st_mode & 0o777 for item in (tmp_path / "logs").iterdir()} == {0o600}


FORKS = """
import os, sys, threading, warnings
from pathlib import Path
from tests.unit.backends.local.test_worker import eventually, make_worker
warnings.filterwarnings("ignore", message=".*fork")
worker, mark = make_worker(Path(sys.argv[1])), Path(sys.argv[1], "mark")
mine = worker.call("about")[0]
abandoned = threading.Event()
def hang():
    try:
        worker.call("hang", abandoned=abandoned, mark=str(mark))
    except Exception:
        pass
caller = threading.Thread(target=hang)
caller.start()
eventually(mark.exists)
child = os.fork()  # another thread holds the worker's lock and waits for its pipe
if child == 0:
    theirs = worker.call("about")[0]
    worker.close()
    os._exit(0 if theirs != mine else 1)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
print(os.path.exists(f"/proc/{mine}"))
worker.abandon(abandoned)
caller.join()
print(worker.call("echo", n=3))
worker.close()
"""


def test_a_fork_of_the_host_gets_a_worker_of_its_own(tmp_path: Path) -> None:
    assert run_python(FORKS, tmp_path).splitlines() == ["0", "True", "{'n': 3}"]


KILLED_HOST = """
import os, sys, warnings
from pathlib import Path
from tests.unit.backends.local.test_worker import make_worker
worker = make_worker(Path(sys.argv[1]))
pid = worker.call("about")[0]
if os.fork() == 0:
    sys.stdin.read()  # a pre-forked server's child: it holds copies of the pipes and lives on
    os._exit(0)
print(pid, flush=True)
sys.stdin.read()
"""


def test_a_worker_does_not_outlive_its_host_even_if_a_fork_holds_the_pipe(tmp_path: Path) -> None:
    with start_python(KILLED_HOST, tmp_path) as host:
        assert host.stdout is not None
        pid = int(host.stdout.readline())
        host.kill()
        eventually(lambda: not is_running(pid))


def test_a_host_that_just_ends_leaves_no_worker_and_no_word(tmp_path: Path) -> None:
    source = (
        "import sys; from pathlib import Path\n"
        "from tests.unit.backends.local.test_worker import make_worker\n"
        "worker = make_worker(Path(sys.argv[1]))\n"
        "print(worker.call('about')[0])"
    )
    pid = int(run_python(source, tmp_path))
    eventually(lambda: not is_running(pid))
    assert holders(tmp_path) == []
