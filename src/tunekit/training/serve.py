"""The inference worker's end of the pipe. Knows the line protocol and when to exit; not how models compute.

    python -m tunekit.training.serve THREADS IDLE_TIMEOUT_S

Each line of stdin is a request `{"op": ..., "model": ..., ...}`; each line of stdout its reply `{"value": ...}` or
`{"error": {"type", "message", "hint"}}`. It ends when stdin closes, so it never outlives its host.
"""

from __future__ import annotations

import json
import os
import select
import sys
import traceback
from collections import OrderedDict
from typing import Any, BinaryIO

from tunekit.errors import TunekitError
from tunekit.examples import message_from_dict
from tunekit.spec import Sampling

_MODELS_KEPT = 2  # a base and its tuned sibling, which is what a comparison needs


def main(arguments: list[str]) -> None:
    """Serve until stdin closes or nothing was asked for `idle_timeout_s` seconds."""
    threads, idle_timeout_s = int(arguments[0]), float(arguments[1])
    replies = _claim_stdout()
    answer = _Answerer(threads)
    requests = sys.stdin.buffer
    while _readable(requests, idle_timeout_s):
        line = requests.readline()
        if not line:
            return
        replies.write(
            json.dumps(_reply(answer, line), ensure_ascii=False).encode("utf-8", "surrogatepass") + b"\n"
        )
        replies.flush()


def _claim_stdout() -> BinaryIO:
    """Keep the real stdout for replies; whatever else prints goes to stderr, which is the log."""
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return replies


def _readable(stream: BinaryIO, timeout_s: float) -> bool:
    # One request is answered before the next is sent, so nothing can wait in the buffer behind select's back.
    ready, _, _ = select.select([stream], [], [], timeout_s)
    return bool(ready)


def _reply(answer: _Answerer, line: bytes) -> dict[str, Any]:
    try:
        request = json.loads(line)
        return {"value": answer(request.pop("op"), **request)}
    except TunekitError as error:
        return {"error": {"type": type(error).__name__, "message": error.message, "hint": error.hint}}
    except Exception as error:  # the reply is how it reaches the host; the log has the traceback
        traceback.print_exc()
        message = f"inference failed: {type(error).__name__}: {error}"
        return {"error": {"type": "BackendError", "message": message[:2000], "hint": "see the worker's log"}}


class _Answerer:
    """Keeps the last few models loaded and answers requests with them."""

    def __init__(self, threads: int) -> None:
        from tunekit.training.device import configure

        configure(threads)
        self._loaded: OrderedDict[tuple[str, int], Any] = OrderedDict()

    def __call__(
        self, operation: str, *, model: str, requests: list[dict[str, Any]], **extra: Any
    ) -> list[Any]:
        from tunekit.training import generate

        loaded = self._load(model)
        for request in requests:
            if not isinstance(request["prompt"], str):
                request["prompt"] = tuple(message_from_dict(message) for message in request["prompt"])
        if operation == "generate":
            return generate.generate(loaded, requests, Sampling.model_validate(extra["sampling"]))
        if operation == "score":
            return generate.score(loaded, requests)
        raise TunekitError(f"the inference worker does not know {operation!r}")

    def _load(self, model: str) -> Any:
        from tunekit.training.load import load

        key = (model, _changed_at(model))
        if key not in self._loaded:
            while len(self._loaded) >= _MODELS_KEPT:
                self._loaded.popitem(last=False)
            self._loaded[key] = load(model)
        self._loaded.move_to_end(key)
        return self._loaded[key]


def _changed_at(model: str) -> int:
    """Newest change in a model directory, so that one saved anew under the same path is loaded anew."""
    if not os.path.isdir(model):
        return 0
    return max((entry.stat().st_mtime_ns for entry in os.scandir(model)), default=0)


if __name__ == "__main__":
    main(sys.argv[1:])
