"""What came of each request of a call: answers, an error, or both in one error that keeps the answers."""

from __future__ import annotations

import pickle

import pytest

from tunekit.backends import Generation, PartialError, all_answered
from tunekit.errors import BackendError, DeadlineError

ANSWER = Generation(text="a", finish_reason="stop")
REFUSED = BackendError("blocked", hint="change it", retryable=True, details={"status": 400})
LATE = DeadlineError("too late", hint="wait longer")


def test_answers_alone_are_the_answers() -> None:
    assert all_answered([ANSWER, ANSWER]) == [ANSWER, ANSWER]
    assert all_answered([]) == []


def test_error_of_the_only_request_is_raised_as_it_is() -> None:
    with pytest.raises(DeadlineError) as caught:
        all_answered([LATE])
    assert caught.value is LATE


def test_error_of_some_keeps_every_outcome_and_tells_of_the_first() -> None:
    with pytest.raises(
        PartialError, match="2 of 3 requests have no answer; the first of these: blocked"
    ) as caught:
        all_answered([ANSWER, REFUSED, LATE])
    error = caught.value
    assert (error.outcomes, error.first) == ((ANSWER, REFUSED, LATE), REFUSED)
    assert (error.hint, error.retryable, error.details) == ("change it", True, {"status": 400})


def test_it_can_be_sent_to_another_process() -> None:
    error = pickle.loads(pickle.dumps(PartialError([ANSWER, REFUSED])))
    assert error.outcomes[0] == ANSWER and error.first.message == "blocked"
    assert str(error) == str(PartialError([ANSWER, REFUSED]))
