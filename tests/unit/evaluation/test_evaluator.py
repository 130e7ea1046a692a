"""The evaluator end to end on a backend that answers from a table."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest

from tests.unit.evaluation.fakes import TableBackend, failing_on, right_on, tickets
from tunekit._portal import BlockingCallWarning
from tunekit.backends import registry
from tunekit.backends.base import GenerateRequest
from tunekit.data.dataset import Dataset
from tunekit.errors import (
    DataError,
    EvaluationError,
    NotFoundError,
    RefError,
    SpecError,
    UnsupportedError,
)
from tunekit.evaluation import stats
from tunekit.evaluation.comparison import Comparison
from tunekit.evaluation.evaluator import Evaluator
from tunekit.evaluation.items import Item
from tunekit.evaluation.results import Evaluation
from tunekit.evaluation.running.runner import Progress
from tunekit.evaluation.scorers import Accuracy, Custom, ExactMatch
from tunekit.refs import ModelRef
from tunekit.spec import Sampling

N = 100


def backend() -> TableBackend:
    return TableBackend(
        models={
            "base": right_on(range(40)),
            "tuned": right_on(range(5, 90)),
            "flaky": failing_on({7, 8}, right_on(range(5, 90))),
            "broken": failing_on(range(30, N), right_on(range(N))),
            "down": failing_on(range(N), right_on(range(N))),
        }
    )


def evaluator(**options: object) -> Evaluator:
    return Evaluator(tickets(N), **options)  # type: ignore[arg-type]


def test_one_model() -> None:
    evaluation = evaluator().run("table:base", backend=backend())
    metric = evaluation["exact_match"]
    assert metric.value == stats.wilson(40, N)
    assert (metric.kind == "binary", metric.n_errors) == (True, 0)
    assert [item.scores["exact_match"] for item in evaluation.items] == [1.0] * 40 + [0.0] * 60
    assert (evaluation.items[0].answer, evaluation.items[99].answer) == ("billing", "billing")
    assert (evaluation.input_tokens, evaluation.output_tokens) == (2 * N, 3 * N)
    assert evaluation.warnings == ()
    assert evaluation.model == ModelRef("table:base")
    assert evaluation.provenance.test_fingerprint == tickets(N).fingerprint()


def test_two_models_paired() -> None:
    report = evaluator().compare("table:base", "table:tuned", backend=backend())
    found = report["exact_match"]
    assert (found.wins, found.losses, found.ties) == (50, 5, 45)
    assert found.delta == stats.tango(50, 5, N)
    assert found.p_value == stats.mcnemar_mid_p(50, 5)
    assert found.verdict == "better"
    assert found.newly_broken == tuple(f"tickets:{number + 1}" for number in range(5))
    assert found.newly_fixed == tuple(f"tickets:{number + 1}" for number in range(40, 90))
    assert (found.a.value, found.b.value) == (stats.wilson(40, N), stats.wilson(85, N))
    assert (found.n_paired, found.warnings) == (N, ())


def test_the_other_way_round_is_worse() -> None:
    report = evaluator().compare("table:tuned", "table:base", backend=backend())
    assert report["exact_match"].verdict == "worse"


def test_a_model_against_itself_is_equivalent_only_within_a_margin() -> None:
    same = ("table:base", "table:base")
    assert evaluator(margin=0.05).compare(*same, backend=backend())["exact_match"].verdict == "equivalent"
    undecided = evaluator().compare(*same, backend=backend())["exact_match"]
    assert undecided.verdict == "inconclusive"
    assert undecided.p_value == 1.0
    assert any("do not settle it" in warning for warning in undecided.warnings)


def test_both_models_are_asked_exactly_the_same() -> None:
    table = backend()
    evaluator(batch_size=7, concurrency=3).compare("table:base", "table:tuned", backend=table)
    asked: dict[str, list[object]] = {"base": [], "tuned": []}
    for model, requests in table.asked:
        asked[model].append(requests)
    assert asked["base"] == asked["tuned"]
    assert sum(len(requests) for _, requests in table.asked) == 2 * N
    assert table.most_in_flight <= 3


def test_failures_are_errors_and_not_wrong_answers() -> None:
    report = evaluator().compare("table:base", "table:flaky", backend=backend())
    found = report["exact_match"]
    assert (found.b.n_errors, found.b.value.n, found.n_paired) == (2, 98, 98)
    assert found.b.value == stats.wilson(83, 98)
    assert (found.wins, found.losses) == (50, 5)
    assert found.verdict == "better"
    assert "could not score 2 of 100" in report.warnings[0]


def test_too_many_failures_leave_no_verdict() -> None:
    report = evaluator().compare("table:base", "table:broken", backend=backend())
    found = report["exact_match"]
    assert found.b.n_errors == 70
    assert found.verdict == "inconclusive"
    assert any("no verdict" in warning for warning in found.warnings)
    generous = evaluator(max_error_rate=1.0, margin=0.2).compare(
        "table:base", "table:broken", backend=backend()
    )
    assert generous["exact_match"].verdict == "equivalent"


def test_a_model_that_never_answers_is_an_error() -> None:
    with pytest.raises(EvaluationError, match=r"first \d+ of 100 items all failed: q0 refused"):
        evaluator().run("table:down", backend=backend())


def test_cut_answers_are_counted_aloud() -> None:
    table = backend()
    table.finish_reason = "length"
    evaluation = evaluator(sampling=Sampling(max_tokens=3)).run("table:base", backend=table)
    assert evaluation.warnings == ("100 of 100 answers were cut at max_tokens=3",)


def test_answer_that_the_host_blocked_is_no_wrong_one() -> None:
    table = backend()
    table.finish_reasons = {f"q{number}": "content_filter" for number in range(0, 12, 2)}
    report = evaluator().compare("table:base", "table:tuned", backend=table)
    found = report["exact_match"]
    assert (found.a.n_errors, found.b.n_errors, found.n_paired) == (6, 6, N - 6)
    assert found.verdict == "inconclusive", "more than max_error_rate of them"
    (row, *_) = evaluator().run("table:base", backend=table).items
    assert row.errors == {"exact_match": "BackendError: blocked by the host (content_filter)"}
    assert (row.scores, row.finish_reason) == ({}, "content_filter")


def test_host_that_blocks_everything_gives_no_score() -> None:
    table = backend()
    table.finish_reason = "content_filter"
    with pytest.raises(EvaluationError, match="blocked by the host"):
        evaluator().run("table:base", backend=table)


def test_odd_ends_and_notes_are_warned_of() -> None:
    table = backend()
    table.finish_reasons = {"q1": "abort", "q2": "tool_calls", "q3": "overloaded", "q4": "abort"}
    table.notes = {"q5": "came by post", "q6": "came by post"}
    assert evaluator().run("table:base", backend=table).warnings == (
        "3 of 100 answers ended with 'abort', 'overloaded', and may not be whole",
        "2 of 100 answers: came by post",
    )


def test_accuracy_scores_the_choices_and_generates_nothing() -> None:
    table = backend()
    report = evaluator(scorers=[Accuracy()]).compare("table:base", "table:tuned", backend=table)
    assert report["accuracy"].delta == stats.tango(50, 5, N)
    assert not any(
        isinstance(request, GenerateRequest) for _, requests in table.asked for request in requests
    )


def length(item: Item, answer: str) -> float:
    return len(answer) / 10


async def patient(item: Item, answer: str) -> bool:
    await asyncio.sleep(0)
    if item.id == "tickets:3":
        raise ValueError("out of patience")
    return answer == item.reference


def test_several_scorers_share_one_generation() -> None:
    table = backend()
    report = evaluator(scorers=[ExactMatch(), length, patient]).compare(
        "table:base", "table:tuned", backend=table
    )
    assert sum(len(requests) for _, requests in table.asked) == 2 * N
    assert report.names == ("exact_match", "length", "patient")
    assert report["length"].method == "paired t interval"
    assert report["length"].test == "sign-flip permutation"
    assert (report["patient"].a.n_errors, report["patient"].n_paired) == (1, N - 1)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "yes", None])
def test_a_scorer_that_gives_no_number_makes_errors(value: object) -> None:
    odd = Custom(function=lambda item, answer: value if item.id == "tickets:1" else 1.0, name="odd")  # type: ignore[arg-type,return-value]
    evaluation = evaluator(scorers=[odd]).run("table:base", backend=backend())
    assert evaluation["odd"].n_errors == 1
    assert repr(value) in evaluation.items[0].errors["odd"]


def test_a_scorer_that_scores_nothing_is_an_error() -> None:
    never = Custom(function=lambda item, answer: 1 / 0, name="never")
    with pytest.raises(EvaluationError, match=r"'never' could not score any of 100.*ZeroDivisionError"):
        evaluator(scorers=[never]).run("table:base", backend=backend())


def test_stored_evaluations_come_back_equal_and_can_be_compared() -> None:
    table, judge = backend(), evaluator()
    stored = judge.run("table:base", backend=table)
    loaded = Evaluation.from_json(stored.to_json())
    assert loaded == stored
    table.asked.clear()
    report = judge.compare(loaded, "table:tuned", backend=table)
    assert {model for model, _ in table.asked} == {"tuned"}
    assert report["exact_match"].verdict == "better"
    assert Comparison.from_json(report.to_json(indent=2)) == report


def test_an_interval_without_ends_survives_json() -> None:
    single = Evaluator(tickets(1), scorers=[Custom(function=lambda item, answer: 2.5, name="odd")])
    report = single.compare("table:base", "table:tuned", backend=backend())
    assert report["odd"].delta.high == float("inf")
    assert report["odd"].verdict == "inconclusive"
    assert Comparison.from_json(report.to_json()) == report


@pytest.mark.parametrize(
    ("other", "what"),
    [
        (Evaluator(tickets(N + 1)), "test set"),
        (Evaluator(tickets(N), sampling=Sampling(temperature=1.0)), "sampling"),
        (Evaluator(tickets(N), scorers=[ExactMatch(normalise="text")]), "scorer 'exact_match'"),
    ],
    ids=["test set", "sampling", "scorer"],
)
def test_unlike_evaluations_are_refused_before_anything_is_asked(other: Evaluator, what: str) -> None:
    table = backend()
    stored = other.run("table:base", backend=TableBackend(models={"base": right_on(range(40))}))
    with pytest.raises(EvaluationError, match=what):
        evaluator().compare(stored, "table:tuned", backend=table)
    assert table.asked == []


def test_what_is_no_stored_result_is_refused() -> None:
    with pytest.raises(SpecError, match="model"):
        Evaluation.from_json('{"schema_version": 1}')


@pytest.fixture
def registered() -> Iterator[TableBackend]:
    table = backend()
    take_back = registry.register("table", lambda **_: table)
    yield table
    take_back()


def test_models_lead_to_their_backend_by_name(registered: TableBackend) -> None:
    assert evaluator().compare("table:base", "table:tuned")["exact_match"].verdict == "better"
    assert registered.asked


def test_what_concerns_the_whole_run_is_raised(registered: TableBackend) -> None:
    with pytest.raises(NotFoundError, match="'nobody'"):
        evaluator().run("table:nobody")
    with pytest.raises(NotFoundError, match="'elsewhere'"):
        evaluator().run("elsewhere:base")
    with pytest.raises(RefError):
        evaluator().run("base")


class Mute(TableBackend):
    async def score(self, model: str, requests: object) -> list[object]:  # type: ignore[override]
        self._unsupported("score")


def test_a_backend_that_cannot_score_says_so() -> None:
    with pytest.raises(UnsupportedError, match="cannot score"):
        evaluator(scorers=[Accuracy()]).run("table:base", backend=Mute(models=backend().models))


def test_a_backend_of_another_name_is_refused() -> None:
    with pytest.raises(SpecError, match="'table'"):
        evaluator().run("local:base", backend=backend())
    with pytest.raises(SpecError, match="'table'"):
        evaluator().compare("local:base", "local:tuned", backend=backend())


def test_progress_is_told_and_a_callback_that_raises_is_outlived() -> None:
    seen: list[Progress] = []

    def watch(progress: Progress) -> None:
        seen.append(progress)
        raise RuntimeError("screen is gone")

    evaluator(batch_size=30).run("table:flaky", backend=backend(), on_progress=watch)
    assert seen[-1] == Progress(model="table:flaky", phase="generate", done=N, total=N, errors=2)
    assert [progress.done for progress in seen] == sorted(progress.done for progress in seen)


async def test_from_a_running_loop() -> None:
    judge = evaluator()
    first, second = await asyncio.gather(
        judge.run_async("table:base", backend=backend()),
        judge.compare_async("table:base", "table:tuned", backend=backend()),
    )
    assert second["exact_match"].a == first["exact_match"]
    with pytest.warns(BlockingCallWarning, match="Evaluator.run_async"):
        again = judge.run("table:base", backend=backend())
    assert again.metrics == first.metrics


def test_from_several_threads_at_once() -> None:
    judge, verdicts = evaluator(), []

    def work() -> None:
        verdicts.append(judge.compare("table:base", "table:tuned", backend=backend())["exact_match"].verdict)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert verdicts == ["better"] * 8


@pytest.mark.parametrize(
    "options",
    [
        {"scorers": []},
        {"scorers": [ExactMatch(), ExactMatch(normalise="text")]},
        {"margin": -0.1},
        {"min_gain": float("nan")},
        {"level": 95},
        {"max_error_rate": 5},
        {"batch_size": 0},
    ],
    ids=str,
)
def test_mistakes_are_found_before_any_model_is_asked(options: dict[str, object]) -> None:
    with pytest.raises(SpecError):
        evaluator(**options)


def test_no_examples() -> None:
    with pytest.raises(DataError, match="empty"):
        Evaluator(Dataset())


def test_unknown_scorer_names_what_there_is() -> None:
    evaluation = evaluator().run("table:base", backend=backend())
    with pytest.raises(NotFoundError, match="exact_match"):
        evaluation["bleu"]
