"""The inference worker's end of the pipe. Knows the line protocol and when to exit; not how models compute.

    python -m tunekit.training.serve THREADS IDLE_TIMEOUT_S

Each line of stdin is a request `{"op": ..., "model": ..., ...}`; each line of stdout its reply `{"value": ...}` or
`{"error": {"type", "message", "state"}}`. It ends when stdin closes or its parent changes, so it does not outlive its
host even where a fork of the host holds a copy of the pipe.
"""

from __future__ import annotations

import json
import os
import select
import sys
import time
import traceback
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, BinaryIO

from tunekit.errors import BackendError, TunekitError
from tunekit.examples import message_from_dict
from tunekit.spec import Sampling

_MODELS_KEPT = 2  # a base and its tuned sibling, which is what a comparison needs
_LOOK_FOR_HOST_S = 5.0


def main(arguments: list[str]) -> None:
    """Serve until stdin closes, the host is gone or nothing was asked for `idle_timeout_s` seconds."""
    threads, idle_timeout_s = int(arguments[0]), float(arguments[1])
    host_pid = os.getppid()
    replies = _claim_stdout()
    answer = _Answerer(threads)
    requests = sys.stdin.buffer
    while _wait_for_request(requests, host_pid, idle_timeout_s):
        line = requests.readline()
        if not line:
            return
        replies.write(_encoded(_reply(answer, line)))
        replies.flush()


def _claim_stdout() -> BinaryIO:
    """Keep the real stdout for replies; whatever else prints goes to stderr, which is the log."""
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return replies


def _wait_for_request(stream: BinaryIO, host_pid: int, timeout_s: float) -> bool:
    # One request is answered before the next is sent, so nothing can wait in the buffer behind select's back.
    deadline = time.monotonic() + timeout_s
    while (left_s := deadline - time.monotonic()) > 0 and os.getppid() == host_pid:
        ready, _, _ = select.select([stream], [], [], min(left_s, _LOOK_FOR_HOST_S))
        if ready:
            return True
    return False


def _encoded(reply: dict[str, Any]) -> bytes:
    return json.dumps(reply, ensure_ascii=False, default=str).encode("utf-8", "surrogatepass") + b"\n"


def _reply(answer: Callable[..., list[Any]], line: bytes) -> dict[str, Any]:
    try:
        request = json.loads(line)
        return {"value": answer(request.pop("op"), **request)}
    except TunekitError as error:
        return {"error": {"type": type(error).__name__, "message": error.message, "state": error._state()}}
    except Exception as error:  # the reply is how it reaches the host; the log has the traceback
        traceback.print_exc()
        message = f"inference failed: {type(error).__name__}: {error}"
        return {"error": {"type": "", "message": message[:2000], "state": {"hint": "see the worker's log"}}}


class _Answerer:
    """Keeps the last few models loaded and answers requests with them."""

    def __init__(self, threads: int) -> None:
        from tunekit.training import template
        from tunekit.training.bounds import rendering_limit
        from tunekit.training.device import configure

        configure(threads)
        template.limit_rendering(rendering_limit)
        self._loaded: OrderedDict[tuple[str, int, bool], Any] = OrderedDict()

    def __call__(
        self, operation: str, *, model: str, requests: list[dict[str, Any]], **extra: Any
    ) -> list[Any]:
        from tunekit.training import generate

        if operation == "embed":
            vectors: list[Any] = self._load(model, as_embedder=True)(requests)
            return vectors
        loaded = self._load(model)
        for request in requests:
            if not isinstance(request["prompt"], str):
                request["prompt"] = tuple(message_from_dict(message) for message in request["prompt"])
        if operation == "generate":
            return generate.generate(loaded, requests, Sampling.model_validate(extra["sampling"]))
        if operation == "score":
            return generate.score(loaded, requests)
        raise BackendError(
            f"the inference worker does not know {operation!r}",
            hint="host and worker are of different versions: restart the host",
        )

    def _load(self, model: str, *, as_embedder: bool = False) -> Any:
        from tunekit.training.embed import Embedder
        from tunekit.training.load import load

        key = (model, _changed_at(model), as_embedder)
        if key not in self._loaded:
            while len(self._loaded) >= _MODELS_KEPT:
                self._loaded.popitem(last=False)
            # Apart from the one that answers: vectors need no head, and attention for texts end to end.
            self._loaded[key] = Embedder.of(load(model, head="none"), model) if as_embedder else load(model)
        self._loaded.move_to_end(key)
        return self._loaded[key]


def _changed_at(model: str) -> int:
    """Newest change in a model directory, so that one saved anew under the same path is loaded anew."""
    if not os.path.isdir(model):
        return 0
    return max((entry.stat().st_mtime_ns for entry in os.scandir(model)), default=0)


if __name__ == "__main__":
    main(sys.argv[1:])
