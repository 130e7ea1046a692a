"""Reading and checking data: tunekit beside pydantic and orjson, on the same file, in one run.

    python benchmarks/data.py [--megabytes 200] [--rows 1000000]

Each measurement is a process of its own, so that peak memory is its own too; the engines take turns, and the best of
their turns counts. Speeds are per second of processor time, on one core. What is compared:

- `orjson`: untyped parse of each line, nothing checked;
- `pydantic`: `model_validate_json` of each line into models, one for each role;
- `pydantic-dict`: `validate_json` of each line against a `TypedDict`, which checks types and makes no objects;
- `tunekit`: `DatasetStream.load`, which checks what pydantic checks and gives typed examples with row ids.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

ENGINES = ("orjson", "pydantic", "pydantic-dict", "tunekit")
TURNS = 3


def main() -> None:
    """Write the files, measure, print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--megabytes", type=int, default=200)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--child", nargs=2, metavar=("TASK", "FILE"), help=argparse.SUPPRESS)
    said = parser.parse_args()
    if said.child:
        return report_of(said.child[0], Path(said.child[1]))
    with tempfile.TemporaryDirectory() as folder:
        _streaming(Path(folder), said.megabytes)
        _checking(Path(folder), said.rows)


# --- measuring --------------------------------------------------------------------------------------


def measured(task: str, path: Path) -> dict[str, float]:
    """Run a task in a process of its own: processor seconds, peak memory, and what it counted."""
    command = [sys.executable, __file__, "--child", task, str(path)]
    answer: dict[str, float] = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    return answer


def report_of(task: str, path: Path) -> None:
    """In the child: run the task and print what it took."""
    function = TASKS[task]
    with tempfile.TemporaryDirectory() as folder:
        function(write_tickets(Path(folder, "first.jsonl"), 50))  # imports are not what is measured
    began = time.process_time()
    count = function(path)
    took = time.process_time() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    sys.stdout.write(json.dumps({"seconds": took, "megabytes": peak, "count": count}))


def _streaming(folder: Path, megabytes: int) -> None:
    small, large = (write_chats(folder / f"{size}.jsonl", size) for size in (megabytes // 10, megabytes))
    found: dict[str, list[dict[str, float]]] = {engine: [] for engine in ENGINES}
    for _ in range(TURNS):
        for engine in ENGINES:
            found[engine].append(measured(engine, large))
    size = large.stat().st_size / 1e6
    best = {engine: min(turn["seconds"] for turn in turns) for engine, turns in found.items()}
    _say(
        f"Streaming load and validation of a {size:,.0f} MB chat file, {found['tunekit'][0]['count']:,.0f} rows"
    )
    _say("| engine | MB per cpu-second | against orjson | against pydantic | peak memory, MB |")
    _say("|---|---|---|---|---|")
    for engine in ENGINES:
        peak = max(turn["megabytes"] for turn in found[engine])
        _say(
            f"| {engine} | {size / best[engine]:,.0f} | {best['orjson'] / best[engine]:.2f}"
            f" | {best['pydantic'] / best[engine]:.2f} | {peak:,.0f} |"
        )
    tenth = measured("tunekit", small)
    _say(f"\nA tenth of the file: {tenth['megabytes']:,.0f} MB peak memory\n")


def _checking(folder: Path, rows: int) -> None:
    path = write_tickets(folder / "tickets.jsonl", rows)
    _say(f"Checking {rows:,} rows of {path.stat().st_size / 1e6:,.0f} MB as a stream")
    _say("| what | cpu-seconds | microseconds a row | peak memory, MB | found |")
    _say("|---|---|---|---|---|")
    for task, what in (
        ("check-some", "exact duplicates, labels, lengths in characters, roles"),
        ("check-all", "every built-in check"),
    ):
        taken = measured(task, path)
        _say(
            f"| {what} | {taken['seconds']:,.1f} | {taken['seconds'] / rows * 1e6:.1f}"
            f" | {taken['megabytes']:,.0f} | {taken['count']:,.0f} |"
        )
    near = measured("near", write_tickets(folder / "near.jsonl", min(rows, 100_000)))
    _say(
        f"| near duplicates among {min(rows, 100_000):,} rows | {near['seconds']:,.1f} |"
        f" {near['seconds'] / min(rows, 100_000) * 1e6:.1f} | {near['megabytes']:,.0f} | {near['count']:,.0f} |"
    )


# --- the work ---------------------------------------------------------------------------------------


def orjson_lines(path: Path) -> int:
    """Parse every line, check nothing."""
    import orjson

    with path.open("rb") as file:
        return sum(1 for line in file if orjson.loads(line))


def pydantic_lines(path: Path) -> int:
    """Parse and check every line into models, one for each role."""
    from typing import Annotated, Any, Literal

    from pydantic import Field, create_model

    create: Any = create_model  # types follow no model that is made while the program runs

    def turn(role: str, content: Any = str) -> Any:
        return create(role, role=(Literal[role], ...), content=(content, ...), name=(str | None, None))

    calling = create(
        "assistant",
        role=(Literal["assistant"], ...),
        content=(str | None, None),
        name=(str | None, None),
        weight=(float, 1.0),
        tool_calls=(list[dict[str, Any]] | None, None),
    )
    answering = create("tool", role=(Literal["tool"], ...), content=(str, ...), tool_call_id=(str, ...))
    turns: Any = turn("system") | turn("developer") | turn("user") | calling | answering
    row = create(
        "row",
        messages=(list[Annotated[turns, Field(discriminator="role")]], ...),
        tools=(list[dict[str, Any]] | None, None),
    )
    validate = row.model_validate_json
    with path.open("rb") as file:
        return sum(1 for line in file if validate(line))


def pydantic_typed_dict_lines(path: Path) -> int:
    """Parse and check every line into dictionaries, pydantic's faster way."""
    from typing import Any, Literal

    from pydantic import TypeAdapter
    from typing_extensions import TypedDict  # pydantic wants this one before Python 3.12

    class Turn(TypedDict, total=False):
        role: Literal["system", "developer", "user", "assistant", "tool"]
        content: str | None
        name: str
        weight: float
        tool_calls: list[dict[str, Any]]
        tool_call_id: str

    class Row(TypedDict, total=False):
        messages: list[Turn]
        tools: list[dict[str, Any]]

    validate = TypeAdapter(Row).validate_json
    with path.open("rb") as file:
        return sum(1 for line in file if validate(line))


def tunekit_lines(path: Path) -> int:
    """Read every line as a typed example."""
    from tunekit.data.stream import DatasetStream

    return sum(1 for _ in DatasetStream.load(path))


def check_some(path: Path) -> int:
    """The checks that the budget names."""
    from tunekit.data.checks import catalogue, run
    from tunekit.data.checks.base import CheckContext
    from tunekit.data.stream import DatasetStream

    named = {"Duplicates", "Labels", "Classes", "Lengths", "Conversations"}
    checks = [check for check in catalogue.builtin() if check.__name__ in named]
    assert len(checks) == len(named), [check.__name__ for check in catalogue.builtin()]
    return len(run.run(DatasetStream.load(path), checks, CheckContext())[2])


def check_all(path: Path) -> int:
    """Every built-in check."""
    from tunekit.data.stream import DatasetStream

    return len(DatasetStream.load(path).check())


def near(path: Path) -> int:
    """Near duplicates only."""
    from tunekit.data.checks import run
    from tunekit.data.checks.base import CheckContext
    from tunekit.data.checks.near_duplicates import NearDuplicates
    from tunekit.data.stream import DatasetStream

    findings = run.run(DatasetStream.load(path), [NearDuplicates], CheckContext())[2]
    return sum(len(finding.rows) for finding in findings)


TASKS: dict[str, Callable[[Path], int]] = {
    "orjson": orjson_lines,
    "pydantic": pydantic_lines,
    "pydantic-dict": pydantic_typed_dict_lines,
    "tunekit": tunekit_lines,
    "check-some": check_some,
    "check-all": check_all,
    "near": near,
}


# --- files ------------------------------------------------------------------------------------------


def write_chats(path: Path, megabytes: int) -> Path:
    """Chats of 1 to 3 turns, about 970 bytes a row: paragraphs, some quotes, one text in five not plain ASCII."""
    draw, written = random.Random(0), 0
    words = _words(draw)
    with path.open("w", encoding="utf-8") as file:
        while written < megabytes * 1_000_000:
            turns = (
                [{"role": "system", "content": "You are a helpful assistant."}] if draw.random() < 0.5 else []
            )
            for _ in range(draw.choice([1, 2, 2, 3])):
                turns.append({"role": "user", "content": _text(draw, words, 25)})
                turns.append({"role": "assistant", "content": _answer(draw, words)})
            written += file.write(json.dumps({"messages": turns}, ensure_ascii=False) + "\n")
    return path


def _answer(draw: random.Random, words: list[str]) -> str:
    text = "\n\n".join(_text(draw, words, 23) for _ in range(2))
    if draw.random() < 0.2:
        text += f" She said, \u201c{draw.choice(words)}\u201d \u2014 that\u2019s all."
    return text + f' See "{draw.choice(words)}".' if draw.random() < 0.2 else text


def write_tickets(path: Path, rows: int) -> Path:
    """Short texts with labels as chats; one in fifty repeats an earlier row, one in fifty is near to one."""
    draw = random.Random(1)
    words = _words(draw)
    recent: list[str] = []
    with path.open("w", encoding="utf-8") as file:
        for _ in range(rows):
            text = next(_tickets(draw, words, recent))
            recent.append(text)
            del recent[:-1000]
            label = draw.choice(("billing", "delivery", "account", "refund", "other"))
            turns = [{"role": "user", "content": text}, {"role": "assistant", "content": label}]
            file.write(json.dumps({"messages": turns}, ensure_ascii=False) + "\n")
    return path


def _tickets(draw: random.Random, words: list[str], recent: list[str]) -> Iterator[str]:
    kind = draw.random()
    if recent and kind < 0.02:
        yield draw.choice(recent)
    elif recent and kind < 0.04:
        yield draw.choice(recent) + " " + draw.choice(words)
    yield _text(draw, words, 30)


def _words(draw: random.Random) -> list[str]:
    letters = "etaoinshrdlucmfwypvbgk"
    return ["".join(draw.choice(letters) for _ in range(draw.randint(2, 9))) for _ in range(20_000)]


def _text(draw: random.Random, words: list[str], length: int) -> str:
    return " ".join(draw.choices(words, k=draw.randint(length // 2, length * 3 // 2))) + "."


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
