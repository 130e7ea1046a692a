"""The inference worker's end of the pipe. Knows the line protocol and when to exit; not how models compute.

    python -m tunekit.training.serving.serve THREADS IDLE_TIMEOUT_S

Each line of stdin is a request `{"op": ..., "model": ..., ...}`; each line of stdout its reply `{"value": ...}` or
`{"error": {"type", "message", "state"}}`. A reply may be preceded by lines `{"piece": ...}`, parts of an answer that is
still being written; a request `{"op": "enough"}` ends such an answer early and has no reply of its own. The process
ends when stdin closes or its parent changes, so it does not outlive its host.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Callable, Generator, Iterator
from typing import Any, BinaryIO

from tunekit.errors import BackendError, TunekitError
from tunekit.examples import message_from_dict
from tunekit.spec import Sampling
from tunekit.training.serving.host_lines import HostLines

ENOUGH = b'{"op": "enough"}'
"""What the host writes when nobody wants the rest of an answer."""


def main(arguments: list[str], answering: Callable[[int], Callable[..., Any]] | None = None) -> None:
    """Serve until stdin closes, the host is gone or nothing is asked for `idle_timeout_s` seconds; then exit.

    Args:
        arguments: Threads and `idle_timeout_s`.
        answering: Given the threads, makes what answers a request; None answers with models.
    """
    threads, idle_timeout_s = int(arguments[0]), float(arguments[1])
    requests, replies = HostLines(), _claim_stdout()
    answer = (answering or _Answerer)(threads)
    while line := requests.next(idle_timeout_s):
        # It may come just after the last line of the answer that it was to end.
        if line == ENOUGH:
            continue
        for reply in _replies(answer, line, requests):
            replies.write(_encoded(reply))
            replies.flush()
    # Python takes a second of work to take torch apart, which whoever closes a worker would wait for.
    sys.stderr.flush()
    os._exit(0)


def _claim_stdout() -> BinaryIO:
    """Keep the real stdout for replies; whatever else prints goes to stderr, which is the log."""
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return replies


def _encoded(reply: dict[str, Any]) -> bytes:
    return json.dumps(reply, ensure_ascii=False, default=str).encode("utf-8", "surrogatepass") + b"\n"


def _replies(answer: Callable[..., Any], line: bytes, requests: HostLines) -> Iterator[dict[str, Any]]:
    """Pieces, if the answer comes in pieces, and last the reply."""
    try:
        request = json.loads(line)
        value = answer(request.pop("op"), **request)
        if isinstance(value, Generator):
            value = yield from _pieces(value, requests)
        yield {"value": value}
    except TunekitError as error:
        yield {"error": {"type": type(error).__name__, "message": error.message, "state": error._state()}}
    except Exception as error:  # the reply is how it reaches the host; the log has the traceback
        traceback.print_exc()
        message = f"inference failed: {type(error).__name__}: {error}"
        yield {"error": {"type": "", "message": message[:2000], "state": {"hint": "see the worker's log"}}}


def _pieces(value: Generator[str, None, Any], requests: HostLines) -> Generator[dict[str, Any], None, Any]:
    """The pieces of an answer, up to its end or to a sign from the host."""
    while not requests.interrupts():
        try:
            yield {"piece": next(value)}
        except StopIteration as end:
            return end.value
    value.close()
    return None


class _Answerer:
    """Answers requests with models that it keeps loaded."""

    def __init__(self, threads: int) -> None:
        from tunekit.training.plan.device import configure
        from tunekit.training.run.bounds import rendering_limit
        from tunekit.training.serving.kept_models import KeptModels
        from tunekit.training.texts import template

        configure(threads)
        template.limit_rendering(rendering_limit)
        self._models = KeptModels()

    def __call__(self, operation: str, *, model: str, requests: list[dict[str, Any]], **extra: Any) -> Any:
        from tunekit.training.serving import generate

        if operation == "embed":
            return self._models.embedding(model)(requests)
        loaded = self._models.answering(model)
        for request in requests:
            if not isinstance(request["prompt"], str):
                request["prompt"] = tuple(message_from_dict(message) for message in request["prompt"])
        if operation == "score":
            return generate.score(loaded, requests)
        if operation == "generate":
            return generate.generate(loaded, requests, Sampling.model_validate(extra["sampling"]))
        if operation == "stream":
            return generate.stream(loaded, requests[0], Sampling.model_validate(extra["sampling"]))
        raise BackendError(
            f"the inference worker does not know {operation!r}",
            hint="host and worker are of different versions: restart the host",
        )


if __name__ == "__main__":
    main(sys.argv[1:])
