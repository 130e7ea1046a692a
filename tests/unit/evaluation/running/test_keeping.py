"""Answers are paid for once: what is asked again, what never is, and what a user is told of it."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.unit.evaluation.running.asked import Counting, numbers
from tunekit._clock import SystemClock
from tunekit._settings import Settings
from tunekit.backends.base import Generation
from tunekit.data.dataset import Dataset
from tunekit.errors import BackendError, UnsupportedError
from tunekit.evaluation import scorers
from tunekit.evaluation.arms.arm import Arm
from tunekit.evaluation.evaluator import Evaluator
from tunekit.evaluation.items import Item
from tunekit.evaluation.results import Evaluation
from tunekit.evaluation.running.keeping import UNFINISHED_FOR_S
from tunekit.evaluation.running.runner import Progress
from tunekit.evaluation.scorers import ChoiceScorer, ExactMatch, Score
from tunekit.spec import Sampling

TEST = numbers(60)
MODEL = "scripted:base"


def fixed(**options: Any) -> Counting:
    return Counting(version="1", **options)


def told(evaluation: Evaluation) -> dict[str, Any]:
    """All that an evaluation says but when it was made and how long that took."""
    whole = evaluation.model_dump(exclude={"seconds", "created_at", "reused", "arm"})
    return whole | {"prompts": evaluation.arm.prompts_hash if evaluation.arm else ""}


def length(item: Item, answer: str) -> float:
    return float(len(answer))


class Longest(ChoiceScorer):
    name = "longest"

    def candidates(self, item: Item) -> tuple[str, ...]:
        return ("nothing", str(item.reference), "1")

    def score(self, item: Item, scores: Any) -> Score:
        return Score(value=float(len(scores.log_probs)))


def test_another_scorer_costs_nothing_where_the_weights_are_fixed() -> None:
    host = fixed()
    first = Evaluator(TEST).run(MODEL, backend=host)
    seen: list[Progress] = []
    second = Evaluator(TEST, scorers=[length, ExactMatch()]).run(
        MODEL, backend=(again := fixed()), on_progress=seen.append
    )
    assert host.answered.total() == 60 and again.answered.total() == 0
    assert (first.reused, second.reused) == (0, 60)
    assert second["exact_match"] == first["exact_match"]
    assert (
        (second.input_tokens, second.output_tokens) == (first.input_tokens, first.output_tokens) == (420, 180)
    )
    assert [item.seconds for item in second.items] == [0.25] * 60
    assert [(each.done, each.cached, each.total) for each in seen] == [(60, 60, 60)]
    assert second.warnings == first.warnings == ()
    assert "60 answers were known before" in str(second) and "known before" not in str(first)


def test_weighed_choices_are_kept_too() -> None:
    host = fixed()
    evaluator = Evaluator(TEST, scorers=[Longest()])
    first, second = (evaluator.run(MODEL, backend=host) for _ in range(2))
    assert host.answered.total() == 60 and second.reused == 60
    assert told(second) == told(first)


@pytest.mark.parametrize(
    "other",
    [
        {"backend": Counting(version="2")},
        {"backend": Counting(version="1", place="http://127.0.0.1:9/v1")},
        {"model": "scripted:other"},
        {"sampling": Sampling(max_tokens=64)},
        {"sampling": Sampling(temperature=0.7)},
        {"sampling": Sampling(seed=4)},
        {"model": Arm(model=MODEL, template=None, name="the same")},
    ],
    ids=["version", "place", "model", "max_tokens", "temperature", "seed", "another name of the arm"],
)
def test_only_the_same_question_to_the_same_model_is_known(other: dict[str, Any]) -> None:
    Evaluator(TEST).run(MODEL, backend=fixed())
    evaluator = Evaluator(TEST, sampling=other.get("sampling"))
    found = evaluator.run(other.get("model", MODEL), backend=other.get("backend") or fixed())
    assert found.reused == (60 if isinstance(other.get("model"), Arm) else 0)


def test_a_question_that_stands_twice_is_asked_twice_and_known_twice() -> None:

    test = Dataset.from_records([{"prompt": "say 1", "completion": "1"}] * 5)
    host = fixed()
    assert Evaluator(test).run(MODEL, backend=host).reused == 0 and host.answered == {"say 1": 5}
    assert Evaluator(test, scorers=[Longest(), ExactMatch()]).run(MODEL, backend=host).reused == 5


def test_a_name_that_may_come_to_mean_other_weights_is_asked_anew() -> None:
    hosts = Counting(says="old"), Counting(says="new")
    before, after = (Evaluator(TEST).run(MODEL, backend=host) for host in hosts)
    assert [host.answered.total() for host in hosts] == [60, 60] and before.reused == after.reused == 0
    assert {item.answer for item in after.items} == {"new"}


def test_a_name_that_the_caller_vouches_for_is_believed() -> None:
    host = Counting()
    evaluator = Evaluator(TEST, cache=True)
    assert [evaluator.run(MODEL, backend=host).reused for _ in range(2)] == [0, 60]
    # and others do not take it on trust
    assert Evaluator(TEST).run(MODEL, backend=host).reused == 0
    assert evaluator.run(MODEL, backend=host).reused == 60


def test_nothing_is_kept_where_nothing_shall_be(home: Path) -> None:
    host = fixed()
    evaluator = Evaluator(TEST, cache=False)
    assert [evaluator.run(MODEL, backend=host).reused for _ in range(2)] == [0, 0]
    assert not list(home.rglob("*answers*"))


@pytest.mark.parametrize("version", [None, "1"], ids=["may change", "fixed"])
def test_an_evaluation_that_was_cut_off_goes_on_where_it_was(version: str | None) -> None:
    whole = Evaluator(TEST, cache=False).run(MODEL, backend=Counting())
    with pytest.raises(UnsupportedError):
        Evaluator(TEST).run(MODEL, backend=(cut := Counting(version=version, stops_after=25)))
    found = Evaluator(TEST).run(MODEL, backend=(rest := Counting(version=version)))
    assert cut.answered.total() == found.reused == 25 and rest.answered.total() == 35
    assert not set(cut.answered) & set(rest.answered)
    assert told(found) | {"warnings": ()} == told(whole) | {"warnings": ()}
    if version:
        assert found.warnings == ()
        assert Evaluator(TEST).run(MODEL, backend=rest).reused == 60
    else:
        assert "25 answers of scripted:base are those of an evaluation that was cut off" in found.warnings[0]
        assert Evaluator(TEST).run(MODEL, backend=rest).reused == 0  # once, to finish it


def test_what_was_cut_off_a_day_ago_is_asked_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UnsupportedError):
        Evaluator(TEST).run(MODEL, backend=Counting(stops_after=25))
    now = SystemClock().now() + UNFINISHED_FOR_S + 1
    monkeypatch.setattr(SystemClock, "now", lambda self: now)
    assert Evaluator(TEST).run(MODEL, backend=Counting()).reused == 0


def test_a_failure_is_asked_again() -> None:
    class Failing(Counting):
        failing = True

        def _answer(self, prompt: str) -> Generation:
            if self.failing and prompt.endswith("3"):
                raise BackendError("overloaded", retryable=True)
            return super()._answer(prompt)

    host = Failing(version="1")
    first = Evaluator(TEST, max_error_rate=0.5).run(MODEL, backend=host)
    assert first["exact_match"].n_errors == 6
    host.failing = False
    second = Evaluator(TEST).run(MODEL, backend=host)
    assert second.reused == 54 and second["exact_match"].n_errors == 0
    assert max(host.answered.values()) == 1


def test_a_function_is_always_called() -> None:
    evaluator = Evaluator(TEST, cache=True)
    evaluator.run(Arm(model=lambda prompt: "1", name="f"))
    found = evaluator.run(Arm(model=lambda prompt: "2", name="f"))
    assert {item.answer for item in found.items} == {"2"} and found.reused == 0


def judged(judge: Counting) -> scorers.AnswerScorer:
    return scorers.Judge("Is it right?", model="scripted:judge", backend=judge)


def graded(judge: Counting) -> scorers.AnswerScorer:
    body = {
        "type": "score_model",
        "name": "judge",
        "model": "gpt-4o",
        "input": [{"role": "user", "content": "Is {{sample.output_text}} right?"}],
        "range": [0, 1],
    }
    return scorers.from_openai(body, judge="scripted:judge", backend=judge)


@pytest.mark.parametrize("scorer", [judged, graded])
def test_replies_of_judges_are_kept(scorer: Any) -> None:
    says = '{"score": 1, "result": 1, "reasons": "", "verdict": 1}'
    host, judge = fixed(), fixed(says=says)
    first, second = (Evaluator(TEST, scorers=[scorer(judge)]).run(MODEL, backend=host) for _ in range(2))
    assert judge.answered.total() == host.answered.total() == 60
    assert first["judge"] == second["judge"] and first["judge"].n_errors == 0


def test_evaluations_at_once_from_threads_and_from_one_loop() -> None:
    """Ten at a time over three models: each gives what it gives alone."""
    evaluator = Evaluator(TEST, scorers=[ExactMatch(), Longest()])
    models = [f"scripted:{at % 3}" for at in range(10)]
    alone = {
        model: told(
            Evaluator(TEST, scorers=[ExactMatch(), Longest()], cache=False).run(model, backend=fixed())
        )
        for model in set(models)
    }
    with ThreadPoolExecutor(max_workers=10) as threads:
        from_threads = list(threads.map(lambda model: evaluator.run(model, backend=fixed()), models))

    async def together() -> Sequence[Evaluation]:
        return await asyncio.gather(*(evaluator.run_async(model, backend=fixed()) for model in models))

    for found in (*from_threads, *asyncio.run(together())):
        assert told(found) == alone[str(found.model)]
    assert evaluator.run(models[0], backend=fixed()).reused == 120


# --- a cache that does not work -----------------------------------------------------------------------


def damaged(path: Path) -> None:
    path.write_bytes(b"SQLite format 3\0" + b"\xff" * 5000)


def newer(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA application_id=1953852005")
    connection.execute("PRAGMA user_version=99")
    connection.close()


def directory(path: Path) -> None:
    path.mkdir()


@pytest.mark.parametrize("spoil", [damaged, newer, directory])
def test_a_cache_that_does_not_work_is_told_and_costs_no_result(home: Path, spoil: Any) -> None:
    home.mkdir(exist_ok=True)
    spoil(path := home / "answers.sqlite3")
    found = Evaluator(TEST).run(MODEL, backend=fixed())
    assert found["exact_match"].n_errors == 0
    assert "answers are not kept" in found.warnings[0] and str(path) in found.warnings[0]


def test_a_home_that_cannot_be_written_is_told(home: Path) -> None:
    (home / "file").write_text("no directory")
    found = Evaluator(TEST, settings=Settings(home=home / "file")).run(MODEL, backend=fixed())
    assert found["exact_match"].n_errors == 0 and "answers are not kept" in found.warnings[0]


def test_a_row_that_cannot_be_read_is_asked_again(home: Path) -> None:
    host = fixed()
    Evaluator(TEST).run(MODEL, backend=host)
    connection = sqlite3.connect(home / "answers.sqlite3")
    connection.execute("UPDATE answers SET body = '[1]' WHERE rowid % 3 = 0")
    connection.commit()
    connection.close()
    again = Evaluator(TEST).run(MODEL, backend=host)
    assert again.reused == 40 and host.answered.total() == 80


def test_nobody_else_can_read_what_is_kept(home: Path) -> None:
    with pytest.raises(UnsupportedError):
        Evaluator(TEST).run(MODEL, backend=fixed(stops_after=5))
    Evaluator(numbers(70)).run(MODEL, backend=fixed())
    seen = 0
    for path in home.rglob("*answers*"):
        # SQLite removes its log when the last thread has let go of the file.
        with suppress(FileNotFoundError):
            assert path.stat().st_mode & 0o077 == 0, path
            seen += 1
    assert seen >= 2
