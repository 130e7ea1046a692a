"""One module for each family of record shapes: objects in, examples out, and back. They know no files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from tunekit.data import messages
from tunekit.data.shapes import columns as _columns
from tunekit.data.shapes import fields as _fields
from tunekit.data.shapes.columns import DEFAULT_COLUMNS as DEFAULT_COLUMNS
from tunekit.data.shapes.columns import Columns as Columns
from tunekit.data.shapes.fields import BlankTarget as BlankTarget
from tunekit.data.wording import listed, shown
from tunekit.errors import DataError
from tunekit.examples import EXAMPLE_KINDS, ChatExample, CompletionExample, Example

_SHAPES = (
    'rows are {"messages": [...]}, {"prompt": ..., "completion": ...} or {"text": ...};'
    " for other keys pass input= and target="
)


# Until loading asks `choose`.
def to_example(row: Any, columns: Columns | None, id: str) -> Example:
    """The example that a decoded row is."""
    from tunekit.data.shapes.own import OWN

    if not isinstance(row, Mapping):
        raise DataError(f"expected an object, found {shown(row)}", hint=_SHAPES)
    if columns is not None:
        asked = columns if columns.targets else replace(columns, input="prompt", target="completion")
        return _columns.read(asked, row, id)
    kind = row.get("kind")
    if isinstance(kind, str) and kind in EXAMPLE_KINDS:
        own = OWN.read(row, id)
        assert not isinstance(own, tuple)
        return own
    if "messages" in row:
        for key in (
            "functions",
            "function_call",
            "chosen",
            "rejected",
            "chosen_messages",
            "rejected_messages",
        ):
            if row.get(key):
                raise DataError(
                    f"chat rows with {key!r} are not read yet",
                    field=key,
                    hint="write legacy functions as tools and tool_calls; for preferences, see PreferenceExample",
                )
        meta = _fields.rest(row, ("messages", "tools"))
        turns = _fields.learnable(messages.conversation(row.get("messages")))
        return ChatExample(messages=turns, tools=messages.tools(row.get("tools")), id=id, meta=meta)
    if "prompt" in row and "completion" in row:
        return _columns.read(DEFAULT_COLUMNS, row, id)
    if row.keys() == {"text"}:
        return CompletionExample(prompt="", completion=_fields.target(row, "text"), id=id)
    raise DataError(f"unknown shape with the keys {listed(map(str, row)) or 'none'}", hint=_SHAPES)
