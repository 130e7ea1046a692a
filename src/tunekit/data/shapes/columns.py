"""Columns that the caller names: what the model reads, what it should answer. Knows no file, and guesses nothing."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Literal, TypeAlias

from tunekit.data.arguments import optional_text
from tunekit.data.shapes import fields
from tunekit.data.wording import brief, listed
from tunekit.errors import DataError, SpecError
from tunekit.examples import CompletionExample, Example, LabelledExample, Message, PromptExample

ColumnsKind: TypeAlias = Literal["completion", "labelled", "prompt"]
_KINDS: tuple[ColumnsKind, ...] = ("completion", "labelled", "prompt")
_TEMPLATE = re.compile(r"\{\{|\}\}|\{[^{}]+\}")
_ONES = frozenset({"1", "true", "yes"})
_ZEROS = frozenset({"0", "false", "no"})


@dataclass(frozen=True, slots=True)
class Columns:
    """Which columns or keys of a row are the input and the target, and what the row becomes.

    Attributes:
        input: A column, or a template such as `"{premise} -> {hypothesis}"`; None makes raw text of the target.
        target: A column, or several columns of 0 and 1 that are each a label; None leaves both to a guess.
        kind: Of the examples; None leaves it to the guess, or makes completions where `target` is given.
        label_names: What labels are called, by what is written in the column.
        label_separator: What stands between the labels of a cell that holds several.
    """

    input: str | None
    target: str | tuple[str, ...] | None
    kind: ColumnsKind | None = None
    label_names: Mapping[str, str] = field(default_factory=dict)
    label_separator: str | None = None

    @classmethod
    def of(
        cls,
        input: str | None,
        target: str | Sequence[str] | None,
        kind: str | None,
        label_names: Mapping[Any, str] | Sequence[str] | None = None,
        label_separator: str | None = None,
    ) -> Columns | None:
        """From the arguments of `Dataset.load`; None where the caller said nothing.

        Raises:
            SpecError: They are wrong, or do not go together.
        """
        given = (input, target, kind, label_names, label_separator)
        if all(value is None for value in given):
            return None
        targets = _targets(target)
        _check(input, targets, kind)
        names = _names(label_names)
        labels = bool(names) or label_separator is not None or isinstance(targets, tuple)
        if labels and kind not in (None, "labelled"):
            raise SpecError(f"kind={kind!r} has no labels", hint="leave kind out, or pass kind='labelled'")
        optional_text("label_separator", label_separator, such_as=";")
        found = "labelled" if labels else kind
        if found == "labelled" and targets is not None and input is None:
            raise SpecError("kind='labelled' needs input=", hint="name the column with the text to classify")
        return cls(input, targets, found, names, label_separator)  # type: ignore[arg-type]  # checked against _KINDS

    @property
    def targets(self) -> tuple[str, ...]:
        """The target columns."""
        if self.target is None:
            return ()
        return (self.target,) if isinstance(self.target, str) else self.target

    @property
    def names(self) -> tuple[str, ...]:
        """The columns that must be there."""
        return (*self.inputs, *self.targets)

    @property
    def inputs(self) -> tuple[str, ...]:
        """The input columns; several where the input is a template."""
        return _parts(self.input)[1] if self.input is not None else ()


def read(columns: Columns, record: Mapping[str, Any], id: str) -> Example:
    """The example that a record is, by the columns that were named.

    Raises:
        BlankTarget: The target is empty.
        DataError: A column is not there, or holds no text.
    """
    prompt, used = ("", ()) if columns.input is None else _input(columns.input, record)
    targets = columns.targets
    meta = fields.rest(record, (*used, *targets))
    if columns.kind == "labelled":
        said = fields.not_blank(prompt, columns.input)
        return LabelledExample(text=said, label=_label(columns, record), id=id, meta=meta)
    [target] = targets
    if columns.kind == "prompt":
        turns = (Message(role="user", content=fields.not_blank(prompt, columns.input)),)
        fields.target(record, target)
        return PromptExample(messages=turns, reference={target: record[target]}, id=id, meta=meta)
    return CompletionExample(prompt=prompt, completion=fields.target(record, target), id=id, meta=meta)


# --- arguments ----------------------------------------------------------------------------------------


def _targets(target: Any) -> str | tuple[str, ...] | None:
    if target is None or isinstance(target, str):
        return target
    if isinstance(target, Sequence) and target and all(isinstance(name, str) for name in target):
        return tuple(target)
    raise SpecError(
        f"target must name a column, or list several, not {brief(target)}",
        hint="pass a text, such as target='label'",
    )


def _check(input: Any, targets: str | tuple[str, ...] | None, kind: str | None) -> None:
    if kind is not None and kind not in _KINDS:
        raise SpecError(f"unknown kind {kind!r}", hint=f"kinds are {listed(_KINDS)}")
    if input is not None and not isinstance(input, str):
        raise SpecError(
            f"input must be the name of one column, not {brief(input)}",
            hint="pass a text, such as input='text'; for several columns input='{title}: {body}'",
        )
    if targets is None and input is not None:
        raise SpecError(f"input={input!r} needs a target", hint="pass target= with the column to learn")
    if kind == "prompt" and targets is not None and input is None:
        raise SpecError("kind='prompt' needs input=", hint="name the column with what the model reads")


def _names(given: Any) -> dict[str, str]:
    if given is None:
        return {}
    if isinstance(given, (str, bytes)) or not isinstance(given, (Mapping, Sequence)):
        hint = 'pass a list, such as ["no", "yes"], or a mapping, such as {0: "no", 1: "yes"}'
        raise SpecError(f"label_names is {brief(given)}", hint=hint)
    pairs = given.items() if isinstance(given, Mapping) else enumerate(given)
    names = {_key(key): name for key, name in pairs}
    for name in names.values():
        if not isinstance(name, str) or not name.strip():
            raise SpecError(f"label_names has the name {brief(name)}", hint="names of labels are texts")
    return names


def _key(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    found = fields.spelled(value)
    if found is None:
        raise SpecError(
            f"label_names has the key {brief(value)}",
            hint="keys are what stands in the column: texts or numbers",
        )
    return found


# --- input --------------------------------------------------------------------------------------------


def _input(input: str, record: Mapping[str, Any]) -> tuple[str, tuple[str, ...]]:
    literals, names = _parts(input)
    if input in record or names == (input,):
        return fields.text(record, input), (input,)
    said = [literals[0]]
    for name, literal in zip(names, literals[1:], strict=True):
        said += (fields.text(record, name), literal)
    return "".join(said), names


@lru_cache(maxsize=64)
def _parts(input: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Literal texts and the columns between them; a plain name is one column between two empty texts."""
    if not any(found[0] not in ("{{", "}}") for found in _TEMPLATE.finditer(input)):
        return ("", ""), (input,)
    literals, names, end = [""], [], 0
    for found in _TEMPLATE.finditer(input):
        literals[-1] += input[end : found.start()]
        end = found.end()
        if found[0] in ("{{", "}}"):
            literals[-1] += found[0][0]
        else:
            names.append(found[0][1:-1])
            literals.append("")
    literals[-1] += input[end:]
    return tuple(literals), tuple(names)


# --- labels -------------------------------------------------------------------------------------------


def _label(columns: Columns, record: Mapping[str, Any]) -> str | tuple[str, ...]:
    if isinstance(columns.target, tuple):
        return tuple(_named(columns, name, name) for name in columns.target if _is_on(record, name))
    key = columns.targets[0]
    return labels(columns, fields.label(record, key), key)


def labels(columns: Columns, found: str | tuple[str, ...], key: str) -> str | tuple[str, ...]:
    """What was found as the label, parted and named as the caller said."""
    if isinstance(found, str) and columns.label_separator is not None:
        found = tuple(part.strip() for part in found.split(columns.label_separator) if part.strip())
    if isinstance(found, str):
        return _named(columns, found, key)
    return tuple(_named(columns, each, key) for each in found)


def _named(columns: Columns, label: str, key: str) -> str:
    if not columns.label_names:
        return label
    name = columns.label_names.get(label) or columns.label_names.get(label.strip())
    if name is None:
        hint = f"label_names has {listed(columns.label_names)}"
        raise DataError(f"the label {brief(label)} has no name", field=key, hint=hint)
    return name


def _is_on(record: Mapping[str, Any], key: str) -> bool:
    value = record.get(key)
    said = fields.text(record, key) if not isinstance(value, bool) else str(value)
    said = said.strip().casefold()
    if said in _ONES:
        return True
    if said in _ZEROS:
        return False
    hint = "1 means that the row has this label, 0 that it has not; fill in empty cells"
    raise DataError(f"expected 0 or 1, found {brief(value)}", field=key, hint=hint)
