"""What `tunekit eval` and `tunekit compare` share: the test, the scorers, the files to write. Knows options."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunekit.cli._scorers import scorer_of
from tunekit.data.wording import brief
from tunekit.errors import InvalidError, SpecError

if TYPE_CHECKING:
    from tunekit.data.dataset import Dataset
    from tunekit.evaluation.comparison import Comparison
    from tunekit.evaluation.evaluator import Evaluator
    from tunekit.evaluation.results import Evaluation
    from tunekit.evaluation.running.runner import Progress

_FILES = {"html": ".html", "junit": ".xml", "out": ".json"}
"""Endings of the files, by the option that names one."""


_CACHE = {"fixed": None, "names": True, "off": False}
"""What `Evaluator(cache=...)` takes, by the word of the option."""


def add_asking(parser: argparse.ArgumentParser, *, test_needed: bool) -> None:
    """Options that say what models are asked, and what makes an answer right."""
    asking = parser.add_argument_group("the test")
    asking.add_argument(
        "--test", type=Path, metavar="FILE", required=test_needed, help="held-out examples, as for prepare"
    )
    asking.add_argument("--input", metavar="COLUMN", help="column with what the model reads")
    asking.add_argument("--answer", metavar="COLUMN", help="column with what it should answer")
    asking.add_argument("--shape", help="record shape of the rows, where recognition would be wrong")
    asking.add_argument(
        "--scorer",
        action="append",
        default=[],
        metavar="NAME[:OPTION=VALUE,...]",
        help="what makes an answer right (repeatable; default: exact_match): a scorer of tunekit.scorers such as "
        "exact_match:normalise=text, a metric of classes such as f1_macro, or a JSON file with an OpenAI grader",
    )
    asking.add_argument(
        "--slice",
        action="append",
        default=[],
        metavar="COLUMN",
        help="look at each value of this column by itself, too (repeatable)",
    )
    asking.add_argument(
        "--cluster", metavar="COLUMN", help="rows with one value here are alike, such as those of one user"
    )
    asking.add_argument(
        "--sealed",
        nargs="?",
        const=True,
        default=False,
        metavar="NAME",
        help="count this look at the test, for this line of work: it is for the last decision",
    )
    asking.add_argument("--max-tokens", type=int, metavar="N", help="most tokens of an answer")
    asking.add_argument("--temperature", type=float, metavar="T", help="of sampling (default: 0, greedy)")
    asking.add_argument("--batch-size", type=int, default=32, metavar="N", help="default: %(default)s")
    asking.add_argument(
        "--level", type=float, default=0.95, help="confidence level of the intervals (default: %(default)s)"
    )
    asking.add_argument("--concurrency", type=int, default=4, metavar="N", help="default: %(default)s")
    asking.add_argument(
        "--requests-per-minute", type=float, metavar="N", help="items that a host is asked in a minute"
    )
    asking.add_argument(
        "--tokens-per-minute", type=float, metavar="N", help="tokens of prompts and answers in a minute"
    )
    asking.add_argument(
        "--cache",
        choices=tuple(_CACHE),
        default="fixed",
        help="which answers of earlier evaluations are taken again: those of models whose weights are fixed, of all "
        "names, or none (default: %(default)s)",
    )


def add_files(parser: argparse.ArgumentParser, what: str) -> None:
    """Options that say where results go."""
    parser.add_argument(
        "-o", "--out", type=Path, metavar="FILE.json", help=f"write the {what} with every item as JSON"
    )
    parser.add_argument("--html", type=Path, metavar="FILE.html", help="write a page to decide by")
    parser.add_argument("--junit", type=Path, metavar="FILE.xml", help="write test cases that builds show")
    parser.add_argument("--json", action="store_true", help="print the JSON instead of the table")


def check_files(arguments: argparse.Namespace, *inputs: Path | None) -> None:
    """Refuse, before anything is spent, a file that could not be written or that is read.

    Raises:
        SpecError: Its ending is another one, its directory is not there, or it is an input or named twice.
    """
    seen = [place.resolve() for place in inputs if place is not None]
    for option, ending in _FILES.items():
        place: Path | None = getattr(arguments, option)
        if place is None:
            continue
        if place.suffix.lower() != ending:
            raise SpecError(f"--{option} is {brief(str(place))}", hint=f"end it with {ending}")
        if not place.parent.is_dir():
            raise SpecError(
                f"--{option} is {brief(str(place))}, in a directory that is not there", hint="make it first"
            )
        if place.resolve() in seen:
            raise SpecError(f"{brief(str(place))} is named twice", hint="give each file a path of its own")
        seen.append(place.resolve())


def written(arguments: argparse.Namespace, result: Comparison | Evaluation) -> Iterator[str]:
    """Write the files that were asked for; the lines to print."""
    from tunekit.evaluation.report import write

    places = [place for option in _FILES if (place := getattr(arguments, option)) is not None]
    for place in places:
        write(result, place)
    if arguments.json:
        yield result.to_json(indent=1)
        return
    yield from str(result).splitlines()
    yield from (f"Wrote {place}" for place in places)


def teller() -> Callable[[Progress], None] | None:
    """Shows on a terminal how far it is, on one line of standard error; None where nobody watches."""
    if not sys.stderr.isatty():
        return None

    def tell(progress: Progress) -> None:
        said = f"{progress.model}: {progress.done} of {progress.total}"
        said += f", {progress.cached} known before" if progress.cached else ""
        said += f", {progress.errors} failed" if progress.errors else ""
        last = progress.done == progress.total
        sys.stderr.write(f"\r{said:<79.79}" + ("\r" + " " * 79 + "\r" if last else ""))
        sys.stderr.flush()

    return tell


def evaluator(arguments: argparse.Namespace, *, margin: float = 0.0, min_gain: float = 0.0) -> Evaluator:
    """What asks and scores, as the options say; options are looked at before the test is read."""
    from tunekit.evaluation.evaluator import Evaluator

    options = _options(arguments)
    return Evaluator(_held_out(arguments), margin=margin, min_gain=min_gain, **options)


def _held_out(arguments: argparse.Namespace) -> Dataset:
    """The held-out examples. A row that cannot be read is an error: a test must be whole."""
    from tunekit.data.dataset import Dataset

    try:
        return Dataset.load(
            arguments.test, input=arguments.input, target=arguments.answer, shape=arguments.shape
        )
    except InvalidError as error:
        if "target=" in error.hint or "input=" in error.hint:
            error.hint += " (on the command line, input= is --input and target= is --answer)"
        raise


def _options(arguments: argparse.Namespace) -> dict[str, Any]:
    """Arguments of an `Evaluator`."""
    from tunekit.spec import Sampling

    given = {"max_tokens": arguments.max_tokens, "temperature": arguments.temperature}
    return {
        "scorers": [scorer_of(said) for said in arguments.scorer or ["exact_match"]],
        "sampling": Sampling(**{name: value for name, value in given.items() if value is not None}),
        "batch_size": arguments.batch_size,
        "concurrency": arguments.concurrency,
        "requests_per_minute": arguments.requests_per_minute,
        "tokens_per_minute": arguments.tokens_per_minute,
        "cache": _CACHE[arguments.cache],
        "level": arguments.level,
        "slices": arguments.slice,
        "clusters": arguments.cluster,
        "sealed": arguments.sealed,
    }
