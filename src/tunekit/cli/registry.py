"""`tunekit registry`: which model answers for a product, and moving that. Knows options; the registry decides."""

from __future__ import annotations

import argparse
import getpass
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from tunekit.cli._table import table

if TYPE_CHECKING:
    from tunekit.retrain.registry import ModelVersion, Move, Registry

VERSIONS = ("VERSION", "MODEL", "REGISTERED (UTC)", "DAYS LEFT", "ALIASES", "NOTE")
MOVES = ("#", "WHEN (UTC)", "WHAT", "FROM", "TO", "BY", "WHY")


def add(commands: Any) -> None:
    """Add the command to the `argparse` sub-commands."""
    parser = commands.add_parser("registry", help="versions of models, and the aliases that products ask for")
    verbs = parser.add_subparsers(title="verbs", required=True, metavar="VERB")
    _verb(verbs, "list", _list, "versions, oldest first").add_argument("name", nargs="?", metavar="NAME")
    _verb(verbs, "resolve", _resolve, "the model behind an alias").add_argument("which", metavar="NAME@ALIAS")
    _verb(verbs, "history", _history, "every move of an alias").add_argument("which", metavar="NAME@ALIAS")
    promote = _verb(verbs, "promote", _promote, "let an alias name a version from now on")
    promote.add_argument("which", metavar="NAME@NUMBER")
    promote.add_argument("--alias", default="champion", help="what is moved (default: %(default)s)")
    _moving(promote)
    rollback = _verb(verbs, "rollback", _rollback, "let an alias name the version before")
    rollback.add_argument("which", metavar="NAME@ALIAS")
    _moving(rollback)


def _verb(verbs: Any, name: str, run: Any, text: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = verbs.add_parser(name, help=text)
    parser.set_defaults(run=run)
    return parser


def _moving(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--reason", default="", help="why; it stays in the history")
    parser.add_argument(
        "--expected",
        type=int,
        metavar="NUMBER",
        help="the version that is in use, as you believe: if it is another one, nothing is done",
    )


def _registry() -> Registry:
    from tunekit.retrain.registry import Registry

    return Registry(max_age_s=0.0)


def _list(arguments: argparse.Namespace) -> Iterable[str]:
    registry = _registry()
    names = [arguments.name] if arguments.name else registry.names()
    return table(VERSIONS, [row for name in names for row in _versions(registry, name)])


def _versions(registry: Registry, name: str) -> Iterable[tuple[str, ...]]:
    aliases = registry.aliases(name)
    for version in registry.versions(name):
        named = ", ".join(alias for alias, number in aliases.items() if number == version.number)
        yield version.ref, version.model, _at(version.created_at), _days(version), named, version.note


def _resolve(arguments: argparse.Namespace) -> Iterable[str]:
    yield _registry().resolve(arguments.which)


def _history(arguments: argparse.Namespace) -> Iterable[str]:
    return table(MOVES, [_move(move) for move in _registry().history(arguments.which)])


def _promote(arguments: argparse.Namespace) -> Iterable[str]:
    move = _registry().promote(arguments.which, arguments.alias, **_given(arguments))
    yield f"{move.name}@{move.alias} is version {move.after}" + _was(move)


def _rollback(arguments: argparse.Namespace) -> Iterable[str]:
    move = _registry().rollback(arguments.which, **_given(arguments))
    yield f"{move.name}@{move.alias} is version {move.after} again" + _was(move)


def _given(arguments: argparse.Namespace) -> dict[str, Any]:
    expected = "any" if arguments.expected is None else arguments.expected
    return {"reason": arguments.reason, "by": user(), "expected": expected}


def user() -> str:
    """Who is at the keyboard; "" where that has no name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):  # a container's user may have no name
        return ""


def _was(move: Move) -> str:
    return "" if move.before is None else f"; it was version {move.before}"


def _move(move: Move) -> tuple[str, ...]:
    before = "" if move.before is None else str(move.before)
    return str(move.sequence), _at(move.at), move.action, before, str(move.after), move.by, move.reason


def _days(version: ModelVersion) -> str:
    left = version.days_left(datetime.now(tz=UTC).date())
    return "" if left is None else str(left)


def _at(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, tz=UTC).strftime("%Y-%m-%d %H:%M")
