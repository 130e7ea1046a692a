"""Three real tasks and a planted one: proportions as the formula has them, and who is harmed. Knows where data lie.

The planted task is banking77 with its labels exchanged: the same texts and the same labels mean something else in it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from math import floor
from pathlib import Path

import pytest

import tunekit as tk
from tunekit.backends.local import LocalBackend
from tunekit.evaluation.results import Evaluation
from tunekit.examples import LabelledExample
from tunekit.refs import ModelRef
from tunekit.retrain.multitask import leave_one_task_out, macro_average, negative_transfer

pytestmark = [pytest.mark.real, pytest.mark.timeout(900)]

INTENTS = 5
TRAIN, TEST = 100, 100


@pytest.fixture(scope="module")
def whole(shared_data: Path) -> dict[str, tk.Dataset]:
    """All rows of three tasks, which differ 24-fold in size."""
    return {
        "banking": tk.Dataset.load(shared_data / "banking77" / "train.csv"),
        "intents": tk.Dataset.load(shared_data / "clinc150" / "data_full.json"),
        "spam": tk.Dataset.load(shared_data / "sms_spam" / "spam.csv").head(1_000),
    }


# --- proportions ----------------------------------------------------------------------------------


def by_the_formula(
    sizes: dict[str, int], size: int | None, temperature: float, cap: int | None
) -> dict[str, int]:
    """Rows of each task by Raffel et al. 2020, section 3.5.2, rounded by largest remainder."""
    rates = {task: min(count, cap or count) ** (1 / temperature) for task, count in sizes.items()}
    shares = {task: rate / sum(rates.values()) for task, rate in rates.items()}
    if size is None:
        size = floor(min(sizes[task] / shares[task] for task in sizes) + 1e-9)
    exact = {task: share * size for task, share in shares.items()}
    found = {task: floor(value) for task, value in exact.items()}
    for task in sorted(exact, key=lambda task: found[task] - exact[task])[: size - sum(found.values())]:
        found[task] += 1
    return found


@pytest.mark.parametrize("temperature", [1.0, 2.0, 4.0, 50.0])
@pytest.mark.parametrize("cap", [None, 5_000, 500])
@pytest.mark.parametrize("size", [None, 997])
def test_proportions_are_those_of_the_formula(
    whole: dict[str, tk.Dataset], size: int | None, temperature: float, cap: int | None
) -> None:
    mix, report = tk.Dataset.mix(whole, size=size, temperature=temperature, cap=cap)
    expected = by_the_formula({task: len(rows) for task, rows in whole.items()}, size, temperature, cap)
    assert Counter(row.meta["task"] for row in mix) == expected
    assert {part.task: part.taken for part in report} == expected
    assert all(part.repeats == 1 for part in report)


# --- a planted task -------------------------------------------------------------------------------


def few(rows: tk.Dataset, labels: int, n: int, seed: int) -> tk.Dataset:
    """Rows of the first labels of the alphabet, drawn and ordered by their hash."""
    chosen = sorted(rows.targets())[:labels]
    return (
        rows.filter(lambda row: isinstance(row, LabelledExample) and row.label in chosen)
        .shuffle(seed)
        .head(n)
    )


def exchanged(rows: tk.Dataset) -> tk.Dataset:
    """Each label replaced by the next."""
    labels = sorted(rows.targets())
    following = dict(zip(labels, [*labels[1:], labels[0]], strict=True))

    def change(row: tk.Example) -> tk.Example:
        assert isinstance(row, LabelledExample)
        return row.replace(label=following[str(row.label)])

    return rows.map(change)


class Bench:
    """Four tasks with their tests, and probes on MiniLM that learn them."""

    def __init__(
        self, whole: Mapping[str, tk.Dataset], minilm: Path, backend: LocalBackend, home: Path
    ) -> None:
        parts = {task: few(rows, INTENTS, 2 * TRAIN + TEST, seed=0) for task, rows in whole.items()}
        test = {task: rows[-TEST:] for task, rows in parts.items()}
        self.train = {task: rows[:TRAIN] for task, rows in parts.items()}
        self.train["planted"] = exchanged(parts["banking"][TRAIN : 2 * TRAIN])
        test["planted"] = exchanged(test["banking"])
        self.settings = tk.Settings(home=home)
        self.evaluators = {task: tk.Evaluator(rows, settings=self.settings) for task, rows in test.items()}
        self.backend, self.target = backend, f"local:{minilm}"

    def submit(self, data: tk.Dataset) -> tk.FineTuneJob:
        spec = tk.TuneSpec(method=tk.Probe(layer=-1, regularisation=(1.0,)))
        return tk.FineTuneJob.submit(data, self.target, spec, backend=self.backend, settings=self.settings)

    def learn(self, data: tk.Dataset) -> ModelRef:
        return self.submit(data).result()

    def evaluate(self, model: ModelRef, task: str) -> Evaluation:
        return self.evaluators[task].run(model, backend=self.backend)


@pytest.fixture
def bench(whole: dict[str, tk.Dataset], minilm: Path, backend: LocalBackend, tmp_path: Path) -> Bench:
    return Bench(whole, minilm, backend, tmp_path / "home")


def test_a_planted_task_is_flagged(bench: Bench) -> None:
    mix, _ = tk.Dataset.mix(bench.train)
    together, alone = bench.submit(mix), {task: bench.submit(rows) for task, rows in bench.train.items()}
    multi = {task: bench.evaluate(together.result(), task) for task in bench.train}
    single = {task: bench.evaluate(job.result(), task) for task, job in alone.items()}
    found = negative_transfer(multi, single)
    assert found.single is not None and found.single.estimate > 0.8
    # The planted task shares texts and labels with one: each ruins the other, and the rest are spared.
    assert set(found.harmed) == {"banking", "planted"}
    assert found.worst.delta.high < -0.1
    mean = macro_average(multi)
    assert mean.value is not None and found.multi is not None
    assert mean.value.estimate == pytest.approx(found.multi.estimate)


@pytest.mark.soak
def test_leaving_it_out_names_it(bench: Bench) -> None:
    mix, _ = tk.Dataset.mix(bench.train)
    found = leave_one_task_out(mix, bench.learn, bench.evaluators, backend=bench.backend)
    assert found.harmful == {"planted": ("banking",), "banking": ("planted",)}
    assert found.helpful == {}
    assert {task: effect.outcome for task, effect in found.own.items() if task in ("intents", "spam")} == {
        "intents": "better", "spam": "better"
    }  # fmt: skip
