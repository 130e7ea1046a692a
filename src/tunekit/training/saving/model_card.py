"""The `README.md` of an artifact: a model card as the hub wants it. Knows a card and words; no tensor and no file.

Equal cards give equal text, and nothing in it names a run, a person or a machine.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tunekit.spec import FullWeights, LastLayers, LoRA
from tunekit.training.saving.artifacts import Card

_LIBRARIES = {"adapter": "peft", "full": "transformers", "probe": "tunekit"}
_CLASSES = {"decoder": "AutoModelForCausalLM", "encoder-decoder": "AutoModelForSeq2SeqLM"}
_TASKS = {"decoder": "text-generation", "encoder-decoder": "text2text-generation"}


def readme(card: Card) -> str:
    """The text of an artifact's `README.md`.

    Args:
        card: Of an adapter, a whole model or a probe.
    """
    parts = (_front_matter(card), _what(card), _numbers(card), _loading(card))
    return "\n".join("\n".join(part) + "\n" for part in parts)


def _front_matter(card: Card) -> Iterator[str]:
    """YAML; every string in it is JSON, which YAML reads as it is."""
    yield "---"
    yield f"library_name: {_LIBRARIES[card.kind]}"
    if not _is_path(card.base_model):  # the hub takes ids of its own only
        yield f"base_model: {json.dumps(card.base_model)}"
    yield f"pipeline_tag: {'text-classification' if card.labels else _TASKS[card.family]}"
    yield "license: unknown"
    yield "tags:"
    for tag in ("tunekit", card.method, _adapter_tag(card)):
        yield f"- {json.dumps(tag)}"
    yield "---"


def _what(card: Card) -> Iterator[str]:
    yield f"# {_base(card)}, tuned"
    yield ""
    yield f"- Base model: `{_base(card)}`" + (f" at revision `{card.revision}`" if card.revision else "")
    yield f"- Method: {card.method}, {_adapter_words(card)}"
    yield f"- Data: {card.rows} rows, SHA-256 `{card.data_sha256}`"
    if card.labels:
        yield f"- Classes: {len(card.labels)}" + (", several may hold at once" if card.multi_label else "")
    else:
        yield f"- Prompts: {'the chat template' if card.prompt_format == 'chat' else 'text as it is'}"
        if card.chat_template_date:
            yield (
                f"- Date: the chat template writes today's date into prompts; here that is always "
                f"{card.chat_template_date}, as in training"
            )
    yield "- Licence: unknown; that of the base model and of the data apply"
    if card.parents:
        yield f"- Goes on from {len(card.parents)} earlier model(s), named in `tunekit.json`"


def _numbers(card: Card) -> Iterator[str]:
    epochs = {} if card.kind == "probe" else {"epochs": card.spec.epochs}
    facts = {**card.resolved, **epochs, "seed": card.spec.seed, **card.metrics}
    yield "| | |"
    yield "|---|---|"
    for name, value in facts.items():
        yield (
            f"| {name.replace('_', ' ')} | {value:.6g} |"
            if isinstance(value, float)
            else f"| {name} | {value} |"
        )


def _loading(card: Card) -> Iterator[str]:
    if card.kind == "probe":
        yield "The base model is not in here: `tunekit.json` names it, and it must be at hand."
        yield ""
        yield "```python"
        yield "import tunekit as tk"
        yield ""
        yield 'print(tk.generate("local:path/to/this/directory", "a text").text)'
        yield "```"
        return
    auto = "AutoModelForSequenceClassification" if card.labels else _CLASSES[card.family]
    source = json.dumps(_base(card))
    yield "```python"
    yield f"from transformers import AutoTokenizer, {auto}"
    if card.kind == "adapter":
        labels = f", num_labels={len(card.labels)}" if card.labels else ""
        revision = f", revision={json.dumps(card.revision)}" if card.revision else ""
        yield "from peft import PeftModel"
        yield ""
        yield f"base = {auto}.from_pretrained({source}{revision}{labels})"
        yield 'model = PeftModel.from_pretrained(base, "path/to/this/directory")'
    else:
        yield ""
        yield f'model = {auto}.from_pretrained("path/to/this/directory")'
    yield 'tokenizer = AutoTokenizer.from_pretrained("path/to/this/directory")'
    yield "```"


def _is_path(model: str) -> bool:
    return model.startswith(("/", ".", "~"))


def _base(card: Card) -> str:
    """The base's id, or the name of its directory: where that lies is nobody else's business."""
    return Path(card.base_model).name if _is_path(card.base_model) else card.base_model


def _adapter(card: Card) -> Any:
    return getattr(card.spec.method, "adapter", None)


def _adapter_tag(card: Card) -> str:
    adapter = _adapter(card)
    if card.kind == "probe":
        return "linear-probe"
    if isinstance(adapter, LoRA):
        return "dora" if adapter.dora else "lora"
    return "last-layers" if isinstance(adapter, LastLayers) else "full"


def _adapter_words(card: Card) -> str:
    adapter = _adapter(card)
    if card.kind == "probe":
        return "a linear classifier on the states of the frozen model"
    if isinstance(adapter, LastLayers):
        return f"the last {adapter.layers} layers and the head"
    if isinstance(adapter, FullWeights) or adapter is None:
        return "all weights"
    names = [name for name in ("dora", "rslora") if getattr(adapter, name)]
    names += ["pissa"] if adapter.init == "pissa" else []
    return f"LoRA{' (' + ', '.join(names) + ')' if names else ''}"
