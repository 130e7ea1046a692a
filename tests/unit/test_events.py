"""Events: values that survive JSON, and a vocabulary that meets the unknown without an error."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunekit import (
    CheckpointSaved,
    Evaluated,
    JobEvent,
    JobState,
    Notice,
    Preflight,
    StateChanged,
    Step,
    Usage,
)
from tunekit.events import event_from_dict, event_to_dict

number = st.floats(allow_nan=False, allow_infinity=False)
name = st.text(max_size=10)
facts = st.dictionaries(name, st.none() | st.booleans() | st.integers() | number | name, max_size=4)
metrics = st.dictionaries(name, number, max_size=4)
common: dict[str, Any] = {"id": name, "at": number, "message": name}
events: st.SearchStrategy[JobEvent] = st.one_of(
    st.builds(StateChanged, **common, state=st.sampled_from(JobState)),
    st.builds(Preflight, **common, report=facts),
    st.builds(
        Step,
        **common,
        step=st.integers(),
        total_steps=st.integers(),
        epoch=number,
        loss=st.none() | number,
        learning_rate=st.none() | number,
        gradient_norm=st.none() | number,
        tokens_per_s=st.none() | number,
        metrics=metrics,
    ),
    st.builds(Evaluated, **common, step=st.integers(), metrics=metrics),
    st.builds(CheckpointSaved, **common, step=st.integers(), checkpoint=name),
    st.builds(Notice, **common, level=name, data=facts),
)


@given(events)
def test_round_trip_through_json(event: JobEvent) -> None:
    again = event_from_dict(json.loads(json.dumps(event_to_dict(event))))
    assert (type(again), again) == (type(event), event)


@given(events)
def test_events_are_hashable(event: JobEvent) -> None:
    assert {event: 1}[event] == 1


@given(events, st.text(min_size=1).map("x-{}".format), st.integers())
def test_field_from_the_future_is_kept_in_a_notice(event: JobEvent, field: str, value: int) -> None:
    body = {**event_to_dict(event), field: value}
    notice = event_from_dict(body)
    assert isinstance(notice, Notice)
    assert (notice.id, notice.message, notice.data[field]) == (event.id, event.message, value)
    assert notice.data["type"] == event.type


def test_type_from_the_future_is_a_notice() -> None:
    notice = event_from_dict({"type": "gpu-burned", "id": "3", "at": 1.5, "message": "ouch", "rack": 7})
    assert notice == Notice(id="3", at=1.5, message="ouch", data={"type": "gpu-burned", "rack": 7})


def test_state_from_the_future_counts_as_running() -> None:
    event = event_from_dict({"type": "state", "id": "1", "at": 0.0, "state": "pausing"})
    assert event == StateChanged(id="1", at=0.0, state=JobState.RUNNING)


@pytest.mark.parametrize("body", [{}, {"type": None}, {"x": 1}])
def test_nearly_nothing_is_still_a_notice(body: dict[str, Any]) -> None:
    notice = event_from_dict(body)
    assert isinstance(notice, Notice)
    assert (notice.id, notice.at, notice.data) == ("", 0.0, body)


@pytest.mark.parametrize(
    "body",
    [
        {"type": "step", "id": "1", "at": 0.0},  # no step
        {"type": "state", "id": "1", "at": 0.0},  # no state
        {"type": "step", "step": 3},  # neither id nor time
    ],
)
def test_event_with_a_field_missing_is_kept_in_a_notice(body: dict[str, Any]) -> None:
    notice = event_from_dict(body)
    assert isinstance(notice, Notice)
    assert notice.data["type"] == body["type"]


def test_only_three_states_are_final() -> None:
    final = {state for state in JobState if state.is_terminal}
    assert final == {JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED}


def test_usage_starts_at_nothing() -> None:
    assert Usage() == Usage(trained_tokens=0, input_tokens=0, output_tokens=0, seconds=0.0)
