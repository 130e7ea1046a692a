"""Texts with `{{item.x}}` and `{{sample.output_json.a[0]}}` in them. Knows paths into JSON; no filters and no logic.

A path that leads nowhere is an error and never an empty text: an answer compared with nothing would get a grade.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from tunekit.data.wording import brief, listed, nearest
from tunekit.graders.flags import Flag, Unreadable
from tunekit.graders.sample import NAMES, Sample

Step: TypeAlias = str | int

_VARIABLE = re.compile(r"\{\{([^{}]*)\}\}")
_STEP = re.compile(r"""\.([^\s.\[\]"'|()]+)|\[([0-9]{1,9})\]|\["([^"\]]*)"\]|\['([^'\]]*)'\]""")
_NAMESPACE = re.compile(r"item|sample")


@dataclass(frozen=True, slots=True)
class Variable:
    """A path into the item or the sample.

    Attributes:
        text: As written.
        steps: Namespace, then names and indices.
    """

    text: str
    steps: tuple[Step, ...]

    def value(self, sample: Sample, item: Mapping[str, Any]) -> Any:
        """What it leads to.

        Raises:
            Unreadable: It leads nowhere.
        """
        namespace, *steps = self.steps
        if self.steps[:2] == ("sample", "output_json") and not sample.is_json:
            raise Unreadable("sample_parse_error", f"{self.text}: the answer is no JSON")
        found: Any = sample.namespace if namespace == "sample" else item
        return self._followed(found, steps)

    def check(self, item: Mapping[str, Any]) -> None:
        """Raise `Unreadable` if it leads into the item and nowhere."""
        if self.steps[0] == "item":
            self._followed(item, self.steps[1:])

    def _followed(self, found: Any, steps: Sequence[Step]) -> Any:
        for at, step in enumerate(steps):
            try:
                found = _inside(found, step)
            except LookupError:
                flag: Flag = "sample_parse_error" if self.steps[0] == "sample" else "invalid_variable_error"
                where = _written(self.steps[: at + 1])
                raise Unreadable(flag, f"{self.text}: {where} has no {brief(step)}") from None
        return found


@dataclass(frozen=True, slots=True)
class Template:
    """A text with variables.

    Attributes:
        pieces: Plain texts and variables, in order.
    """

    pieces: tuple[str | Variable, ...]

    @classmethod
    def parse(cls, text: str) -> Template:
        """Read a template.

        Raises:
            ValueError: Something in double braces is no path into `item` or `sample`; the message says what is wrong.
        """
        pieces: list[str | Variable] = []
        end = 0
        for match in _VARIABLE.finditer(text):
            pieces += [_plain(text[end : match.start()]), _variable(match[1].strip())]
            end = match.end()
        pieces.append(_plain(text[end:]))
        return cls(tuple(piece for piece in pieces if piece != ""))

    def render(self, sample: Sample, item: Mapping[str, Any]) -> str:
        """The text with every variable filled in: texts as they are, anything else as JSON with its keys in order.

        Raises:
            Unreadable: A variable leads nowhere.

        Examples:
            >>> Template.parse("{{ item.n }} of {{item.all}}").render(Sample(""), {"n": 2, "all": [1.5, None]})
            '2 of [1.5, null]'
        """
        return "".join(
            piece if isinstance(piece, str) else _text(piece.value(sample, item)) for piece in self.pieces
        )

    def variables(self) -> Iterator[Variable]:
        """What it reads."""
        return (piece for piece in self.pieces if isinstance(piece, Variable))


def _plain(text: str) -> str:
    if "{{" in text:
        raise ValueError('"{{" begins a variable that does not end in "}}"')
    return text


def _variable(text: str) -> Variable:
    namespace = _NAMESPACE.match(text)
    steps: list[Step] = [namespace[0]] if namespace else []
    at = namespace.end() if namespace else 0
    while at < len(text) and (found := _STEP.match(text, at)):
        name, index, *quoted = found.groups()
        steps.append(int(index) if index else next(part for part in (name, *quoted) if part is not None))
        at = found.end()
    if at != len(text) or len(steps) < 2:
        raise ValueError(f"{brief(text)} is no path such as item.answer or sample.output_json.a[0]")
    if steps[0] == "sample" and steps[1] not in NAMES:
        raise ValueError(
            f"a sample has no {brief(steps[1])}, only {listed(NAMES)} {nearest(str(steps[1]), NAMES)}"
        )
    return Variable(text, tuple(steps))


def _inside(value: Any, step: Step) -> Any:
    if isinstance(value, Mapping) and isinstance(step, str):
        return value[step]
    if isinstance(value, (list, tuple)) and isinstance(step, int):
        return value[step]
    raise LookupError


def _written(steps: tuple[Step, ...]) -> str:
    head, *rest = steps
    return str(head) + "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in rest)


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    # Objects that are equal are to be equal texts, whoever wrote their keys first.
    return json.dumps(value, ensure_ascii=False, sort_keys=True, default=str)
