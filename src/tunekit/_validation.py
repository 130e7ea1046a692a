"""What pydantic finds wrong, told as a `SpecError`. Knows fields and their types; not what any of them means.

A pydantic error prints the input around the wrong field, secrets included. Ours names each wrong field by its path,
and of values only numbers that stand in that very field.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, TypeAlias, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, ValidationError

from tunekit.errors import SpecError

Auto: TypeAlias = Literal["auto"]
"""Leaves a value to the backend, which reports what it chose."""

ModelT = TypeVar("ModelT", bound=BaseModel)


class Spec(BaseModel):
    """What users write: frozen, no unknown fields, and a `SpecError` where something is wrong."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, hide_input_in_errors=True)

    def __init__(self, /, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise spec_error(type(self), error) from None

    # pydantic builds nested models without calling `__init__`, unless it is told that this one does more than check.
    # It must not call it: one error for the outermost model then names every field by its whole path.
    __init__.__pydantic_base_init__ = True  # type: ignore[attr-defined]


def parse_model(cls: type[ModelT], source: str | bytes | Mapping[str, Any]) -> ModelT:
    """Validate JSON, or a decoded object, against a pydantic model.

    Raises:
        SpecError: Naming each wrong field.
    """
    try:
        if isinstance(source, (str, bytes)):
            return cls.model_validate_json(source)
        return cls.model_validate(source)
    except ValidationError as error:
        raise spec_error(cls, error) from None


def spec_error(cls: type[BaseModel], error: ValidationError) -> SpecError:
    """The `SpecError` that says what pydantic found, one clause for each wrong field."""
    found: dict[str, list[str]] = {}
    for item in error.errors(include_url=False, include_context=False):
        path, holder = _path(cls, item["loc"])
        found.setdefault(path, []).append(_trouble(item, holder))
    # The arms of a union each complain about the same field: what fits one of them fits.
    problems = [f"{path} {_joined(troubles)}" for path, troubles in found.items()]
    return SpecError(
        f"not a valid {cls.__name__}: {'; '.join(problems)}",
        hint="compare with the API reference",
        details={"fields": list(found)},
    )


def _joined(troubles: Sequence[str]) -> str:
    """Several complaints about one field, its value said once.

    Examples:
        >>> _joined(["is 0, should be 1", "is 0, should be 'auto'"])
        "is 0, should be 1 or be 'auto'"
    """
    head, *others = dict.fromkeys(troubles)
    return " or ".join([head, *(other.rpartition("should ")[2] for other in others)])


def _trouble(item: Any, holder: type[BaseModel] | None) -> str:
    if item["type"] == "extra_forbidden":
        return f"is not a field{_nearest(str(item['loc'][-1]), holder)}"
    message = str(item["msg"]).partition(", unable to parse")[0]
    wanted = message.removeprefix("Input ") if message.startswith("Input should ") else f"is wrong: {message}"
    value = item["input"]
    return f"is {value!r}, {wanted}" if isinstance(value, (int, float)) else wanted


def _nearest(name: str, holder: type[BaseModel] | None) -> str:
    known = list(holder.model_fields) if holder else []
    near = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {near[0]!r}?" if near else f" (fields are {', '.join(known)})" if known else ""


def _path(cls: type[BaseModel], location: Sequence[int | str]) -> tuple[str, type[BaseModel] | None]:
    """`method.adapter.rank` for pydantic's ("method", "sft", "adapter", "lora", "rank"), and whose field it is."""
    parts: list[str] = []
    holder: type[BaseModel] | None = None
    scope: Any = cls
    for part in location:
        arms = list(_arms(scope))
        if len(arms) > 1:  # pydantic says which member of a union it tried; the user wrote no such thing
            scope = next((arm for arm in arms if part in _labels(arm)), None)
            continue
        scope = arms[0]
        holder = scope if isinstance(scope, type) and issubclass(scope, BaseModel) else None
        field = holder.model_fields.get(str(part)) if holder else None
        scope = field.annotation if field else None
        parts.append(f"[{part}]" if isinstance(part, int) else f".{part}")
    return "".join(parts).removeprefix(".") or "document", holder


def _arms(annotation: Any) -> Iterator[Any]:
    """The members of a union without None, or the type itself."""
    if get_origin(annotation) is Annotated:
        yield from _arms(get_args(annotation)[0])
    elif get_origin(annotation) in (Union, UnionType):
        for member in get_args(annotation):
            if member is not NoneType:
                yield from _arms(member)
    else:
        yield annotation


def _labels(arm: Any) -> tuple[str, ...]:
    """What pydantic calls a member of a union: its class, or its tag where a field `type` tells members apart."""
    if not (isinstance(arm, type) and issubclass(arm, BaseModel)):
        return ()
    tag = arm.model_fields.get("type")
    return (arm.__name__, str(tag.default)) if tag else (arm.__name__,)
