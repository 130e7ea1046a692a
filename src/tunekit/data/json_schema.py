"""A part of JSON Schema: enough to hold the arguments of a tool call against the tool's parameters. Knows no tool.

Checked: type, enum, const, properties, required, additionalProperties, items, anyOf and oneOf (as "one of them fits").
Not checked: limits of numbers and lengths, patterns (patternProperties too), formats, allOf, not, if, and $ref. What is
not checked never fails.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

from tunekit.data.wording import brief, listed, shown

Problem: TypeAlias = tuple[str, str]
"""Where in the value, and what is wrong there."""

_TYPES: Mapping[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
}
_MAX_DEPTH = 50
_MAX_STEPS = 100_000


def problems(value: Any, schema: Any) -> Iterator[Problem]:
    """Everything in which the value breaks the schema.

    Args:
        value: Decoded JSON.
        schema: Decoded JSON Schema; what is not understood is passed over.

    Examples:
        >>> list(problems({"n": "7"}, {"properties": {"n": {"type": "integer"}}, "required": ["n", "m"]}))
        [('m', 'is missing'), ('n', 'is text, not integer')]
    """
    return _problems(value, schema, "", _Steps())


def schema_problems(schema: Any) -> Iterator[Problem]:
    """What is wrong with a schema itself, as far as its keywords are checked.

    Examples:
        >>> list(schema_problems({"type": "objekt", "required": ["a"], "properties": {"b": {}}}))
        [('type', "'objekt' is no type"), ('required', "'a' is not among the properties")]
    """
    return _schema_problems(schema, "", _Steps())


class _Steps:
    """How far to follow a schema: alternatives within alternatives could keep us busy for ever."""

    def __init__(self) -> None:
        self._left = _MAX_STEPS
        self._depth = 0

    def __enter__(self) -> bool:
        self._left -= 1
        self._depth += 1
        return self._left >= 0 and self._depth <= _MAX_DEPTH

    def __exit__(self, *_: object) -> None:
        self._depth -= 1


# --- values -------------------------------------------------------------------------------------------


def _problems(value: Any, schema: Any, path: str, steps: _Steps) -> Iterator[Problem]:
    with steps as may_go_on:
        if schema is False:
            yield path, "is not allowed"
        if not isinstance(schema, Mapping) or not may_go_on:
            return
        wrong = _wrong_type(value, schema.get("type"))
        if wrong:
            yield path, wrong
            return
        yield from _fixed_values(value, schema, path)
        yield from _alternatives(value, schema, path, steps)
        if isinstance(value, dict):
            yield from _members(value, schema, path, steps)
        if isinstance(value, list) and "items" in schema:
            for index, item in enumerate(value):
                yield from _problems(item, schema["items"], f"{path}[{index}]", steps)


def _wrong_type(value: Any, types: Any) -> str:
    names = [types] if isinstance(types, str) else types if isinstance(types, list) else []
    known = [name for name in names if isinstance(name, str) and name in _TYPES]
    if not known or len(known) < len(names) or any(_is_of(value, name) for name in known):
        return ""
    return f"is {shown(value)}, not {' or '.join(known)}"


def _is_of(value: Any, name: str) -> bool:
    if isinstance(value, bool):
        return name == "boolean"
    if name == "integer" and isinstance(value, float):
        return value.is_integer()  # 7.0 is an integer to JSON Schema
    return isinstance(value, _TYPES[name])


def _fixed_values(value: Any, schema: Mapping[str, Any], path: str) -> Iterator[Problem]:
    allowed = schema.get("enum")
    if isinstance(allowed, list) and not any(_same(value, each) for each in allowed):
        yield path, f"is {brief(value)}, not one of {listed(str(each) for each in allowed)}"
    if "const" in schema and not _same(value, schema["const"]):
        yield path, f"is {brief(value)}, not {brief(schema['const'])}"


def _same(value: Any, other: Any) -> bool:
    return bool(value == other) and isinstance(value, bool) == isinstance(other, bool)  # true is not 1


def _alternatives(value: Any, schema: Mapping[str, Any], path: str, steps: _Steps) -> Iterator[Problem]:
    for keyword in ("anyOf", "oneOf"):
        parts = schema.get(keyword)
        if isinstance(parts, list) and parts and not any(_fits(value, part, steps) for part in parts):
            yield path, f"fits none of {len(parts)} alternatives"


def _fits(value: Any, schema: Any, steps: _Steps) -> bool:
    return not list(_problems(value, schema, "", steps))  # a list, so that every step is counted back


def _members(value: dict[str, Any], schema: Mapping[str, Any], path: str, steps: _Steps) -> Iterator[Problem]:
    properties = schema.get("properties")
    properties = properties if isinstance(properties, Mapping) else {}
    required = schema.get("required")
    for name in required if isinstance(required, list) else ():
        if isinstance(name, str) and name not in value:
            yield _at(path, name), "is missing"
    for name, member in value.items():
        if name in properties:
            yield from _problems(member, properties[name], _at(path, name), steps)
        elif "patternProperties" in schema or "additionalProperties" not in schema:
            continue
        elif schema["additionalProperties"] is False:
            yield _at(path, name), "is not among the properties"
        else:
            yield from _problems(member, schema["additionalProperties"], _at(path, name), steps)


# --- schemas ------------------------------------------------------------------------------------------


def _schema_problems(schema: Any, path: str, steps: _Steps) -> Iterator[Problem]:
    with steps as may_go_on:
        if isinstance(schema, bool) or not may_go_on:
            return
        if not isinstance(schema, Mapping):
            yield path, f"is {shown(schema)}, not an object"
            return
        yield from _type_problems(schema, path)
        properties = schema.get("properties", {})
        if not isinstance(properties, Mapping):
            yield _at(path, "properties"), f"is {shown(properties)}, not an object"
            properties = {}
        yield from _required_problems(schema, properties, path)
        for name, part in properties.items():
            yield from _schema_problems(part, _at(_at(path, "properties"), str(name)), steps)
        for keyword in ("items", "additionalProperties"):
            if keyword in schema and not isinstance(schema[keyword], list):
                yield from _schema_problems(schema[keyword], _at(path, keyword), steps)


def _type_problems(schema: Mapping[str, Any], path: str) -> Iterator[Problem]:
    types = schema.get("type", [])
    for name in types if isinstance(types, list) else [types]:
        if not isinstance(name, str) or name not in _TYPES:
            yield _at(path, "type"), f"{brief(name)} is no type"
    if "enum" in schema and not isinstance(schema["enum"], list):
        yield _at(path, "enum"), f"is {shown(schema['enum'])}, not a list"


def _required_problems(
    schema: Mapping[str, Any], properties: Mapping[str, Any], path: str
) -> Iterator[Problem]:
    required = schema.get("required", [])
    if not isinstance(required, list):
        yield _at(path, "required"), f"is {shown(required)}, not a list"
        return
    # Without any properties it is a short form that saves tokens (Microsoft's guide on tools shows it).
    for name in required if properties else ():
        if name not in properties:
            yield _at(path, "required"), f"{brief(name)} is not among the properties"


def _at(path: str, name: str) -> str:
    name = brief(name, quote=False)
    return f"{path}.{name}" if path else name
