"""A field of an answer that is JSON, held against what it should be. Knows JSON values and paths into them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from tunekit.data.wording import brief
from tunekit.errors import EvaluationError, SpecError
from tunekit.evaluation.metrics.numeric import is_close

_STEP = re.compile(r"""(?:\.|\A)([^.\[\]"'\s]+)|\[([0-9]{1,9})\]|\["([^"]*)"\]|\['([^']*)'\]""")


class Missing:
    """There is no such value; not even null."""

    def __repr__(self) -> str:
        return "MISSING"


MISSING: Final = Missing()


@dataclass(frozen=True, slots=True)
class Path:
    """A place in a JSON value.

    Attributes:
        text: Such as "a.b[0].c"; `["a key"]` for a key with points, spaces or brackets. "" is the value itself.

    Raises:
        SpecError: It is no path.

    Examples:
        >>> Path("items[1].price").value({"items": [{}, {"price": 4}]})
        4
        >>> Path("items[2].price").value({"items": [{}, {"price": 4}]})
        MISSING
    """

    text: str

    def __post_init__(self) -> None:
        self.steps()

    def steps(self) -> tuple[str | int, ...]:
        """Keys and indices, from the outside in."""
        steps: list[str | int] = []
        at = 0
        while at < len(self.text):
            found = _STEP.match(self.text, at)
            if found is None:
                raise SpecError(f"{brief(self.text)} is no path into JSON", hint='write it as in "a.b[0].c"')
            name, index, *quoted = found.groups()
            steps.append(int(index) if index else next(part for part in (name, *quoted) if part is not None))
            at = found.end()
        return tuple(steps)

    def value(self, document: Any) -> Any:
        """What it leads to, or `MISSING`."""
        for step in self.steps():
            document = _inside(document, step)
        return document


def _inside(value: Any, step: str | int) -> Any:
    if isinstance(value, Mapping) and isinstance(step, str):
        return value.get(step, MISSING)
    if isinstance(value, list) and isinstance(step, int) and step < len(value):
        return value[step]
    return MISSING


def parse(text: str) -> Any:
    """The one JSON value that a text is, or `MISSING`. Nothing may stand around it but space.

    Examples:
        >>> parse('{"a": null}'), parse("```json"), parse("null")
        ({'a': None}, MISSING, None)
    """
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return MISSING


def field_matches(
    answer: str, path: Path, reference: Any, *, absolute: float = 0.0, relative: float = 0.0
) -> bool:
    """Whether an answer is JSON with the right value in one place. An answer that is no JSON is a wrong one.

    Args:
        answer: What the model said.
        path: The place.
        reference: The right JSON value.
        absolute: Tolerance of every number in it; see `numeric.is_close`.
        relative: The same.

    Raises:
        EvaluationError: The values are nested too deep to compare.
        SpecError: A tolerance is negative or not finite.

    Examples:
        >>> field_matches('{"price": 4.0}', Path("price"), 4), field_matches('{"price": "4"}', Path("price"), 4)
        (True, False)
    """
    found = path.value(parse(answer))
    return same_value(found, reference, absolute=absolute, relative=relative)


def same_value(found: Any, reference: Any, *, absolute: float = 0.0, relative: float = 0.0) -> bool:
    """Whether two JSON values are the same: types are kept, 1 and 1.0 are one number, keys have no order.

    Args:
        found: A JSON value, or `MISSING`, which is the same as nothing.
        reference: A JSON value.
        absolute: Tolerance of every number; see `numeric.is_close`.
        relative: The same.

    Raises:
        EvaluationError: They are nested too deep.
        SpecError: A tolerance is negative or not finite.
    """
    is_close(0, 0, absolute=absolute, relative=relative)  # refuses a wrong tolerance, whatever the values
    try:
        return _same(found, reference, {"absolute": absolute, "relative": relative})
    except RecursionError:
        raise EvaluationError(
            "the JSON values are nested too deep to compare", hint="compare a field inside them"
        ) from None


def _same(found: Any, reference: Any, tolerances: Mapping[str, float]) -> bool:
    if _is_number(reference):
        return _is_number(found) and is_close(found, reference, **tolerances)
    if isinstance(reference, Mapping):
        return (
            isinstance(found, Mapping)
            and found.keys() == reference.keys()
            and all(_same(found[name], value, tolerances) for name, value in reference.items())
        )
    if isinstance(reference, Sequence) and not isinstance(reference, str):
        return (
            isinstance(found, list)
            and len(found) == len(reference)
            and all(_same(one, other, tolerances) for one, other in zip(found, reference, strict=True))
        )
    return type(found) is type(reference) and bool(found == reference)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
