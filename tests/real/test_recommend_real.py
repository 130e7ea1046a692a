"""What `recommend` chooses on real data, held against a full measurement of every technique on a test of its own.

banking77 with an encoder, few rows and all; questions to SQL with a small decoder. The recommendation sees the training
rows alone; the full measurement trains each technique on all of them and asks the test.
"""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

import tunekit as tk
from tunekit.backends.local import LocalBackend
from tunekit.examples import LabelledExample
from tunekit.tuning import Recommendation, recommend

pytestmark = [pytest.mark.real, pytest.mark.timeout(900)]

NANO = Path(__file__).resolve().parents[2] / "examples" / "models" / "nano"
SHOTS = 8


def banking77(path: Path, part: str, *, intents: int = 77, each: int = 1_000) -> tk.Dataset:
    """So many rows of each of the first intents in the alphabet, drawn with a seed."""
    whole = [row for row in tk.Dataset.load(path / f"{part}.csv") if isinstance(row, LabelledExample)]
    rows: list[LabelledExample] = []
    for name in sorted({str(row.label) for row in whole})[:intents]:
        of_class = [row for row in whole if row.label == name]
        rows += random.Random(0).sample(of_class, min(each, len(of_class)))
    return tk.Dataset(rows)


def sql(path: Path, part: str, rows: int) -> tk.Dataset:
    """A table, a question about it, and the query that answers it."""
    lines = (path / f"{part}.jsonl").read_text(encoding="utf-8").splitlines()
    pairs = [json.loads(line)["text"].rpartition("\nA:") for line in lines]
    found = [tk.CompletionExample(prompt=f"{prompt}\nA:", completion=answer) for prompt, _, answer in pairs]
    return tk.Dataset(dict.fromkeys(found)).sample(rows, seed=0)


class Full:
    """Every technique, trained on all rows, on a test.

    Args:
        train: All rows that the recommendation was given.
        evaluator: The test.
        model: The base.
    """

    def __init__(
        self,
        train: tk.Dataset,
        evaluator: tk.Evaluator,
        model: str,
        backend: LocalBackend,
        settings: tk.Settings,
    ) -> None:
        self._train, self._evaluator, self._model = train, evaluator, model
        self._backend, self._settings = backend, settings
        self.scores: dict[str, float] = {}
        self.errors: dict[str, float] = {}

    def ask(self, name: str, model: tk.Arm | str) -> None:
        metric = self._evaluator.run(model, backend=self._backend)[
            next(iter(self._evaluator.provenance.scorers))
        ]
        sign = 1 if metric.higher_is_better else -1
        self.scores[name] = sign * metric.value.estimate
        self.errors[name] = (metric.value.high - metric.value.low) / (2 * 1.96)

    def train(self, name: str, method: tk.Probe | tk.Classify | tk.SFT) -> None:
        spec = tk.TuneSpec(method=method, epochs=1 if isinstance(method, tk.Probe) else "auto")
        job = tk.FineTuneJob.submit(
            self._train, self._model, spec, backend=self._backend, settings=self._settings
        )
        self.ask(name, str(job.result()))

    def confirms(self, found: Recommendation) -> bool:
        """Whether the choice is within one standard error of the best."""
        best = max(self.scores, key=lambda name: self.scores[name])
        report = "\n".join(map(str, (found, self.scores, self.errors)))
        (self._settings.home / "recommendation.txt").write_text(report, encoding="utf-8")
        return self.scores[best] - self.scores[found.method] <= self.errors[best]

    def encoder(self, *, dear: bool) -> None:
        """The techniques of a model that only embeds."""
        names = sorted({str(row.label) for row in self._train if isinstance(row, LabelledExample)})
        words = {name: name.replace("_", " ") for name in names}
        self.ask("zero-shot", tk.nearest(self._model, classes=words))
        self.ask("few-shot", tk.nearest(self._model, examples=self._train, k=SHOTS))
        self.train("probe", tk.Probe())
        if dear:
            self.train("adapter", tk.Classify(adapter=tk.LoRA()))
            self.train("full", tk.Classify())

    def decoder(self, shots: int) -> None:
        """The techniques of a model that writes."""
        self.ask("zero-shot", self._model)
        self.ask("few-shot", tk.few_shot(self._model, self._train, shots, selection="similar"))
        self.train("adapter", tk.SFT())
        self.train("full", tk.SFT(adapter=tk.FullWeights()))


def exact(test: tk.Dataset, settings: tk.Settings) -> tk.Evaluator:
    return tk.Evaluator(
        test, scorers=[tk.scorers.ExactMatch(normalise="text")], settings=settings, batch_size=256
    )


def test_few_rows_of_a_few_intents(
    shared_data: Path, minilm: Path, backend: LocalBackend, settings: tk.Settings
) -> None:
    place = shared_data / "banking77"
    data, test = banking77(place, "train", intents=10, each=6), banking77(place, "test", intents=10, each=20)
    model = f"local:{minilm}"
    found = recommend(data, model, backend=backend, settings=settings)
    assert found["zero-shot"].is_measured and found["few-shot"].is_measured and found["probe"].is_measured
    assert {found[name].basis for name in ("adapter", "full")} == {"estimated"} and found.embeds
    full = Full(data, exact(test, settings), model, backend, settings)
    full.encoder(dear=False)
    assert full.confirms(found)
    assert Recommendation.from_json(found.to_json()) == found


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_few_rows_of_all_intents(
    shared_data: Path, minilm: Path, backend: LocalBackend, settings: tk.Settings
) -> None:
    data, test = (
        banking77(shared_data / "banking77", part, each=n) for part, n in (("train", 5), ("test", 40))
    )
    found = recommend(data, f"local:{minilm}", backend=backend, settings=settings)
    full = Full(data, exact(test, settings), f"local:{minilm}", backend, settings)
    full.encoder(dear=True)
    assert full.confirms(found)


@pytest.mark.soak
@pytest.mark.timeout(4 * 3600)
def test_all_rows_of_all_intents(
    shared_data: Path, minilm: Path, backend: LocalBackend, settings: tk.Settings
) -> None:
    data, test = (banking77(shared_data / "banking77", part) for part in ("train", "test"))
    found = recommend(data, f"local:{minilm}", backend=backend, settings=settings)
    assert found.n_dev == 1_000
    full = Full(data, exact(test, settings), f"local:{minilm}", backend, settings)
    full.encoder(dear=True)
    assert full.confirms(found)


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_questions_to_sql(shared_data: Path, backend: LocalBackend, settings: tk.Settings) -> None:
    """Text is written, so nothing can be estimated: a budget lets the adapter be measured."""
    if not (NANO / "model.safetensors").is_file():
        pytest.skip("the weights of nano are not in this checkout")
    data, test = (sql(shared_data / "mlx_lora", part, n) for part, n in (("train", 400), ("test", 90)))
    model = f"local:{NANO}"
    cheap = recommend(data, model, shots=3, backend=backend, settings=settings)
    assert (
        cheap.task == "generation" and cheap.confidence == "open" and cheap["probe"].basis == "not possible"
    )
    budget = tk.Budget(max_seconds=1_800)
    found = recommend(data, model, shots=3, budget=budget, backend=backend, settings=settings)
    assert found["adapter"].basis == "measured"
    evaluator = tk.Evaluator(test, scorers=[tk.scorers.Perplexity("bits_per_byte")], settings=settings)
    full = Full(data, evaluator, model, backend, settings)
    full.decoder(shots=3)
    assert full.confirms(found)
