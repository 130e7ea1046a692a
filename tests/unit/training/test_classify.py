"""Classify: every family with every adapter, against itself, torch, transformers and PEFT."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional

from tests.unit.training.conftest import Base, MakeRun, artifact_bytes, events, losses, train, with_peft
from tests.unit.training.tiny_classifiers import (
    CLASSES,
    FAMILIES,
    labelled,
    several,
    without_dropout,
)
from tunekit.adapters import Adapter
from tunekit.errors import DataError
from tunekit.events import JobState
from tunekit.examples import LabelledExample
from tunekit.spec import Classify, FullWeights, LastLayers, LoRA
from tunekit.training.models import heads, load
from tunekit.training.models.classes import Census
from tunekit.training.models.classifier import Classifier, text_ids
from tunekit.training.models.families import family_of
from tunekit.training.objectives.classify import Classifying, LabelledText
from tunekit.training.objectives.texts import Texts
from tunekit.training.plan.batches import epoch_batches
from tunekit.training.plan.device import Device
from tunekit.training.saving.artifacts import read_card
from tunekit.training.texts.template import Template

CPU = Device(name="cpu", frozen_dtype=torch.float32, compute_dtype=None)
ADAPTERS: dict[str, Adapter] = {
    "lora": LoRA(rank=4, dropout=0.1),
    "full": FullWeights(),
    "last-layers": LastLayers(layers=1),
}
CELLS = [pytest.param(family, name, id=f"{family}-{name}") for family in FAMILIES for name in ADAPTERS]
ONE_OF_EACH = ("bert", "llama", "t5")


@pytest.mark.parametrize(("family", "adapter"), CELLS)
def test_a_cell_learns_and_others_load_what_comes_out(
    make_run: MakeRun, base: Base, family: str, adapter: str
) -> None:
    method = Classify(adapter=ADAPTERS[adapter], dropout=0.1)
    run = make_run(labelled(12), model=base(family), method=method, epochs=6, validation=labelled(6))
    result = train(run)
    assert result is not None
    assert result.state is JobState.SUCCEEDED
    seen = losses(run)
    assert sum(seen[-3:]) < sum(seen[:3])
    held_out = [event.metrics for event in events(run, "evaluated")]
    assert set(held_out[-1]) == {"loss", "accuracy"}
    assert held_out[-1]["loss"] < held_out[0]["loss"]
    ours, theirs = load.load(run.artifact_path), plainly_loaded(run.artifact_path, base(family))
    assert torch.equal(logits(ours.model), logits(theirs))
    assert ours.classes is not None
    assert ours.classes.names == CLASSES
    assert not list(run.artifact_path.glob("generation_config.json")), "it writes no text"


@pytest.mark.parametrize("adapter", ADAPTERS)
@pytest.mark.parametrize("family", ONE_OF_EACH)
def test_resumed_with_dropout_is_uninterrupted_bit_for_bit(
    make_run: MakeRun, base: Base, family: str, adapter: str
) -> None:
    method = Classify(adapter=ADAPTERS[adapter], dropout=0.1)
    whole, parts = (
        make_run(labelled(10), name=name, model=base(family), method=method) for name in ("whole", "parts")
    )
    train(whole)
    assert train(parts, stop_after=4) is None
    train(parts)
    assert artifact_bytes(parts) == artifact_bytes(whole)
    assert losses(parts) == losses(whole)


def plainly_loaded(artifact: Path, base: Path) -> Any:
    """The artifact as somebody without tunekit loads it."""
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    if read_card(artifact).kind == "full":
        found = AutoModelForSequenceClassification.from_pretrained(artifact)
        assert found.config.id2label == dict(enumerate(CLASSES))
        assert found.config.label2id == {name: at for at, name in enumerate(CLASSES)}
        return found.eval()
    pad_id = AutoTokenizer.from_pretrained(artifact).pad_token_id
    bare = AutoModelForSequenceClassification.from_pretrained(base, num_labels=3, pad_token_id=pad_id)
    return with_peft(bare, artifact).eval()


def logits(model: Any) -> torch.Tensor:
    """Of two texts of different length; both end in the id that all of the tiny tokenizers end texts with."""
    ids = torch.tensor([[2, 88, 86, 72, 85, 202, 68, 1], [2, 90, 91, 1, 0, 0, 0, 0]])
    with torch.no_grad():
        found: torch.Tensor = model(input_ids=ids, attention_mask=(ids != 0).long()).logits
    return found


@pytest.mark.parametrize("family", ONE_OF_EACH)
def test_same_seed_same_bits_other_seed_other_head(make_run: MakeRun, base: Base, family: str) -> None:
    first, again, other = (
        make_run(labelled(6), name=name, model=base(family), method=Classify(), seed=seed, epochs=1)
        for name, seed in (("a", 1), ("b", 1), ("c", 2))
    )
    torch.manual_seed(0)
    train(first)
    torch.manual_seed(1)  # whatever the process has drawn before
    train(again)
    train(other)
    assert artifact_bytes(first) == artifact_bytes(again)
    assert artifact_bytes(first) != artifact_bytes(other)


@pytest.mark.parametrize("rows", [labelled, several], ids=["one class", "several"])
@pytest.mark.parametrize("family", FAMILIES)
def test_accumulated_is_whole(
    make_run: MakeRun, base: Base, tmp_path: Path, family: str, rows: Callable[[int], Sequence[Any]]
) -> None:
    certain = without_dropout(base(family), tmp_path / "certain")
    method = Classify(class_weights={"billing": 3.0})
    whole, parts = (
        make_run(rows(12), name=str(micro), model=certain, method=method, epochs=1, micro_batch_size=micro)
        for micro in (4, 1)
    )
    train(whole)
    train(parts)
    assert losses(parts) == pytest.approx(losses(whole), abs=2e-5)


@pytest.mark.parametrize("family", FAMILIES)
def test_padded_is_single(base: Base, family: str) -> None:
    model, template = classifier(base(family))
    texts = [text_ids(template, example.text, model.family) for example in labelled(8)]  # type: ignore[union-attr]
    assert len({len(text) for text in texts}) > 1
    with torch.no_grad():
        together, alone = model.logits(texts), torch.cat([model.logits([text]) for text in texts])
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-6)
    assert not torch.allclose(alone[0], alone[1], rtol=0, atol=1e-5), "all texts would look the same"


def classifier(base: Path) -> tuple[Classifier, Template]:
    template = Template.of(load.load_tokenizer(base))
    module, _ = load.load_classifier(base, template, Census.of(labelled()).classes)
    return Classifier.of(module, CPU), template


def test_steps_match_a_loop_written_by_hand(make_run: MakeRun, base: Base, tmp_path: Path) -> None:
    """Weighted cross-entropy as torch has it, with nothing of ours but the order of the rows and the first head."""
    certain = without_dropout(base("bert"), tmp_path / "certain")
    examples = [example for example in labelled(24) if example.label != "refund" or int(example.id[4:]) < 9]  # type: ignore[union-attr]
    method = Classify(class_weights="balanced")
    run = make_run(examples, model=certain, method=method, schedule="constant", warmup_ratio=0, seed=3)
    train(run)
    seen = events(run, "step")
    found, truth, right = by_hand(certain, examples, seed=3)
    assert [event.loss for event in seen] == pytest.approx(found, abs=2e-6)
    assert [event.metrics["accuracy"] for event in seen] == pytest.approx(right)
    assert sorted(truth.unique().tolist()) == [0, 1, 2]


def by_hand(
    base: Path, examples: Sequence[Any], *, seed: int
) -> tuple[list[float], torch.Tensor, list[float]]:
    import numpy as np
    from sklearn.utils.class_weight import compute_class_weight
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(base)
    model, _ = load.load_classifier(base, tokenizer, Census.of(examples).classes, seed=seed)
    model.requires_grad_(True)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2, weight_decay=0.0)
    labels = [example.label for example in examples]
    truth = torch.tensor([CLASSES.index(label) for label in labels])
    weights = compute_class_weight("balanced", classes=np.array(CLASSES), y=labels)
    criterion = torch.nn.CrossEntropyLoss(weight=torch.tensor(weights, dtype=torch.float32))
    lengths = [len(tokenizer(example.text)["input_ids"]) for example in examples]
    found, right = [], []
    for batch in [batch for epoch in range(2) for batch in epoch_batches(lengths, 4, seed, epoch)]:
        optimizer.zero_grad()
        told = tokenizer([examples[at].text for at in batch], padding=True, return_tensors="pt")
        said = model(input_ids=told["input_ids"], attention_mask=told["attention_mask"]).logits
        loss = criterion(said, truth[batch])
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        found.append(float(loss.detach()))
        right.append(float((said.argmax(1) == truth[batch]).float().mean()))
    return found, truth, right


def test_several_classes_are_judged_one_by_one(base: Base) -> None:
    """Against torch's own loss, row by row and class by class; a text without any class counts like the others."""
    examples = several(7)
    model, template = classifier(base("bert"))
    texts = Texts(template=template, prompt_format="text", family="encoder")
    weights = {"billing": 2.0, "refund": 0.5}
    objective = Classifying.of(Classify(class_weights=weights), texts, examples)
    rows = [objective.row(example) for example in examples]
    found = objective.learner(model.module, CPU, longest=64).loss(rows)
    said = model.logits([row.ids for row in rows])
    total, right = torch.zeros(()), 0
    for row, example in zip(said, examples, strict=True):
        names = example.label  # type: ignore[union-attr]
        for at, (name, weight) in enumerate(zip(CLASSES, (2.0, 1.0, 0.5), strict=True)):
            chance = torch.sigmoid(row[at])
            total = total - weight * torch.log(chance if name in names else 1 - chance)
        right += all((row[at] > 0) == (name in names) for at, name in enumerate(CLASSES))
    torch.testing.assert_close(found.total, total, rtol=1e-5, atol=1e-5)
    assert int(found.metrics["exact_match"]) == right
    assert [row.weight for row in rows] == [3.5] * 7
    assert [row.classes for row in rows][:4] == [(), (0,), (1,), (0, 1)]


def test_without_weights_it_is_torchs_mean(base: Base) -> None:
    model, template = classifier(base("bert"))
    texts = Texts(template=template, prompt_format="text", family="encoder")
    for examples, criterion in (
        (labelled(9), "cross_entropy"),
        (several(9), "binary_cross_entropy_with_logits"),
    ):
        objective = Classifying.of(Classify(), texts, examples)
        rows = [objective.row(example) for example in examples]
        found = objective.learner(model.module, CPU, longest=64).loss(rows).total / sum(
            row.weight for row in rows
        )
        targets = torch.zeros(9, 3)
        for at, row in enumerate(rows):
            targets[at, list(row.classes)] = 1.0
        expected = getattr(functional, criterion)(model.logits([row.ids for row in rows]), targets)
        torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-6)


def test_several_classes_end_to_end(make_run: MakeRun, base: Base) -> None:
    run = make_run(several(28), model=base("bert"), method=Classify(), epochs=20, validation=several(7))
    result = train(run)
    assert result is not None
    assert events(run, "evaluated")[-1].metrics["exact_match"] > 0.5
    found = load.load(run.artifact_path)
    assert found.classes is not None
    assert found.classes.multi_label
    assert found.model.config.problem_type == "multi_label_classification"


@pytest.mark.parametrize("family", ["bert", "roberta", "llama", "t5"])
@pytest.mark.parametrize("adapter", ["lora", "full"])
def test_dropout_is_on_what_the_head_reads_and_only_in_training(
    base: Base, family: str, adapter: str
) -> None:
    from tunekit.training.models.adapters import make_trainable

    source = base(family)
    template = Template.of(load.load_tokenizer(source))
    module, _ = load.load_classifier(source, template, Census.of(labelled()).classes)
    module = make_trainable(module, LoRA(rank=2) if adapter == "lora" else FullWeights(), seed=0)
    for part in module.modules():
        if isinstance(part, torch.nn.Dropout):
            part.p = 0.0
    module.config.attention_dropout = 0.0
    heads.set_dropout(module, 0.5)
    model = Classifier.of(module, CPU)
    ids = [text_ids(template, "ask zzz", family_of(module.config))]
    with torch.no_grad():
        module.eval()
        assert torch.equal(model.logits(ids), model.logits(ids))
        module.train()
        assert not torch.equal(model.logits(ids), model.logits(ids))


def test_the_dropout_asked_for_is_the_one_in_use(make_run: MakeRun, base: Base) -> None:
    """On a model that has none of its own."""
    none, some = (
        make_run(labelled(8), name=f"dropout {share}", model=base("llama"), method=Classify(dropout=share))
        for share in (0.0, 0.5)
    )
    train(none)
    train(some)
    assert losses(none)[0] != pytest.approx(losses(some)[0], abs=1e-4)


def test_the_report_counts_the_classes(make_run: MakeRun, base: Base) -> None:
    run = make_run(labelled(7), model=base("bert"), method=Classify(class_weights="balanced"), epochs=1)
    train(run)
    (report,) = (event.report for event in events(run, "preflight"))
    assert report["classes"] == {"billing": 3, "delivery": 2, "refund": 2}
    assert report["class_weights"]["billing"] == pytest.approx(7 / 9)
    assert report["sample"].startswith("[CLS]ask ")
    card = read_card(run.artifact_path)
    assert (card.labels, card.multi_label, card.prompt_format) == (CLASSES, False, "text")


@pytest.mark.parametrize("family", ["bert", "llama"])
def test_a_long_text_loses_its_beginning_only_where_that_was_asked_for(
    make_run: MakeRun, base: Base, family: str
) -> None:
    long = LabelledExample(id="long", text="x" * 200 + " zzz", label="billing")
    run = make_run(
        [*labelled(), long], model=base(family), method=Classify(), epochs=1, too_long="truncate_prompt"
    )
    train(run)
    (report,) = (event.report for event in events(run, "preflight"))
    assert report["longest"] == 128
    template = Template.of(load.load_tokenizer(base(family)))
    texts = Texts(template=template, prompt_format="text", family="encoder")
    objective = Classifying.of(Classify(), texts, labelled())
    whole = objective.row(long)
    cut = objective.shortened(whole, 128)
    assert cut is not None
    end = -4 if family == "llama" else -5
    assert cut.ids[end:] == whole.ids[end:]
    assert cut.ids[0] == whole.ids[0]
    assert objective.shortened(whole, 1) is None or family == "llama"


@pytest.mark.parametrize(("label", "said"), [(("billing", "refund"), "has 2 classes"), ((), "has 0 classes")])
def test_a_row_of_several_classes_among_rows_of_one_is_refused(
    make_run: MakeRun, base: Base, label: tuple[str, ...], said: str
) -> None:
    other = LabelledExample(id="other", text="ask zzz", label=label)
    with pytest.raises(DataError, match=f"row 'other' {said}"):
        train(make_run(labelled(), model=base("bert"), method=Classify(), validation=[other]))
    one = LabelledExample(id="one", text="ask zzz", label=("billing",))
    assert train(make_run(labelled(), name="one", model=base("bert"), method=Classify(), validation=[one]))


def test_what_the_vocabulary_lacks_is_a_part_of_the_text(base: Base) -> None:
    """BERT reads the state of the first token, which is to stay the one that it was trained with."""
    tokenizer = load.load_tokenizer(base("bert"))
    unknown, first, last = tokenizer.unk_token_id, tokenizer.cls_token_id, tokenizer.sep_token_id
    texts = Texts(template=Template.of(tokenizer), prompt_format="text", family="encoder")
    row = LabelledText(id="x", ids=(first, *[unknown] * 8, last), classes=(0,), weight=1.0)
    cut = Classifying.of(Classify(), texts, labelled()).shortened(row, 5)
    assert cut is not None
    assert cut.ids == (first, unknown, unknown, unknown, last)
