"""Near duplicates: what brute force finds and no more, in bounded work, and the same on every machine."""

from __future__ import annotations

import random
import subprocess
import sys
from functools import cache
from itertools import accumulate

import pytest

from tunekit.data.similarity import near, near_rows
from tunekit.data.similarity.comparable import comparable
from tunekit.data.similarity.near_rows import NearRows
from tunekit.data.similarity.shingles import jaccard, shingles
from tunekit.examples import CompletionExample, Example, LabelledExample, Message, PreferenceExample


def words(draw: random.Random, count: int, vocabulary: int = 2_000) -> str:
    """Words as frequent as those of a language: the second half as often as the first, and so on (Zipf)."""
    return " ".join(
        f"w{rank:x}" for rank in draw.choices(range(vocabulary), cum_weights=zipf(vocabulary), k=count)
    )


@cache
def zipf(vocabulary: int) -> list[float]:
    return list(accumulate(1 / (rank + 1) for rank in range(vocabulary)))


def edited(draw: random.Random, text: str, edits: int) -> str:
    said = text.split()
    for _ in range(edits):
        said[draw.randrange(len(said))] = f"new{draw.randrange(100)}"
    return " ".join(said)


def rows_with_copies(seed: int, count: int, length: int) -> list[tuple[str, str]]:
    """Pairs, a third of them copies with one to six words changed: on both sides of the threshold."""
    draw = random.Random(seed)
    found: list[tuple[str, str]] = []
    for _ in range(count):
        if found and draw.random() < 1 / 3:
            read, said = draw.choice(found)
            found.append((edited(draw, read, draw.randrange(3)), edited(draw, said, draw.randrange(3))))
        else:
            found.append((words(draw, draw.randrange(1, length)), words(draw, 30 + draw.randrange(length))))
    return found


def brute_force(rows: list[tuple[str, str]]) -> set[int]:
    """Rows similar to an earlier row that stays, by comparing all with all."""
    sets = [(shingles(read), shingles(said)) for read, said in rows]
    kept: list[int] = []
    found = set()
    for number, (read, said) in enumerate(sets):
        if any(
            jaccard(said, sets[other][1]) >= near.THRESHOLD
            and jaccard(read, sets[other][0]) >= near.THRESHOLD
            for other in kept
        ):
            found.add(number)
        else:
            kept.append(number)
    return found


@pytest.mark.parametrize("length", [15, 30])
def test_finds_what_brute_force_finds(length: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(near, "_FEWEST_FOR_TEMPLATE", 10**9)  # brute force here knows no templates
    rows = list(dict.fromkeys(rows_with_copies(length, 700, length)))
    searched = NearRows()
    for read, said in rows:
        searched.see(CompletionExample(prompt=read, completion=said))
    found, expected = searched.near(), brute_force(rows)
    assert len(expected) > 40
    assert len(set(found) & expected) >= 0.99 * len(expected)
    assert set(found) <= expected or len(set(found) - expected) <= 0.01 * len(expected)
    for number, like in found.items():  # all of it is true
        for side, other in zip(rows[number], rows[like], strict=True):
            assert jaccard(shingles(side), shingles(other)) >= near.THRESHOLD
    assert searched.cut == searched.not_compared == 0


def test_a_template_that_all_inputs_share_makes_no_rows_similar() -> None:
    draw = random.Random(1)
    template = words(draw, 200)
    rows = [f"{template} {words(draw, 30)} {template}" for _ in range(300)]
    searched = NearRows()
    for row in rows:
        searched.see(LabelledExample(text=row, label="yes"))
    assert searched.near() == {}
    searched.see(LabelledExample(text=f"{rows[5]} indeed", label="yes"))
    assert searched.near() == {300: 5}


def test_rows_that_collapsed_into_one_are_all_similar_to_it() -> None:
    searched = NearRows()
    sentence = "as a language model I cannot say much about that, but here is a thought, number"
    for number in range(1_000):
        searched.see(CompletionExample(prompt="Tell me something", completion=f"{sentence * 2} {number}"))
    assert searched.near() == dict.fromkeys(range(1, 1_000), 0)


def test_labels_short_answers_and_verdicts_must_be_equal() -> None:
    text = "my parcel has not arrived although I ordered it two weeks ago"
    turn = (Message(role="user", content=text),)
    rows: list[Example] = [
        LabelledExample(text=text, label="late"),
        LabelledExample(text=f"{text}!!", label="lost"),
        CompletionExample(prompt=text, completion="42"),
        CompletionExample(prompt=f"{text} ok", completion="43"),
        PreferenceExample(messages=turn, chosen=text, rejected=f"well, {text}"),
        PreferenceExample(messages=turn, chosen=f"well, {text}", rejected=text),
    ]
    searched = NearRows()
    for row in rows:
        searched.see(row)
    assert searched.near() == {}


def test_hostile_rows_cost_bounded_work_and_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    # Three quarters of every text are the same: all are candidates of all, and none is similar enough.
    monkeypatch.setattr(near, "_MAX_WORK", 30_000)
    draw = random.Random(3)
    shared = words(draw, 60)
    searched = NearRows()
    for _ in range(300):
        searched.see(CompletionExample(prompt="", completion=f"{shared} {words(draw, 25, 10**5)}"))
    searched.near()
    assert searched.cut > 150


def test_bounds_on_rows_and_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(near_rows, "MAX_ROW_BYTES", 1_000)
    monkeypatch.setattr(near_rows, "MAX_ROWS", 3)
    searched = NearRows()
    texts = ["x" * 2_000, "a", "b", "a", "c", "d", "e"]
    numbers = [searched.see(CompletionExample(prompt="", completion=text)) for text in texts]
    assert numbers == [None, 0, 1, 0, 2, None, None]
    assert searched.not_compared == 3


def test_no_near_duplicates_are_left_when_they_are_gone() -> None:
    rows = [CompletionExample(prompt=read, completion=said) for read, said in rows_with_copies(5, 400, 20)]
    searched = NearRows()
    for row in rows:
        searched.see(row)
    gone = searched.near_keys()
    again = NearRows()
    for row in rows:
        if comparable(row).key not in gone:
            again.see(row)
    assert gone and again.near() == {}


SCRIPT = """
import random, tests.unit.data.similarity.test_near as t
from tunekit.examples import CompletionExample
searched = t.NearRows()
for read, said in t.rows_with_copies(7, 300, 15):
    searched.see(CompletionExample(prompt=read, completion=said))
print(searched.near())
"""


def test_the_same_on_every_run() -> None:
    said = {
        subprocess.run(
            [sys.executable, "-c", SCRIPT],
            env={"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(said) == 1 and len(said.pop()) > 100
