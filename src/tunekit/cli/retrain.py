"""`tunekit retrain`: rounds of retraining, begun, looked at and decided about. Knows options; the library retrains."""

from __future__ import annotations

import argparse
from collections.abc import Generator, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from tunekit.cli import _evaluating as shared
from tunekit.cli._table import table
from tunekit.cli.registry import user

if TYPE_CHECKING:
    from tunekit.evaluation.evaluator import Evaluator
    from tunekit.retrain.gate.rules import Gate
    from tunekit.retrain.retrainer import Retrainer
    from tunekit.retrain.rounds import Round, Rounds
    from tunekit.spec import TuneSpec

HEADER = ("ROUND", "STATE", "REQUESTED (UTC)", "VERSION", "ROWS", "WHY")
BATCHES = ("#", "HANDED IN (UTC)", "ROWS", "TASK", "WITHDRAWN")
HISTORY = ("#", "WHEN (UTC)", "STATE", "BY", "WHY")
_EXIT = {"rejected": 1, "declined": 1, "cancelled": 1, "rolled_back": 1, "inconclusive": 2}
_DECISIONS = {
    "approve": "say yes to a round that waits for it",
    "advance": "go on with a rollout: from shadow to canary, from canary to promoted",
    "decline": "say no to a round that waits, or end its rollout",
    "cancel": "stop a round that is at work",
}


def add(commands: Any) -> None:
    """Add the command to the `argparse` sub-commands."""
    parser = commands.add_parser("retrain", help="from new data to a better model, or to the old one")
    verbs = parser.add_subparsers(title="verbs", required=True, metavar="VERB")
    _add_run(verbs)
    _verb(verbs, "list", _list, "rounds of a product, newest first")
    _round(_verb(verbs, "show", _show, "one round: what the gate found, and every transition"))
    for name, text in _DECISIONS.items():
        verb = _verb(verbs, name, _decide, text)
        _round(verb)
        verb.add_argument("--reason", default="", help="why; it stays in the history")
        verb.set_defaults(decision=name)
        if name == "advance":
            verb.add_argument("--share", type=float, metavar="S", help="of a canary: share of the requests")
    rollback = _verb(
        verbs, "rollback", _rollback, "take the model in use away; the one before it answers again"
    )
    rollback.add_argument("--reason", default="", help="why; it stays in the history")
    rollback.add_argument("--expected", type=int, metavar="N", help="only if version N is in use")
    rollback.add_argument("--key", default="", help="of the request: the same one is done once")
    _verb(verbs, "batches", _batches, "rows that were handed in, and which were withdrawn")
    withdraw = _verb(verbs, "withdraw", _withdraw, "take a batch out of what later rounds train on")
    withdraw.add_argument("position", type=int, metavar="N", help="as `tunekit retrain batches` shows it")
    withdraw.add_argument("--reason", required=True, help="why; whoever hands the same rows in again is told")


def _add_run(verbs: Any) -> None:
    parser = _verb(verbs, "run", _run, "retrain, and promote what is better")
    parser.description = (
        "Adds rows, trains, compares with what is in use, and promotes what passes. Run it again after a crash: it "
        "goes on. Exit codes: 0 promoted, or with whoever decides; 1 rejected, stopped, failed; 2 the test cannot tell."
    )
    _add_terms(parser)
    parser.add_argument(
        "--data", type=Path, metavar="FILE", help="new rows; without it, those that are there"
    )
    parser.add_argument("--key", default="", help="of the request: the same key is the same round")
    parser.add_argument(
        "--dry-run", action="store_true", help="say what it would do and cost, and do nothing"
    )
    resume = _verb(verbs, "resume", _resume, "go on with what was asked for and is not finished")
    resume.description = (
        "Asks for nothing new. Give it the options of the run. Exit codes: those of the last round."
    )
    _add_terms(resume)


def _add_terms(parser: argparse.ArgumentParser) -> None:
    """Options that say how a model is made, and when it is used."""
    parser.add_argument("target", metavar="BACKEND:MODEL", help="where to train which base model")
    parser.add_argument("--spec", type=Path, metavar="FILE.json", help="the recipe, as TuneSpec has it")
    parser.add_argument("--gate", type=Path, metavar="FILE.json", help="what must be shown, as Gate has it")
    parser.add_argument("--by", metavar="SCORER", help="what decides (default: the first scorer)")
    parser.add_argument("--min-gain", type=float, metavar="G", help="gain that must be exceeded (default: 0)")
    parser.add_argument(
        "--task",
        action="append",
        default=[],
        metavar="NAME=FILE",
        help="test of an earlier task, for guardrails of the gate with this task (repeatable)",
    )
    parser.add_argument("--start", choices=("base", "champion"), default="base", help="default: %(default)s")
    parser.add_argument(
        "--approval", choices=("auto", "manual", "never"), default="auto", help="default: %(default)s"
    )
    parser.add_argument(
        "--rollout",
        action="append",
        default=[],
        choices=("shadow", "canary"),
        help="stage before the promotion, which you advance (repeatable, in order)",
    )
    parser.add_argument("--max-usd", type=float, metavar="USD", help="what the job of a round may cost")
    parser.add_argument("--max-seconds", type=float, metavar="S", help="from the first row to the verdict")
    shared.add_asking(parser, test_needed=True)


def _verb(verbs: Any, name: str, run: Any, text: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = verbs.add_parser(name, help=text)
    parser.add_argument("product", metavar="NAME[@ALIAS]", help="name of the models in the registry")
    parser.set_defaults(run=run)
    return parser


def _round(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("round", metavar="ROUND", help="as `tunekit retrain list` shows it")


def _run(arguments: argparse.Namespace) -> Generator[str, None, int]:
    from tunekit.cli._fitting import learned
    from tunekit.data.dataset import Dataset

    retrainer = _retrainer(arguments)
    options = {"input": arguments.input, "target": arguments.answer, "shape": arguments.shape}
    data = None
    if arguments.data is not None:
        data = learned(Dataset.load(arguments.data, **options), _spec(arguments))
    if arguments.dry_run:
        yield str(retrainer.dry_run(data))
        return 0
    done = retrainer.run(data, key=arguments.key, by=user())
    yield str(done)
    return _EXIT.get(str(done.state), 0)


def _resume(arguments: argparse.Namespace) -> Generator[str, None, int]:
    gone_on = _retrainer(arguments).resume()
    if not gone_on:
        yield "nothing was left to do"
        return 0
    yield from (str(each) for each in gone_on)
    last = str(gone_on[-1].state)
    return 1 if last == "failed" else _EXIT.get(last, 0)


def _retrainer(arguments: argparse.Namespace) -> Retrainer:
    from tunekit.retrain.retrainer import Retrainer
    from tunekit.spec import Budget

    evaluator = shared.evaluator(arguments)
    return Retrainer(
        arguments.target,
        alias=arguments.product,
        evaluator=evaluator,
        gate=_gate(arguments, first=next(iter(evaluator.provenance.scorers))),
        tasks=_tasks(arguments),
        spec=_spec(arguments),
        start=arguments.start,
        approval=arguments.approval,
        rollout=arguments.rollout,
        budget=Budget(max_usd=arguments.max_usd, max_seconds=arguments.max_seconds),
    )


def _spec(arguments: argparse.Namespace) -> TuneSpec:
    from tunekit.spec import TuneSpec

    return TuneSpec() if arguments.spec is None else TuneSpec.from_json(_read(arguments.spec))


def _gate(arguments: argparse.Namespace, *, first: str) -> Gate:
    """The gate of the file, or the one that the options say; both at once would leave open which holds."""
    from tunekit._validation import parse_model
    from tunekit.errors import SpecError
    from tunekit.retrain.gate.rules import Gate

    if arguments.gate is None:
        return Gate(primary=arguments.by or first, min_gain=arguments.min_gain or 0.0, level=arguments.level)
    if arguments.by is not None or arguments.min_gain is not None:
        raise SpecError(
            "--gate is given, and --by or --min-gain, too", hint="say it in the file: primary, min_gain"
        )
    return parse_model(Gate, _read(arguments.gate))


def _tasks(arguments: argparse.Namespace) -> dict[str, Evaluator]:
    """Tests of earlier tasks, asked and scored as the test is."""
    from tunekit.errors import SpecError

    tests: dict[str, Evaluator] = {}
    for said in arguments.task:
        name, parted, path = said.partition("=")
        if not (name and parted and path) or name in tests:
            raise SpecError(f"--task is {said!r}", hint="write NAME=FILE, with a name of its own")
        tests[name] = shared.evaluator(
            argparse.Namespace(**{**vars(arguments), "test": Path(path), "sealed": False})
        )
    return tests


def _read(path: Path) -> bytes:
    from tunekit._files import storage_errors

    with storage_errors(f"cannot read {str(path)!r}", hint="give the path of a JSON file"):
        return path.read_bytes()


def _rounds(arguments: argparse.Namespace) -> Rounds:
    from tunekit.retrain.registry.registry import CHAMPION
    from tunekit.retrain.rounds import Rounds

    name, _, alias = arguments.product.partition("@")
    return Rounds(name, alias=alias or CHAMPION)


def _list(arguments: argparse.Namespace) -> Iterable[str]:
    return table(HEADER, [_row(each) for each in _rounds(arguments).list()])


def _row(round_: Round) -> tuple[str, ...]:
    rows = "" if round_.amounts is None else f"{round_.amounts.total:,}"
    return (
        round_.round_id,
        str(round_.state),
        _at(round_.created_at),
        str(round_.version or ""),
        rows,
        round_.trigger,
    )


def _show(arguments: argparse.Namespace) -> Iterable[str]:
    rounds = _rounds(arguments)
    yield str(rounds.get(arguments.round))
    steps = rounds.history(arguments.round)
    yield from table(
        HISTORY, [(str(each.sequence), _at(each.at), str(each.state), each.by, each.reason) for each in steps]
    )


def _decide(arguments: argparse.Namespace) -> Iterable[str]:
    rounds = _rounds(arguments)
    share = getattr(arguments, "share", None)
    given: dict[str, Any] = {"by": user(), "reason": arguments.reason} | (
        {"share": share} if share is not None else {}
    )
    after = getattr(rounds, arguments.decision)(arguments.round, **given)
    yield f"{after.round_id} is {after.state}"


def _rollback(arguments: argparse.Namespace) -> Iterable[str]:
    expected: int | Literal["any"] = "any" if arguments.expected is None else int(arguments.expected)
    move = _rounds(arguments).rollback(
        expected=expected, by=user(), reason=arguments.reason, key=arguments.key
    )
    yield f"{move.name}@{move.alias} is version {move.after} again; it was version {move.before}"


def _batches(arguments: argparse.Namespace) -> Iterable[str]:
    rows = [
        (str(each.position), _at(each.added_at), f"{each.rows:,}", each.task, each.withdrawn_because)
        for each in _rounds(arguments).batches()
    ]
    return table(BATCHES, rows)


def _withdraw(arguments: argparse.Namespace) -> Iterable[str]:
    out = _rounds(arguments).withdraw(arguments.position, reason=arguments.reason)
    yield f"batch {out.position} with {out.rows:,} rows is withdrawn: {out.withdrawn_because}"


def _at(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, tz=UTC).strftime("%Y-%m-%d %H:%M")
