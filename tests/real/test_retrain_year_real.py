"""A year of a product: every month other intents of clinc150, one retraining each, on a real encoder.

With the earlier months in the training data, or enough of them, every month's model is promoted and what was learned
before stays inside the gate's margin; with too few the gate stops what has lost too much, and without them it refuses
from the second month on: the product keeps what it has. Three months for every day, twelve for `make soak`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

import tunekit as tk
from tests.real.clinc_domains import BATCHES, rows
from tunekit.backends.local import LocalBackend
from tunekit.retrain.continual import Forgetting
from tunekit.retrain.rounds.composing import History, Replay

pytestmark = [pytest.mark.real, pytest.mark.timeout(3600)]

MARGIN = 0.1
"""Of accuracy on what was learned in one earlier month: what adding intents may cost those that are there."""
RECIPE = tk.TuneSpec(method=tk.Probe(regularisation=(1.0,)), seed=7)


@dataclass(frozen=True)
class Year:
    """What became of it.

    Attributes:
        rounds: One for each month.
        stages: By month, what that month's model gets of each batch so far.
    """

    rounds: tuple[tk.Round, ...]
    stages: Mapping[str, Mapping[str, tk.Evaluation]]

    @property
    def states(self) -> list[str]:
        return [each.state.value for each in self.rounds]


def test_of(shared_data: Path, intents: tuple[str, ...], each: int) -> tk.Evaluator:
    return tk.Evaluator(
        rows(shared_data, "test", intents, each), scorers=[tk.scorers.LabelMetric("accuracy")]
    )


test_of.__test__ = False  # type: ignore[attr-defined]  # not a test: what a month is asked


def lived(
    shared_data: Path,
    minilm: Path,
    backend: LocalBackend,
    home: Path,
    history: History,
    *,
    months: int,
    each: int,
    asked: int,
) -> Year:
    """Months one after the other, each with today's test of everything so far, as a product has it."""
    settings = tk.Settings(home=home)
    known: list[str] = []
    done: list[tk.Round] = []
    stages: dict[str, dict[str, tk.Evaluation]] = {}
    for number, (name, intents) in enumerate(list(BATCHES.items())[:months], start=1):
        earlier = tuple(intent for before in known for intent in BATCHES[before])
        # One for each month: a mean over them would let a new intent pay for the loss of an old one.
        rails = tuple(tk.Guardrail(of="accuracy", margin=MARGIN, task=before) for before in known)
        retrainer = tk.Retrainer(
            f"local:{minilm}",
            alias="assistant",
            evaluator=test_of(shared_data, (*earlier, *intents), asked),
            gate=tk.Gate(primary="accuracy", guardrails=rails),
            tasks={before: test_of(shared_data, BATCHES[before], asked) for before in known},
            spec=RECIPE,
            history=history,
            backend=backend,
            settings=settings,
        )
        done.append(retrainer.run(rows(shared_data, "train", intents, each), task=name))
        known.append(name)
        stages[f"{number}"] = {
            task: test_of(shared_data, BATCHES[task], asked).run(str(done[-1].model), backend=backend)
            for task in known
        }
    return Year(rounds=tuple(done), stages=stages)


def test_the_first_months(shared_data: Path, minilm: Path, backend: LocalBackend, tmp_path: Path) -> None:
    kept = lived(shared_data, minilm, backend, tmp_path / "all", "all", months=3, each=30, asked=30)
    assert kept.states == ["promoted"] * 3
    lost = lived(shared_data, minilm, backend, tmp_path / "none", None, months=2, each=30, asked=30)
    assert lost.states == ["promoted", "rejected"]
    for home, number in (("all", 3), ("none", 1)):
        registry = tk.Registry(settings=tk.Settings(home=tmp_path / home))
        assert registry.version("assistant@champion").number == number


@pytest.mark.soak
@pytest.mark.parametrize(
    ("history", "promoted"),
    [("all", 12), (Replay(share=0.2, floor=30), 12), (Replay(share=0.2, floor=15), 5), (None, 1)],
    ids=["all", "replay-30", "replay-15", "none"],
)
def test_the_whole_year(
    shared_data: Path, minilm: Path, backend: LocalBackend, tmp_path: Path, history: History, promoted: int
) -> None:
    year = lived(shared_data, minilm, backend, tmp_path / "year", history, months=12, each=40, asked=30)
    report = Forgetting.of(year.stages)
    (tmp_path / "report.txt").write_text(f"{year.states}\n{report}")
    assert year.states[:promoted] == ["promoted"] * promoted
    assert "promoted" not in year.states[promoted:], "what has forgotten is not let through"
    champion = tk.Registry(settings=tk.Settings(home=tmp_path / "year")).version("assistant@champion")
    assert champion.number == promoted
    if promoted == 12:
        assert report.backward_transfer is not None
        assert report.backward_transfer.estimate > -0.03
        assert min(each.delta.estimate for each in report.full.backward.values()) > -MARGIN
