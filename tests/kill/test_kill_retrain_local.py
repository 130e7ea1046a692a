"""A retraining on this machine that is killed: its trainer goes on or is taken up again, and trains once a request."""

from __future__ import annotations

import json
import random
import time
from pathlib import Path

import pytest

import tunekit as tk
from tests.processes import start_python
from tunekit.testing.tiny_models import make_tiny_bert

LABELS = ("refund", "delivery", "billing", "greeting", "farewell")
CHILD = """
import sys
from pathlib import Path

from tests.kill.test_kill_retrain_local import product, week

home, number = Path(sys.argv[1]), int(sys.argv[2])
retrainer = product(home, number)
print("ready", flush=True)
print(retrainer.run(week(number)).round_id, flush=True)
"""


def week(number: int) -> tk.Dataset:
    """New rows; the third week brings the third label, and so on."""
    names = LABELS[: min(number + 1, len(LABELS))]
    return tk.Dataset(
        tk.LabelledExample(id=f"{at}", text=f"week {number} ask {at} {name}", label=name)
        for at in range(16)
        for name in names
    )


def product(home: Path, number: int) -> tk.Retrainer:
    """What goes on from the model in use, week after week, and takes whatever is not shown to be worse."""
    settings = tk.Settings(home=home)
    test = tk.Dataset(
        tk.LabelledExample(id=f"t{at}", text=f"question {at} {name}", label=name)
        for at in range(20)
        for name in LABELS[: min(number + 1, len(LABELS))]
    )
    return tk.Retrainer(
        f"local:{home / 'bert'}",
        alias="bot",
        evaluator=tk.Evaluator(test, scorers=[tk.scorers.LabelMetric("accuracy")], settings=settings),
        gate=tk.Gate(primary="accuracy"),
        spec=tk.TuneSpec(method=tk.Classify(), epochs=20, batch_size=8, learning_rate=3e-3),
        start="champion",
        settings=settings,
        poll_s=0.05,
    )


def retrained(home: Path, number: int, kills: int, seed: int) -> int:
    """One week, whose process is killed so many times at random; how often it was hit."""
    draw, done = random.Random(seed), 0
    while True:
        with start_python(CHILD, home, number) as child:
            assert child.stdout is not None and child.stderr is not None
            assert child.stdout.readline() == "ready\n", child.stderr.read()
            if done < kills:
                time.sleep(draw.uniform(0.0, 12.0))
                done += child.poll() is None
                child.kill()
            said, errors = child.stdout.read(), child.stderr.read()
        if said.endswith("\n"):
            return done
        assert errors == "", errors


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_killed_at_random_moments(tmp_path: Path) -> None:
    make_tiny_bert(tmp_path / "bert", max_length=128)
    kills = number = 0
    while kills < 60:
        number += 1
        kills += retrained(tmp_path, number, kills=4, seed=number)
    retrainer = product(tmp_path, number)
    rounds = retrainer.rounds.list()
    assert len(rounds) == number and not [each for each in rounds if each.state.is_at_work]
    assert {str(each.state) for each in rounds} <= {"promoted", "superseded", "rejected", "inconclusive"}
    jobs = [path.name for path in tk.Settings(home=tmp_path).runs.iterdir() if path.name.startswith("run-")]
    assert len(jobs) == number, "a second training for a request"
    promoted = [each.version for each in rounds[::-1] if each.state in ("promoted", "superseded")]
    assert [move.after for move in retrainer.rounds.registry.history("bot@champion")] == promoted
    assert retrainer.rounds.registry.resolve("bot@champion") == next(
        each.model for each in rounds if each.state is tk.RoundState.PROMOTED
    )
    assert retrainer.resume() == []
    (tmp_path / "told.json").write_text(json.dumps({"kills": kills, "weeks": number, "jobs": jobs}))
