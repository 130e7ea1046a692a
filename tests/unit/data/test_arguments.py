"""Wrong arguments: every parameter of every public method of a dataset and a stream, with everything it cannot be.

Knows what kind each parameter is of; not what the methods do with a right one.
"""

from __future__ import annotations

import inspect
import math
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import datasets
import pandas
import polars
import pytest

from tunekit import CompletionExample, Dataset, DatasetStream, StorageError, TunekitError
from tunekit.data.methods.checking import Means

RECORDS = [
    {"prompt": f"ticket {n}", "completion": ("bug", "idea")[n % 2], "day": f"2026-11-{n + 1:02}"}
    for n in range(12)
]
DATA = Dataset.from_records(RECORDS)
STREAM = DatasetStream.from_records(RECORDS)


class Odd:
    """No type that any method knows."""

    def __repr__(self) -> str:
        return "Odd()"


ODD = Odd()
NUMBERS: list[Any] = [5, 0, -1, 0.5, math.nan, math.inf, -math.inf, 10**30, True, False, 1j]
TEXTS: list[Any] = ["", "nothing-is-called-so", "a\0b", "\ud800", b"x"]
GROUPS: list[Any] = [[], ["x"], [{"a": 1}], [None], ("x",), {"x"}, {}, {"a": 1}, {1: 2}, {"a": [1]}, [[]]]
ANYTHING: list[Any] = [None, *NUMBERS, *TEXTS, *GROUPS, ODD, Odd, Path("x")]


def is_count(value: Any, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value)


MAY_BE: dict[str, Callable[[Any], bool]] = {
    "path": lambda value: False,
    "place": lambda value: value in ("nothing-is-called-so", b"x", Path("x")),
    "text": is_text,
    "text?": lambda value: value is None or is_text(value),
    "name": lambda value: False,
    "name?": lambda value: value is None,
    "column?": lambda value: value is None,
    "unlooked?": lambda value: value is None or is_text(value),
    "encoding": lambda value: value is None,
    "delimiter": lambda value: value is None or value == "\ud800",
    "targets": lambda value: value is None or value in (["x"], ("x",)),
    "selection": callable,
    "names?": lambda value: value is None or value in ([], ()),
    "classes": lambda value: value in ([], ()) or (isinstance(value, set) and not value),
    "index": lambda value: value is None or is_text(value) or is_count(value, 1),
    "header": lambda value: (
        value is None or isinstance(value, bool) or is_count(value, 1) or value in (["x"], ("x",))
    ),
    "flag": lambda value: value is None or isinstance(value, bool),
    "labels": lambda value: value is None or value in ([], (), {}, ["x"], ("x",)),
    "size": lambda value: is_count(value, 0),
    "limit": lambda value: value is None or is_count(value, 1),
    "count": lambda value: is_count(value, 1) and value < 12,
    "seed": lambda value: is_count(value, -1),
    "repeats": lambda value: is_count(value, 1),
    "share": lambda value: value == 0.5,
    "replayed": lambda value: is_number(value) and 0 <= value < 1,
    "part": lambda value: value == 0.5 or (is_count(value, 1) and value < 12),
    "stratify": lambda value: value is False or callable(value),
    "function": callable,
    "function?": lambda value: value is None or callable(value),
    "counter": lambda value: value is None,
    "examples": lambda value: isinstance(value, (list, tuple, set)) and not value,
    "against": lambda value: value is None or (isinstance(value, (list, tuple, set, dict)) and not value),
    "unread": lambda value: (
        value is None or isinstance(value, (list, tuple, set)) or value in ({}, {"a": [1]})
    ),
    "datasets": lambda value: False,
    "weights": lambda value: value is None or value == {"a": 1},
    "number": lambda value: is_number(value) and value > 0,
    "number?": lambda value: value is None or (is_number(value) and value > 0),
    "records": lambda value: False,
    "frame": lambda value: False,
}
"""By the kind of a parameter: whether it may be this. An empty list of examples is one, so it may."""

LOAD = {
    "input": "name?",
    "target": "targets",
    "kind": "name?",
    "shape": "name?",
    "label_names": "labels",
    "label_separator": "text?",
    "limit": "limit",
    "on_error": "name",
}
CHECK = {"target": "names?", "against": "against", "counter": "counter"}
CHECK |= {"find_personal_data": "function?", "language_of": "function?"}
FIX = {"names": "name", **CHECK, "against": "unread"}
COST = {"target": "name", "epochs": "number", "batch_size": "repeats", "counter": "counter"}
COST |= {"usd_per_million_tokens": "number?", "tokens_per_second": "number?"}
SPLIT = {"test": "part", "seed": "seed", "stratify": "stratify", "groups": "column?", "alike": "name"}
KINDS: dict[str, dict[str, str]] = {
    "load": {
        "path": "path",
        **LOAD,
        "format": "name?",
        "encoding": "encoding",
        "delimiter": "delimiter",
        "quoting": "flag",
        "header": "header",
        "sheet": "index",
        "part": "text?",
        "unit": "name?",
    },
    "from_records": {"records": "records", **LOAD, "name": "text"},
    "from_pandas": {"frame": "frame", "name": "text"},
    "from_polars": {"frame": "frame", "name": "text"},
    "from_huggingface": {"dataset": "frame", "split": "name?", "name": "text"},
    "from_hub": {"repo": "text", "split": "text", "config": "text?", "revision": "text?"},
    "from_parallel": {
        "input_path": "path",
        "target_path": "path",
        "encoding": "encoding",
        "limit": "limit",
        "on_error": "name",
    },
    "check": {**CHECK, "checks": "classes", "at_least": "name"},
    "fix": FIX,
    "preview_fix": FIX,
    "dedupe": {"alike": "name"},
    "hints": {"target": "names?"},
    "estimate_cost": COST,
    "to_chat": {"system": "text?"},
    "to_records": {"shape": "name"},
    "sample": {"n": "size", "seed": "seed"},
    "shuffle": {"seed": "seed"},
    "split": SPLIT,
    "split_by_time": {"by": "selection", "test": "part", "groups": "column?"},
    "split_by_hash": {"test": "share", "seed": "seed", "groups": "column?"},
    "folds": {"k": "folds", "seed": "seed", "stratify": "stratify", "groups": "column?"},
    "shots": {"k": "count", "selection": "selection", "seed": "seed"},
    "mix": {
        "parts": "datasets",
        "size": "limit",
        "weights": "weights",
        "temperature": "number",
        "cap": "limit",
        "max_repeats": "repeats",
        "task_key": "text",
        "seed": "seed",
    },
    "with_replay": {
        "old": "examples",
        "share": "replayed",
        "floor": "size",
        "by": "stratify",
        "task": "text?",
        "task_key": "text",
        "seed": "seed",
    },
    "with_task": {"key": "name", "where": "name", "task": "text?", "task_key": "text"},
    "write": {"path": "path", "shape": "name?", "target": "name?"},
    "write_jsonl": {"path": "place"},
    "head": {"n": "size"},
    "map": {"function": "function"},
    "filter": {"function": "function"},
    "concat": {"others": "examples"},
}
MAY_BE["folds"] = lambda value: is_count(value, 2) and value <= 12

GIVEN: dict[str, dict[str, Any]] = {
    "from_records": {"records": RECORDS},
    "mix": {"parts": {"a": DATA, "b": DATA}},
    "with_replay": {"old": DATA},
    "with_task": {"task": "mail"},
    "estimate_cost": {"target": "openai"},
    "sample": {"n": 3},
    "shots": {"k": 2},
    "split_by_time": {"by": "day"},
}
"""Arguments that a call cannot do without."""


def cases() -> Iterator[Any]:
    for rows in (DATA, STREAM):
        for method, kinds in KINDS.items():
            for name, kind in kinds.items():
                if hasattr(rows, method):
                    yield pytest.param(rows, method, name, kind, id=f"{type(rows).__name__}.{method}-{name}")


@pytest.fixture
def given(tmp_path: Path) -> Callable[[str], dict[str, Any]]:
    """The arguments that a method needs, right ones."""
    lines = tmp_path / "rows.txt"
    lines.write_text("a\nb\n")
    table = tmp_path / "rows.csv"
    table.write_text("prompt,completion\na,b\nc,d\n")
    files: dict[str, dict[str, Any]] = {
        "load": {"path": table},
        "from_parallel": {"input_path": lines, "target_path": lines},
        "write": {"path": tmp_path / "out.jsonl"},
        "write_jsonl": {"path": tmp_path / "out.jsonl"},
        "from_pandas": {"frame": pandas.DataFrame(RECORDS)},
        "from_polars": {"frame": polars.DataFrame(RECORDS)},
        "from_huggingface": {"dataset": datasets.Dataset.from_list(RECORDS)},
        "from_hub": {"repo": "nobody/nothing"},
    }
    return lambda method: {**GIVEN.get(method, {}), **files.get(method, {})}


def refusal(
    function: Callable[..., Any], arguments: dict[str, Any], name: str, value: Any
) -> TunekitError | None:
    """The error of a call with this argument; None where it was taken."""
    try:
        call(function, arguments, name, value)
    except TunekitError as error:
        return error
    return None


def call(function: Callable[..., Any], arguments: dict[str, Any], name: str, value: Any) -> None:
    """Call it, and go through what it gives: a stream reads only then."""
    parameter = inspect.signature(function).parameters.get(name)
    if parameter is not None and parameter.kind is parameter.VAR_POSITIONAL:
        made = function(value, **arguments)
    else:
        made = function(**{**arguments, name: value})
    if isinstance(made, (DatasetStream, Iterator)):
        for _ in made:
            pass


@pytest.mark.parametrize(("rows", "method", "name", "kind"), list(cases()))
def test_wrong_argument_is_an_error_that_names_it_and_helps(
    rows: Any,
    method: str,
    name: str,
    kind: str,
    given: Callable[[str], dict[str, Any]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)  # what is taken for a path must not end up in the checkout
    for value in ANYTHING:
        if MAY_BE[kind](value):
            continue
        error = refusal(getattr(rows, method), given(method), name, value)
        assert error is not None, f"{method}({name}={value!r}) was taken"
        assert error.hint, f"{method}({name}={value!r}): {error}"
        written = os.fsdecode(value) if isinstance(value, bytes) else str(value)
        named = (repr(value)[:30], written, type(value).__name__, name, "the weight of 'a'")
        assert any(each and each in str(error) for each in named), f"{method}({name}={value!r}): {error}"


def test_every_parameter_is_tried() -> None:
    """A new method, or a new parameter of one, must come into the table above."""
    for cls in (Dataset, DatasetStream):
        for method, function in inspect.getmembers(cls, callable):
            if method.startswith("_") or method in ("count", "index"):
                continue
            names = set(inspect.signature(function).parameters) - {"self", "options"}
            if "means" in names:
                names = names - {"means"} | set(Means.__annotations__)
            assert names == set(KINDS.get(method, {})), method


# --- places -------------------------------------------------------------------------------------------


def places(tmp_path: Path) -> Iterator[Path]:
    (tmp_path / "folder.jsonl").mkdir()
    (tmp_path / "file").write_text("")
    os.mkfifo(tmp_path / "pipe.jsonl")
    (tmp_path / "link.jsonl").symlink_to(tmp_path / "pipe.jsonl")
    yield tmp_path / "folder.jsonl"
    yield tmp_path / "file" / "under.jsonl"
    yield tmp_path / "none" / "under.jsonl"
    yield tmp_path / f"{'x' * 300}.jsonl"
    yield tmp_path / "pipe.jsonl"
    yield tmp_path / "link.jsonl"


def test_a_place_that_takes_no_file_is_an_error_and_stays_as_it_was(tmp_path: Path) -> None:
    """Renaming a finished file over a pipe or a device would put a file in its place, for everybody."""
    for path in places(tmp_path):
        for rows in (DATA, STREAM):
            with pytest.raises(StorageError) as caught:
                rows.write(path)
            assert caught.value.hint
            with pytest.raises(StorageError, match=path.name[:20]):
                rows.write_jsonl(path)
    assert (tmp_path / "pipe.jsonl").is_fifo()
    assert (tmp_path / "link.jsonl").is_symlink()
    assert sorted(os.listdir(tmp_path)) == ["file", "folder.jsonl", "link.jsonl", "pipe.jsonl"]


# --- what is in an argument ---------------------------------------------------------------------------


def test_rows_that_are_no_examples_are_named_by_set_and_position() -> None:
    rows = [CompletionExample(prompt="a", completion="b"), {"prompt": "a"}]
    for against, where in ((rows, "against"), ({"test": rows}, r"against\['test'\]")):
        with pytest.raises(TunekitError, match=f"item 1 of {where} is 'dict', not an example"):
            DATA.check(against=against)  # type: ignore[arg-type]
    with pytest.raises(TunekitError, match=r"item 0 of parts\['a'\] is 'int', not an example"):
        Dataset.mix({"a": [1]})  # type: ignore[dict-item]


def test_a_stream_says_what_a_function_made_that_is_no_example() -> None:
    with pytest.raises(TunekitError, match="row 'records:1' is 'NoneType', not an example"):
        list(STREAM.map(lambda row: None))  # type: ignore[arg-type, return-value]


def test_content_that_has_no_fingerprint_is_named_by_a_stream_too() -> None:
    odd = CompletionExample(prompt="a", completion="b", id="a.csv:7")
    broken = STREAM.map(lambda row: odd.replace(prompt={1, 2}))
    with pytest.raises(TunekitError, match=r"row 'a\.csv:7' holds what JSON cannot hold"):
        broken.fingerprint()
