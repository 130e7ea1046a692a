"""What a search may choose from. Knows fields of a `TuneSpec` and ranges of values; draws and trains nothing.

A dimension turns a number from 0 up to 1 into a value, so that any way of placing points in a cube is a way of drawing
specs.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal, Self, TypeAlias, TypeVar

from pydantic import BaseModel, Field, JsonValue, field_validator, model_validator

from tunekit._validation import Spec, parse_model
from tunekit.data.arguments import mapping
from tunekit.data.wording import brief
from tunekit.errors import SpecError
from tunekit.spec import TuneSpec

DimensionT = TypeVar("DimensionT", bound="Dimension")


class Dimension(Spec, ABC):
    """What one field is chosen from: `Choice`, `Uniform`, `LogUniform` or `IntUniform`."""

    @abstractmethod
    def at(self, share: float) -> JsonValue:
        """The value at this share of the way, from 0 up to 1."""

    @abstractmethod
    def corners(self) -> tuple[JsonValue, ...]:
        """Values that show whether the field takes what it may be set to."""


class Uniform(Dimension):
    """Any number from `low` to `high`, each as likely as the others.

    Examples:
        >>> Uniform(low=0.0, high=0.2).at(0.25)
        0.05
    """

    type: Literal["uniform"] = "uniform"
    low: float
    high: float

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        return _in_order(self, self.low, self.high)

    def at(self, share: float) -> float:
        """The value at this share of the way, from 0 up to 1."""
        return rounded(self.low + share * (self.high - self.low), self.low, self.high)

    def corners(self) -> tuple[JsonValue, ...]:
        """Values that show whether the field takes what lies between them."""
        return self.low, self.high


class LogUniform(Dimension):
    """Any number from `low` to `high`, each order of magnitude as likely as the others: for learning rates.

    Examples:
        >>> LogUniform(low=1e-5, high=1e-3).at(0.5)
        0.0001
    """

    type: Literal["log-uniform"] = "log-uniform"
    low: Annotated[float, Field(gt=0)]
    high: Annotated[float, Field(gt=0)]

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        return _in_order(self, self.low, self.high)

    def at(self, share: float) -> float:
        """The value at this share of the way, from 0 up to 1."""
        return rounded(self.low * (self.high / self.low) ** share, self.low, self.high)

    def corners(self) -> tuple[JsonValue, ...]:
        """Values that show whether the field takes what lies between them."""
        return self.low, self.high


class IntUniform(Dimension):
    """Any whole number from `low` to `high`, both included.

    Examples:
        >>> [IntUniform(low=1, high=3).at(share) for share in (0.0, 0.5, 0.99)]
        [1, 2, 3]
    """

    type: Literal["int-uniform"] = "int-uniform"
    low: int
    high: int

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        return _in_order(self, self.low, self.high)

    def at(self, share: float) -> int:
        """The value at this share of the way, from 0 up to 1."""
        return min(self.high, self.low + int(share * (self.high - self.low + 1)))

    def corners(self) -> tuple[JsonValue, ...]:
        """Values that show whether the field takes what lies between them."""
        return self.low, self.high


class Choice(Dimension):
    """One of a few values, each as likely as the others; whole methods and adapters are values, too.

    Args:
        options: The values, as specs or as JSON has them.

    Examples:
        >>> from tunekit import FullWeights, LastLayers
        >>> Choice([8, 16, 32]).at(0.5), Choice([LastLayers(layers=1), FullWeights()]).at(0.9)
        (16, {'type': 'full'})
    """

    type: Literal["choice"] = "choice"
    options: Annotated[tuple[JsonValue, ...], Field(min_length=1)]

    def __init__(self, options: Iterable[JsonValue | BaseModel] = (), /, **values: Any) -> None:
        if options or "options" not in values:
            values["options"] = options
        super().__init__(**values)

    # As in `Spec`: a dimension inside of a record is built without calling this.
    __init__.__pydantic_base_init__ = True  # type: ignore[attr-defined]

    @field_validator("options", mode="before")
    @classmethod
    def _plain(cls, options: Any) -> Any:
        if isinstance(options, (str, bytes, Mapping)) or not isinstance(options, Iterable):
            return options
        return tuple(
            option.model_dump(mode="json") if isinstance(option, BaseModel) else option for option in options
        )

    def at(self, share: float) -> JsonValue:
        """The value at this share of the way, from 0 up to 1."""
        return self.options[min(len(self.options) - 1, int(share * len(self.options)))]

    def corners(self) -> tuple[JsonValue, ...]:
        """Values that show whether the field takes what it may be set to: here all."""
        return self.options


AnyDimension: TypeAlias = Annotated[Uniform | LogUniform | IntUniform | Choice, Field(discriminator="type")]
"""A dimension as a record holds it."""

Space: TypeAlias = Mapping[str, Dimension]
"""Dimensions by field, nested fields with dots: `{"learning_rate": ..., "method.adapter.rank": ...}`."""


def applied(spec: TuneSpec, values: Mapping[str, JsonValue]) -> TuneSpec:
    """The spec with these fields set.

    Raises:
        SpecError: One is no field of the spec, or does not take its value.

    Examples:
        >>> applied(TuneSpec(), {"method.adapter.rank": 8, "epochs": 2.0}).method.adapter.rank
        8
    """
    body = spec.model_dump(mode="json")
    for path, value in values.items():
        *parents, name = path.split(".")
        place: Any = body
        for parent in parents:
            place = place.get(parent) if isinstance(place, dict) else None
        if not isinstance(place, dict):
            raise SpecError(
                f"{brief(path)} is no field of this spec",
                hint="the spec is searched from spec= on: give it the method and adapter that have the field",
            )
        place[name] = value
    return parse_model(TuneSpec, body)


def checked_space(space: Space, spec: TuneSpec) -> dict[str, AnyDimension]:
    """The dimensions in the order of their names: the order in which somebody wrote them down decides nothing.

    Raises:
        SpecError: There is none, one is no dimension, its field does not take its values, or lies within another one.
    """
    given = dict(sorted(mapping("space", space, such_as='{"learning_rate": tk.LogUniform(...)}').items()))
    if not given:
        raise SpecError("an empty space", hint='name a field, such as {"epochs": tk.Choice([1, 3])}')
    found: dict[str, AnyDimension] = {}
    for path, dimension in given.items():
        if not isinstance(dimension, (Uniform, LogUniform, IntUniform, Choice)):
            raise SpecError(
                f"space[{brief(path)}] is {brief(dimension)}",
                hint="use Choice, Uniform, LogUniform or IntUniform",
            )
        outer = next((other for other in found if path.startswith(f"{other}.")), None)
        if outer is not None:
            raise SpecError(
                f"{brief(path)} lies within {brief(outer)}, which is chosen, too",
                hint="choose among whole ones: Choice([LoRA(rank=8), LoRA(rank=32), FullWeights()])",
            )
        for value in dimension.corners():
            applied(spec, {path: value})
        found[path] = dimension
    return found


def _in_order(dimension: DimensionT, low: float, high: float) -> DimensionT:
    if not low < high:
        raise ValueError(f"low is {low:g} and high {high:g}: low must be below high")
    return dimension


def rounded(value: float, low: float, high: float) -> float:
    """The value with six digits, within its bounds."""
    # Libraries of mathematics differ in the last of 16 digits, and two numbers would be two jobs.
    return min(high, max(low, float(f"{value:.6g}")))
