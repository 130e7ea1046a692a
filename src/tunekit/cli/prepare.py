"""`tunekit prepare`: from a messy file to rows that can be trained on, step by step. Knows how to talk with a person.

It explains, proposes, asks, applies, writes and hints, as `openai tools fine_tunes.prepare_data` did. Pressing Enter is
always the safe answer: only lossless fixes run unasked, so `--quiet` is exactly "Enter to everything".
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunekit._files import write_atomic
from tunekit.errors import InvalidError, SpecError

if TYPE_CHECKING:
    from tunekit.data.checks.report import CheckReport
    from tunekit.data.dataset import Dataset
    from tunekit.data.writers.report import WriteReport

ERRORS_REMAIN = 3
"""Exit code: the file was written, and something in it will fail or mislead training."""

_SHAPES = {"chat": "openai", "completion": "prompt-completion"}


def add(commands: Any) -> None:
    """Add the command to the `argparse` sub-commands."""
    parser = commands.add_parser(
        "prepare",
        help="check a file of examples, mend it, and write it ready for fine-tuning",
        description="Checks a file of examples, proposes fixes, and writes the mended rows as JSON lines. "
        "Exit codes: 0 written, 1 failed, 3 written although errors remain.",
    )
    parser.add_argument(
        "file", type=Path, help="CSV, TSV, XLSX, ODS, JSON, JSON lines, Parquet, Arrow or text"
    )
    parser.add_argument(
        "-o", "--output", type=Path, help="where to write (default: FILE_prepared.jsonl beside FILE)"
    )
    parser.add_argument("--input", metavar="COLUMN", help="column with what the model reads")
    parser.add_argument("--answer", metavar="COLUMN", help="column with what it should answer")
    parser.add_argument("--encoding", help="of the text, where recognition would be wrong")
    parser.add_argument("--sheet", help="sheet of a workbook")
    parser.add_argument("--shape", help="record shape of the rows, where recognition would be wrong")
    parser.add_argument(
        "--target",
        action="append",
        default=[],
        help="who will train: openai, foundry, together, ... (repeatable)",
    )
    parser.add_argument(
        "--fix",
        action="append",
        default=[],
        metavar="NAME",
        help="apply this fix without asking (repeatable)",
    )
    parser.add_argument(
        "--test", type=_share, metavar="SHARE", help="hold out this share in a file of its own"
    )
    parser.add_argument(
        "--join-labels",
        metavar="TEXT",
        help="write several labels of a row as one answer with this between them, such as ', '",
    )
    parser.add_argument("-q", "--quiet", action="store_true", help="ask nothing; apply lossless fixes only")
    parser.add_argument("--json", action="store_true", help="print one JSON document instead; asks nothing")
    parser.add_argument("--html", type=Path, metavar="PAGE", help="write the report as a page, too")
    parser.set_defaults(run=run)


def _share(text: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = 0.0
    if not 0 < share < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no share between 0 and 1")
    return share


def run(arguments: argparse.Namespace) -> Generator[str, None, int]:
    """The lines to print, and the exit code at the end."""
    steps = _Preparation(arguments)
    spoken = steps.conversation()
    if not arguments.json:
        return (yield from spoken)
    for _ in spoken:
        pass
    yield json.dumps(steps.record, indent=2)
    return steps.exit_code


class _Preparation:
    """One run of the command: the data as they are now, and what was done to them."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self._arguments = arguments
        self._targets = tuple(arguments.target)
        self._asks = not (arguments.quiet or arguments.json)
        self.record: dict[str, Any] = {}
        self.exit_code = 0

    def conversation(self) -> Generator[str, None, int]:
        """Everything in order; the value it returns is the exit code."""
        self._check_places()
        data = yield from self._converted(self._load())
        report = data.check(self._targets)
        self.record["report"] = report.to_dict()
        if self._arguments.html:
            page = report.to_html().encode(errors="backslashreplace")  # a file's name may be no text
            write_atomic(
                self._arguments.html, page, mode=0o666, hint="give --html a path that can be written"
            )
        yield from str(report).splitlines()
        data = yield from self._mended(data, report)
        train = yield from self._written(data)
        yield from self._hints(train)
        yield from self._remaining(data, report)
        return self.exit_code

    def _check_places(self) -> None:
        """Refuse to write over the file that is read, or over the page: the original is never touched."""
        from tunekit.data.writing import check_name

        said = self._arguments
        parts = ("",) if said.test is None else ("_train", "_test")
        outputs = [] if said.output is None else [self._path(part) for part in parts]
        for output in outputs:
            check_name(output)  # before any question is asked
        for place in (*outputs, *([said.html] if said.html else [])):
            if _same(place, said.file):
                raise SpecError(f"{str(place)!r} is the file that is read", hint="write to another path")
        if said.html and any(_same(said.html, output) for output in outputs):
            raise SpecError(f"--html and -o are both {str(said.html)!r}", hint="give each a path of its own")

    def _load(self) -> Dataset:
        from tunekit.data.dataset import Dataset

        said = self._arguments
        try:
            return Dataset.load(
                said.file,
                input=said.input,
                target=said.answer,
                encoding=said.encoding,
                sheet=int(said.sheet) if said.sheet and said.sheet.isdecimal() else said.sheet,
                shape=said.shape,
                on_error="skip",
            )
        except InvalidError as error:
            if "target=" in error.hint or "input=" in error.hint:
                error.hint += " (on the command line, input= is --input and target= is --answer)"
            raise

    # --- fixing -----------------------------------------------------------------------------------------

    def _mended(self, data: Dataset, report: CheckReport) -> Generator[str, None, Dataset]:
        names = list(self._arguments.fix)
        asked = [fix for fix in report.fixes if fix.safety != "lossless" and fix.name not in names]
        if asked:
            yield ""
            yield "Fixes that throw something away or may change a meaning; Enter leaves the rows as they are:"
        for fix in asked:
            if self._asks:
                yield (f"  {fix.says.rstrip('.')} ({fix.name}, {fix.safety})? [y/N]")
                if self._agreed():
                    names.append(fix.name)
            else:
                yield f"  not applied: {fix.name} ({fix.safety}): {fix.says}"
        mended = data.fix("lossless", *names, target=self._targets)
        done = [fix for fix in mended.fixes.fixes if fix.count] if mended.fixes else []
        self.record["fixes"] = [applied.to_dict() for applied in done]
        yield ""
        yield from (f"Done: {applied}" for applied in done)
        if not done:
            yield "Nothing was changed."
        return mended

    def _agreed(self) -> bool:
        """Whether the person said yes; nobody there to ask is a no."""
        if sys.stdin is None or sys.stdout is None:
            return False
        sys.stdout.flush()
        return sys.stdin.readline().strip().lower() in ("y", "yes")

    # --- writing ----------------------------------------------------------------------------------------

    def _converted(self, data: Dataset) -> Generator[str, None, Dataset]:
        """Pairs as the first target trains on them: as chats, or as prompts and completions."""
        from tunekit.cli import _fitting

        data = _fitting.joined(data, self._arguments.join_labels)
        if not self._targets:
            return data
        made = _fitting.fitted(data, self._targets[0])
        if "chat" in made.kinds - data.kinds:
            yield f"{self._targets[0]} trains on chats: a prompt is a user turn, its answer an assistant turn."
            yield ""
        return made

    def _written(self, data: Dataset) -> Generator[str, None, Dataset]:
        """Writes the rows, in two files where some are held out; the value it returns is what is trained on."""
        share = self._arguments.test
        if share is None and self._asks and len(data) > 1:
            yield ("Hold out 20 % of the rows for a test, in a file of its own? [y/N]")
            share = 0.2 if self._agreed() else None
        train, parts = data, {"": data}
        if share is not None:
            train, test = data.split(test=share)
            parts = {"_train": train, "_test": test}
        files = [self._write(part, suffix) for suffix, part in parts.items()]
        self.record["files"] = [file.to_dict() for file in files]
        yield ""
        yield from (f"Wrote {file}" for file in files)
        return train

    def _write(self, data: Dataset, part: str) -> WriteReport:
        from tunekit.cli import _fitting

        path = _free(self._path(part)) if self._arguments.output is None else self._path(part)
        if self._targets:
            _fitting.check_kinds(data, self._targets[0])
            return data.write(path, target=self._targets[0])
        [kind] = data.kinds if len(data.kinds) == 1 else ("",)
        return data.write(path, shape=_SHAPES.get(kind))

    def _path(self, part: str) -> Path:
        output: Path | None = self._arguments.output
        if output is None:
            stem = self._arguments.file.name.partition(".")[0] or "data"
            return Path(self._arguments.file).with_name(f"{stem}_prepared{part}.jsonl")
        name, dot, rest = output.name.partition(".")
        return output.with_name(f"{name}{part}{dot}{rest}")

    # --- what next --------------------------------------------------------------------------------------

    def _hints(self, data: Dataset) -> Generator[str, None, None]:
        hints = data.hints(self._targets[0] if self._targets else None)
        self.record["hints"] = hints.to_dict()
        yield ""
        yield from str(hints).splitlines()
        if self._targets:
            cost = data.estimate_cost(self._targets[0])
            self.record["cost"] = cost.to_dict()
            yield ""
            yield from str(cost).splitlines()

    def _remaining(self, data: Dataset, before: CheckReport) -> Generator[str, None, None]:
        from tunekit.data.wording import counted

        report = data.check(self._targets, at_least="error") if self.record["fixes"] else before
        errors = report.errors
        self.record["remaining_errors"] = [found.to_dict() for found in errors]
        if errors:
            self.exit_code = ERRORS_REMAIN
            yield ""
            yield f"{counted(len(errors), 'error')} left: {', '.join(found.code for found in errors)}"


def _same(place: Path, other: Path) -> bool:
    try:
        return place.samefile(other)
    except (OSError, ValueError):
        return place == other  # one of them is not there


def _free(path: Path) -> Path:
    """The path, or with " (1)", " (2)", ... before its ending where there is such a file already."""
    found, number = path, 0
    while found.exists():
        number += 1
        found = path.with_name(f"{path.stem} ({number}){path.suffix}")
    return found
