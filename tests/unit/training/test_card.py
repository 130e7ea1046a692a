"""What lies beside the weights: the model card for people, and the card that files are held against at load."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.unit.training.conftest import MakeRun, rows, train
from tunekit.errors import ModelError
from tunekit.examples import LabelledExample
from tunekit.spec import SFT, Classify, FullWeights, LastLayers, LoRA
from tunekit.testing.tiny_models import make_tiny_bert
from tunekit.training.models import load
from tunekit.training.saving.artifacts import Card, read_card
from tunekit.training.saving.model_card import readme


@pytest.fixture
def artifact(make_run: MakeRun) -> Path:
    run = make_run(rows(8), epochs=1)
    train(run)
    return run.artifact_path


def front_matter(text: str) -> dict[str, Any]:
    """The lines between the dashes; scalars and one list, which is all that a card has."""
    head = re.match(r"---\n(.*?)\n---\n", text, re.DOTALL)
    assert head is not None
    found: dict[str, Any] = {}
    for line in head[1].splitlines():
        name, colon, value = line.partition(":")
        if line.startswith("- "):
            found["tags"] = [*(found["tags"] or []), json.loads(line[2:])]
        else:
            assert colon
            found[name] = json.loads(value) if value.strip().startswith('"') else value.strip()
    return found


class TestReadme:
    def test_it_says_what_the_hub_and_people_look_for(self, artifact: Path, llama: Path) -> None:
        text, card = (artifact / "README.md").read_text(), read_card(artifact)
        head = front_matter(text)
        assert head["library_name"] == "peft"
        assert head["pipeline_tag"] == "text-generation"
        assert head["license"] == "unknown"
        assert head["tags"] == ["tunekit", "sft", "lora"]
        assert "base_model" not in head, "a path is no id of the hub"
        assert card.data_sha256 in text
        assert f"- Data: {card.rows} rows" in text
        assert card.rows == 8
        assert f"| loss | {card.metrics['loss']:.6g} |" in text
        assert "PeftModel.from_pretrained" in text

    def test_it_names_no_run_and_no_place(self, artifact: Path, llama: Path) -> None:
        text = (artifact / "README.md").read_text()
        assert str(llama.parent) not in text
        assert read_card(artifact).key not in re.findall(r"[\w-]+", text)

    def test_a_base_of_the_hub_is_named(self, artifact: Path) -> None:
        card = read_card(artifact).model_copy(update={"base_model": "acme/Base-1B", "revision": "c0ffee"})
        assert front_matter(readme(card))["base_model"] == "acme/Base-1B"
        assert 'from_pretrained("acme/Base-1B", revision="c0ffee")' in readme(card)

    @pytest.mark.parametrize(
        ("adapter", "tag", "words"),
        [
            (LoRA(dora=True), "dora", "LoRA (dora)"),
            (LoRA(init="pissa", rslora=True), "lora", "LoRA (rslora, pissa)"),
            (FullWeights(), "full", "all weights"),
            (LastLayers(layers=3), "last-layers", "the last 3 layers"),
        ],
    )
    def test_what_was_trained(self, artifact: Path, adapter: Any, tag: str, words: str) -> None:
        card = read_card(artifact)
        changed = card.spec.model_copy(update={"method": SFT(adapter=adapter)})
        text = readme(card.model_copy(update={"spec": changed}))
        assert tag in front_matter(text)["tags"]
        assert words in text


class TestFilesAgainstCard:
    """What has changed since training is noticed before anything is answered."""

    def test_other_stop_tokens(self, artifact: Path, tmp_path: Path) -> None:
        copy = Path(shutil.copytree(artifact, tmp_path / "copy"))
        change(copy / "generation_config.json", lambda body: body.update(eos_token_id=[1]))
        with pytest.raises(ModelError, match=r"ends answers at \[1\]"):
            load.load(copy)

    @pytest.mark.parametrize("text", ["", "[]", None])
    def test_a_damaged_generation_config(self, artifact: Path, tmp_path: Path, text: str | None) -> None:
        copy = Path(shutil.copytree(artifact, tmp_path / "copy"))
        (copy / "generation_config.json").unlink()
        if text is not None:
            (copy / "generation_config.json").write_text(text)
        with pytest.raises(ModelError, match="generation_config"):
            load.load(copy)

    def test_other_names_of_classes(self, make_run: MakeRun, tmp_path: Path) -> None:
        examples = [LabelledExample(id=str(n), text="x" * (1 + n % 2), label="ab"[n % 2]) for n in range(8)]
        bert = make_tiny_bert(tmp_path / "bert")
        run = make_run(examples, model=bert, method=Classify(adapter=FullWeights()), epochs=1)
        train(run)
        assert load.load(run.artifact_path).classes is not None
        change(run.artifact_path / "config.json", lambda body: body["id2label"].update({"0": "b", "1": "a"}))
        with pytest.raises(ModelError, match="names other classes"):
            load.load(run.artifact_path)


def change(path: Path, edit: Callable[[dict[str, Any]], object]) -> None:
    body = json.loads(path.read_text())
    edit(body)
    path.write_text(json.dumps(body))


def test_a_card_of_before_lineage_still_reads(artifact: Path) -> None:
    body = json.loads((artifact / "tunekit.json").read_text())
    for name in ("rows", "metrics", "parents"):
        del body[name]
    assert Card.model_validate(body).parents == ()
