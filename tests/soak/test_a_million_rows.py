"""A million rows, checked as a set in memory that a small machine has; and near duplicates of a hundred thousand."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

pytestmark = [pytest.mark.soak, pytest.mark.timeout(1800)]

SCRIPT = """
import json, random, resource, sys
from importlib import import_module
from tunekit.data.checks.base import CheckContext
from tunekit.examples import ChatExample, LabelledExample, Message

def rows(kind, count):
    draw = random.Random(1)
    words = [f"w{n}" for n in range(5_000)]
    for number in range(count):
        text = "the same again" if draw.random() < 0.05 else " ".join(draw.choices(words, k=40))
        row = f"big.jsonl:{number + 1}"
        if kind == "labelled":
            yield LabelledExample(id=row, text=text, label=f"class {draw.randrange(50)}")
        else:
            turns = (Message(role="user", content=text), Message(role="assistant", content=text[::-1]))
            yield ChatExample(id=row, messages=turns)

kind, count, *names = sys.argv[1:]
modules = [(import_module(f"tunekit.data.checks.{name.split('.')[0]}"), name.split(".")[1]) for name in names]
checks = [getattr(module, name)(CheckContext()) for module, name in modules]
for row in rows(kind, int(count)):
    for check in checks:
        check.see(row)
found = {f.code: len(f.rows) for check in checks for f in check.findings()}
print(json.dumps({"found": found, "mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024}))
"""


def checked(kind: str, count: int, *names: str) -> tuple[dict[str, int], int]:
    """Rows of each finding, and the peak memory of the process in MB."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, kind, str(count), *names], capture_output=True, text=True, check=True
    )
    said: dict[str, Any] = json.loads(done.stdout)
    return said["found"], said["mb"]


@pytest.mark.parametrize("kind", ["labelled", "chat"])
def test_a_million_rows_fit_in_512_mb(kind: str) -> None:
    names = (
        "duplicates.Duplicates",
        "duplicates.Disagreements",
        "labels.Labels",
        "classes.Classes",
        "lengths.Lengths",
    )
    found, megabytes = checked(kind, 1_000_000, *names)
    assert 45_000 < found["duplicate-rows"] < 55_000
    assert megabytes < 512


def test_near_duplicates_of_a_hundred_thousand_rows() -> None:
    found, megabytes = checked("chat", 110_000, "near_duplicates.NearDuplicates")
    assert "near-duplicates-unchecked" in found
    assert megabytes < 512
