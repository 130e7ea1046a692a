"""Whatever a host sends: each parser makes a value that can be kept and shown, or a typed error. Nothing else.

Good answers are spoilt in a few places, with values that no honest host would send. `make soak` spoils many more.
"""

from __future__ import annotations

import copy
import dataclasses
import json
import math
from collections.abc import Callable
from contextlib import suppress
from datetime import date
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunekit.backends.base import EventPage
from tunekit.backends.openai import (
    batches,
    embeddings,
    events,
    inference,
    lifecycle,
    questions,
    results,
    scoring,
    translate,
    wire,
)
from tunekit.backends.openai.hosts import host_of
from tunekit.backends.openai.sse import EventReader
from tunekit.errors import SpecError, TunekitError

EVENT: dict[str, Any] = {
    "id": "ftevent-1",
    "created_at": 1_790_000_000,
    "level": "info",
    "type": "metrics",
    "message": "Step 1/3: training loss=0.5",
    "data": {"step": 1, "total_steps": 3, "train_loss": 0.5, "valid_loss": 0.7, "scores": {"reward": 0.5}},
}
JOB: dict[str, Any] = {
    "id": "ftjob-1",
    "status": "succeeded",
    "created_at": 1_790_000_000,
    "finished_at": 1_790_000_100,
    "model": "gpt-4.1",
    "fine_tuned_model": "ft:gpt-4.1:acme::x",
    "training_file": "file-1",
    "result_files": ["file-2", {"id": "file-3"}],
    "trained_tokens": 1234,
    "metadata": {"tunekit_run": "run-1"},
    "error": {"code": "server_error", "message": "oops", "param": "training_file"},
    "shutdown_date": "2027-01-14",
    "owned_by": "acme",
    "step_number": 3,
    "metrics": {"train_loss": 0.5, "step": 3},
    "bytes": 12,
    "filename": "a.jsonl",
    "request_counts": {"total": 3, "completed": 2, "failed": 1},
}
ANSWER: dict[str, Any] = {
    "choices": [
        {
            "index": 0,
            "finish_reason": "stop",
            "message": {"content": "yes", "tool_calls": [{"id": "c1", "function": {"name": "find"}}]},
            "delta": {"content": "y", "tool_calls": [{"index": 0, "function": {"arguments": "{}"}}]},
            "text": "yes",
        }
    ],
    "usage": {"prompt_tokens": 3, "completion_tokens": 1},
}
ECHO: dict[str, Any] = {
    "choices": [
        {"index": 0, "text": "a", "logprobs": {"tokens": ["a"], "token_logprobs": [None]}},
        {"index": 1, "text": "ab", "logprobs": {"tokens": ["a", "b"], "token_logprobs": [None, -0.5]}},
    ]
}
LINE: dict[str, Any] = {
    "custom_id": "0",
    "response": {"status_code": 200, "body": ANSWER},
    "error": None,
}


def _told(body: Any) -> EventPage:
    page = events.told(wire.job(JOB | {"status": "running"}), [wire.event(body)], events.Place())
    assert events.Place.of(page.cursor).cursor() == page.cursor
    return page


def _pieces(body: Any) -> list[Any]:
    (event,) = EventReader().feed(f"data: {json.dumps(body)}\n\n".encode())
    tools = inference.Tools()
    choice = inference._choice(event)
    tools.add(wire.mapping(choice, "delta"))
    return [inference._piece(choice), tools.calls, questions.usage(event)]


def _answers(body: Any) -> list[Any]:
    line = json.dumps(body).encode()
    return [batches._told(line, lambda said: questions.answer(questions.CHAT, said))]


def _days(body: Any) -> list[Any]:
    model, job = wire.model(body), wire.job(body)
    tuned = lifecycle._tuned(model.id, {model.id: model}, job, host_of("openai"), date(2026, 11, 23))
    return [tuned, lifecycle.lines([tuned])]


Parser = Callable[[Any], Any]
PARSERS: dict[str, tuple[Any, Parser]] = {
    "job": (JOB, wire.job),
    "snapshot": (JOB, lambda body: translate.snapshot_of(wire.job(body))),
    "failure": (JOB | {"status": "failed"}, lambda body: translate.snapshot_of(wire.job(body))),
    "file": (JOB, wire.file),
    "checkpoint": (JOB, wire.checkpoint),
    "batch": (JOB, batches._batch),
    "days": (JOB, _days),
    "event": (EVENT, wire.event),
    "events": (EVENT, _told),
    "page": (
        {"data": [EVENT, EVENT], "has_more": True, "last_id": "x"},
        lambda body: wire.page(body, wire.event),
    ),
    "cursor": ([["e1"], 1, True, 1.5, "queued", 1], lambda body: events.Place.of(json.dumps(body)).cursor()),
    "chat": (ANSWER, lambda body: questions.answer(questions.CHAT, body)),
    "text": (ANSWER, lambda body: questions.answer(questions.TEXT, body)),
    "stream": (ANSWER, _pieces),
    "vectors": ({"data": [{"index": 0, "embedding": [0.5, 1]}]}, lambda body: embeddings.vectors(body, 1)),
    "scores": (ECHO, lambda body: scoring._scores(body, ["a", "ab"])),
    "answers": (LINE, _answers),
}

ODD: st.SearchStrategy[Any] = st.sampled_from(
    (
        *(None, True, False, [], {}, [None], {"a": {"b": [{}]}}, [[]], {"id": []}),
        *(
            "",
            ".",
            "..",
            "a/b",
            "a\x00b",
            "\ud800",
            "x" * 600,
            "\x1b[31m",
            "\u202eabc",
            "Succeeded",
            "9" * 5000,
        ),
        *(-1, 0, 3, 2**63, 10**400, -(2**70), 1e300, -1e300, 0.5, math.nan, math.inf, -math.inf),
    )
)


@st.composite
def spoilt(draw: st.DrawFn, good: Any) -> Any:
    """A good body with other values in up to three places."""
    whole = [copy.deepcopy(good)]
    for _ in range(draw(st.integers(1, 3))):
        at: Any = whole
        key: Any = 0
        while isinstance(at[key], (dict, list)) and at[key] and draw(st.integers(0, 9)):
            at = at[key]
            key = draw(st.sampled_from(sorted(at) if isinstance(at, dict) else range(len(at))))
        at[key] = copy.deepcopy(draw(ODD))
    return whole[0]


BODIES = st.sampled_from(sorted(PARSERS)).flatmap(
    lambda name: st.tuples(st.just(name), spoilt(PARSERS[name][0]))
)


def check(name: str, body: Any) -> None:
    try:
        found = PARSERS[name][1](body)
    except TunekitError as error:
        found = [error.message, error.hint]
    check_value(found)


def check_value(value: Any) -> None:
    """Whatever came of it can be written down, and its numbers are numbers."""
    if dataclasses.is_dataclass(value):
        check_value([getattr(value, field.name) for field in dataclasses.fields(value)])
    elif isinstance(value, dict):
        check_value([*value.keys(), *value.values()])
    elif isinstance(value, (list, tuple)):
        for item in value:
            check_value(item)
    elif isinstance(value, str):
        value.encode()
    elif isinstance(value, (int, float)):
        assert math.isfinite(value)


@given(drawn=BODIES)
@settings(max_examples=500, deadline=None)
def test_spoilt_answer_is_a_value_or_a_typed_error(drawn: tuple[str, Any]) -> None:
    check(*drawn)


@pytest.mark.soak
@pytest.mark.timeout(1200)
@given(drawn=BODIES)
@settings(max_examples=30_000, deadline=None)
def test_many_spoilt_answers(drawn: tuple[str, Any]) -> None:
    check(*drawn)


@pytest.mark.parametrize("name", PARSERS)
def test_good_answer_is_read(name: str) -> None:
    good, parse = PARSERS[name]
    check_value(parse(good))


def _streamed(content: bytes) -> list[Any]:
    reader = EventReader()
    return [*reader.feed(content), *reader.end()]


BYTES: dict[str, Callable[[bytes], Any]] = {
    "table": results.rows_of,
    "batch": lambda content: [
        batches._told(line, lambda said: embeddings.vectors(said, 1)) for line in content.splitlines()
    ],
    "stream": _streamed,
}
SCRAPS = st.sampled_from(
    (
        *(
            b"step,loss\n",
            b"1,0.5\n",
            b"c3RlcCxsb3NzCjEsMC41Cg==",
            b"data: ",
            b"\n\n",
            b"\r",
            b'"',
            b"{}",
            b"\xff",
        ),
        *(
            b"{",
            b"}",
            b'"custom_id":',
            b'"1"',
            b"1e999",
            b"\xef\xbb\xbf",
            b"\x00",
            b"[DONE]",
            b"[" * 3000,
            b"<html>",
        ),
    )
)


@pytest.mark.parametrize("name", BYTES)
@given(content=st.lists(SCRAPS | st.binary(max_size=6), max_size=12).map(b"".join))
@settings(max_examples=150, deadline=None)
def test_any_bytes_are_a_value_or_a_typed_error(name: str, content: bytes) -> None:
    with suppress(TunekitError):
        assert isinstance(BYTES[name](content), list)


@pytest.mark.parametrize(
    "cursor", ['[["a"],1e999,"queued",1]', '[["a"],0,"queued",1e999]', '[["a"],NaN,"queued",1]']
)
def test_cursor_with_numbers_that_are_none_is_foreign(cursor: str) -> None:
    with pytest.raises(SpecError, match="not a cursor"):
        events.Place.of(cursor)
