"""`tunekit compare`: is the second model better, and can this test tell? Knows options; the library compares."""

from __future__ import annotations

import argparse
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunekit.cli import _evaluating as shared
from tunekit.data.wording import brief
from tunekit.errors import SpecError, StorageError

if TYPE_CHECKING:
    from tunekit.evaluation.comparison import Comparison
    from tunekit.evaluation.results import Evaluation


def add(commands: Any) -> None:
    """Add the command to the `argparse` sub-commands."""
    parser = commands.add_parser(
        "compare",
        help="compare two models, or two stored evaluations, on the same held-out examples",
        description="Compares two models item by item. Exit codes: 0 the second passes, 1 it does not (or the command "
        "failed, which is said on stderr), 2 this test cannot tell (or wrong usage, which is said on stderr).",
    )
    for name, who in (("a", "to beat, usually the base"), ("b", "in question, usually the tuned one")):
        parser.add_argument(
            name,
            metavar=name.upper(),
            help=f"the model {who}; or a JSON file that `tunekit eval --out` wrote",
        )
    parser.add_argument(
        "--margin", type=float, default=0.0, help="largest difference that does not matter (0.01 is a point)"
    )
    parser.add_argument(
        "--min-gain", type=float, default=0.0, help="gain that b must exceed (0.02 is two points)"
    )
    shared.add_asking(parser, test_needed=False)
    shared.add_files(parser, "comparison")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> Generator[str, None, int]:
    """The lines to print, and the exit code at the end."""
    stored = [_stored_at(said) for said in (arguments.a, arguments.b)]
    shared.check_files(arguments, arguments.test, *stored)
    a, b = (
        _read(place) if place else said
        for place, said in zip(stored, (arguments.a, arguments.b), strict=True)
    )
    comparison = _compared(a, b, arguments)
    yield from shared.written(arguments, comparison)
    return comparison.exit_code


def _compared(a: str | Evaluation, b: str | Evaluation, arguments: argparse.Namespace) -> Comparison:
    from tunekit.evaluation.compare import Rule, compare_evaluations

    margins = {"margin": arguments.margin, "min_gain": arguments.min_gain}
    if arguments.test is not None:
        return shared.evaluator(arguments, **margins).compare(a, b, on_progress=shared.teller())
    if isinstance(a, str) or isinstance(b, str):
        asked = a if isinstance(a, str) else b
        raise SpecError(
            f"{brief(asked)} is a model, and there is no test to ask it",
            hint="pass --test FILE, or two files that `tunekit eval --out` wrote",
        )
    return compare_evaluations(a, b, Rule(level=arguments.level, **margins))


def _stored_at(said: str) -> Path | None:
    """The file where this is one; a model's name never ends with .json."""
    path = Path(said)
    if not said.endswith(".json"):
        return None
    if not path.is_file():
        raise SpecError(
            f"there is no file {brief(said)}", hint="make it with: tunekit eval MODEL --test FILE --out ..."
        )
    return path


def _read(path: Path) -> Evaluation:
    from tunekit.evaluation.results import Evaluation

    try:
        text = path.read_bytes()
    except OSError as error:
        raise StorageError(
            f"cannot read {str(path)!r}: {error.strerror}", hint="look at its permissions"
        ) from None
    try:
        return Evaluation.from_json(text)
    except SpecError as error:
        raise SpecError(
            f"{str(path)!r} is no stored evaluation: {error}",
            hint="make it with: tunekit eval MODEL --test FILE --out ...",
        ) from error
