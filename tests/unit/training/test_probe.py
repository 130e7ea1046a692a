"""Probe: against the same scikit-learn pipeline by hand, against itself after kills, and as it is served."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.unit.training.conftest import Base, MakeRun, artifact_bytes, events, train
from tests.unit.training.tiny_classifiers import CLASSES, FAMILIES, labelled, several
from tunekit import _files
from tunekit.errors import DataError, InvalidError, JobFailedError, MissingExtraError, ModelError, SpecError
from tunekit.events import JobState
from tunekit.examples import Example, LabelledExample
from tunekit.spec import Budget, Probe
from tunekit.training.models import load
from tunekit.training.probe.features import Features
from tunekit.training.probe.probe import dealt_rows
from tunekit.training.run.events_log import EventLog
from tunekit.training.run.rundir import RunDirectory
from tunekit.training.run.stops import Stop
from tunekit.training.saving.artifacts import read_card
from tunekit.training.serving import predict
from tunekit.training.trainer import run_training

QUICK = Probe(layer=-1, regularisation=(0.1, 1.0), folds=2)


@pytest.fixture
def bert(base: Base) -> Path:
    return base("bert")


def answers(run: RunDirectory, texts: Sequence[str]) -> list[str]:
    loaded = load.load(run.artifact_path)
    assert loaded.classes is not None
    return [
        item["text"]
        for item in predict.generate(loaded, loaded.classes, [{"prompt": text} for text in texts])
    ]


@pytest.mark.parametrize("family", FAMILIES)
def test_a_probe_learns_is_published_and_answers(make_run: MakeRun, base: Base, family: str) -> None:
    run = make_run(labelled(24), model=base(family), method=QUICK, validation=labelled(9))
    result = train(run)
    assert result is not None
    assert result.state is JobState.SUCCEEDED
    assert result.trained_tokens > 0
    held_out = events(run, "evaluated")[-1].metrics
    assert set(held_out) == {"cross_validation_accuracy", "accuracy", "loss"}
    assert held_out["accuracy"] == 1.0
    report = events(run, "preflight")[0].report
    assert report["classes"] == dict.fromkeys(CLASSES, 8)
    assert [event.step for event in events(run, "step")] == [*range(1, report["steps"] + 1)]
    assert answers(run, ["ask ask zzz", "ask ooo"]) == ["billing", "delivery"]
    weights = [path.name for path in run.artifact_path.glob("*.safetensors")]
    assert weights == ["probe.safetensors"], "the frozen weights are not copied"
    card = read_card(run.artifact_path)
    assert (card.kind, card.labels, card.base_model) == ("probe", CLASSES, str(base(family)))
    assert card.base_fingerprint.startswith("sha256:")
    assert card.resolved["regularisation"] in QUICK.regularisation
    assert card.metrics["validation_accuracy"] == 1.0
    told = (run.artifact_path / "README.md").read_text()
    assert "tk.generate" in told
    assert "from_pretrained" not in told, "plain transformers cannot load it"


@pytest.mark.parametrize("rows", [labelled, several], ids=["one class", "several"])
def test_scores_are_log_probabilities(
    make_run: MakeRun, bert: Path, rows: Callable[[int], list[Example]]
) -> None:
    run = make_run(rows(24), model=bert, method=QUICK)
    train(run)
    loaded = load.load(run.artifact_path)
    assert loaded.classes is not None
    scored = predict.score(loaded, loaded.classes, [{"prompt": "ask zzz", "choices": list(CLASSES)}])
    shares = np.exp(scored[0]["log_probs"])
    assert shares.argmax() == CLASSES.index("billing")
    if rows is labelled:
        assert shares.sum() == pytest.approx(1.0, abs=1e-5)
    else:
        assert answers(run, ["ask zzz"]) == ['["billing"]']


def test_same_seed_same_bytes_other_seed_other_folds(make_run: MakeRun, bert: Path) -> None:
    first, again, other = (
        make_run(labelled(24), name=name, model=bert, method=QUICK, seed=seed)
        for name, seed in (("a", 1), ("b", 1), ("c", 2))
    )
    for run in (first, again, other):
        torch.manual_seed(len(run.path.name))
        train(run)
    assert artifact_bytes(first) == artifact_bytes(again)
    truth = np.eye(3, dtype=np.bool_)[np.arange(24) % 3]
    assert dealt_rows(truth, 1).tolist() != dealt_rows(truth, 2).tolist()
    assert read_card(other.artifact_path).resolved["rows_of_choice"] == 24


def counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many texts went through the model, pass by pass."""
    seen: list[int] = []
    plain = Features.__call__

    def call(self: Features, texts: Sequence[Sequence[int]]) -> torch.Tensor:
        seen.append(len(texts))
        return plain(self, texts)

    monkeypatch.setattr(Features, "__call__", call)
    return seen


def test_another_run_on_the_same_texts_computes_nothing(
    make_run: MakeRun, bert: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = make_run(labelled(24), name="first", model=bert, method=QUICK, validation=labelled(6))
    train(first)
    seen = counted(monkeypatch)
    same = make_run(labelled(24), name="same", model=bert, method=QUICK, seed=3, validation=labelled(6))
    train(same)
    assert seen == []
    train(make_run(labelled(24), name="mean", model=bert, method=QUICK.model_copy(update={"pooling": "cls"})))
    train(make_run(labelled(23), name="fewer", model=bert, method=QUICK))
    assert sum(seen) == 24 + 23, "other features and other texts are computed"


def with_another_configuration(model: Path) -> None:
    config = json.loads((model / "config.json").read_bytes())
    (model / "config.json").write_text(json.dumps(config | {"hidden_act": "relu"}))


def with_other_numbers(model: Path) -> None:
    tensors = load_file(model / "model.safetensors")
    save_file(
        {name: value * 1.5 for name, value in tensors.items()}, model / "model.safetensors", {"format": "pt"}
    )


@pytest.mark.parametrize("change", [with_another_configuration, with_other_numbers])
def test_vectors_of_another_model_of_the_same_shape_are_not_used(
    make_run: MakeRun,
    bert: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    change: Callable[[Path], None],
) -> None:
    """Of models above this size, cards know names and shapes of tensors alone."""
    monkeypatch.setattr("tunekit.training.models.fingerprint.FULL_BYTES", 0)
    model = shutil.copytree(bert, tmp_path / "model")
    train(make_run(labelled(12), name="before", model=model, method=QUICK))
    change(model)
    seen = counted(monkeypatch)
    train(make_run(labelled(12), name="after", model=model, method=QUICK))
    assert sum(seen) == 12


def test_states_that_are_not_finite_name_their_rows(make_run: MakeRun, bert: Path, tmp_path: Path) -> None:
    model = shutil.copytree(bert, tmp_path / "model")
    tensors = load_file(model / "model.safetensors")
    (letters,) = (name for name in tensors if name.endswith("word_embeddings.weight"))
    tensors[letters][load.load_tokenizer(model)("i", add_special_tokens=False)["input_ids"]] = float("nan")
    save_file(tensors, model / "model.safetensors", {"format": "pt"})
    run = make_run(labelled(12), model=model, method=QUICK)
    with pytest.raises(JobFailedError, match="not finite for 4 of 12 texts") as caught:
        train(run)
    assert sorted(caught.value.details["rows"]) == ["row-11", "row-2", "row-5", "row-8"]
    assert not list((run.untrained_path / "train").iterdir()), "nothing of it is kept"


def test_damaged_vectors_are_computed_again(make_run: MakeRun, bert: Path) -> None:
    whole, damaged = (
        make_run(labelled(24), name=name, model=bert, method=QUICK) for name in ("whole", "damaged")
    )
    train(whole)
    train(damaged)
    assert not list((damaged.untrained_path / "train").iterdir()), "it has read the first run's"
    block = next((whole.untrained_path / "train").iterdir())
    block.write_bytes(block.read_bytes()[:-1] + b"\0")
    _files.remove_directory(damaged.artifact_path)
    train(damaged)
    assert "damaged and is computed again" in events(damaged, "notice")[-1].message
    assert artifact_bytes(damaged) == artifact_bytes(whole)


@pytest.mark.parametrize("left_at", [1, 2, 3, 4])
def test_left_in_the_middle_it_goes_on_to_the_same_bytes(
    make_run: MakeRun, bert: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, left_at: int
) -> None:
    monkeypatch.setattr("tunekit.training.run.untrained._ROWS_PER_FILE", 12)
    monkeypatch.setattr("tunekit.training.probe.probe_setup.ROWS_PER_STEP", 12)
    monkeypatch.setattr("tunekit.training.probe.probing.ROWS_PER_STEP", 12)
    parts = make_run(labelled(24), name="parts", model=bert, method=QUICK)
    assert train(parts, stop_after=left_at) is None
    seen = counted(monkeypatch)
    assert train(parts) is not None
    assert sum(seen) == max(0, 24 - 12 * left_at), "what lies on the disk is not computed again"
    parts.path.rename(tmp_path / "elsewhere")
    whole = make_run(labelled(24), name="whole", model=bert, method=QUICK)
    train(whole)
    parts = RunDirectory(tmp_path / "elsewhere")
    assert artifact_bytes(parts) == artifact_bytes(whole)
    steps = [event.step for event in events(parts, "step")]
    assert steps == sorted(set(steps)), "no step is told twice"


def test_cancelled_and_paused(make_run: MakeRun, bert: Path) -> None:
    cancelled = make_run(labelled(24), name="cancelled", model=bert, method=QUICK)
    cancelled.request_cancel()
    result = train(cancelled)
    assert result is not None
    assert result.state is JobState.CANCELLED
    paused = make_run(labelled(24), name="paused", model=bert, method=QUICK)
    with EventLog(paused) as log:
        assert run_training(paused, log, lambda: Stop.PAUSED) is None
    assert events(paused, "state")[-1].state is JobState.PAUSED
    assert train(paused) is not None


def test_budget_holds_over_restarts(make_run: MakeRun, bert: Path) -> None:
    run = make_run(labelled(24), model=bert, method=QUICK, budget=Budget(max_seconds=600))
    assert train(run, stop_after=1) is None
    (run.untrained_path / "seconds.json").write_text("601.0")
    with pytest.raises(JobFailedError, match=r"budget\.max_seconds=600"):
        train(run)


# --- what is refused, what is said ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("family", "method", "error", "said"),
    [
        ("bert", Probe(layer=3), SpecError, r"layers are 0 .* to 2"),
        ("llama", Probe(pooling="cls"), SpecError, "first token"),
        ("bert", Probe(class_weights={"biling": 2.0}), SpecError, "biling"),
    ],
)
def test_spec_that_does_not_fit(
    make_run: MakeRun, base: Base, family: str, method: Probe, error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        train(make_run(labelled(12), model=base(family), method=method))


def test_texts_that_are_too_long(make_run: MakeRun, bert: Path) -> None:
    long = LabelledExample(id="long", text="zzz " * 100, label="billing")
    with pytest.raises(DataError, match="'long'"):
        train(make_run([*labelled(12), long], name="error", model=bert, method=QUICK))
    run = make_run([*labelled(12), long], name="cut", model=bert, method=QUICK, too_long="truncate_prompt")
    train(run)
    assert any("lose the beginning" in text for text in events(run, "preflight")[0].report["warnings"])
    only = LabelledExample(id="only", text="zzz " * 100, label="only")
    with pytest.raises(DataError, match="only"):
        train(make_run([*labelled(12), only], name="drop", model=bert, method=QUICK, too_long="drop"))


def test_one_row_is_none_to_choose_by(make_run: MakeRun, bert: Path) -> None:
    only = LabelledExample(id="only", text="ask", label=("a", "b"))
    with pytest.raises(DataError, match="one training row"):
        train(make_run([only], model=bert, method=QUICK))


def test_fields_that_do_nothing_and_rare_classes_are_told(make_run: MakeRun, bert: Path) -> None:
    rare = LabelledExample(id="rare", text="ask eee", label="rare")
    run = make_run([*labelled(12), rare], model=bert, method=QUICK, learning_rate=1e-3)
    train(run)
    warnings = events(run, "preflight")[0].report["warnings"]
    assert any("learning_rate" in text for text in warnings)
    assert any("1 classes have fewer rows than the 2 folds" in text and "rare" in text for text in warnings)
    assert answers(run, ["ask eee"]) == ["rare"]


def test_fits_that_do_not_converge_are_told(
    make_run: MakeRun, bert: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tunekit.training.probe.probe._MAX_ITERATIONS", 1)
    run = make_run(labelled(24), model=bert, method=QUICK)
    train(run)
    told = [event for event in events(run, "notice") if event.level == "warning"]
    assert "fits of the cross-validation" in told[0].message
    assert "C=" in told[-1].message


def test_without_scikit_learn(make_run: MakeRun, bert: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tunekit.training.probe.probe_setup.find_spec", lambda name: None)
    with pytest.raises(MissingExtraError) as caught:
        train(make_run(labelled(12), model=bert, method=QUICK))
    assert "tunekit[probe]" in caught.value.hint


@pytest.mark.parametrize("damage", ["missing", "cut", "other"])
def test_damaged_artifact(make_run: MakeRun, base: Base, bert: Path, damage: str) -> None:
    run = make_run(labelled(12), model=bert, method=QUICK)
    train(run)
    path = run.artifact_path / "probe.safetensors"
    if damage == "missing":
        path.unlink()
    elif damage == "cut":
        path.write_bytes(path.read_bytes()[:-8])
    else:
        other = make_run(several(12), name="other", model=bert, method=QUICK)
        fewer = [example for example in labelled(12) if example.label != "refund"]  # type: ignore[union-attr]
        other = make_run(fewer, name="fewer", model=bert, method=QUICK)
        train(other)
        path.write_bytes((other.artifact_path / "probe.safetensors").read_bytes())
    with pytest.raises(ModelError):
        load.load(run.artifact_path)


@pytest.mark.parametrize(
    ("change", "reads"),
    [
        (lambda value: value, '{"layer": 1.5, "pooling": "mean"}'),
        (lambda value: value, '{"layer": 1, "pooling": "most"}'),
        (lambda value: value, "[]"),
        (lambda value: value.half(), '{"layer": 1, "pooling": "mean"}'),
        (lambda value: value * float("nan"), '{"layer": 1, "pooling": "mean"}'),
    ],
    ids=["layer", "pooling", "list", "half", "nan"],
)
def test_artifact_that_somebody_else_has_written(
    make_run: MakeRun, bert: Path, change: Callable[[torch.Tensor], torch.Tensor], reads: str
) -> None:
    run = make_run(labelled(12), model=bert, method=QUICK)
    train(run)
    path = run.artifact_path / "probe.safetensors"
    save_file({name: change(value) for name, value in load_file(path).items()}, path, {"reads": reads})
    with pytest.raises(ModelError):
        load.load(run.artifact_path)


def test_what_it_cannot_be_asked(make_run: MakeRun, bert: Path) -> None:
    run = make_run(labelled(12), model=bert, method=QUICK)
    train(run)
    loaded = load.load(run.artifact_path)
    assert loaded.classes is not None
    with pytest.raises(InvalidError, match="longer than"):
        predict.generate(loaded, loaded.classes, [{"prompt": "a" * 400}])
