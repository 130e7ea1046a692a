"""What a host decides: approval, shadow, canary, rolling back; and who answers meanwhile."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

import tunekit as tk
from tests.unit.retrain.rounds.products import Host, product, rows


def test_approving_and_declining(tmp_path: Path) -> None:
    retrainer = product(tmp_path, Host(0.7, 0.8, 0.9), approval="manual")
    rounds = retrainer.rounds
    waiting = retrainer.run(rows("a"))
    assert waiting.state is tk.RoundState.AWAITING_APPROVAL
    done = rounds.approve(waiting.round_id, by="ann", reason="looks good")
    assert done.promoted and rounds.history(done.round_id)[-2].by == "ann"
    with pytest.raises(tk.ConflictError, match="is promoted, not 'awaiting_approval'"):
        rounds.approve(done.round_id)
    second = retrainer.run(rows("b"))
    assert rounds.decline(second.round_id, by="bob").state is tk.RoundState.DECLINED
    assert rounds.registry.resolve("bot@champion") == done.model


def test_a_later_round_takes_the_place_of_one_that_waits(tmp_path: Path) -> None:
    retrainer = product(tmp_path, Host(0.7, 0.9), approval="manual")
    first, second = retrainer.run(rows("a")), retrainer.run(rows("b"))
    assert retrainer.rounds.get(first.round_id).state is tk.RoundState.SUPERSEDED
    assert second.state is tk.RoundState.AWAITING_APPROVAL


def test_shadow_and_canary_are_driven_by_the_host(tmp_path: Path) -> None:
    retrainer = product(tmp_path, Host(0.7, 0.9), rollout=("shadow", "canary"))
    rounds = retrainer.rounds
    first = retrainer.run(rows("a"))
    assert first.state is tk.RoundState.SHADOW
    with pytest.raises(tk.NotFoundError):
        rounds.route("ann")
    rounds.advance(rounds.advance(first.round_id).round_id)
    assert rounds.get(first.round_id).promoted

    second = retrainer.run(rows("b"))
    seen = rounds.route("ann")
    assert (seen.model, seen.shadow, seen.is_canary) == (first.model, second.model, False)
    canary = rounds.advance(second.round_id, by="ann")
    assert canary.state is tk.RoundState.CANARY and canary.share == 0.05
    users = [f"user {number}" for number in range(2000)]
    few = {who for who in users if rounds.route(who).is_canary}
    assert 60 <= len(few) <= 140
    rounds.advance(second.round_id, share=0.5)
    half = {who for who in users if rounds.route(who).is_canary}
    assert few <= half and 900 <= len(half) <= 1100, "a canary that grows keeps whom it had"
    assert rounds.advance(second.round_id).promoted
    assert Counter(rounds.route(who).model for who in users) == {second.model: 2000}


def test_declining_a_canary_leaves_what_is_in_use(tmp_path: Path) -> None:
    host = Host(0.7, 0.9)
    first = product(tmp_path, host).run(rows("a"))
    careful = product(tmp_path, host, rollout=("canary",))
    second = careful.run(rows("b"))
    assert careful.rounds.decline(second.round_id, reason="complaints").state is tk.RoundState.ROLLED_BACK
    assert careful.rounds.route("ann").model == first.model


@pytest.mark.parametrize("share", [0.0, 1.0, -1.0, float("nan")])
def test_a_share_is_a_share(tmp_path: Path, share: float) -> None:
    retrainer = product(tmp_path, Host(0.9), rollout=("canary",))
    done = retrainer.run(rows("a"))
    with pytest.raises(tk.SpecError, match="share is"):
        retrainer.rounds.advance(done.round_id, share=share)


def test_rolling_back_and_what_rounds_say_of_it(tmp_path: Path) -> None:
    retrainer = product(tmp_path, Host(0.7, 0.9))
    rounds = retrainer.rounds
    first, second = retrainer.run(rows("a")), retrainer.run(rows("b"))
    move = rounds.rollback(by="ann", reason="complaints", key="ticket 7")
    assert (move.before, move.after) == (2, 1)
    assert rounds.rollback(by="ann", reason="complaints", key="ticket 7") == move, "once"
    assert rounds.get(second.round_id).state is tk.RoundState.ROLLED_BACK
    assert rounds.get(first.round_id).promoted
    assert rounds.registry.resolve("bot@champion") == first.model
    assert str(rounds.get(second.round_id)).startswith(f"{second.round_id} of bot@champion: rolled_back")


def test_a_round_of_another_product_is_not_ours(tmp_path: Path) -> None:
    done = product(tmp_path, Host(0.9)).run(rows("a"))
    others = tk.Rounds("other", settings=tk.Settings(home=tmp_path))
    with pytest.raises(tk.NotFoundError):
        others.get(done.round_id)
    assert others.list() == []
