"""The tuned model on disk, and the card that says what it is. Knows files and formats; not how training went.

An artifact is what the ecosystem already loads: a PEFT adapter directory, or a transformers model directory. Beside
those files lies `tunekit.json`, the card: what is needed to serve the model exactly as it was trained.
Equal training gives equal bytes in every file, so nothing in here carries a time.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from tunekit import _files
from tunekit.errors import ModelError
from tunekit.spec import TuneSpec, parse_model
from tunekit.training.models import fingerprint
from tunekit.training.models.classes import Classes
from tunekit.training.models.families import Family

CARD_NAME = "tunekit.json"
README_NAME = "README.md"
ADAPTER_CONFIG_NAME = "adapter_config.json"
ADAPTER_WEIGHTS_NAME = "adapter_model.safetensors"
FISHER_NAME = "tunekit/fisher.safetensors"
"""Not beside the weights: what serves a model loads every safetensors file that lies there."""


class Parent(BaseModel):
    """An artifact that another one was made from.

    Attributes:
        run_id: The run that made it.
        fingerprint: `fingerprint.of_model` of it.
        base_fingerprint: That of the base it was made from; see `Card`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    run_id: str
    fingerprint: str
    base_fingerprint: str


class Card(BaseModel):
    """What an artifact is, as written in its `tunekit.json`.

    Attributes:
        kind: "adapter" and "probe" need their base model to run; "full" stands alone.
        family: What kind of model it is.
        base_model: Absolute path or hub id of the model that was tuned.
        revision: Hub commit of the base model, so that the adapter is served on the same one.
        base_fingerprint: What `fingerprint.of_base` gave for it; "" if that is not known. Checked again at load.
        method: Type of the method, such as "sft".
        prompt_format: How prompt/completion pairs were written; "auto" is resolved.
        chat_template_sha256: SHA-256 of the chat template in training, or "" if there was none. Checked again at load.
        chat_template_date: The day that the template takes for today, in training and ever after; "" if it writes none.
        weights_sha256: SHA-256 of every weight file beside the card, by name. Checked again at load.
        fisher_sha256: Of the file that says how much each weight matters; "" where that was not kept.
        stop_token_ids: Tokens that end an answer.
        max_length: Longest sequence the model takes when it is served, in tokens.
        labels: Of a classifier, the names of its classes in the order of its outputs; else empty.
        multi_label: Whether a text may have several of them, or none.
        spec: The recipe as asked for.
        resolved: What "auto" became, by field.
        run_id: The run that made it.
        key: Idempotency key of that run's submission.
        data_sha256: SHA-256 of the training rows.
        rows: How many of them there were.
        metrics: Last known numbers by name, such as "loss" and "validation_loss".
        parents: What it goes on from, nearest first; empty for a model tuned from a base.
        versions: Library versions that made it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: Literal[1] = 1
    kind: Literal["adapter", "full", "probe"]
    family: Family = "decoder"
    base_model: str
    revision: str | None = None
    base_fingerprint: str = ""
    method: str
    prompt_format: Literal["chat", "text"]
    chat_template_sha256: str
    chat_template_date: str = ""
    weights_sha256: dict[str, str] = {}
    fisher_sha256: str = ""
    stop_token_ids: tuple[int, ...]
    max_length: int
    labels: tuple[str, ...] = ()
    multi_label: bool = False
    spec: TuneSpec
    resolved: dict[str, Any] = {}
    run_id: str = ""
    key: str = ""
    data_sha256: str = ""
    rows: int = 0
    metrics: dict[str, float] = {}
    parents: tuple[Parent, ...] = ()
    versions: dict[str, str] = {}

    @property
    def classes(self) -> Classes | None:
        """What the model chooses from, if it is a classifier."""
        return Classes(names=self.labels, multi_label=self.multi_label) if self.labels else None

    @property
    def causes(self) -> dict[str, Any]:
        """What decides the numbers of a run, JSON-ready; versions are left out, so that an upgrade may resume."""
        return self.model_dump(
            mode="json",
            exclude={"versions", "run_id", "key", "weights_sha256", "fisher_sha256", "chat_template_date"},
        )


def is_artifact(path: Path) -> bool:
    """Whether a directory is an artifact of ours."""
    return (path / CARD_NAME).is_file()


def read_card(path: Path) -> Card:
    """The card of an artifact directory.

    Raises:
        ModelError: There is no card, or it is damaged.
    """
    try:
        text = (path / CARD_NAME).read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        raise ModelError(
            f"{str(path)!r} is not a tuned model: it has no {CARD_NAME}",
            hint="point at a run's artifact directory",
        ) from None
    try:
        card: Card = parse_model(Card, text)
    except ValueError as error:
        raise ModelError(
            f"{str(path / CARD_NAME)!r} is damaged: {error}", hint="copy the artifact again"
        ) from error
    return card


def lineage(path: Path, known_as: str) -> tuple[Parent, ...]:
    """The parents of what goes on from an artifact: that one and its own.

    Raises:
        ModelError: There is no card, or it is damaged.
    """
    card = read_card(path)
    here = Parent(run_id=card.run_id, fingerprint=known_as, base_fingerprint=card.base_fingerprint)
    return (here, *card.parents)


def template_sha256(tokenizer: Any) -> str:
    """SHA-256 of the tokenizer's chat template, or "" if it has none."""
    template = getattr(tokenizer, "chat_template", None)
    if not template:
        return ""
    text = template if isinstance(template, str) else json.dumps(template, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def publish(
    path: Path, model: Any, tokenizer: Any, card: Card, *, fisher: Mapping[str, Any] | None = None
) -> bool:
    """Write the artifact so that it appears whole or not at all.

    Args:
        path: Final directory. If it is there already, nothing is written.
        model: A PEFT model for an adapter, a transformers model for full weights, a `ProbedModel`; on any device.
        tokenizer: Saved beside the weights, chat template included.
        card: Its card.
        fisher: How much each weight that was trained matters, by parameter, where the run was asked for it.

    Returns:
        Whether this call published it.

    Raises:
        StorageError: The disk said no; nothing is left behind.
    """

    def fill(directory: Path) -> None:
        kept = "" if fisher is None else _save_fisher(directory, fisher)
        write(directory, model, tokenizer, card.model_copy(update={"fisher_sha256": kept}))

    return _files.publish_directory(path, fill)


def write(directory: Path, model: Any, tokenizer: Any, card: Card) -> None:
    """Write the files of an artifact into a directory that is there.

    Args:
        directory: Empty.
        model: As for `publish`.
        tokenizer: As for `publish`.
        card: As for `publish`; what it says of the weight files is that of those written here.
    """
    if card.kind == "adapter":
        _save_adapter_weights(directory, model)
    else:
        if not card.labels:  # saved by transformers along with the weights
            model.generation_config = generation_config(model, card.stop_token_ids)
        model.save_pretrained(directory)
    written = fingerprint.of_weight_files(directory)
    _save_the_rest(directory, model, tokenizer, card.model_copy(update={"weights_sha256": written}))


def rehearse(directory: Path, model: Any, tokenizer: Any, card: Card) -> None:
    """Write and remove all of the artifact but its weights: what cannot be written fails before step one.

    Args:
        directory: Where to try; whatever is there is removed, before and afterwards.
        model: As for `publish`.
        tokenizer: As for `publish`.
        card: As for `publish`.

    Raises:
        ModelError: Something that came with the base model cannot be saved again.
        StorageError: The disk said no.
    """
    with _files.storage_errors(f"cannot write {str(directory)!r}"):
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(mode=0o700)
        try:
            _save_the_rest(directory, model, tokenizer, card)
            model.config.save_pretrained(directory)
        except (ValueError, TypeError, KeyError, AttributeError, NotImplementedError) as error:
            raise ModelError(
                f"a model tuned from {card.base_model!r} could not be saved: {str(error).strip()[:300]}",
                hint="mend the configuration or tokenizer files of the base model",
            ) from error
        finally:
            shutil.rmtree(directory, ignore_errors=True)


def generation_config(model: Any, stop_ids: Sequence[int]) -> Any:
    """Which tokens begin, end and fill an answer, and nothing else of what the base model brought along.

    Its sampling defaults are not ours to pass on: answers are drawn as `Sampling` says. They are often inconsistent
    (a temperature without `do_sample`) too, which transformers lets through when it loads and refuses when it saves.
    """
    from transformers import GenerationConfig

    inherited = getattr(model, "generation_config", None)
    config = GenerationConfig(
        bos_token_id=getattr(inherited, "bos_token_id", None),
        eos_token_id=list(stop_ids) or None,
        pad_token_id=getattr(inherited, "pad_token_id", None),
        decoder_start_token_id=getattr(inherited, "decoder_start_token_id", None),
    )
    config.validate(strict=True)
    return config


def _save_the_rest(directory: Path, model: Any, tokenizer: Any, card: Card) -> None:
    from tunekit.training.saving.model_card import readme

    if card.kind == "adapter":
        _save_adapter_config(directory, model, card)
    tokenizer.save_pretrained(directory)
    if not card.labels:
        generation_config(model, card.stop_token_ids).save_pretrained(directory)
    _write_json(directory / CARD_NAME, card.model_dump(mode="json"))
    (directory / README_NAME).write_text(readme(card), encoding="utf-8")


def _save_adapter_weights(directory: Path, model: Any) -> None:
    # Not model.save_pretrained: it writes a set in hash order, a card full of placeholders, and may ask the hub whether
    # the vocabulary grew.
    from peft import get_peft_model_state_dict

    from tunekit.training.models import pissa

    tensors = get_peft_model_state_dict(model, save_embedding_layers=False)
    tensors = pissa.tensors_beside_untouched(model, tensors)
    _save_tensors(directory / ADAPTER_WEIGHTS_NAME, tensors)


def _save_fisher(directory: Path, fisher: Mapping[str, Any]) -> str:
    path = directory / FISHER_NAME
    path.parent.mkdir(mode=0o700)
    _save_tensors(path, fisher)
    return _files.sha256_file(path)


def _save_tensors(path: Path, tensors: Mapping[str, Any]) -> None:
    from safetensors.torch import save

    body = save(
        {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, {"format": "pt"}
    )
    path.write_bytes(body)


def _save_adapter_config(directory: Path, model: Any, card: Card) -> None:
    from tunekit.training.models import pissa

    config = {name: _plain(value) for name, value in model.peft_config["default"].to_dict().items()}
    config = pissa.config_beside_untouched(config)
    config |= {"base_model_name_or_path": card.base_model, "revision": card.revision, "inference_mode": True}
    _write_json(directory / ADAPTER_CONFIG_NAME, config)


def _plain(value: Any) -> Any:
    """JSON-ready, with sets in a stable order and enums as their values."""
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    if isinstance(value, Mapping):
        return {str(name): _plain(item) for name, item in value.items()}
    return getattr(value, "value", value)


def _write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")
