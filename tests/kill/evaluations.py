"""An evaluation in a process of its own, killed again and again until it comes to its end."""

from __future__ import annotations

import json
import random
import sqlite3
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from tests.processes import eventually, start_python
from tunekit.evaluation.running.answer_journal import _rows

ITEMS = 300
CHILD = """
import asyncio, hashlib, json, os, random, sys
from pathlib import Path

from tunekit import Dataset, Evaluator, Settings
from tunekit.backends.base import Generation
from tunekit.events import Usage
from tunekit.testing import ScriptedBackend

home, version, items = Path(sys.argv[1]), sys.argv[2] or None, int(sys.argv[3])
home.mkdir(exist_ok=True)
bill = os.open(home / "bill", os.O_WRONLY | os.O_CREAT | os.O_APPEND)


class Host(ScriptedBackend):
    async def generate(self, model, requests, sampling):
        (request,) = requests
        await asyncio.sleep(random.uniform(0.0, 0.01))
        number = request.prompt.split()[-1]
        os.write(bill, f"{number}\\n".encode())
        usage = Usage(input_tokens=int(number), output_tokens=1)
        return [Generation(text=number, finish_reason="stop", usage=usage)]


rows = [{"prompt": f"say {at}", "completion": str(at) if at % 3 else "nothing"} for at in range(items)]
evaluator = Evaluator(Dataset.from_records(rows), settings=Settings(home=home), concurrency=4)
print("ready", flush=True)
found = evaluator.run("scripted:base", backend=Host(generate=lambda prompt: "", version=version))
told = found.model_dump(mode="json", exclude={"seconds", "created_at", "reused", "arm", "warnings"})
print(hashlib.sha256(json.dumps(told).encode()).hexdigest(), flush=True)
"""


@dataclass
class Killed:
    """What came of one evaluation.

    Attributes:
        told: Digest of what it said in the end.
        kills: How often it was killed.
        billed: How often each item was answered.
        kept_and_asked: Items that were asked although an answer of theirs had been kept.
    """

    told: str = ""
    kills: int = 0
    billed: Counter[str] = field(default_factory=Counter)
    kept_and_asked: set[str] = field(default_factory=set)


def evaluated_under_fire(
    home: Path, *, kills: int, version: str = "1", seed: int = 0, while_asking: bool = False
) -> Killed:
    """Evaluate, killed at so many random moments at most.

    Args:
        home: Where its answers are kept.
        kills: How often it is killed, unless it ends before.
        version: Of the model's weights; empty if they may change.
        seed: Of the moments.
        while_asking: Whether it is killed after a random number of answers, and never at its end.
    """
    draw, found = random.Random(seed), Killed()
    while True:
        kept, before = _kept(home), _bill(home)
        with start_python(CHILD, home, version, ITEMS) as child:
            assert child.stdout is not None and child.stdout.readline() == "ready\n"
            if found.kills < kills:
                if while_asking:
                    items = draw.randint(len(before), ITEMS - 20)
                    eventually(lambda items=items: len(_bill(home)) >= items, every_s=0.0005)  # type: ignore[misc]
                else:
                    time.sleep(draw.uniform(0.0, 0.3))
                child.kill()
                found.kills += 1
            said = child.stdout.read()
        found.kept_and_asked |= kept & set(_bill(home)[len(before) :])
        if said.endswith("\n"):
            found.told = said
            found.billed = Counter(_bill(home))
            return found


def _bill(home: Path) -> list[str]:
    bill = home / "bill"
    return bill.read_text().splitlines() if bill.exists() else []


def _kept(home: Path) -> set[str]:
    """Items whose answers are kept, in the cache or in what was left behind."""
    bodies = [row.body for path in (home / "answers").glob("*.answers") for row in _rows(path)]
    if (home / "answers.sqlite3").exists():
        connection = sqlite3.connect(home / "answers.sqlite3")
        bodies += [body for (body,) in connection.execute("SELECT body FROM answers")]
        connection.close()
    return {json.loads(body)["text"] for body in bodies}
