"""What a model's files may claim before anybody acts on it. Knows names and numbers; loads nothing and runs nothing.

A model directory is somebody else's: its configuration may name code, ask for sizes that no weights have, or be a link
to a file of ours whose text would then be copied into the tuned model. transformers builds what a configuration says
before it looks at the weights, so a billion layers are a billion objects.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tunekit.errors import ModelError

# The largest known have 200 layers and a few hundred experts; sizes are told apart from ids and limits by nothing.
_MOST: tuple[tuple[str, int], ...] = (
    ("layer", 1_000),
    ("block", 100_000),
    ("expert", 10_000),
    ("head", 100_000),
    ("label", 1_000_000),
)
_MOST_OF_ANYTHING = 1 << 40
_MOST_JSON_BYTES = 64 << 20
_MOST_FILE_BYTES = 256 << 20  # of a tokenizer; the largest known have 35 MB
_READ_WHOLE = frozenset({".json", ".jinja", ".txt", ".model"})
_LAYERS = frozenset({"num_hidden_layers", "n_layer", "num_layers", "decoder_layers", "encoder_layers"})
_SIZES = "hidden_size", "intermediate_size", "vocab_size", "d_model", "d_ff", "n_embd", "n_inner", "head_dim"
_MOST_OF_A_SIZE = 1 << 26
_MOST_OF_A_RANK = 1 << 16


def check_directory(directory: Path) -> None:
    """Raise `ModelError` if a file leads out of a model's directory, or its configuration asks for the unreasonable.

    Links of the hub's cache lead to its own blobs, and weights may lie on another disk: safetensors are only numbers.
    """
    templates = directory / "additional_chat_templates"
    for path in sorted((*directory.iterdir(), *(templates.iterdir() if templates.is_dir() else ()))):
        _check_file(path, directory)
    config, tokenizer = directory / "config.json", directory / "tokenizer_config.json"
    if config.is_file():
        body = _read(config)
        check_config(body, source=str(directory))
        _check_layers(body, directory)
    if tokenizer.is_file():
        _check_tokenizer(_read(tokenizer), directory)


def check_config(config: Mapping[str, Any], *, source: str) -> None:
    """Raise `ModelError` for sizes that no model has, for code to be fetched, and for weights that are no numbers."""
    classes = config.get("architectures")
    if classes is not None and not (
        isinstance(classes, list) and all(isinstance(name, str) for name in classes)
    ):
        raise ModelError(
            f"the configuration of {source!r} names no classes: architectures is {str(classes)[:40]!r}",
            hint="restore the model's own config.json",
        )
    for name, value in _entries(config):
        if name.endswith("_implementation") and isinstance(value, str) and "/" in value:
            raise ModelError(
                f"the configuration of {source!r} wants code from elsewhere: {name} is {value[:40]!r}",
                hint="remove that line from its config.json if you trust the rest of the model",
            )
        if name == "quantization_config" and value is not None:  # read by packages and kernels of many makers
            method = value.get("quant_method") if isinstance(value, Mapping) else value
            raise ModelError(
                f"the weights of {source!r} are quantised ({str(method)[:40]!r}), and such weights are not trained on",
                hint="use the model's bf16 or fp32 weights; LoRA(quantization='nf4') quantises them while loading",
            )
        # Floats are rates and scales; where a number of things is wanted, transformers refuses them.
        if isinstance(value, int) and not isinstance(value, bool) and abs(value) > _most(name):
            raise ModelError(
                f"the configuration of {source!r} is unreasonable: {name} is {value:g}",
                hint="restore the model's own config.json",
            )


def check_adapter(path: Path) -> Mapping[str, Any]:
    """What an adapter_config.json says.

    PEFT knows dozens of adapters, some of which fetch tokenizers and other adapters, or build a model of their own.

    Raises:
        ModelError: It is no LoRA, or wants something unreasonable.
    """
    body = _read(path)
    if body.get("peft_type") != "LORA":
        raise ModelError(
            f"{str(path)!r} describes an adapter of type {str(body.get('peft_type'))[:40]!r}, and only LoRA is loaded",
            hint="merge it into its base with the tool that made it, and use the merged model",
        )
    for name in ("megatron_config", "layer_replication"):
        if body.get(name) is not None:
            raise ModelError(
                f"{str(path)!r} asks for another model than its base: it has {name}",
                hint="merge it into its base with the tool that made it, and use the merged model",
            )
    patterns = body.get("rank_pattern") or {}
    ranks = [body.get("r"), *(patterns.values() if isinstance(patterns, Mapping) else (None,))]
    if not all(isinstance(rank, int) and 0 < rank <= _MOST_OF_A_RANK for rank in ranks):
        raise ModelError(
            f"{str(path)!r} names no rank that a layer can have: {str(ranks)[:40]}",
            hint="copy the adapter again",
        )
    for name, kinds in (("base_model_name_or_path", str), ("revision", (str, type(None)))):
        if not isinstance(body.get(name), kinds):
            raise ModelError(
                f"{str(path)!r} does not say which model it belongs to: {name} is {str(body.get(name))[:40]!r}",
                hint="write the base model's path or hub id there, and its commit or null",
            )
    return body


def patterns_in(adapter: Mapping[str, Any]) -> list[str]:
    """The regular expressions in an adapter's configuration, as PEFT matches them with the names of modules."""
    chosen = (adapter.get("target_modules"), adapter.get("exclude_modules"))
    by_name = [adapter.get(name) or {} for name in ("rank_pattern", "alpha_pattern")]
    return [
        *(value for value in chosen if isinstance(value, str) and value.lower() != "all-linear"),
        *(rf"(.*\.)?({key})" for found in by_name if isinstance(found, Mapping) for key in found),
    ]


def _check_file(path: Path, directory: Path) -> None:
    is_weights = path.suffix == ".safetensors"
    if path.is_symlink() and not is_weights:
        _refuse_outside(path, directory)
    # A pipe would be waited for, a device never ends.
    if not path.is_file() and (is_weights or (path.exists() and not path.is_dir())):
        raise ModelError(
            f"{str(path)!r} is no file", hint="remove it, or copy the file itself into the model's directory"
        )
    if path.suffix in _READ_WHOLE and path.is_file() and path.stat().st_size > _MOST_FILE_BYTES:
        raise ModelError(
            f"{str(path)!r} has {path.stat().st_size} bytes", hint="restore the model's own file"
        )


def _check_tokenizer(config: Mapping[str, Any], directory: Path) -> None:
    """Raise `ModelError` where it names files in other places. What else looks like a path in there is never read."""
    named = config.get("fast_tokenizer_files")
    named = [*(named if isinstance(named, list) else (named,)), config.get("gguf_file")]
    for name in named:
        if name is not None and (not isinstance(name, str) or Path(name).name != name):
            raise ModelError(
                f"the tokenizer of {str(directory)!r} is to be read from {str(name)[:40]!r}, which is not beside it",
                hint="restore the model's own tokenizer_config.json",
            )


def _check_layers(config: Mapping[str, Any], directory: Path) -> None:
    """No layer is without a tensor. So what a configuration makes us allocate in vain is bounded by the weights."""
    files = sorted(directory.glob("*.safetensors"))
    tensors = sum(_tensors_in(path) for path in files)
    for name, value in _entries(config):
        if files and name in _LAYERS and isinstance(value, int) and value > tensors:
            raise ModelError(
                f"the configuration of {str(directory)!r} has {name}={value}, and its weights {tensors} tensors",
                hint="restore the model's own config.json, or the missing shards",
            )


def _tensors_in(path: Path) -> int:
    """Read from the header: eight bytes of its length, and JSON."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if length > min(_MOST_JSON_BYTES, path.stat().st_size):
            raise ModelError(
                f"{str(path)!r} is no safetensors file", hint="copy or download the weights again"
            )
        try:
            return len(json.loads(file.read(length)))
        except (ValueError, TypeError, RecursionError):
            raise ModelError(
                f"{str(path)!r} is no safetensors file", hint="copy or download the weights again"
            ) from None


def _most(name: str) -> int:
    if name in _SIZES:
        return _MOST_OF_A_SIZE
    return next((most for word, most in _MOST if word in name), _MOST_OF_ANYTHING)


def _entries(config: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Every value, and those inside it, but no class: these are called what somebody calls them, a "player" too.

    An implementation may be named for each part of a model apart.
    """
    waiting: list[tuple[str, Any]] = [item for item in config.items() if item[0] != "label2id"]
    while waiting:
        name, value = waiting.pop()
        yield name, value
        if isinstance(value, Mapping):
            keeps = name.endswith("_implementation")
            waiting += [(name if keeps else str(key), item) for key, item in value.items()]
        elif isinstance(value, list):
            waiting += [(name, item) for item in value]


def _refuse_outside(path: Path, directory: Path) -> None:
    home = directory.resolve()
    blobs = (
        home.parent.parent / "blobs"
    )  # models--acme--tiny/snapshots/<commit>/config.json -> ../../blobs/<hash>
    target = path.resolve()
    if target.is_relative_to(home) or (home.parent.name == "snapshots" and target.is_relative_to(blobs)):
        return
    raise ModelError(
        f"{str(path)!r} is a link to {str(target)!r}, outside of the model's directory",
        hint="copy the file into the directory if it belongs to the model",
    )


def _read(path: Path) -> Mapping[str, Any]:
    if path.stat().st_size > _MOST_JSON_BYTES:
        raise ModelError(
            f"{str(path)!r} has {path.stat().st_size} bytes", hint="restore the model's own file"
        )
    try:
        found = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise ModelError(
            f"{str(path)!r} is not a configuration: {str(error)[:100]}", hint="save the model again"
        ) from None
    if not isinstance(found, dict):
        raise ModelError(f"{str(path)!r} is not a configuration", hint="save the model again")
    return found
