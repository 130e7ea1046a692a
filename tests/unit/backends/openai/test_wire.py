"""What hosts send is read leniently: odd values are absence, and only what nothing can be made of is an error."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunekit.backends.openai import wire
from tunekit.backends.openai.remote import RemoteJob
from tunekit.errors import BackendError, SpecError

READERS = (wire.job, wire.event, wire.file, wire.checkpoint, wire.model)
ODD = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
FIELDS = st.sampled_from(
    (
        "id",
        "status",
        "error",
        "created_at",
        "trained_tokens",
        "metadata",
        "result_files",
        "data",
        "bytes",
        "metrics",
    )
)


@pytest.mark.parametrize(
    "nothing", [None, {}, {"code": None, "message": None, "param": None}, {"code": ""}, []]
)
def test_every_form_of_no_error_is_health(nothing: Any) -> None:
    assert wire.job({"id": "ftjob-1", "status": "running", "error": nothing}).error is None


def test_job_keeps_what_it_does_not_know() -> None:
    job = wire.job({"id": "ftjob-1", "status": "awaiting_stars", "shared_with_openai": True})
    assert (job.status, job.raw["shared_with_openai"]) == ("awaiting_stars", True)


def test_nulls_everywhere_are_absence() -> None:
    names = (
        "status",
        "model",
        "fine_tuned_model",
        "training_file",
        "result_files",
        "metadata",
        "trained_tokens",
    )
    assert wire.job({"id": "ftjob-1", **dict.fromkeys(names)}) == RemoteJob(
        id="ftjob-1", raw={"id": "ftjob-1", **dict.fromkeys(names)}
    )


@pytest.mark.parametrize("body", [[], "odd", 7, float("nan"), "<html>"])
def test_an_odd_line_in_a_log_is_an_event_that_says_so(body: Any) -> None:
    page = wire.page({"data": [{"id": "e1"}, body]}, wire.event)
    assert (page.items[0].id, page.last_id) == ("e1", "")
    assert page.items[1].type == "unreadable" and "among the events" in page.items[1].message
    assert wire.event(body).id == page.items[1].id, "the same event next time"


def test_an_event_without_an_id_may_hold_what_json_cannot() -> None:
    bodies = [{"message": "m", "data": {"loss": loss}} for loss in (float("nan"), float("inf"), 1.0)]
    assert len({wire.event(body).id for body in bodies}) == 3
    assert wire.event(bodies[0]) == wire.event(bodies[0])


@pytest.mark.parametrize("read", [read for read in READERS if read is not wire.event])
@pytest.mark.parametrize("body", [None, [], "ftjob-1", 7, "<html>"])
def test_what_is_no_object_is_a_typed_error(read: Any, body: Any) -> None:
    with pytest.raises(BackendError, match="cannot be read"):
        read(body)


@given(body=st.dictionaries(FIELDS, ODD))
@settings(max_examples=100, deadline=None)
def test_any_object_is_read_or_refused_with_a_typed_error(body: dict[str, Any]) -> None:
    for read in READERS:
        with suppress(BackendError):
            read(body)


def test_event_without_an_id_is_the_same_event_next_time() -> None:
    body = {"message": "Step 1", "created_at": 5, "data": {"step": 1}}
    assert wire.event(body).id == wire.event(dict(body)).id != wire.event({**body, "created_at": 6}).id


def test_page_reads_nulls_and_the_last_id_of_its_items() -> None:
    page = wire.page(
        {"object": "list", "data": [{"id": "a"}, None, {"id": "b"}], "has_more": True}, wire.file
    )
    assert ([item.id for item in page.items], page.has_more, page.last_id) == (["a", "b"], True, "b")
    assert wire.page({"object": "list", "data": None, "has_more": None}, wire.file) == wire.Page(items=())


@pytest.mark.parametrize("body", [{"data": "none"}, {"data": [7]}, [], None])
def test_what_is_no_page_is_a_typed_error(body: Any) -> None:
    with pytest.raises(BackendError, match="cannot be read"):
        wire.page(body, wire.file)


def test_numbers_are_those_of_inner_objects_too() -> None:
    data = {
        "step": 3,
        "scores": {"train_reward_mean": 0.5, "step": 9},
        "ok": True,
        "inf": float("inf"),
        "n": None,
    }
    assert wire.numbers(data) == {"step": 3.0, "train_reward_mean": 0.5}
    assert wire.numbers({"huge": 10**400}) == {}


def test_result_files_may_be_whole_objects() -> None:
    assert wire.job({"id": "j", "result_files": ["file-1", {"id": "file-2"}, None, 3]}).result_files == (
        "file-1",
        "file-2",
    )


@pytest.mark.parametrize("odd", ["", ".", "..", "a\nb", "a\x00", "\ud800", "x" * 513, 7, None])
def test_id_that_nobody_can_be_asked_for_is_none(odd: Any) -> None:
    with pytest.raises(BackendError, match="its id is"):
        wire.job({"id": odd})
    assert wire.event({"id": odd, "message": "x"}).id.startswith("event-")
    assert wire.job({"id": "j", "result_files": [odd, "file-1"]}).result_files == ("file-1",)


def test_name_that_no_path_can_hold_is_refused() -> None:
    assert wire.quoted("org/base:x y") == "org%2Fbase%3Ax%20y"
    for name in ("\ud800", "a\nb"):
        with pytest.raises(SpecError, match="no name"):
            wire.quoted(name)


@pytest.mark.parametrize("odd", [-1, 1e300, 10**400, float("nan"), "5", True, None])
def test_numbers_beyond_reason_are_absence(odd: Any) -> None:
    job = wire.job({"id": "j", "trained_tokens": odd, "created_at": odd})
    assert (job.trained_tokens, job.created_at) == (None, 0.0)
    assert wire.file({"id": "f", "bytes": odd}).size_bytes == -1


def test_what_no_json_can_hold_is_kept_as_text() -> None:
    deep: Any = "end"
    for _ in range(500):
        deep = [deep]
    event = wire.event({"id": "e", "data": {"a": float("nan"), "b": "x\ud800", "c": deep, "d": 10**400}})
    json.dumps(event.data, allow_nan=False).encode()
    assert (event.data["a"], event.data["b"]) == ("nan", "x\ufffd")
    job = wire.job({"id": "j", "error": "x\ud800"})
    assert job.error is not None and job.error.message == "x\ufffd"


def test_error_that_comes_with_a_good_status_is_said() -> None:
    with pytest.raises(BackendError, match="no deployments available"):
        wire.job({"error": {"message": "no deployments available"}})


def test_long_message_of_a_failure_is_cut_and_kept_raw() -> None:
    job = wire.job({"id": "j", "error": {"message": "x" * 100_000}})
    assert job.error is not None and len(job.error.message) == wire.MAX_MESSAGE_CHARS
    assert len(job.raw["error"]["message"]) == 100_000
