"""The fields of a JSON object, taken one by one; what is wrong is collected, with its path. Knows no type of grader."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from tunekit.data.wording import brief, listed, nearest, shown
from tunekit.graders.finite import finite
from tunekit.graders.templates import Template

T = TypeVar("T")


class Fields:
    """Reads one object. A field that is wrong gives some value of its type, and a problem.

    Args:
        body: The object.
        path: Where it stands, such as "grader.graders.name"; "" for the whole document.
        problems: Grows.
    """

    def __init__(self, body: Mapping[str, Any], path: str, problems: list[str]) -> None:
        self._body = body
        self._path = path
        self._problems = problems
        self._known: set[str] = set()

    def problem(self, name: str, text: str) -> None:
        """Something is wrong with a field."""
        self._problems.append(f"{self.path(name)} {text}")

    def count(self) -> int:
        """Problems so far."""
        return len(self._problems)

    def path(self, name: str) -> str:
        """Where a field stands."""
        return f"{self._path}.{name}" if self._path else name

    def below(self, body: Any, path: str) -> Fields:
        """The fields of an object inside this one; of none, where it is no object."""
        if not isinstance(body, Mapping):
            self._problems.append(f"{path} is {shown(body)}, not an object")
            body = {}
        return Fields(body, path, self._problems)

    def raw(self, name: str) -> Any:
        """A field as it is; None where it is null or missing."""
        self._known.add(name)
        return self._body.get(name)

    def text(self, name: str, default: str | None = None) -> str:
        """A text; required unless it has a default."""
        value = self.raw(name)
        if value is None and default is not None:
            return default
        if not isinstance(value, str):
            self.problem(name, "is missing" if value is None else f"is {shown(value)}, not text")
            return default or ""
        return value

    def choice(self, name: str, choices: Sequence[str]) -> str:
        """One of some texts."""
        value = self.text(name)
        if value in choices:
            return value
        if isinstance(self.raw(name), str):
            self.problem(
                name, f"is {brief(value)}, not one of {listed(choices)} {nearest(value, choices)}".rstrip()
            )
        return choices[0]

    def number(self, name: str) -> float | None:
        """A finite number, or None where it is left out."""
        value = self.raw(name)
        found = finite(value)
        if found is None and value is not None:
            self.problem(name, f"is {brief(value)}, not a finite number")
        return found

    def texts(self, name: str) -> tuple[str, ...]:
        """A list of texts, at least one."""
        value = self.raw(name)
        if not isinstance(value, list) or not value or not all(isinstance(item, str) for item in value):
            self.problem(name, "is missing" if value is None else "is not a list of texts")
            return ()
        return tuple(value)

    def template(self, name: str) -> Template:
        """A text with variables."""
        return self.made(name, Template.parse) or Template(())

    def made(self, name: str, make: Callable[[str], T]) -> T | None:
        """What `make` makes of a text; its `ValueError` is the problem, and then there is None."""
        before = len(self._problems)
        text = self.text(name)
        if len(self._problems) > before:
            return None
        try:
            return make(text)
        except ValueError as error:
            self.problem(name, f"is wrong: {error}")
            return None

    def finish(self) -> None:
        """Every field that nobody asked for is a problem. Null says nothing, so it may stand anywhere."""
        for name, value in self._body.items():
            if name not in self._known and value is not None:
                near = nearest(str(name), self._known)
                self.problem(str(name)[:40], f"is not a field{near and '; ' + near}")
