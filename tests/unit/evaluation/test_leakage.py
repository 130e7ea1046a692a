"""Items of a test that are in the training data: asked for, and found where a local run keeps its rows."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.evaluation.fakes import TableBackend
from tunekit._settings import Settings
from tunekit.data.dataset import Dataset
from tunekit.evaluation.evaluator import Evaluator
from tunekit.evaluation.leakage import Leakage
from tunekit.evaluation.results import Evaluation
from tunekit.refs import ModelRef
from tunekit.spec import SFT, TuneSpec
from tunekit.training.run.rundir import RunDirectory, RunPlan

LONG = "the parcel that I ordered on the third of March from your shop in Berlin has still not arrived at my door"
QUESTIONS = [
    "Where is my parcel, please? I ordered it three weeks ago and nobody answers my mails about it.",
    "How do I change the address of my account after I have moved to another town in the same country?",
    f"Hello, {LONG}, and I want my money back",
    "Which of your shops are open on Sunday afternoons in the summer holidays?",
]
RUN = "run-" + "0" * 20


def dataset(questions: list[str], name: str) -> Dataset:
    return Dataset.from_records([{"prompt": text, "completion": "x"} for text in questions], name=name)


def train() -> Dataset:
    return dataset(
        [
            "Something else entirely, about invoices that were paid twice by mistake last month.",
            QUESTIONS[0].upper(),
            "How do I change the address of my contract after I have moved to another town in the same country?",
            f"Dear team: {LONG}. What now? Please call me under the number that you have on file",
        ],
        "train",
    )


class LocalTable(TableBackend):
    """The fake under the name of the backend whose runs lie here."""

    name = "local"


def backend(*models: str) -> LocalTable:
    return LocalTable(models=dict.fromkeys(models, lambda prompt: "x"))


def run_directory(runs: Path, rows: Dataset, run_id: str = RUN) -> RunDirectory:
    plan = RunPlan(
        run_id=run_id,
        key="k",
        model="base",
        spec=TuneSpec(method=SFT()),
        python="python",
        threads=1,
        created_at=0.0,
    )
    return RunDirectory.create(runs, plan, rows, None)


def test_what_leaks_and_how() -> None:
    found = Evaluator(dataset(QUESTIONS, "test")).check_leakage(train())
    assert {(leak.item, leak.row, leak.how) for leak in found.leaks} == {
        ("test:1", "train:2", "question"),
        ("test:2", "train:3", "near"),
        ("test:3", "train:4", "passage"),
    }
    assert (found.n_items, found.n_rows, found.ids) == (4, 4, frozenset({"test:1", "test:2", "test:3"}))
    assert [warning.split(",")[0] for warning in found.warnings] == [
        "1 of 4 items ask what is asked in the training data",
        "1 of 4 items ask nearly what is asked in the training data",
        "1 of 4 items have 13 words in a row of the training data",
    ]
    assert Leakage.from_json(found.to_json()) == found


def test_nothing_leaks() -> None:
    found = Evaluator(dataset(QUESTIONS[3:], "test")).check_leakage(train())
    assert (found.leaks, found.warnings, str(found)) == ((), (), "nothing of 4 training rows is in the test")


def test_the_rows_of_a_local_run_are_looked_at_by_itself(home: Path) -> None:
    run_directory(home / "runs", train())
    evaluation = Evaluator(dataset(QUESTIONS, "test")).run(f"local:{RUN}", backend=backend(RUN))
    assert evaluation.leakage is not None and len(evaluation.leakage.leaks) == 3
    assert set(evaluation.leakage.warnings) <= set(evaluation.warnings)
    assert Evaluation.from_json(evaluation.to_json()) == evaluation


def test_the_path_of_an_artifact_names_the_run_it_lies_in(tmp_path: Path) -> None:
    run = run_directory(tmp_path, train())
    path = str(run.artifact_path)
    evaluation = Evaluator(dataset(QUESTIONS, "test")).run(f"local:{path}", backend=backend(path))
    assert evaluation.leakage is not None and len(evaluation.leakage.leaks) == 3


def test_the_home_of_the_settings_is_where_runs_are_looked_for(tmp_path: Path) -> None:
    run_directory(tmp_path / "runs", train())
    evaluator = Evaluator(dataset(QUESTIONS, "test"), settings=Settings(home=tmp_path))
    found = evaluator.run(f"local:{RUN}", backend=backend(RUN)).leakage
    assert found is not None and found.n_rows == 4


@pytest.mark.parametrize("model", ["Qwen/Qwen3-0.6B", "run-" + "1" * 20, "./model"])
def test_models_whose_rows_nobody_knows(model: str) -> None:
    evaluation = Evaluator(dataset(QUESTIONS, "test")).run(ModelRef(f"local:{model}"), backend=backend(model))
    assert (evaluation.leakage, evaluation.warnings) == (None, ())
