"""Whether a request or a reply is what OpenAI's description says it is. Knows schemas; sends nothing, knows no server.

The description is the slice in ../shared/openai-spec. Only the keywords that it uses are understood; one that is not
known is an error, so that none is passed over in silence. Where the live service is known to differ, the description
is amended (`_amend`), each time with the reason.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest

_FILE = Path(__file__).resolve().parents[3] / "shared" / "openai-spec" / "fine_tuning_api.json"
_TYPES: Mapping[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "boolean": (bool,),
    "number": (int, float),
    "integer": (int,),
    "null": (type(None),),
}
# Say nothing about whether a value is valid.
_SILENT = {"title", "description", "default", "deprecated", "example", "examples", "format", "discriminator"}
_OF_ANY = {"$ref", "type", "enum", "const", "anyOf", "oneOf", "allOf", "nullable"}
_OF_OBJECTS = {"properties", "required", "additionalProperties"}
_OF_SIZES = {
    "minItems",
    "maxItems",
    "minLength",
    "maxLength",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "pattern",
}
_KNOWN = _SILENT | _OF_ANY | _OF_OBJECTS | _OF_SIZES | {"items"}

Schema = Mapping[str, Any]


class Description:
    """OpenAI's description of its API."""

    def __init__(self, body: dict[str, Any]) -> None:
        _amend(body["components"]["schemas"])
        self._body = body

    def request_problems(self, method: str, path: str, body: Any) -> list[str]:
        """What is wrong with the JSON body of a request; names that the description does not have are wrong, too."""
        operation = self._operation(method, path)
        content = operation.get("requestBody", {}).get("content", {})
        if "application/json" not in content:
            return [] if body is None else [f"{method} {path} takes no JSON body"]
        return list(self._problems(content["application/json"]["schema"], body, "body", strict=True))

    def query_problems(self, method: str, path: str, names: list[str]) -> list[str]:
        """Query parameters that the description does not have."""
        known = {item["name"] for item in self._operation(method, path).get("parameters", ())}
        return [f"no query parameter {name!r}" for name in names if name.partition("[")[0] not in known]

    def response_problems(self, method: str, path: str, body: Any) -> list[str]:
        """What is wrong with the JSON body of a good reply."""
        content = self._operation(method, path)["responses"]["200"]["content"]
        return list(self._problems(content["application/json"]["schema"], body, "body", strict=False))

    def problems(self, schema: str, value: Any) -> list[str]:
        """What is wrong with a value that should be of a named schema."""
        return list(self._problems({"$ref": f"#/components/schemas/{schema}"}, value, schema, strict=False))

    def _operation(self, method: str, path: str) -> Mapping[str, Any]:
        """The operation of a path without "/v1" and without a query."""
        for template, operations in self._body["paths"].items():
            pattern = re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(template))
            if re.fullmatch(pattern, path) and method.lower() in operations:
                found: Mapping[str, Any] = operations[method.lower()]
                return found
        raise AssertionError(f"the description has no {method} {path}")

    def _resolved(self, schema: Schema) -> Schema:
        while "$ref" in schema:
            schema = self._body["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        return schema

    def _problems(self, schema: Schema, value: Any, at: str, *, strict: bool) -> Iterator[str]:
        schema = self._resolved(schema)
        unknown = [key for key in schema if key not in _KNOWN and not key.startswith("x-")]
        assert not unknown, f"{at}: this validator does not know {unknown}"
        if value is None and self._is_nullable(schema):
            return
        kinds = _kinds(schema)
        if kinds and not any(_is_of(value, kind) for kind in kinds):
            yield f"{at}: {_shown(value)} is not of type {' or '.join(kinds)}"
            return
        if "enum" in schema and value not in schema["enum"]:
            yield f"{at}: {_shown(value)} is none of {schema['enum']}"
        if "const" in schema and value != schema["const"]:
            yield f"{at}: {_shown(value)} is not {schema['const']!r}"
        yield from self._of_alternatives(schema, value, at, strict=strict)
        for part in schema.get("allOf", ()):
            yield from self._problems(part, value, at, strict=False)
        yield from _out_of_bounds(schema, value, at)
        if isinstance(value, dict):
            yield from self._in_object(schema, value, at, strict=strict)
        if isinstance(value, list):
            for index, item in enumerate(value):
                yield from self._problems(schema.get("items", {}), item, f"{at}[{index}]", strict=strict)

    def _is_nullable(self, schema: Schema) -> bool:
        parts = [self._resolved(part) for part in schema.get("allOf", ())]
        return bool(schema.get("nullable") or any(part.get("nullable") for part in parts))

    def _of_alternatives(self, schema: Schema, value: Any, at: str, *, strict: bool) -> Iterator[str]:
        """Of oneOf, too, one fitting alternative is enough: in this description many fit the same values."""
        for keyword in ("anyOf", "oneOf"):
            if keyword in schema:
                found = [list(self._problems(part, value, at, strict=strict)) for part in schema[keyword]]
                if all(found):
                    yield min(found, key=len)[0]

    def _in_object(self, schema: Schema, value: dict[str, Any], at: str, *, strict: bool) -> Iterator[str]:
        for name in schema.get("required", ()):
            if name not in value:
                yield f"{at}.{name}: is missing"
        properties = self._properties(schema)
        beyond = schema.get("additionalProperties", not (strict and properties))
        for name, item in value.items():
            if name in properties:
                yield from self._problems(properties[name], item, f"{at}.{name}", strict=strict)
            elif beyond is False:
                yield f"{at}.{name}: is not in the description"
            elif isinstance(beyond, dict):
                yield from self._problems(beyond, item, f"{at}.{name}", strict=strict)

    def _properties(self, schema: Schema) -> dict[str, Schema]:
        found = dict(schema.get("properties", {}))
        for part in schema.get("allOf", ()):
            found |= self._properties(self._resolved(part))
        return found


def at_hand() -> Description | None:
    """OpenAI's description, or None where it is not there: for tests that hold without it, too."""
    return description() if _FILE.is_file() else None


@cache
def description() -> Description:
    """OpenAI's description; the test is skipped where it is not at hand."""
    if not _FILE.is_file():
        pytest.skip(f"no OpenAI description: {_FILE} does not exist")
    return Description(json.loads(_FILE.read_text(encoding="utf-8")))


def _amend(schemas: dict[str, Any]) -> None:
    """What the service does and its description lacks; sources in ../shared/research/hosted.md, section 2."""
    job = schemas["FineTuningJob"]["properties"]
    # The guide's "pause" answers with it.
    job["status"]["enum"] = [*job["status"]["enum"], "paused"]
    # Seen on healthy jobs: {} and an object of nulls (openai-scala-client #80, litellm PR #39966).
    job["error"]["anyOf"].append({"type": "object", "properties": {}})
    # The guides have more of them ("moderation_checks"), so it is an open list.
    schemas["FineTuningJobEvent"]["properties"]["type"] = {"type": "string"}
    # The guide shows a map by name, the reference a list.
    schemas["GraderMulti"]["properties"]["graders"] = {}
    # Of an empty list there is no first and no last; the lists of checkpoints say so.
    for name in ("first_id", "last_id"):
        schemas["ListFilesResponse"]["properties"][name] = {"type": ["string", "null"]}
    # Of a stream's chunks but the last; the description has no schema of their own for them.
    schemas["CreateCompletionResponse"]["properties"]["choices"]["items"]["properties"]["finish_reason"] |= {
        "nullable": True,
        "enum": ["stop", "length", "content_filter", None],
    }
    # Of the first token of a text that is echoed nobody can tell how likely it is: null, at OpenAI once and at vLLM.
    logprobs = schemas["CreateCompletionResponse"]["properties"]["choices"]["items"]["properties"]["logprobs"]
    logprobs["anyOf"][0]["properties"]["token_logprobs"]["items"] = {"type": ["number", "null"]}
    # With encoding_format base64, which the official package asks for unless told otherwise.
    numbers = schemas["Embedding"]["properties"]["embedding"]
    schemas["Embedding"]["properties"]["embedding"] = {"anyOf": [numbers, {"type": "string"}]}
    # In the reinforcement guide, beside the grader.
    schemas["FineTuneReinforcementMethod"]["properties"]["response_format"] = {"type": "object"}


def _kinds(schema: Schema) -> list[str]:
    kinds = schema.get("type", [])
    return [kinds] if isinstance(kinds, str) else list(kinds)


def _is_of(value: Any, kind: str) -> bool:
    if isinstance(value, bool):
        return kind == "boolean"
    if kind == "integer" and isinstance(value, float):
        return value.is_integer()
    return isinstance(value, _TYPES[kind])


def _out_of_bounds(schema: Schema, value: Any, at: str) -> Iterator[str]:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        least, most = schema.get("minimum"), schema.get("maximum")
        # OpenAPI 3.0 wrote a flag, 3.1 writes the number; the description has both.
        above = schema.get("exclusiveMinimum")
        if above is True:
            least, above = None, least
        if least is not None and value < least:
            yield f"{at}: {value} is less than {least}"
        if above not in (None, False) and value <= above:
            yield f"{at}: {value} is not more than {above}"
        if most is not None and value > most:
            yield f"{at}: {value} is more than {most}"
    if isinstance(value, str):
        if not schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", len(value)):
            yield f"{at}: {len(value)} characters"
        if "pattern" in schema and not re.search(schema["pattern"], value):
            yield f"{at}: {_shown(value)} does not match {schema['pattern']!r}"
    if isinstance(value, list) and not (
        schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", len(value))
    ):
        yield f"{at}: {len(value)} items"


def _shown(value: Any) -> str:
    return repr(value)[:60]
