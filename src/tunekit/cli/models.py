"""`tunekit models`: the tuned models of an account, and how many days each still answers. Asks; changes nothing."""

from __future__ import annotations

import argparse
import asyncio
import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from tunekit.cli._table import table

if TYPE_CHECKING:
    from tunekit.backends.openai.lifecycle import TunedModel

HEADER = ("MODEL", "BASE", "MADE", "ENDS", "DAYS LEFT")


def add(commands: Any) -> None:
    """Add the command to the `argparse` sub-commands."""
    parser = commands.add_parser(
        "models",
        help="list the tuned models of an account at OpenAI or a host of its API, with their days left",
    )
    parser.add_argument("--host", default="openai", help="whose account it is (default: %(default)s)")
    parser.add_argument("--base-url", help="address of the API, where the host has more than one")
    parser.add_argument("--json", action="store_true", help="print one JSON document, for programs")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> Iterable[str]:
    """The lines to print. The key comes from the environment: what is on a command line, others can see."""
    models = asyncio.run(_models(arguments.host, arguments.base_url))
    if arguments.json:
        return [json.dumps([model.to_dict() for model in models], indent=1)]
    from tunekit.backends.openai.lifecycle import lines

    return table(HEADER, lines(models)) if models else ["no tuned models"]


async def _models(host: str, base_url: str | None) -> tuple[TunedModel, ...]:
    from tunekit.backends.openai.backend import OpenAIBackend

    backend = OpenAIBackend(host=host, base_url=base_url)
    try:
        return await backend.tuned_models()
    finally:
        await backend.aclose()
