"""The host's end of an export: one child process per call. Knows what a model string stands for; imports no torch."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from tunekit._settings import Settings
from tunekit.backends.local import models, packages
from tunekit.backends.local.worker import InferenceWorker
from tunekit.errors import SpecError
from tunekit.training.run.turns import physical_cores

Format: TypeAlias = Literal["adapter", "merged", "vllm", "ollama", "gguf"]
Dtype: TypeAlias = Literal["fp32", "bf16", "fp16"]

EXPORTER = ("-P", "-m", "tunekit.training.saving.export")
"""How the interpreter is asked to export. -P: the current directory must not shadow installed packages."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """What was written.

    Attributes:
        path: The directory.
        format: What it is.
        relative_error: How far the logits of what was written are from the artifact's, relative to the largest; it was
            loaded again for that, as its reader would load it.
        notes: What its reader should know.
        commands: How it is served.
    """

    path: Path
    format: Format
    relative_error: float
    notes: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()


def export(
    model: str,
    out: str | Path,
    *,
    format: Format = "merged",
    dtype: Dtype | None = None,
    converter: str | Path | None = None,
    settings: Settings | None = None,
    threads: int | None = None,
    python: str | None = None,
) -> Export:
    """Write a tuned model in a format that other programs load, whole or not at all.

    Args:
        model: A local run, or the directory of an artifact; "local:" before it is left out.
        out: Directory to write; it must not be there yet.
        format: "adapter" is a PEFT directory, "merged" a transformers model. "vllm" is what vLLM serves: the adapter
            where it can, else the merged model. "ollama" is the merged model with a Modelfile, "gguf" one file made of
            it by llama.cpp's converter, with a Modelfile.
        dtype: Of merged weights; None keeps that of the base.
        converter: llama.cpp's `convert_hf_to_gguf.py`; None looks for it on the PATH.
        settings: Where runs are kept; None reads the environment.
        threads: CPU threads; None takes the physical cores that this process may use.
        python: Interpreter of the child process, which must have `tunekit[local]`; None takes this one.

    Raises:
        MissingExtraError: torch, transformers or peft is not installed.
        NotFoundError: No such run, or it has no model (yet).
        ModelError: It is no artifact, or what was written does not give its logits.
        SpecError: The output is there already, or options do not go together.
        UnsupportedError: The format does not have such models.
        BackendError: The child process died, often because memory ran out.
        StorageError: The disk said no.
    """
    settings, place = settings or Settings(), Path(out).expanduser().absolute()
    source = models.resolve(model.removeprefix("local:"), settings.runs)
    if place.exists():
        raise SpecError(f"{str(out)!r} is there already", hint="export to another path, or remove it first")
    if python is None:  # what another interpreter has, it says itself
        packages.require_for(None)
    worker = InferenceWorker(
        logs=settings.home / "workers",
        threads=threads or physical_cores(),
        idle_timeout_s=60.0,
        python=python or sys.executable,
        server=EXPORTER,
    )
    try:
        done = worker.call(
            "export",
            source=source,
            out=str(place),
            format=format,
            dtype=dtype,
            # The child has another working directory.
            converter=str(Path(converter).expanduser().absolute()) if converter is not None else None,
        )
    finally:
        worker.close()
    return Export(
        path=Path(done["path"]),
        format=format,
        relative_error=done["relative_error"],
        notes=tuple(done["notes"]),
        commands=tuple(done["commands"]),
    )
