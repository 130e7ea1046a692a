"""The file of answers, by itself: keys, age, size, and journals that nobody writes to any more."""

from __future__ import annotations

import json
import multiprocessing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunekit.backends.base import GenerateRequest, Generation, ScoreRequest, Scores
from tunekit.evaluation.running.answer_cache import AnswerCache
from tunekit.evaluation.running.answer_codec import Answer, Request, decoded, encoded, keys_of
from tunekit.evaluation.running.answer_journal import AnswerJournal, Row, left_behind
from tunekit.events import Usage
from tunekit.examples import Message
from tunekit.spec import Sampling

texts = st.text(max_size=30) | st.sampled_from(["\ud800", "a\nb", "\x00", "é", "e\u0301"])
messages = st.builds(
    Message, role=st.sampled_from(["user", "assistant", "system"]), content=texts, name=st.none() | texts
)
prompts = texts | st.lists(messages, min_size=1, max_size=3).map(tuple)
tools = st.lists(st.fixed_dictionaries({"type": st.just("function"), "name": texts}), max_size=2).map(tuple)
requests = st.builds(
    GenerateRequest, prompt=prompts, tools=tools, seed=st.none() | st.integers(0, 9), continues=st.booleans()
) | st.builds(ScoreRequest, prompt=prompts, tools=tools, choices=st.lists(texts, max_size=3).map(tuple))
numbers = st.floats(allow_nan=False)
answers = st.builds(
    Generation,
    text=texts,
    finish_reason=texts,
    note=texts,
    usage=st.builds(
        Usage, input_tokens=st.integers(0, 9), output_tokens=st.integers(0, 9), seconds=st.floats(0, 9)
    ),
) | st.builds(Scores, log_probs=st.lists(numbers).map(tuple), tokens=st.lists(st.integers(0, 99)).map(tuple))


@given(st.lists(requests, max_size=6), st.lists(texts, max_size=3), st.booleans())
def test_keys_are_equal_for_what_is_equal_and_for_nothing_else(
    asked: list[Request], model: list[str], greedy: bool
) -> None:
    sampling = Sampling() if greedy else None
    keys = keys_of(model, asked, sampling)
    assert keys == keys_of(list(model), list(asked), sampling)
    # The nth time that a question stands in a test is a question of its own, wherever else it stands.
    places = {(repr(each), asked[:at].count(each)) for at, each in enumerate(asked)}
    assert len(set(keys)) == len(asked) == len(places)
    for other in ([*model, ""], [*model, "x"]):
        assert not set(keys) & set(keys_of(other, asked, sampling))
    assert not set(keys) & set(keys_of(model, asked, Sampling(max_tokens=7)))


@given(answers, st.floats(0, 1e6))
def test_an_answer_comes_back_as_it_was(answer: Answer, asking_s: float) -> None:
    body = encoded(answer, asking_s=asking_s)
    assert body is not None
    found = decoded(body, 5.0)
    assert found is not None and (found.answer, found.asking_s, found.kept_at) == (answer, asking_s, 5.0)


@given(
    st.text() | st.sampled_from(["[]", "null", '{"text": 1}', '{"log_probs": 3, "tokens": []}', "[" * 9999])
)
def test_what_is_no_answer_is_none(body: str) -> None:
    assert decoded(body, 0.0) is None


def row(key: int, body: str = "x", kept_at: float = 0.0, lifetime_s: float | None = None) -> Row:
    return Row(b"%d" % key, body, kept_at, lifetime_s)


def test_many_answers_in_and_out(tmp_path: Path) -> None:
    cache = AnswerCache(tmp_path / "answers.sqlite3")
    cache.keep(row(at, f"body {at}") for at in range(5_000))
    found = cache.find([b"%d" % at for at in range(0, 10_000, 2)])
    assert {key: kept.body for key, kept in found.items()} == {
        b"%d" % at: f"body {at}" for at in range(0, 5_000, 2)
    }
    cache.forget([b"0", b"2", b"nobody"])
    assert not cache.find([b"0", b"2"]) and cache.find([b"1"])


def test_what_has_expired_is_not_found_and_goes(tmp_path: Path) -> None:
    cache = AnswerCache(tmp_path / "answers.sqlite3")
    cache.keep([row(1, lifetime_s=10.0), row(2)])  # kept in 1970
    assert set(cache.find([b"1", b"2"])) == {b"2"}
    assert cache.trim() == 0 and set(cache.find([b"2"])) == {b"2"}


def test_the_oldest_go_when_it_is_full(tmp_path: Path) -> None:
    cache = AnswerCache(tmp_path / "answers.sqlite3", max_bytes=6_000_000)
    cache.keep(row(at, "y" * 1_000, kept_at=float(at)) for at in range(8_000))
    removed = cache.trim()
    assert 0 < removed < 8_000
    assert len(cache.find([b"%d" % at for at in range(removed)])) == 0
    assert len(cache.find([b"%d" % at for at in range(removed, 8_000)])) == 8_000 - removed


def _keep_many(path: Path, first: int) -> None:
    cache = AnswerCache(path)
    for start in range(first, first + 1_000, 50):
        cache.keep(row(at) for at in range(start, start + 50))
        assert len(cache.find([b"%d" % at for at in range(start, start + 50)])) == 50


def test_several_processes_keep_at_once(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    path = tmp_path / "answers.sqlite3"
    children = [context.Process(target=_keep_many, args=(path, 1_000 * at)) for at in range(3)]
    for child in children:
        child.start()
    for child in children:
        child.join()
    assert [child.exitcode for child in children] == [0, 0, 0]
    assert len(AnswerCache(path).find([b"%d" % at for at in range(3_000)])) == 3_000


# --- journals -----------------------------------------------------------------------------------------


def test_a_journal_belongs_to_its_writer_until_that_is_gone(tmp_path: Path) -> None:
    journal = AnswerJournal(tmp_path)
    assert not list(tmp_path.iterdir())
    journal.write([row(1), row(2)])
    journal.write([row(3, "a\nb")])
    assert list(journal.rows()) == [row(1), row(2), row(3, "a\nb")]
    assert list(left_behind(tmp_path)) == []
    journal.close()
    for found in left_behind(tmp_path):
        with found:
            assert [each.key for each in found.rows()] == [b"1", b"2", b"3"]
            assert list(left_behind(tmp_path)) == []  # one at a time
            found.remove()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("cut", range(1, 24, 3))
def test_a_line_that_was_cut_costs_itself_alone(tmp_path: Path, cut: int) -> None:
    journal = AnswerJournal(tmp_path)
    journal.write([row(at) for at in range(5)])
    journal.close()
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[:-cut])
    (found,) = left_behind(tmp_path)
    with found:
        assert [each.key for each in found.rows()] in (
            [b"0", b"1", b"2", b"3"],
            [b"0", b"1", b"2", b"3", b"4"],
        )


spoilt = st.lists(
    st.tuples(
        st.sampled_from(["00ff", "xy", "é", 3]),
        texts | st.none(),
        st.floats() | st.integers() | texts,
        st.none() | st.floats() | st.just(10**400),
    ),
    max_size=5,
).map(lambda rows: "\n".join(map(json.dumps, rows)).encode())


@given(st.binary(max_size=200) | spoilt)
def test_whatever_stands_in_a_journal_is_brought_in_or_left_out(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    directory = tmp_path_factory.mktemp("journals")
    (directory / "1-a.answers").write_bytes(content)
    (found,) = left_behind(directory)
    with found:
        rows = list(found.rows())
    cache = AnswerCache(directory / "answers.sqlite3")
    cache.keep(rows)
    assert set(cache.find([row.key for row in rows])) <= {row.key for row in rows}
    cache.close()
