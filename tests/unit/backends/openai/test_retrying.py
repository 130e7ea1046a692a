"""Whether a call is made again, for every outcome that can be thought of; and what limits a whole process."""

from __future__ import annotations

import threading
from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunekit.backends.openai.quota import RetryQuota
from tunekit.backends.openai.retrying import (
    CONFLICT_TRIES,
    LONGEST_PAUSE_S,
    LONGEST_TOLD_S,
    Outcome,
    Verdict,
    decide,
    told_wait_s,
)
from tunekit.backends.openai.transport import Safety

NOW_S = 1_800_000_000.0

numbers = st.one_of(
    st.integers(-5, 10_000).map(str),
    st.floats(allow_nan=True).map(str),
    st.floats(-1e6, 1e6).map(lambda away_s: formatdate(NOW_S + away_s, usegmt=True)),
    st.text(max_size=30),
)
headers = st.fixed_dictionaries(
    {},
    optional={
        "retry-after": numbers,
        "retry-after-ms": numbers,
        "x-should-retry": st.sampled_from(["true", "false", "maybe"]),
    },
)
outcomes = st.builds(
    Outcome,
    reached=st.booleans(),
    status=st.none() | st.integers(300, 599),
    headers=headers,
    lasting=st.booleans(),
)


def verdict(
    outcome: Outcome, safety: Safety, *, tries: int = 1, left_s: float = 1e9, draw: float = 0.5
) -> Verdict:
    return decide(outcome, safety=safety, tries=tries, left_s=left_s, now_s=NOW_S, draw=draw)


@given(outcomes, st.sampled_from(Safety), st.integers(1, 1000), st.floats(0, 1000), st.floats(0, 1))
def test_every_outcome_has_a_verdict_that_keeps_the_limits(
    outcome: Outcome, safety: Safety, tries: int, left_s: float, draw: float
) -> None:
    found = verdict(outcome, safety, tries=tries, left_s=left_s, draw=draw)
    if found.wait_s is None:
        return
    assert 0 <= found.wait_s < left_s
    assert found.wait_s <= LONGEST_TOLD_S * 1.1
    assert found.told_s is None or found.wait_s >= found.told_s, "sooner than the host asked"
    assert not outcome.lasting
    if safety is Safety.ONCE:
        assert not outcome.reached or outcome.status == 429


@given(outcomes, st.integers(1, 1000), st.floats(0, 1))
def test_what_is_repeatable_is_treated_as_what_reads(outcome: Outcome, tries: int, draw: float) -> None:
    once, read, repeatable = (
        verdict(outcome, safety, tries=tries, draw=draw)
        for safety in (Safety.ONCE, Safety.READ, Safety.REPEATABLE)
    )
    assert read == repeatable
    if once.wait_s is not None and outcome.status in (None, 429):
        assert once == read


@pytest.mark.parametrize("status", [301, 400, 401, 403, 404, 405, 413, 422, 501, 505])
def test_refusals_that_stay(status: int) -> None:
    assert verdict(Outcome(reached=True, status=status), Safety.READ).wait_s is None


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504, 529])
def test_refusals_that_pass(status: int) -> None:
    assert verdict(Outcome(reached=True, status=status), Safety.READ, tries=50).wait_s


@pytest.mark.parametrize("sent", [{"retry-after": "0"}, {"retry-after-ms": "1"}, {"retry-after": "0.1"}])
def test_a_host_that_asks_for_less_than_our_own_pause_gets_that(sent: dict[str, str]) -> None:
    hurried, ours = (
        [
            verdict(Outcome(reached=True, status=429, headers=hint), Safety.READ, tries=tries).wait_s
            for tries in range(1, 8)
        ]
        for hint in (sent, {})
    )
    assert hurried == ours


def test_a_conflict_is_tried_a_few_times() -> None:
    conflict = Outcome(reached=True, status=409)
    tried = [verdict(conflict, Safety.READ, tries=tries).wait_s is not None for tries in range(1, 6)]
    assert tried == [True] * (CONFLICT_TRIES - 1) + [False] * (6 - CONFLICT_TRIES)


def test_pauses_double_up_to_a_limit_and_differ() -> None:
    lost = Outcome(reached=True)
    longest = [verdict(lost, Safety.READ, tries=tries, draw=1.0).wait_s for tries in range(1, 8)]
    shortest = [verdict(lost, Safety.READ, tries=tries, draw=0.0).wait_s for tries in range(1, 8)]
    assert longest == [0.5, 1.0, 2.0, 4.0, 8.0, 8.0, LONGEST_PAUSE_S]
    assert shortest == [pause / 2 for pause in longest if pause]


@pytest.mark.parametrize(
    ("sent", "said_s"),
    [
        ({"retry-after": "3"}, 3.0),
        ({"retry-after": "0"}, 0.0),
        ({"retry-after": "3", "retry-after-ms": "20"}, 0.02),
        ({"retry-after": "3", "retry-after-ms": "soon"}, 3.0),
        ({"retry-after": formatdate(NOW_S + 7, usegmt=True)}, 7.0),
        ({"retry-after": formatdate(NOW_S - 7, usegmt=True)}, 0.0),
        ({"retry-after": "Fri, 15 Jan 2027 08:00:07 -0000"}, 7.0),  # no zone is Greenwich's, on every machine
        ({"retry-after": "-3"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": ""}, None),
        ({"retry-after": "Thu, 99 Jan 2027 08:00:07 GMT"}, None),
        ({"retry-after": "x" * 100_000}, None),
        ({}, None),
    ],
)
def test_how_long_a_host_asks_to_wait(sent: dict[str, str], said_s: float | None) -> None:
    assert told_wait_s(sent, NOW_S) == said_s


@given(headers)
def test_any_header_is_read_without_an_exception(sent: dict[str, str]) -> None:
    told_s = told_wait_s(sent, NOW_S)
    assert told_s is None or told_s >= 0


def test_a_process_may_make_only_so_many_calls_again() -> None:
    quota = RetryQuota()
    assert sum(quota.take(14) for _ in range(1000)) == 500 // 14
    assert quota.take(5) and not quota.take(14)
    for _ in range(100):
        quota.give_back(14)
    assert quota.left == 500


def test_the_quota_is_right_under_threads() -> None:
    quota = RetryQuota(100_000)

    def use() -> None:
        for _ in range(5000):
            assert quota.take(2)
            quota.give_back(1)

    threads = [threading.Thread(target=use) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert quota.left == 100_000 - 8 * 5000
