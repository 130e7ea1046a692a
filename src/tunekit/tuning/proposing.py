"""Which points of a space are tried. Knows cubes and seeds; not what a point costs or scores.

Every built-in way gives trial t the same values however many trials there are, so a search that is called again with
more trials finds those that it has made.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import count, product
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias, runtime_checkable

from pydantic import JsonValue

from tunekit.errors import SpecError
from tunekit.tuning.space import Choice, Space

if TYPE_CHECKING:
    from tunekit.tuning.results import Trial

Values: TypeAlias = dict[str, JsonValue]


@runtime_checkable
class Proposer(Protocol):
    """A way to choose that learns from what was tried: the seam for Optuna and its kin.

    It is asked for a few trials at a time, and told all that came of those before. Given the same, it must propose the
    same, or a search that is called again finds none of its jobs: build what you keep from `done` each time, and seed
    it.

    Examples:
        >>> class Middle:
        ...     def propose(self, space, done, n):
        ...         return [{path: dimension.at(0.5) for path, dimension in space.items()}] * n
        >>> isinstance(Middle(), Proposer)
        True
    """

    def propose(self, space: Space, done: Sequence[Trial], n: int) -> Sequence[Mapping[str, JsonValue]]:
        """The values of the next `n` trials, each a value for every field of the space."""


BuiltIn: TypeAlias = Literal["halton", "random", "grid"]
Method: TypeAlias = BuiltIn | Literal["optuna"]
METHODS: tuple[Method, ...] = ("halton", "random", "grid", "optuna")


def proposals(space: Space, method: BuiltIn, seed: int) -> Iterator[Values]:
    """Points of the space one after the other; those of a grid end.

    `"halton"` covers the space more evenly than chance: the first n points of each dimension fall one into each n-th of
    it, or nearly so. It is the sequence of Halton (1960) with a random permutation for each digit, without which
    dimensions of neighbouring primes move together (Braaten and Weller 1979; Owen 2017, arXiv 1706.02808).

    Raises:
        SpecError: `"grid"`, and a dimension is no `Choice`.
    """
    if method == "grid":
        yield from _grid(space)
        return
    draw = _halton if method == "halton" else _random
    for trial in count():
        yield {
            path: dimension.at(draw(seed, path, place, trial))
            for place, (path, dimension) in enumerate(space.items())
        }


def _random(seed: int, path: str, place: int, trial: int) -> float:
    return share(f"random:{seed}:{trial}:{path}")


def _halton(seed: int, path: str, place: int, trial: int) -> float:
    """The digits of the trial in the dimension's prime base, permuted, from the point on in reverse order.

    Zeros behind the last digit are permuted, too, down to the precision of a float.
    """
    base = _prime(place)
    total, step, rest = 0.0, 1.0 / base, trial
    for digit in range(math.ceil(36 / math.log2(base))):
        total += step * _permuted(f"halton:{seed}:{path}:{digit}", base)[rest % base]
        rest, step = rest // base, step / base
    return min(total, math.nextafter(1.0, 0.0))


def _permuted(key: str, base: int) -> list[int]:
    return sorted(range(base), key=lambda digit: share(f"{key}:{digit}"))


def share(key: str) -> float:
    """A number from 0 up to 1 that depends on the key only, the same on every machine."""
    number = int.from_bytes(
        hashlib.blake2b(key.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big"
    )
    return (number >> 11) / 2**53


def _prime(place: int) -> int:
    primes = (
        number for number in count(2) if all(number % lower for lower in range(2, math.isqrt(number) + 1))
    )
    return next(prime for at, prime in enumerate(primes) if at == place)


def _grid(space: Space) -> Iterator[Values]:
    other = next((path for path, dimension in space.items() if not isinstance(dimension, Choice)), None)
    if other is not None:
        raise SpecError(
            f"method 'grid' and space[{other!r}] is no Choice",
            hint="name its values: Choice([...]), or use 'halton'",
        )
    options = [dimension.options for dimension in space.values() if isinstance(dimension, Choice)]
    yield from (dict(zip(space, values, strict=True)) for values in product(*options))
