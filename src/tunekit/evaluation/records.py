"""Frozen values with a JSON form. Knows how they are written and read; not what is in them."""

from __future__ import annotations

import json
from typing import Any, Self

from pydantic import BaseModel, ConfigDict
from pydantic_core import PydanticSerializationError

from tunekit.spec import parse_model


class Record(BaseModel):
    """A frozen value with a JSON form; infinite ends of an interval are written as strings."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings")

    def to_json(self, *, indent: int | None = None) -> str:
        """JSON that `from_json` turns back into an equal value."""
        try:
            return self.model_dump_json(indent=indent)
        except PydanticSerializationError:  # half of a surrogate pair, which a model may write
            return json.dumps(self.model_dump(), indent=indent)

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Read what `to_json` wrote.

        Raises:
            SpecError: The text is something else; the message names each wrong field.
        """
        value: Self = parse_model(cls, _surrogates_read(text) or text)
        return value


def _surrogates_read(text: str | bytes) -> dict[str, Any] | None:
    """The fields of a record that has half of a surrogate pair in it, which pydantic refuses; None of any other."""
    if not ("\\ud" in text if isinstance(text, str) else b"\\ud" in text):
        return None
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None  # and the reader says why
    return found if isinstance(found, dict) else None
