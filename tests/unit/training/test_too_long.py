"""Rows that are longer than the model takes: an error, left out, or without the beginning of their prompts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.training.conftest import MakeRun, events, train
from tunekit.errors import DataError
from tunekit.examples import CompletionExample
from tunekit.training.texts.rows import Answers, Tokens

LONG = CompletionExample(id="long", prompt="x" * 300, completion="the answer")
SHORT = [CompletionExample(id=f"short-{n}", prompt="ask", completion="answer") for n in range(4)]
ENDLESS = CompletionExample(id="endless", prompt="ask", completion="y" * 300)


def test_an_error_names_the_rows_and_the_ways_out(make_run: MakeRun) -> None:
    with pytest.raises(DataError, match=r"1 of 5 training rows .*'long'") as caught:
        train(make_run([*SHORT, LONG]))
    assert "too_long='drop'" in (caught.value.hint or "")


@pytest.mark.parametrize("too_long", ["drop", "truncate_prompt"])
def test_what_was_done_is_said(make_run: MakeRun, too_long: str) -> None:
    run = make_run([*SHORT, LONG], too_long=too_long, epochs=1)
    train(run)
    (report,) = [event.report for event in events(run, "preflight")]
    assert any("'long'" in warning for warning in report["warnings"])
    assert report["rows"] == (4 if too_long == "drop" else 5)
    assert report["longest"] <= 256


def test_the_answer_is_whole_and_the_end_of_the_prompt_stays(make_run: MakeRun) -> None:
    run = make_run([LONG], too_long="truncate_prompt", epochs=1)
    train(run)
    (report,) = [event.report for event in events(run, "preflight")]
    assert "⟦the answer<|im_end|>⟧" in report["sample"]
    assert report["longest"] == 256


@pytest.mark.parametrize("too_long", ["truncate_prompt", "error"])
def test_an_answer_is_never_cut(make_run: MakeRun, too_long: str) -> None:
    with pytest.raises(DataError, match="'endless'"):
        train(make_run([*SHORT, ENDLESS], too_long=too_long))


def test_rows_that_are_all_too_long_are_an_error_even_if_they_may_be_left_out(make_run: MakeRun) -> None:
    with pytest.raises(DataError, match="1 of 1 training rows"):
        train(make_run([LONG], too_long="drop"))


@given(prompt=st.integers(1, 20), answer=st.integers(1, 5), cut=st.integers(1, 30), shared=st.booleans())
def test_cutting_keeps_targets_and_the_nearest_context(
    prompt: int, answer: int, cut: int, shared: bool
) -> None:
    begin, context, said = 0, tuple(range(prompt)), tuple(range(100, 100 + answer))
    if shared:
        row = Answers(id="", prompt=context, answers=(tokens(said, answer),), weight=1.0)
    else:
        row = Answers(id="", answers=(tokens(context + said, answer),), weight=1.0)
    found = row.without_beginning(cut, begin=begin)
    if found is None:
        assert cut >= prompt
        return
    ids = found.prompt + found.answers[0].ids
    assert found.longest == row.longest - cut
    assert ids[-answer:] == said
    assert ids[0] == begin
    assert list(ids[1:-answer]) == list(context[1 + cut :])
    assert found.target_count == row.target_count


def tokens(ids: tuple[int, ...], learned: int) -> Tokens:
    return Tokens(ids=ids, weights=(0.0,) * (len(ids) - learned) + (1.0,) * learned)
