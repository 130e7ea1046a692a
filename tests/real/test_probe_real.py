"""Probe on a real encoder and real data, held against the same scikit-learn pipeline written by hand.

It knows where banking77 and clinc150 lie. All of them is for `make soak`, a part of the first for every day.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tunekit as tk
from tunekit.backends import GenerateRequest
from tunekit.backends.local import LocalBackend
from tunekit.examples import LabelledExample
from tunekit.spec import Sampling

pytestmark = [pytest.mark.real, pytest.mark.timeout(3600)]

STRENGTHS = tk.Probe().regularisation
INTENTS, ROWS_OF_EACH = 10, 40
AT_ONCE = 512

Rows = Sequence[LabelledExample]


def banking77(shared_data: Path, part: str) -> list[LabelledExample]:
    rows = tk.Dataset.load(shared_data / "banking77" / f"{part}.csv")
    return [row for row in rows if isinstance(row, LabelledExample)]


def clinc150(shared_data: Path, part: str) -> list[LabelledExample]:
    pairs = json.loads((shared_data / "clinc150" / "data_full.json").read_bytes())[part]
    return [
        LabelledExample(id=f"{part}-{at}", text=text, label=label) for at, (text, label) in enumerate(pairs)
    ]


def answers(
    train: Rows, test: Rows, minilm: Path, backend: LocalBackend, settings: tk.Settings, method: tk.Probe
) -> list[str]:
    """What a probe that was trained and is served as users do it calls the test texts."""
    job = tk.FineTuneJob.submit(
        tk.Dataset(train), f"local:{minilm}", tk.TuneSpec(method=method), backend=backend, settings=settings
    )
    model, found = job.result().id, list[str]()
    for start in range(0, len(test), AT_ONCE):
        asked = [GenerateRequest(prompt=row.text) for row in test[start : start + AT_ONCE]]
        found += [item.text for item in asyncio.run(backend.generate(model, asked, Sampling()))]
    return found


def by_hand(train: Rows, test: Rows, minilm: Path) -> list[str]:
    """Plain transformers and scikit-learn, as a person would write it."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    pipeline = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    search = GridSearchCV(pipeline, {"logisticregression__C": STRENGTHS}, cv=5)
    search.fit(mean_states(train, minilm), [row.label for row in train])
    return [str(label) for label in search.predict(mean_states(test, minilm))]


def mean_states(rows: Rows, minilm: Path) -> Any:
    import torch
    from transformers import AutoModel, AutoTokenizer

    tokenizer, model = AutoTokenizer.from_pretrained(minilm), AutoModel.from_pretrained(minilm).eval()
    order = sorted(range(len(rows)), key=lambda at: len(rows[at].text))
    found = np.empty((len(rows), 384))
    for start in range(0, len(order), 64):
        batch = order[start : start + 64]
        told = tokenizer([rows[at].text for at in batch], padding=True, return_tensors="pt")
        with torch.inference_mode():
            states, real = model(**told).last_hidden_state, told["attention_mask"][..., None]
        found[batch] = ((states * real).sum(dim=1) / real.sum(dim=1)).numpy()
    return found


def accuracy(found: Sequence[str], test: Rows) -> float:
    return float(np.mean([answer == row.label for answer, row in zip(found, test, strict=True)]))


def test_part_of_banking77(
    shared_data: Path, minilm: Path, backend: LocalBackend, settings: tk.Settings
) -> None:
    whole, test = banking77(shared_data, "train"), banking77(shared_data, "test")
    intents = sorted({str(row.label) for row in whole})[:INTENTS]
    train = [row for name in intents for row in [row for row in whole if row.label == name][:ROWS_OF_EACH]]
    test = [row for row in test if row.label in intents]
    found = answers(train, test, minilm, backend, settings, tk.Probe(layer=-1))
    assert accuracy(found, test) >= 0.93
    assert (
        np.mean([one == other for one, other in zip(found, by_hand(train, test, minilm), strict=True)])
        > 0.985
    )


@pytest.mark.soak
@pytest.mark.parametrize(
    ("read", "least"), [(banking77, 0.92), (clinc150, 0.93)], ids=["banking77", "clinc150"]
)
def test_whole_data_sets(
    shared_data: Path, minilm: Path, backend: LocalBackend, settings: tk.Settings, read: Any, least: float
) -> None:
    train, test = read(shared_data, "train"), read(shared_data, "test")
    ours = accuracy(answers(train, test, minilm, backend, settings, tk.Probe()), test)
    theirs = accuracy(by_hand(train, test, minilm), test)
    assert ours >= least
    assert ours >= theirs - 0.002


def test_vectors_are_those_of_sentence_transformers(
    shared_data: Path, minilm: Path, backend: LocalBackend
) -> None:
    """Its files ask for the mean of the states and for length 1."""
    rows = banking77(shared_data, "test")[:40]
    found = np.array(asyncio.run(backend.embed(str(minilm), [row.text for row in rows])))
    expected = mean_states(rows, minilm)
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    assert found == pytest.approx(expected, abs=1e-6)
