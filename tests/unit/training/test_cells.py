"""The table of families and methods in docs/guides/train.md: every cell trains, or says why not before it begins.

A cell that trains keeps three promises: what it learns shows, the same seed gives the same bytes, and plain
transformers, PEFT and NumPy make the same numbers of its artifact.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.unit.training.conftest import MakeRun, artifact_bytes, events, losses, rows, train, with_peft
from tests.unit.training.judged import judgements, preferences, question
from tests.unit.training.tiny_classifiers import labelled
from tests.unit.training.tiny_families import FAMILIES
from tunekit.errors import ModelError
from tunekit.events import JobState
from tunekit.examples import Example, PromptExample
from tunekit.spec import DPO, KTO, RFT, SFT, Adapter, Classify, FullWeights, LastLayers, LoRA, Method, Probe
from tunekit.training.models import load
from tunekit.training.run.rundir import RunDirectory
from tunekit.training.saving import parity
from tunekit.training.saving.artifacts import Card, read_card

PAGE = Path(__file__).resolve().parents[3] / "docs" / "guides" / "train.md"
LORA, FULL, LAST = LoRA(rank=4), FullWeights(), LastLayers(layers=1)
# Tokens of plain text are good, which is what about half of those of an untrained model are.
PLAIN = "def grade(sample, item):\n    return sum(c <= '~' for c in sample['output_text']) / 6"
DRAWN = {"grader": {"type": "python", "source": PLAIN}, "group_size": 4, "max_tokens": 6}
METHODS: dict[str, Callable[[Adapter], Method]] = {
    "SFT": lambda adapter: SFT(adapter=adapter),
    "DPO": lambda adapter: DPO(adapter=adapter),
    "KTO": lambda adapter: KTO(adapter=adapter),
    "RFT": lambda adapter: RFT(adapter=adapter, **DRAWN),
    "Classify": lambda adapter: Classify(adapter=adapter),
    "Probe": lambda adapter: Probe(folds=2, layer=1),
}
CLASSIFYING = ("Classify", "Probe")
ADAPTERS: dict[str, tuple[Adapter, ...]] = {"SFT": (LORA, FULL), "Classify": (LORA, LAST, FULL)}
AUTO_CLASSES = {"decoder": "AutoModelForCausalLM", "encoder-decoder": "AutoModelForSeq2SeqLM"}

Models = Callable[[str], Path]


def is_possible(family: str, method: str) -> bool:
    """The one declaration that the page and the tests follow: an encoder writes no text."""
    return FAMILIES[family].kind != "encoder" or method in CLASSIFYING


def table() -> str:
    """The table as the page has it."""
    lines = [["model", "kind", *(f"`{method}`" for method in METHODS)]]
    for family, made in FAMILIES.items():
        can = ["yes" if is_possible(family, method) else "no" for method in METHODS]
        lines.append([family, made.kind, *can])
    head, *body = [f"| {' | '.join(line)} |" for line in lines]
    return "\n".join([head, "|---" * len(lines[0]) + "|", *body])


def named(family: str, method: str, adapter: Adapter) -> Any:
    trained = "" if method == "Probe" else f"-{adapter.type}"
    return pytest.param(family, method, adapter, id=f"{family}-{method}{trained}")


CELLS = [(family, method) for family in FAMILIES for method in METHODS if is_possible(family, method)]
TRAINED = [named(*cell, adapter) for cell in CELLS for adapter in ADAPTERS.get(cell[1], (LORA,))]
IMPOSSIBLE = [
    (family, method) for family in FAMILIES for method in METHODS if not is_possible(family, method)
]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Models:
    directory = tmp_path_factory.mktemp("families")
    return functools.cache(lambda family: FAMILIES[family].make(directory / family.replace(" ", "-")))


def examples(method: str) -> Sequence[Example]:
    if method in CLASSIFYING:
        return labelled(12)
    found: dict[str, Callable[[], Sequence[Example]]] = {
        "SFT": lambda: rows(12),
        "DPO": lambda: preferences(12),
        "KTO": lambda: judgements(12),
        "RFT": lambda: [PromptExample(id=f"row-{n}", messages=question(n)) for n in range(8)],
    }
    return found[method]()


def test_the_page_has_this_table() -> None:
    assert table() in PAGE.read_text(encoding="utf-8"), f"put this into {PAGE.name}:\n{table()}"


@pytest.mark.parametrize(("family", "method", "adapter"), TRAINED)
def test_a_cell_learns_repeats_and_is_loaded_by_others(
    make_run: MakeRun, models: Models, family: str, method: str, adapter: Adapter
) -> None:
    fields = {"model": models(family), "method": METHODS[method](adapter), "seed": 3}
    runs = [
        make_run(examples(method), name=name, epochs=8 if method == "RFT" else 4, **fields)
        for name in ("once", "again")
    ]
    for run in runs:
        result = train(run)
        assert result is not None and result.state is JobState.SUCCEEDED
    once, again = runs
    require_learned(once, method)
    assert artifact_bytes(once) == artifact_bytes(again)
    if method == "Probe":
        require_same_by_numpy(once.artifact_path, models(family))
    else:
        require_same_by_others(once.artifact_path, models(family))


def require_learned(run: RunDirectory, method: str) -> None:
    if method == "Probe":
        assert events(run, "evaluated")[-1].metrics["cross_validation_accuracy"] > 0.6, "chance is a third"
        return
    seen = [-event.metrics["reward"] for event in events(run, "step")] if method == "RFT" else losses(run)
    assert sum(seen[-3:]) < sum(seen[:3]), seen


def require_same_by_others(artifact: Path, base: Path) -> None:
    """Transformers and PEFT say the same of a text, to the bit, and training has changed that."""
    ours, card = load.load(artifact), read_card(artifact)
    told = parity.logits(ours)
    assert torch.equal(parity.logits(ours, of=plainly_loaded(artifact, card, base)), told)
    if not card.labels:
        assert not torch.equal(parity.logits(ours, of=load.load_base(base)), told)


def plainly_loaded(artifact: Path, card: Card, base: Path) -> Any:
    """As somebody without tunekit loads it."""
    import transformers

    name = "AutoModelForSequenceClassification" if card.labels else AUTO_CLASSES[card.family]
    auto_class = getattr(transformers, name)
    if card.kind == "full":
        return auto_class.from_pretrained(artifact)
    classes = {"num_labels": len(card.labels)} if card.labels else {}
    return with_peft(auto_class.from_pretrained(base, **classes), artifact)


def require_same_by_numpy(artifact: Path, base: Path) -> None:
    """The states of the base by transformers, and the classifier on them by NumPy."""
    from safetensors import safe_open
    from transformers import AutoModel, AutoTokenizer

    ours = load.load(artifact)
    ids = AutoTokenizer.from_pretrained(artifact)("ask ask zzz").input_ids
    with safe_open(artifact / "probe.safetensors", framework="np") as file:
        reads = json.loads(file.metadata()["reads"])
        linear = {name: file.get_tensor(name).astype(np.float64) for name in file.keys()}  # noqa: SIM118
    model = AutoModel.from_pretrained(base).eval()
    body = getattr(model, "encoder", model) if ours.family == "encoder-decoder" else model
    with torch.no_grad():
        states = body(input_ids=torch.tensor([ids]), output_hidden_states=True).hidden_states[reads["layer"]]
    vector = {"mean": states.mean(dim=1), "last": states[:, -1]}[reads["pooling"]].double().numpy()
    logits = (vector - linear["mean"]) / linear["scale"] @ linear["weight"].T + linear["bias"]
    np.testing.assert_allclose(ours.model.logits([ids]).numpy(), logits, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("family", "method"), IMPOSSIBLE)
def test_what_cannot_be_says_so_before_the_first_step(
    make_run: MakeRun, models: Models, family: str, method: str
) -> None:
    run = make_run(examples(method), model=models(family), method=METHODS[method](LORA))
    with pytest.raises(ModelError, match="encoder, which writes no text") as caught:
        train(run)
    assert "Classify" in str(caught.value.hint)
    assert losses(run) == [] and not run.artifact_path.exists()
