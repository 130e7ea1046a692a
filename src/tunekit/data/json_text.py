"""JSON inside JSON: a text that itself holds JSON, as tool arguments and tool lists do. Knows no field's meaning."""

from __future__ import annotations

import json
from typing import Any

from tunekit.data.readers import json_value
from tunekit.data.wording import brief
from tunekit.errors import DataError


def parsed(text: str, field: str) -> Any:
    """The value that a JSON text holds.

    Raises:
        DataError: It is not JSON, or holds what would be lost or could not be written again.

    Examples:
        >>> parsed('{"order": 7}', "arguments")
        {'order': 7}
    """
    try:
        return json_value.value(text)
    except DataError as error:
        hint = "write one JSON value as a text, such as '{\"order\": 7}'"
        if text.lstrip("[ \n").startswith("{'"):
            hint = "this is how Python shows it; write such a column with json.dumps"
        raise DataError(f"{error.message}, in {brief(text)}", field=field, hint=hint) from None


def written(value: Any, field: str) -> str:
    """The value as a JSON text: keys in their order, spaces after commas and colons, as models are used to see it.

    Raises:
        DataError: It holds what JSON cannot.

    Examples:
        >>> written({"order": 7, "to": "é"}, "arguments")
        '{"order": 7, "to": "é"}'
    """
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise DataError(
            f"not a JSON value: {brief(str(error), quote=False)}",
            field=field,
            hint="keep to texts, finite numbers, lists and objects",
        ) from None
