"""Should it be fine-tuned at all? Asked of a real encoder on banking77, and of canned answers on gsm8k.

An encoder cannot generate, so zero-shot and few-shot are the nearest class by its embeddings: by the names of the
classes, and by a few examples of each.
"""

from __future__ import annotations

import json
import random
import re
from pathlib import Path

import pytest

import tunekit as tk
from tunekit.backends.local import LocalBackend
from tunekit.examples import LabelledExample

pytestmark = [pytest.mark.real, pytest.mark.timeout(900)]

INTENTS, SHOTS = 10, 3
MACHINE = tk.CallPrice(usd_per_hour=0.4, as_of="2026-11-23", source="an example")


def banking77(path: Path, part: str, rows: int) -> list[LabelledExample]:
    """Rows of the first intents in the alphabet, drawn with a seed."""
    whole = [row for row in tk.Dataset.load(path / f"{part}.csv") if isinstance(row, LabelledExample)]
    chosen = sorted({str(row.label) for row in whole})[:INTENTS]
    return random.Random(1).sample([row for row in whole if row.label in chosen], rows)


def trained(
    method: tk.Probe | tk.Classify,
    train: list[LabelledExample],
    model: str,
    backend: LocalBackend,
    settings: tk.Settings,
) -> str:
    spec = tk.TuneSpec(method=method, epochs=4)
    job = tk.FineTuneJob.submit(tk.Dataset(train), model, spec, backend=backend, settings=settings)
    return str(job.result())


def without_training(train: list[LabelledExample], model: str) -> tuple[tk.Arm, tk.Arm]:
    classes = {str(row.label): str(row.label).replace("_", " ") for row in train}
    return (
        tk.nearest(model, classes=classes, name="zero_shot"),
        tk.nearest(model, examples=train, k=SHOTS, name="few_shot"),
    )


def right(found: tk.Arms, name: str) -> float:
    return found[name].evaluation["exact_match"].value.estimate


def test_a_probe_against_what_needs_no_training(
    shared_data: Path, minilm: Path, backend: LocalBackend, settings: tk.Settings
) -> None:
    train, test = (banking77(shared_data / "banking77", part, 100) for part in ("train", "test"))
    model = f"local:{minilm}"
    base, few = without_training(train, model)
    probe = trained(tk.Probe(layer=-1), train, model, backend, settings)
    evaluator = tk.Evaluator(tk.Dataset(test), margin=0.02, settings=settings)
    found = evaluator.arms(base=base, few=few, probe=probe, price=lambda _: MACHINE, backend=backend)
    assert found.baseline == "few_shot"
    assert found["zero_shot"].against["exact_match"].verdict == "worse"
    assert right(found, "few_shot") > right(found, "zero_shot") > 0.5
    assert found["probe"].against["exact_match"].verdict != "worse"
    assert all((arm.usd_per_1000_calls or 0) > 0 for arm in found.arms)
    assert tk.Arms.from_json(found.to_json()) == found


@pytest.mark.soak
def test_four_arms_of_an_encoder(
    shared_data: Path, minilm: Path, backend: LocalBackend, settings: tk.Settings
) -> None:
    """A few examples of each class come within some points of fine-tuning, and a probe does better than both."""
    train, test = (banking77(shared_data / "banking77", part, 200) for part in ("train", "test"))
    model = f"local:{minilm}"
    base, few = without_training(train, model)
    probe, tuned = (
        trained(method, train, model, backend, settings) for method in (tk.Probe(), tk.Classify())
    )
    evaluator = tk.Evaluator(tk.Dataset(test), margin=0.02, settings=settings)
    found = evaluator.arms(
        base=base,
        few=few,
        probe=tk.Arm(model=probe, name="probe", training_usd=0.01),
        tuned=tk.Arm(model=tuned, name="tuned", training_usd=0.05),
        price=lambda _: MACHINE,
        backend=backend,
    )
    assert (found.baseline, found.answer) == ("few_shot", "yes")
    assert found["probe"].against["exact_match"].verdict == "better"
    assert right(found, "probe") >= right(found, "tuned") >= 0.9
    assert {arm.against["exact_match"].delta.level for arm in found.arms if arm.against} != {0.95}


def gsm8k(path: Path, rows: int) -> tk.Dataset:
    lines = (path / "test.jsonl").read_text(encoding="utf-8").splitlines()[:rows]
    problems = [json.loads(line) for line in lines]
    return tk.Dataset(
        [
            tk.CompletionExample(prompt=problem["question"], completion=problem["answer"])
            for problem in problems
        ]
    )


def test_gain_of_form_alone_on_gsm8k(shared_data: Path) -> None:
    """Canned answers: both are right as often, and only the tuned one writes its number where it is looked for."""
    test = gsm8k(shared_data / "gsm8k", 200)
    known = {str(row.prompt): row.completion for row in test if isinstance(row, tk.CompletionExample)}

    def plain(prompt: str) -> str:
        steps, _, number = known[prompt].partition("####")
        number = number.strip() if len(prompt) % 3 else "1234567"
        return f"{re.sub('<<.*?>>', '', steps)}So the answer is {number}."

    def formal(prompt: str) -> str:
        return f"{plain(prompt).rpartition('So the')[0]}#### {plain(prompt).split()[-1].rstrip('.')}"

    scorers = [tk.scorers.NumberMatch(), tk.scorers.NumberMatch(strict=True)]
    evaluator = tk.Evaluator(test, scorers=scorers, margin=0.02)
    found = evaluator.arms(base=plain, tuned=formal)
    share = sum(1 for prompt in known if len(prompt) % 3) / len(known)
    assert found["base"].evaluation["number_match"].value.estimate == share
    assert found["tuned"].evaluation["number_match"].value.estimate == share
    assert (found.by, found.answer) == ("number_match", "no")
    assert found["tuned"].against["number_match_strict"].verdict == "better"
    by_form = evaluator.arms(
        base=found["base"].evaluation, tuned=found["tuned"].evaluation, by="number_match_strict"
    )
    assert by_form.answer == "yes"
