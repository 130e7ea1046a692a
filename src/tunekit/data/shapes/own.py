"""What one row means: a decoded object becomes an example, or a `DataError` that names the field. Knows no files.

The shapes that are read: what `tunekit.examples.to_dict` writes, OpenAI chat, prompt/completion, bare text, and any
object of which the caller names the input and the target.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from tunekit.data import messages
from tunekit.data.shapes.base import Shape
from tunekit.data.wording import brief, listed, nearest, shown
from tunekit.errors import DataError, SpecError
from tunekit.examples import (
    EXAMPLE_KINDS,
    ChatExample,
    CompletionExample,
    Example,
    LabelledExample,
    Message,
    PreferenceExample,
    PromptExample,
    to_dict,
)

_SHAPES = (
    'rows are {"messages": [...]}, {"prompt": ..., "completion": ...} or {"text": ...};'
    " for other keys pass input= and target="
)
_FILL_IN = 'fill in what the model should answer, or pass on_error="skip"'
# Beside "messages" these mean another shape. Left in meta they would be dropped from training without a word.
_NOT_PLAIN_CHAT = ("functions", "function_call", "chosen", "rejected", "chosen_messages", "rejected_messages")
_OWN_KEYS: Mapping[str, frozenset[str]] = {
    "chat": frozenset({"messages", "tools"}),
    "completion": frozenset({"prompt", "completion"}),
    "preference": frozenset({"messages", "chosen", "rejected", "tools"}),
    "prompt": frozenset({"messages", "reference", "tools"}),
    "labelled": frozenset({"text", "label"}),
}


class BlankTarget(DataError):
    """A row with nothing to learn: its completion, label or answer is empty."""


@dataclass(frozen=True, slots=True)
class Columns:
    """Which columns or keys of a row are the input and the target, and what the row becomes."""

    input: str | None
    target: str
    kind: Literal["completion", "labelled"] = "completion"

    @classmethod
    def of(cls, input: str | None, target: str | None, kind: str | None) -> Columns | None:
        """From the arguments of `Dataset.load`; None means that the row's own shape decides."""
        if kind not in (None, "completion", "labelled"):
            raise SpecError(f"unknown kind {kind!r}", hint="use 'completion' or 'labelled'")
        for name, value in (("input", input), ("target", target)):
            if value is not None and not isinstance(value, str):
                raise SpecError(
                    f"{name} must be the name of one column, not {value!r}",
                    hint=f"pass a text, such as {name}='text'",
                )
        if target is None and input is not None:
            raise SpecError(f"input={input!r} needs a target", hint="pass target= with the column to learn")
        labelled: Literal["completion", "labelled"] = "labelled" if kind == "labelled" else "completion"
        if target is None:
            return cls("prompt", "completion", labelled) if kind else None
        if input is None and kind == "labelled":
            raise SpecError("kind='labelled' needs input=", hint="name the column with the text to classify")
        return cls(input, target, labelled)

    @property
    def names(self) -> tuple[str, ...]:
        """The columns that must be there."""
        return (self.target,) if self.input is None else (self.input, self.target)


DEFAULT_COLUMNS = Columns("prompt", "completion")


def to_example(row: Any, columns: Columns | None, id: str) -> Example:
    """The example that a decoded row is.

    Raises:
        BlankTarget: It has no completion, label or answer.
        DataError: It is of no shape that is read; `field` names the place.
    """
    if not isinstance(row, Mapping):
        raise DataError(f"expected an object, found {shown(row)}", hint=_SHAPES)
    if columns is not None:
        return _named(row, columns, id)
    kind = row.get("kind")
    if isinstance(kind, str) and kind in EXAMPLE_KINDS:
        return _own(row, kind, id)
    if "messages" in row:
        return _chat(row, id)
    if "prompt" in row and "completion" in row:
        return _named(row, DEFAULT_COLUMNS, id)
    if row.keys() == {"text"}:
        return CompletionExample(prompt="", completion=_target(row, "text"), id=id)
    raise DataError(f"unknown shape with the keys {listed(map(str, row)) or 'none'}", hint=_SHAPES)


# --- shapes -------------------------------------------------------------------------------------------


def _named(row: Mapping[str, Any], columns: Columns, id: str) -> Example:
    prompt = "" if columns.input is None else _text(row, columns.input)
    meta = {key: value for key, value in row.items() if key != columns.input and key != columns.target}
    if columns.kind == "labelled":
        return LabelledExample(
            text=_not_blank(prompt, columns.input), label=_label(row, columns.target), id=id, meta=meta
        )
    return CompletionExample(prompt=prompt, completion=_target(row, columns.target), id=id, meta=meta)


def _chat(row: Mapping[str, Any], id: str) -> Example:
    for key in _NOT_PLAIN_CHAT:
        if row.get(key):
            raise DataError(
                f"chat rows with {key!r} are not read yet",
                field=key,
                hint="write legacy functions as tools and tool_calls; for preferences, see PreferenceExample",
            )
    meta = {key: value for key, value in row.items() if key not in ("messages", "tools")}
    return ChatExample(messages=_answered(row), tools=messages.tools(row.get("tools")), id=id, meta=meta)


def _own(row: Mapping[str, Any], kind: str, id: str) -> Example:
    for key in row.keys() - _OWN_KEYS[kind] - {"kind", "id", "meta"}:
        raise DataError(
            f"unknown key {brief(key)} in a {kind!r} row",
            field=key,
            hint="put columns of your own under 'meta'",
        )
    row_id, meta = row.get("id", ""), row.get("meta", {})
    if not isinstance(row_id, str):
        raise DataError(
            f"expected text, found {shown(row_id)}", field="id", hint="put quotes around it, or leave it out"
        )
    return _own_example(row, kind, row_id or id, _mapping(meta, "meta"))


def _own_example(row: Mapping[str, Any], kind: str, id: str, meta: Mapping[str, Any]) -> Example:
    if kind == "completion":
        return CompletionExample(
            prompt=_text(row, "prompt"), completion=_target(row, "completion"), id=id, meta=meta
        )
    if kind == "labelled":
        return LabelledExample(
            text=_not_blank(_text(row, "text"), "text"), label=_label(row, "label"), id=id, meta=meta
        )
    tools = messages.tools(row.get("tools"))
    if kind == "chat":
        return ChatExample(messages=_answered(row), tools=tools, id=id, meta=meta)
    turns = messages.conversation(row.get("messages"))
    if kind == "preference":
        chosen, rejected = _target(row, "chosen"), _text(row, "rejected")
        return PreferenceExample(
            messages=turns, chosen=chosen, rejected=rejected, tools=tools, id=id, meta=meta
        )
    reference = _mapping(row.get("reference", {}), "reference")
    return PromptExample(messages=turns, reference=reference, tools=tools, id=id, meta=meta)


def _read(row: Mapping[str, Any], id: str) -> Example:
    return _own(row, str(row.get("kind")), id)


OWN = Shape(
    name="tunekit",
    says="tunekit's own rows",
    kinds=frozenset(EXAMPLE_KINDS),
    recognises=lambda row: isinstance(row.get("kind"), str) and row["kind"] in EXAMPLE_KINDS,
    read=_read,
    write=to_dict,
)


# --- fields -------------------------------------------------------------------------------------------


def _text(row: Mapping[str, Any], key: str) -> str:
    value = row.get(key)
    if type(value) is str:
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)  # numeric labels and answers are common, and 7 has one spelling
    if key not in row:
        known = [str(name) for name in row]
        hint = nearest(key, known) or "name the keys to use with input= and target="
        raise DataError(f"no key {key!r}; the keys are {listed(known) or 'none'}", hint=hint)
    raise DataError(f"expected text, found {shown(value)}", field=key, hint="write it as a JSON text")


def _target(row: Mapping[str, Any], key: str) -> str:
    return _not_blank(_text(row, key), key)


def _not_blank(text: str, key: str | None) -> str:
    if not text or text.isspace():
        raise BlankTarget("empty text", field=key, hint=_FILL_IN)
    return text


def _label(row: Mapping[str, Any], key: str) -> str | tuple[str, ...]:
    value = row.get(key)
    if not isinstance(value, (list, tuple)):
        return _target(row, key)
    if not all(isinstance(label, str) for label in value):
        raise DataError("expected a list of texts", field=key, hint='write labels as ["a", "b"]')
    return tuple(_not_blank(label, key) for label in value)


def _answered(row: Mapping[str, Any]) -> tuple[Message, ...]:
    turns = messages.conversation(row.get("messages"))
    if messages.has_answer(turns):
        return turns
    if not any(turn.role == "assistant" for turn in turns):
        raise DataError(
            "no assistant turn, so nothing to learn",
            field="messages",
            hint="add what the model should answer as a turn with the role 'assistant'",
        )
    raise BlankTarget("every assistant turn is empty or has weight 0", field="messages", hint=_FILL_IN)


def _mapping(value: Any, field: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise DataError(
            f"expected an object, found {shown(value)}", field=field, hint="write {...}, or leave the key out"
        )
    return value
