"""Row ids come back as they went in, and equal hashes get equal numbers: lists and dictionaries in less room."""

from __future__ import annotations

import random
import sys

from hypothesis import example, given
from hypothesis import strategies as st

from tunekit.data.compact import Numbering, RowIds

ID = st.text() | st.builds(
    "{}:{}".format, st.sampled_from(["a.csv", "b:c", ""]), st.integers(-5, 10**20) | st.text()
)


@given(st.lists(ID))
@example(["1", ":1", "a:01", "a:1"])
def test_row_ids_come_back(rows: list[str]) -> None:
    ids = RowIds()
    for row in rows:
        ids.append(row)
    assert [ids[index] for index in range(len(ids))] == rows


@given(st.lists(st.integers(0, 2**64 - 1) | st.integers(0, 5)), st.integers(0, 2**64 - 1))
def test_numbering_does_what_a_dictionary_does(keys: list[int], missing: int) -> None:
    numbers, known = Numbering(), dict[int, int]()
    for key in keys:
        assert numbers.number(key) == known.setdefault(key, len(known))
    assert [numbers.key(number) for number in range(len(numbers))] == list(known)
    assert numbers.find(missing) == known.get(missing)


def test_numbering_grows() -> None:
    random_bits = random.Random(1)
    keys = [random_bits.getrandbits(64) for _ in range(20_000)]
    numbers = Numbering()
    assert [numbers.number(key) for key in keys] == list(range(20_000))
    assert [numbers.find(key) for key in keys] == list(range(20_000))


def test_a_million_ids_would_take_a_few_megabytes() -> None:
    ids = RowIds()
    for number in range(1, 10_001):
        ids.append(f"tickets.jsonl:{number}")
    held = sum(sys.getsizeof(getattr(ids, name)) for name in RowIds.__slots__)
    assert held < 20 * 10_000
