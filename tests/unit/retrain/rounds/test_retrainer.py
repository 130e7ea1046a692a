"""From new data to a better model, or to the old one."""

from __future__ import annotations

import asyncio
import threading
from datetime import date
from pathlib import Path

import pytest

import tunekit as tk
from tests.unit.retrain.rounds.products import TEST, FakeClock, Host, product, rows, states
from tunekit.errors import TunekitError
from tunekit.events import JobState, Step
from tunekit.retrain.rounds import BaseEnds, Every, LabelDrift, MetricDrop, NewRows, Replay, Transition
from tunekit.testing import Fault, training_script

WHOLE = ["requested", "preparing", "training", "training", "evaluating", "promoting", "promoted"]


def test_a_better_model_is_promoted_and_a_worse_one_is_not(tmp_path: Path) -> None:
    host = Host(0.8, 0.4, 0.81, 0.95)
    retrainer = product(tmp_path, host)
    registry = retrainer.rounds.registry

    first = retrainer.run(rows("a"))
    assert (first.state, first.promoted, first.ref) == (tk.RoundState.PROMOTED, True, "bot@1")
    assert states(retrainer, first) == WHOLE
    assert registry.resolve("bot@champion") == first.model == "scripted:base-tuned-1"

    worse = retrainer.run(rows("b"))
    assert worse.state is tk.RoundState.REJECTED and not worse.promoted
    assert worse.champion == 1 and "exact_match" in worse.reasons[0]

    unclear = retrainer.run(rows("c"))
    assert unclear.state is tk.RoundState.INCONCLUSIVE
    assert registry.resolve("bot@champion") == first.model

    better = retrainer.run(rows("d"))
    assert better.promoted and better.champion == 1
    assert better.amounts is not None and (better.amounts.old, better.amounts.new) == (50, 150)
    assert retrainer.rounds.get(first.round_id).state is tk.RoundState.SUPERSEDED
    version = registry.version("bot@champion")
    assert version.parent == 1 and version.data["train"] == better.train and version.job == better.job
    assert (Path(better.report) / "comparison.html").is_file()
    stored = tk.Comparison.from_json((Path(better.report) / "comparison.json").read_text())
    assert stored.evaluations[1].model == better.model


def test_the_same_data_by_the_same_terms_are_one_round(tmp_path: Path) -> None:
    host = Host(0.8)
    first = product(tmp_path, host).run(rows("a"))
    again = product(tmp_path, host).run(rows("a"))
    assert again == first and host.counters.jobs == 1
    by_key = product(tmp_path, host).run(rows("a"), key="week 47")
    assert by_key.round_id != first.round_id, "another key is another round"
    with pytest.raises(tk.ConflictError, match="week 47"):
        product(tmp_path, host).run(rows("b"), key="week 47")
    assert product(tmp_path, host).run(rows("a"), key="week 47") == by_key


def test_a_failed_round_says_why_to_everybody_and_may_be_asked_for_again(tmp_path: Path) -> None:
    broken = Host(script=training_script(end=JobState.FAILED))
    with pytest.raises(tk.JobFailedError, match="the script says so"):
        product(tmp_path, broken).run(rows("a"))
    (failed,) = product(tmp_path, broken).rounds.list()
    assert failed.state is tk.RoundState.FAILED and failed.error is not None and failed.error.hint
    assert product(tmp_path, Host(0.9)).run(rows("a")).attempt == 2


def test_a_refused_job_fails_the_round_and_a_host_that_is_away_does_not(tmp_path: Path) -> None:
    away = Host(0.9, read_failures=10_000)
    with pytest.raises(tk.BackendError):
        product(tmp_path, away).run(rows("a"))
    (waiting,) = product(tmp_path, away).rounds.list()
    assert waiting.state is tk.RoundState.TRAINING
    away._read_failures = 0
    (done,) = product(tmp_path, away).resume()
    assert done.promoted and away.counters.jobs == 1
    refusing = Host(faults=[Fault.REFUSE])
    with pytest.raises(tk.BackendError, match="refuses"):
        product(tmp_path, refusing).run(rows("b"))
    assert product(tmp_path, refusing).rounds.list()[0].state is tk.RoundState.FAILED


def test_rows_of_the_tests_and_repeated_rows_are_left_out(tmp_path: Path) -> None:
    leaky = tk.Dataset.from_records([*TEST[:7]]) + rows("a") + rows("a", 10)
    done = product(tmp_path, Host(0.9)).run(leaky)
    assert done.amounts is not None
    assert (done.amounts.new, done.amounts.leaking, done.amounts.repeated) == (50, 7, 10)
    assert done.decision is not None and done.decision["leakage"].outcome == "passed"


def test_nothing_to_train_on_is_an_error_of_the_data(tmp_path: Path) -> None:
    retrainer = product(tmp_path, Host())
    with pytest.raises(tk.DataError, match="no row is left"):
        retrainer.run(tk.Dataset.from_records(TEST[:5]))
    with pytest.raises(tk.DataError, match="no rows yet"):
        product(tmp_path / "other", Host()).run()
    with pytest.raises(tk.DataError, match="there are no rows"):
        retrainer.run(tk.Dataset())


def test_going_on_from_the_champion_with_a_replay(tmp_path: Path) -> None:
    retrainer = product(tmp_path, Host(0.8, 0.9), start="champion", history=Replay(share=0.2, floor=1))
    first, asked = retrainer.run(rows("a", 100)), retrainer.dry_run(rows("b", 800))
    assert "there are 100 old rows to replay, and 200 were asked for" in asked.notes
    second = retrainer.run(rows("b", 80))
    assert second.amounts is not None and (second.amounts.new, second.amounts.old) == (80, 20)
    assert (first.recipe["warm_start"], second.recipe["warm_start"]) == (None, "scripted:base-tuned-1")


def test_a_model_that_others_registered_is_not_gone_on_from(tmp_path: Path) -> None:
    host = Host(0.9)
    retrainer = product(tmp_path, host, start="champion")
    registry = retrainer.rounds.registry
    registry.register("bot", "scripted:theirs")
    registry.promote("bot@1", expected=None)
    done = retrainer.run(rows("a"))
    assert done.champion == 1 and done.recipe["warm_start"] is None
    assert "not trained by this pipeline" in done.notes[0]


def test_the_champion_is_asked_again_and_not_remembered(tmp_path: Path) -> None:
    host = Host(0.8, 0.9)
    product(tmp_path, host).run(rows("a"))
    host.asked.clear()
    settings = tk.Settings(home=tmp_path)
    other = rows("new", 400)
    product(tmp_path, host, evaluator=tk.Evaluator(other, settings=settings)).run(rows("b"))
    assert set(host.asked) == {"base-tuned-1", "base-tuned-2"}


def test_what_was_promoted_meanwhile_is_measured_against(tmp_path: Path) -> None:
    host = Host(0.8, 0.9)
    retrainer = product(tmp_path, host, approval="manual")
    waiting = retrainer.run(rows("a"))
    registry = retrainer.rounds.registry
    registry.register("bot", "scripted:base", note="by hand")
    registry.promote("bot@2", expected=None)
    assert retrainer.rounds.approve(waiting.round_id, by="ann").state is tk.RoundState.EVALUATING
    (measured,) = retrainer.resume()
    assert measured.champion == 2 and measured.state is tk.RoundState.AWAITING_APPROVAL
    assert "measured again" in measured.notes[0]
    assert retrainer.rounds.approve(measured.round_id, by="ann").promoted


def test_never_promoting_leaves_it(tmp_path: Path) -> None:
    retrainer = product(tmp_path, Host(0.9), approval="never")
    assert retrainer.run(rows("a")).state is tk.RoundState.PASSED
    with pytest.raises(tk.NotFoundError):
        retrainer.rounds.registry.resolve("bot@champion")


def test_a_dry_run_says_all_and_writes_nothing(tmp_path: Path) -> None:
    host = Host(0.8)
    retrainer = product(tmp_path, host)
    plan = retrainer.dry_run(rows("a"))
    assert (plan.amounts.new, plan.items, plan.standing) == (50, 400, "")
    assert plan.chances[0].power < plan.chances[-1].power and plan.is_disagreement_assumed
    assert host.counters.jobs == 0 and retrainer.rounds.list() == []
    done = retrainer.run(rows("a"))
    after = retrainer.dry_run(rows("a"))
    assert after.standing == done.round_id and not after.is_disagreement_assumed
    assert "a gain of +0.12 passes with" in str(after)


def test_reasons_to_retrain(tmp_path: Path) -> None:
    clock = FakeClock()
    host = Host(0.8, clock=clock)
    triggers = (
        Every(days=7),
        NewRows(rows=40),
        LabelDrift(least_rows=10),
        MetricDrop(of="exact_match", by=0.1),
    )
    retrainer = product(tmp_path, host, triggers=(*triggers, BaseEnds(days=30)))
    assert retrainer.due() == ("no round was asked for yet",)
    retrainer.run(rows("a"))
    assert retrainer.due() == ()
    clock.advance(8 * 86_400)
    other = rows("x", 200).filter(lambda row: getattr(row, "completion", "") == "1")
    said = retrainer.due(other, measured={"exact_match": 0.5})
    assert [text.split(" ")[0] for text in said] == ["the", "40", "labels", "exact_match"]
    registry = retrainer.rounds.registry
    registry.register("bot", "scripted:old", base_ends=date(2025, 7, 1))
    registry.promote("bot@2", expected=1)
    assert any("base model answers for" in text for text in retrainer.due())


def test_events_tell_of_everything_in_the_calling_thread(tmp_path: Path) -> None:
    seen: list[object] = []
    threads = set()

    def listen(event: object) -> None:
        threads.add(threading.current_thread())
        seen.append(event)
        raise RuntimeError("the host's trouble")

    done = product(tmp_path, Host(0.9)).run(rows("a"), on_event=listen)
    told = [str(each.state) for each in seen if isinstance(each, Transition)]
    assert done.promoted and told == WHOLE[1:] and threads == {threading.current_thread()}
    assert {type(each).__name__ for each in seen} >= {"Step", "Progress", "StateChanged"}


def test_a_round_without_time_stops_its_job(tmp_path: Path) -> None:
    clock = FakeClock()
    slow = Host(events_per_poll=1, script=training_script(steps=3000), clock=clock)
    retrainer = product(tmp_path, slow, budget=tk.Budget(max_seconds=60))
    # Who looks first says it: the job, or the round that waits for it.
    with pytest.raises((tk.BudgetError, tk.JobCancelledError), match="60"):
        retrainer.run(rows("a"), on_event=lambda event: clock.advance(1.0))
    assert slow.counters.cancels == 1 and retrainer.rounds.list()[0].state is tk.RoundState.FAILED


def test_somebody_elses_cancel_stops_the_job(tmp_path: Path) -> None:
    endless = Host(events_per_poll=1, script=training_script(steps=3000))
    retrainer = product(tmp_path, endless)

    def stop(event: object) -> None:
        if isinstance(event, Step) and event.step == 1:
            (at_work,) = retrainer.rounds.list(states=[tk.RoundState.TRAINING])
            retrainer.rounds.cancel(at_work.round_id, by="ann", reason="a mistake")

    done = asyncio.run(retrainer.run_async(rows("a"), on_event=stop))
    assert done.state is tk.RoundState.CANCELLED and endless.counters.cancels == 1
    assert retrainer.rounds.history(done.round_id)[-1].by == "ann"


def test_arguments_are_checked(tmp_path: Path) -> None:
    for wrong in ({"start": "middle"}, {"approval": "maybe"}, {"rollout": ["big bang"]}, {"history": "some"}):
        with pytest.raises(tk.SpecError):
            product(tmp_path, Host(), **wrong)
    with pytest.raises(tk.RefError):
        product(tmp_path, Host(), alias="Bot!")
    with pytest.raises(TunekitError):
        product(tmp_path, Host()).rounds.get("round-0")
