"""`tunekit models`: the tuned models of an account, and how many days each still answers. Asks; changes nothing."""

from __future__ import annotations

import argparse
import asyncio
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tunekit.cli._table import table
from tunekit.errors import SpecError

if TYPE_CHECKING:
    from tunekit.backends.openai.lifecycle import Inventory

HEADER = ("MODEL", "BASE", "MADE", "ENDS", "DAYS LEFT")


def add(commands: Any) -> None:
    """Add the command to the `argparse` sub-commands."""
    parser = commands.add_parser(
        "models",
        help="list the tuned models of an account at OpenAI or a host of its API, with their days left",
    )
    parser.add_argument("--host", default="openai", help="whose account it is (default: %(default)s)")
    parser.add_argument("--base-url", help="address of the API, where the host has more than one")
    parser.add_argument(
        "--query",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="sent with every call, such as LiteLLM's custom_llm_provider=openai; may be repeated",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document, for programs")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> Iterable[str]:
    """The lines to print. The key comes from the environment: what is on a command line, others can see."""
    found = asyncio.run(_models(arguments.host, arguments.base_url, _pairs(arguments.query)))
    if arguments.json:
        models = [model.to_dict() for model in found]
        return [json.dumps({"models": models, "missing": list(found.missing)}, indent=1)]
    from tunekit.backends.openai.lifecycle import lines

    rows = table(HEADER, lines(found)) if found else ["no tuned models"]
    return [*rows, *(f"warning: {text}" for text in found.missing)]


def _pairs(given: Sequence[str]) -> dict[str, str]:
    pairs = [text.partition("=") for text in given]
    if wrong := [name for name, sign, _ in pairs if not (name and sign)]:
        raise SpecError(f"--query {wrong[0]!r} is no NAME=VALUE", hint="such as custom_llm_provider=openai")
    return {name: value for name, _, value in pairs}


async def _models(host: str, base_url: str | None, query: Mapping[str, str]) -> Inventory:
    from tunekit.backends.openai.backend import OpenAIBackend

    backend = OpenAIBackend(host=host, base_url=base_url, query=query)
    try:
        return await backend.tuned_models()
    finally:
        await backend.aclose()
