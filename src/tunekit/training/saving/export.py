"""An artifact as other programs load it: `python -m tunekit.training.saving.export`, which speaks as `serve` does.

It knows formats, and proves each: what was written is loaded again, as its reader would load it, and has to give the
logits of the artifact. It does not know processes; `tunekit.backends.local.export` is the host's end.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from tunekit import _files
from tunekit.errors import ModelError, SpecError, UnsupportedError
from tunekit.training.models import fingerprint, load
from tunekit.training.models.model_files import loading
from tunekit.training.saving import artifacts, merge, ollama, parity, vllm
from tunekit.training.saving.artifacts import Card, read_card
from tunekit.training.serving import serve

RECORD_NAME = "export.json"
CONVERTER = "convert_hf_to_gguf.py"
_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
_TEXT_ONLY = ("vllm", "ollama", "gguf")
_Made = tuple[list[str], list[str], float]
"""Notes, commands, and how far the logits are from the artifact's, relative to the largest."""


def export(
    source: str, out: str, *, format: str, dtype: str | None = None, converter: str | None = None
) -> dict[str, Any]:
    """Write an artifact in a format of other programs, whole or not at all.

    Args:
        source: Directory of the artifact.
        out: Directory to write; it must not be there yet.
        format: "adapter", "merged", "vllm", "ollama" or "gguf".
        dtype: "fp32", "bf16" or "fp16": of merged weights. None keeps that of the base.
        converter: llama.cpp's `convert_hf_to_gguf.py`.

    Returns:
        `{"path", "format", "relative_error", "notes", "commands"}`; the same is written into `export.json`.

    Raises:
        ModelError: It is no artifact, or what was written does not give its logits.
        SpecError: The output is there already, or the options do not go together.
        UnsupportedError: The format does not have such models.
        StorageError: The disk said no.
    """
    artifact, place = Path(source), Path(out)
    card = read_card(artifact)
    _require_possible(card, format, dtype)
    if place.exists():
        raise SpecError(f"{out!r} is there already", hint="export to another path, or remove it first")
    record: dict[str, Any] = {}

    def fill(directory: Path) -> None:
        notes, commands, error = _WRITERS[format](artifact, card, directory, place, dtype, converter)
        record.update(
            {"path": out, "format": format, "relative_error": error, "notes": notes, "commands": commands}
        )
        kept = {name: value for name, value in record.items() if name != "path"}
        (directory / RECORD_NAME).write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")

    if not _files.publish_directory(place, fill):
        raise SpecError(f"{out!r} is there already", hint="export to another path, or remove it first")
    return record


def _require_possible(card: Card, format: str, dtype: str | None) -> None:
    if format not in _WRITERS:
        raise SpecError(f"format is {format!r}", hint=f"use one of {', '.join(_WRITERS)}")
    if dtype is not None and dtype not in _DTYPES:
        raise SpecError(f"dtype is {dtype!r}", hint=f"use one of {', '.join(_DTYPES)}")
    if card.kind == "probe" or (format == "adapter" and card.kind != "adapter"):
        raise UnsupportedError(
            f"an artifact of kind {card.kind!r} cannot be exported as {format!r}",
            hint="a whole model is exported as 'merged'; a probe runs in tunekit",
        )
    if format == "adapter" and dtype is not None:
        raise SpecError(
            "an adapter keeps its own dtype, fp32", hint="leave dtype out, or use format='merged'"
        )
    if format in _TEXT_ONLY and (card.labels or card.family != "decoder"):
        what = "a classifier" if card.labels else f"an {card.family}"
        raise UnsupportedError(
            f"{what} cannot be exported as {format!r}", hint="use 'merged', which transformers loads"
        )


def _adapter(
    artifact: Path, card: Card, directory: Path, place: Path, dtype: str | None, converter: str | None
) -> _Made:
    for item in sorted(artifact.iterdir()):
        if item.is_file():
            shutil.copyfile(item, directory / item.name)
    loaded = load.load(artifact)
    expected = parity.logits(loaded)
    with loading(directory, "adapter"):
        found = parity.logits(loaded, of=parity.plain_adapter(card, directory))
    error = parity.require_close(expected, found, torch.float32)
    return [f"it needs its base model, {card.base_model!r}"], [], error


def _merged(
    artifact: Path, card: Card, directory: Path, place: Path, dtype: str | None, converter: str | None
) -> _Made:
    loaded = load.load(artifact)
    expected = parity.logits(loaded)
    wanted = _DTYPES[dtype] if dtype else merge.stored_dtype(card)
    model = merge.merged(loaded, dtype=wanted)
    with _files.storage_errors(f"cannot read {str(artifact)!r}"):
        parents = artifacts.lineage(artifact, fingerprint.of_model(artifact))
    # Served by tunekit as well, so it has a card of its own.
    described = card.model_copy(update={"kind": "full", "parents": parents})
    artifacts.write(directory, model, loaded.tokenizer, described)
    found = parity.logits(loaded, of=parity.plain_model(described, directory))
    return [], [], parity.require_close(expected, found, wanted)


def _vllm(
    artifact: Path, card: Card, directory: Path, place: Path, dtype: str | None, converter: str | None
) -> _Made:
    if card.kind == "adapter" and dtype is None and vllm.takes_adapter(artifact):
        notes, _, error = _adapter(artifact, card, directory, place, dtype, converter)
        return notes, [vllm.adapter_command(card, directory, place)], error
    notes, _, error = _merged(artifact, card, directory, place, dtype, converter)
    return notes, [vllm.model_command(place)], error


def _ollama(
    artifact: Path, card: Card, directory: Path, place: Path, dtype: str | None, converter: str | None
) -> _Made:
    _, _, error = _merged(artifact, card, directory, place, dtype, converter)
    notes = _write_modelfile(directory, card, source=".")
    return notes, _ollama_commands(place), error


def _gguf(
    artifact: Path, card: Card, directory: Path, place: Path, dtype: str | None, converter: str | None
) -> _Made:
    program = converter or shutil.which(CONVERTER)
    if program is None or not Path(program).is_file():
        raise SpecError(
            f"no converter at {converter!r}" if converter else f"{CONVERTER} is not on the PATH",
            hint="get llama.cpp (git clone https://github.com/ggml-org/llama.cpp), install its requirements and give "
            f"the path of its {CONVERTER} (--converter)",
        )
    weights = directory / "merged"
    weights.mkdir()
    _, _, error = _merged(artifact, card, weights, place, dtype, converter)
    _convert(program, weights, directory / "model.gguf")
    shutil.rmtree(weights)
    notes = _write_modelfile(directory, card, source="./model.gguf", artifact=artifact)
    return (
        ["relative_error is that of the weights before they were converted", *notes],
        _ollama_commands(place),
        error,
    )


def _convert(program: str, weights: Path, out: Path) -> None:
    done = subprocess.run(
        [sys.executable, program, str(weights), "--outfile", str(out), "--outtype", "auto"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    if done.returncode or not out.is_file():
        said = " | ".join(line.strip() for line in done.stdout.splitlines()[-3:] if line.strip())
        raise ModelError(
            f"{program!r} could not convert the model: {said or 'it said nothing'}"[:600],
            hint="see whether llama.cpp knows this architecture, and whether its requirements are installed",
        )


def _write_modelfile(directory: Path, card: Card, *, source: str, artifact: Path | None = None) -> list[str]:
    from tunekit.training.texts.template import Template

    template = Template.of(load.load_tokenizer(artifact or directory))
    text, notes = ollama.modelfile(template, card.prompt_format, card.stop_token_ids, source=source)
    (directory / "Modelfile").write_text(text, encoding="utf-8")
    return notes


def _ollama_commands(place: Path) -> list[str]:
    return [f"ollama create {place.name} -f {place / 'Modelfile'}", f"ollama run {place.name}"]


_WRITERS: dict[str, Callable[[Path, Card, Path, Path, str | None, str | None], _Made]] = {
    "adapter": _adapter,
    "merged": _merged,
    "vllm": _vllm,
    "ollama": _ollama,
    "gguf": _gguf,
}


def _answering(threads: int) -> Callable[..., Any]:
    from tunekit.training.plan.device import configure
    from tunekit.training.run.bounds import rendering_limit
    from tunekit.training.texts import template

    configure(threads)
    template.limit_rendering(rendering_limit)
    return lambda operation, **request: export(**request)


if __name__ == "__main__":
    serve.main(sys.argv[1:], _answering)
