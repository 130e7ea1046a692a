"""Every built-in record shape, in the order in which they are tried. Knows names only; imports a shape when used.

The order decides where two shapes recognise the same record: the more particular one comes first.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module

from tunekit.data.shapes.base import Shape
from tunekit.data.wording import listed, nearest
from tunekit.errors import SpecError

_SHAPES: tuple[tuple[str, str], ...] = (
    # (module under tunekit.data.shapes, name of the Shape in it)
    ("own", "OWN"),
)


@cache
def shapes() -> tuple[Shape, ...]:
    """The built-in shapes."""
    return tuple(getattr(import_module(f"tunekit.data.shapes.{module}"), name) for module, name in _SHAPES)


def shape(name: str) -> Shape:
    """The shape that is called so.

    Raises:
        SpecError: None is; the hint says which there are.

    Examples:
        >>> shape("own").says
        "tunekit's own rows"
    """
    known = {shape.name: shape for shape in shapes()}
    if name not in known:
        hint = nearest(str(name), known) or f"shapes are {listed(known)}"
        raise SpecError(f"unknown shape {name!r}", hint=hint)
    return known[name]
