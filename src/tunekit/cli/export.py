"""`tunekit export`: a tuned model as vLLM, Ollama, llama.cpp or transformers load it. Knows options and lines."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path
from typing import Any

FORMATS = ("merged", "adapter", "vllm", "ollama", "gguf")


def add(commands: Any) -> None:
    """Add the command to the `argparse` sub-commands."""
    parser = commands.add_parser(
        "export",
        help="write a tuned model for vLLM, Ollama, llama.cpp or transformers",
        description="Writes a tuned model in a format that other programs load, loads it again as they would, and "
        "compares its logits with the original's.",
    )
    parser.add_argument(
        "model", metavar="RUN_OR_DIR", help="a local run (run-...), or the directory of a tuned model"
    )
    parser.add_argument("-o", "--output", type=Path, required=True, help="directory to write")
    parser.add_argument("--format", choices=FORMATS, default="merged", help="default: %(default)s")
    parser.add_argument(
        "--dtype",
        choices=("fp32", "bf16", "fp16"),
        help="of merged weights (default: that of the base model)",
    )
    parser.add_argument(
        "--converter",
        type=Path,
        metavar="PATH",
        help="llama.cpp's convert_hf_to_gguf.py (default: on the PATH)",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> Iterable[str]:
    """The lines to print."""
    from tunekit.backends.local.export import export

    done = export(
        arguments.model,
        arguments.output,
        format=arguments.format,
        dtype=arguments.dtype,
        converter=arguments.converter,
    )
    yield f"Wrote {done.path} ({done.format}); its logits differ by {done.relative_error:.1g} of the largest"
    yield from (f"note: {note}" for note in done.notes)
    if done.commands:
        yield "Serve it with:"
        yield from (f"  {command}" for command in done.commands)
