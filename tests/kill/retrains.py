"""A retraining in a process of its own, killed at chosen or random moments until it comes to its end."""

from __future__ import annotations

import json
import random
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tunekit as tk
from tests.processes import start_python
from tests.unit.retrain.rounds.products import Host, product, rows, states

CHILD = """
import json, os, signal, sys
from pathlib import Path

import tunekit as tk
from tests.unit.retrain.rounds.products import Host, product, rows
from tunekit.retrain.registry import SqliteRegistryStore
from tunekit.retrain.rounds import SqliteRoundStore

home, at = Path(sys.argv[1]), int(sys.argv[2])
settings, seen = tk.Settings(home=home), 0


def moment():
    global seen
    seen += 1
    if seen == at:
        os.kill(os.getpid(), signal.SIGKILL)


def dangerous(store, *verbs):
    for verb in verbs:
        def call(*given, _real=getattr(store, verb), **named):
            moment()
            answer = _real(*given, **named)
            moment()
            return answer
        setattr(store, verb, call)
    return store


host = Host(0.7, 0.9, directory=home / "host", on_accept=lambda job: moment())
retrainer = product(
    home,
    host,
    rounds=dangerous(SqliteRoundStore(settings), "add_batch", "request", "move"),
    registry=tk.Registry(dangerous(SqliteRegistryStore(settings), "add_version", "add_move")),
)
print("ready", flush=True)
done = retrainer.run(rows("new"))
print(json.dumps({"round": done.round_id, "state": str(done.state), "moments": seen}), flush=True)
"""


@dataclass
class Retrained:
    """What came of one retraining.

    Attributes:
        round_id: Its round.
        state: How that ended.
        moments: What could have been a moment to kill it, in the last process.
        kills: How often it was killed.
    """

    round_id: str
    state: str
    moments: int
    kills: int


def begun(home: Path) -> tk.Round:
    """A product that has been trained once."""
    done = product(home, Host(0.7, 0.9, directory=home / "host")).run(rows("old"))
    assert done.promoted
    return done


def retrained_under_fire(home: Path, *, at: int = 0, kills: int = 0, seed: int = 0) -> Retrained:
    """Retrain with new rows.

    Args:
        home: Of the product.
        at: The moment at which the first process kills itself; 0 for none.
        kills: How often a process is killed from outside, at random, unless it ends before.
        seed: Of those moments.
    """
    draw, done = random.Random(seed), 0
    while True:
        with start_python(CHILD, home, at) as child:
            assert child.stdout is not None and child.stdout.readline() == "ready\n"
            if done < kills:
                time.sleep(draw.uniform(0.0, 0.8))
                done += child.poll() is None
                child.kill()
            said = child.stdout.read()
            errors = child.stderr.read() if child.stderr else ""
        if said.endswith("\n"):
            told: dict[str, Any] = json.loads(said)
            return Retrained(told["round"], told["state"], told["moments"], done)
        assert errors == "", errors
        if at:
            done, at = done + 1, 0


def check(home: Path, found: Retrained, before: tk.Round) -> None:
    """One job for each request, the right alias, every transition in its place, and nothing left open."""
    host = Host(0.7, 0.9, directory=home / "host")
    assert host.counters.jobs == 2, "a second bill"
    retrainer = product(home, host)
    rounds = retrainer.rounds
    assert found.state == "promoted"
    assert rounds.registry.resolve("bot@champion") == "scripted:base-tuned-2"
    assert [move.after for move in rounds.registry.history("bot@champion")] == [1, 2]
    assert [each.round_id for each in rounds.list()] == [found.round_id, before.round_id]
    history = rounds.history(found.round_id)
    assert [each.sequence for each in history] == list(range(1, len(history) + 1))
    assert states(retrainer, rounds.get(found.round_id)) == [
        "requested",
        "preparing",
        "training",
        "training",
        "evaluating",
        "promoting",
        "promoted",
    ]
    assert rounds.get(before.round_id).state is tk.RoundState.SUPERSEDED
    assert retrainer.resume() == []
