r"""The formula of a `multi`: arithmetic over the names of its graders. Knows the grammar; runs nobody's code.

sum     := product (("+" | "-") product)*
product := signed (("*" | "/") signed)*
signed  := "-" signed | power
power   := atom ("^" signed)?           right to left; -a^2 is -(a^2), as on paper
atom    := number | name | function "(" sum ("," sum)* ")" | "(" sum ")"
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from tunekit.data.wording import brief, listed, nearest

Compute: TypeAlias = Callable[[Mapping[str, float]], float]

FUNCTIONS: Mapping[str, Callable[..., float]] = {
    "min": min,
    "max": max,
    "abs": abs,
    "floor": math.floor,
    "ceil": math.ceil,
    "exp": math.exp,
    "sqrt": math.sqrt,
    "log": math.log,
}
"""What OpenAI's guide on graders lists. `log` is the natural one; all but min and max take one argument."""

_TOKEN = re.compile(
    r"\s*(?:([0-9]+(?:\.[0-9]*)?(?:[eE][+-]?[0-9]+)?|\.[0-9]+)|([A-Za-z_]\w*)|([-+*/^(),]))", re.A
)
_MAX_CHARACTERS = 10_000
_MAX_DEPTH = 50


@dataclass(frozen=True, slots=True)
class Formula:
    """A formula that has been read.

    Attributes:
        names: What it needs the values of, sorted.
        compute: Its value; raises `ArithmeticError` or `ValueError` where there is none.
    """

    names: tuple[str, ...]
    compute: Compute

    @classmethod
    def parse(cls, text: str) -> Formula:
        """Read a formula.

        Raises:
            ValueError: It is none; the message says where.

        Examples:
            >>> Formula.parse("0.5 * name + max(0, 1 - 2 ^ 2 / 4)").compute({"name": 1.0})
            0.5
        """
        parser = _Parser(_tokens(text))
        compute = parser.whole()
        return cls(tuple(sorted(parser.names)), compute)

    def value(self, names: Mapping[str, float]) -> float:
        """Its value.

        Raises:
            ValueError: There is none, such as 1 / 0; the message says why.
        """
        try:
            found = self.compute(names)
            finite = math.isfinite(found)
        except (ArithmeticError, ValueError) as error:
            raise ValueError(str(error)) from None
        if not finite:
            raise ValueError(f"its value is {found}")
        return float(found)


def _tokens(text: str) -> list[str]:
    if len(text) > _MAX_CHARACTERS:
        raise ValueError(f"the formula is longer than {_MAX_CHARACTERS} characters")
    found, at, end = [], 0, len(text.rstrip())
    while at < end:
        match = _TOKEN.match(text, at)
        if not match:
            raise ValueError(f"cannot read {brief(text[at:end].strip())}")
        found.append(match[0].strip())
        at = match.end()
    return found


@dataclass(slots=True)
class _Parser:
    """Recursive descent. Every method reads one rule of the grammar and returns how to compute it."""

    tokens: list[str]
    names: set[str] = field(default_factory=set)
    at: int = 0
    depth: int = 0

    def whole(self) -> Compute:
        found = self.sum()
        if self.peek():
            raise ValueError(f"{brief(self.peek())} is too much")
        return found

    def sum(self) -> Compute:
        self.depth += 1
        if self.depth > _MAX_DEPTH:
            raise ValueError(f"it is nested more than {_MAX_DEPTH} deep")
        terms = [(1.0, self.product())]
        while self.peek() in ("+", "-"):
            sign = 1.0 if self.take() == "+" else -1.0
            terms.append((sign, self.product()))
        self.depth -= 1

        def compute(names: Mapping[str, float]) -> float:
            # Not sum(): from Python 3.12 on, that rounds otherwise.
            found = terms[0][1](names)
            for sign, term in terms[1:]:
                found = found + sign * term(names)
            return found

        return compute

    def product(self) -> Compute:
        first, rest = self.signed(), []
        while self.peek() in ("*", "/"):
            rest.append((self.take(), self.signed()))

        def compute(names: Mapping[str, float]) -> float:
            found = first(names)
            for operator, factor in rest:
                found = found * factor(names) if operator == "*" else found / factor(names)
            return found

        return compute

    def signed(self) -> Compute:
        negative = False
        while self.peek() == "-":
            self.take()
            negative = not negative
        value = self.power()
        return (lambda names: -value(names)) if negative else value

    def power(self) -> Compute:
        base = self.atom()
        if self.peek() != "^":
            return base
        self.take()
        self.depth += 1
        if self.depth > _MAX_DEPTH:
            raise ValueError(f"it is nested more than {_MAX_DEPTH} deep")
        exponent = self.signed()
        self.depth -= 1
        return lambda names: math.pow(base(names), exponent(names))

    def atom(self) -> Compute:
        token = self.take()
        if token == "(":
            found = self.sum()
            self.expect(")")
            return found
        if token[:1].isdigit() or token[:1] == ".":
            number = float(token)
            return lambda names: number
        if not (token[:1].isalpha() or token[:1] == "_"):
            raise ValueError(
                f"a value is missing before {brief(token)}" if token else "a value is missing at its end"
            )
        if self.peek() == "(":
            return self.call(token)
        self.names.add(token)
        return lambda names: names[token]

    def call(self, name: str) -> Compute:
        if name not in FUNCTIONS:
            raise ValueError(
                f"{brief(name)} is no function {nearest(name, FUNCTIONS)}; there are {listed(FUNCTIONS)}"
            )
        self.expect("(")
        arguments = [self.sum()]
        while self.peek() == ",":
            self.take()
            arguments.append(self.sum())
        self.expect(")")
        if len(arguments) > 1 and name not in ("min", "max"):
            raise ValueError(f"{name} takes one argument")
        function = FUNCTIONS[name]
        if len(arguments) == 1 and name in ("min", "max"):
            return arguments[0]
        return lambda names: function(*(argument(names) for argument in arguments))

    def peek(self) -> str:
        return self.tokens[self.at] if self.at < len(self.tokens) else ""

    def take(self) -> str:
        token = self.peek()
        self.at += 1
        return token

    def expect(self, token: str) -> None:
        found = self.take()
        if found != token:
            raise ValueError(
                f"{brief(token)} is missing before {brief(found)}"
                if found
                else f"{brief(token)} is missing at its end"
            )
