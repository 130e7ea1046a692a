"""`tunekit eval`: one model on a test that it has not seen. Knows options and lines; the library evaluates."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from typing import Any

from tunekit.cli import _evaluating as shared


def add(commands: Any) -> None:
    """Add the command to the `argparse` sub-commands."""
    parser = commands.add_parser(
        "eval",
        help="evaluate a model on held-out examples",
        description="Asks a model every question of a test and scores its answers. Keep the JSON: `tunekit compare` "
        "takes it in place of the model, and asks nothing again.",
    )
    parser.add_argument("model", metavar="MODEL", help="such as local:Qwen/Qwen3-0.6B or openai:ft:...")
    shared.add_asking(parser, test_needed=True)
    shared.add_files(parser, "evaluation")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> Iterable[str]:
    """The lines to print."""
    shared.check_files(arguments, arguments.test)
    found = shared.evaluator(arguments).run(arguments.model, on_progress=shared.teller())
    return shared.written(arguments, found)
