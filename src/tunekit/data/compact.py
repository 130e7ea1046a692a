"""Row ids and hashes of millions of rows in a few bytes each. Knows how to store them; not what they are for."""

from __future__ import annotations

from array import array
from collections.abc import Iterator


class RowIds:
    """Row ids in order, in twelve bytes each where they are a name, a colon and a number, as readers make them.

    Examples:
        >>> ids = RowIds()
        >>> ids.append("tickets.csv:12")
        >>> ids[0], len(ids)
        ('tickets.csv:12', 1)
    """

    __slots__ = ("_name_numbers", "_names", "_numbers", "_odd", "_row_names")

    def __init__(self) -> None:
        self._names: list[str] = []
        self._name_numbers: dict[str, int] = {}
        self._row_names = array("I")
        self._numbers = array("q")
        self._odd: dict[int, str] = {}

    def append(self, row: str) -> None:
        """Add the id of the next row."""
        name, colon, number = row.rpartition(":")
        # 18 digits fit eight bytes. A leading zero, or a digit that is not ASCII, would come back as something else.
        if colon and number.isascii() and number.isdigit() and number[0] != "0" and len(number) <= 18:
            self._numbers.append(int(number))
            self._row_names.append(self._name_number(name))
        else:
            self._odd[len(self._numbers)] = row
            self._numbers.append(0)
            self._row_names.append(0)

    def __len__(self) -> int:
        return len(self._numbers)

    def __iter__(self) -> Iterator[str]:
        return map(self.__getitem__, range(len(self)))

    def __getitem__(self, index: int) -> str:
        if index in self._odd:
            return self._odd[index]
        return f"{self._names[self._row_names[index]]}:{self._numbers[index]}"

    def _name_number(self, name: str) -> int:
        number = self._name_numbers.setdefault(name, len(self._names))
        if number == len(self._names):
            self._names.append(name)
        return number


class Numbering:
    """Gives equal 64-bit hashes equal numbers, counting from 0 in order of first sight.

    A dictionary takes about 110 bytes for each entry; this takes 16 to 24: an open hash table in two arrays. The low
    bits of the keys must be random, as those of a hash are.

    Examples:
        >>> numbers = Numbering()
        >>> [numbers.number(key) for key in (77, 5, 77)]
        [0, 1, 0]
        >>> numbers.find(6) is None, len(numbers)
        (True, 2)
    """

    __slots__ = ("_keys", "_mask", "_slots")

    def __init__(self) -> None:
        self._keys = array("Q")
        self._slots = array("I", bytes(4 * 1024))  # number + 1; 0 is free
        self._mask = 1023

    def number(self, key: int) -> int:
        """The number of this hash, a new one if it was never seen."""
        slots, keys, mask = self._slots, self._keys, self._mask
        slot = key & mask
        while taken := slots[slot]:
            if keys[taken - 1] == key:
                return taken - 1
            slot = (slot + 1) & mask
        keys.append(key)
        slots[slot] = len(keys)
        if 2 * len(keys) > mask:
            self._grow()
        return len(keys) - 1

    def find(self, key: int) -> int | None:
        """The number of this hash, or None if it was never seen."""
        slots, keys, mask = self._slots, self._keys, self._mask
        slot = key & mask
        while taken := slots[slot]:
            if keys[taken - 1] == key:
                return taken - 1
            slot = (slot + 1) & mask
        return None

    def key(self, number: int) -> int:
        """The hash that has this number."""
        return self._keys[number]

    def __len__(self) -> int:
        return len(self._keys)

    def _grow(self) -> None:
        self._mask = mask = 2 * self._mask + 1
        self._slots = slots = array("I", bytes(4 * (mask + 1)))
        for number, key in enumerate(self._keys, start=1):
            slot = key & mask
            while slots[slot]:
                slot = (slot + 1) & mask
            slots[slot] = number


class Tally:
    """Of each hash, the first row that has it and how many do.

    Attributes:
        first: By the number of the hash, the position of its first row.
        times: By the number of the hash, how many rows have it.

    Examples:
        >>> tally = Tally()
        >>> [tally.add(key, row) for row, key in enumerate((77, 5, 77))]
        [True, True, False]
    """

    __slots__ = ("_numbers", "first", "times")

    def __init__(self) -> None:
        self.first = array("I")
        self.times = array("I")
        self._numbers = Numbering()

    def add(self, key: int, row: int) -> bool:
        """Note one more row with this hash. Whether it is the first."""
        number = self._numbers.number(key)
        if number < len(self.first):
            self.times[number] += 1
            return False
        self.first.append(row)
        self.times.append(1)
        return True

    def find(self, key: int) -> int | None:
        """The number of this hash, or None if no row has it."""
        return self._numbers.find(key)

    def __len__(self) -> int:
        return len(self.first)
