"""Label Studio's export as JSON: tasks with annotations, of which choices and texts are read. Knows no other export.

A task is `{"data": {...}, "annotations": [{"result": [{"type", "to_name", "value"}], "was_cancelled"}]}`; JSON-MIN is
flat and told by `annotation_id`. A choice about a whole text makes a labelled example, a text area a completion.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from tunekit.data.shapes import fields
from tunekit.data.shapes.remarks import Remark
from tunekit.data.shapes.restated import Program, Restated
from tunekit.data.wording import brief, counted, listed
from tunekit.errors import DataError

_SHAPES: Mapping[str, tuple[str, str, str]] = {
    # type of a result: the shape, and its keys for what was annotated and for the annotation
    "choices": ("labelled", "text", "label"),
    "textarea": ("prompt-completion", "prompt", "completion"),
}
_VALUES = {"choices": "choices", "textarea": "text"}
_REGION = frozenset({"start", "end", "x", "y"})
_ONE_RESULT = "leave the others out in the export's project, or make flat rows and pass input= and target="


class _Answer(NamedTuple):
    kind: str
    about: str
    said: tuple[str, ...]


def _is_task(record: Mapping[str, Any]) -> bool:
    return isinstance(record.get("data"), Mapping) and isinstance(record.get("annotations"), list)


def _is_minimal(record: Mapping[str, Any]) -> bool:
    return "annotation_id" in record and ("annotator" in record or "lead_time" in record)


def _wrote(record: Mapping[str, Any]) -> bool:
    return _is_task(record) or _is_minimal(record)


def _restated(record: Mapping[str, Any]) -> Restated:
    return _task(record) if _is_task(record) else Restated(dict(map(_flat, record.items())))


def _flat(item: tuple[str, Any]) -> tuple[str, Any]:
    """Of JSON-MIN: several choices, which stand in an object there."""
    key, value = item
    return key, value["choices"] if isinstance(value, Mapping) and value.keys() == {"choices"} else value


def _task(record: Mapping[str, Any]) -> Restated:
    annotations = [
        (f"annotations[{index}]", fields.mapping(each, f"annotations[{index}]"))
        for index, each in enumerate(record["annotations"])
    ]
    kept = [(field, each) for field, each in annotations if not each.get("was_cancelled")]
    what = "a cancelled annotation" if annotations else "a task without an annotation"
    remark = Remark("unaccepted-annotations", what, "annotations")
    if not kept:
        return Restated(record, remarks=(remark,), is_accepted=False)
    answer = _agreed(kept)
    shape, asked, answered = _SHAPES[answer.kind]
    key = _annotated(record["data"], answer.about)
    rest = {name if name not in (asked, answered) else f"data.{name}": value
            for name, value in record["data"].items() if name != key}  # fmt: skip
    said = answer.said[0] if len(answer.said) == 1 else list(answer.said)
    read = Remark("other-spellings", f"Label Studio's {answer.kind} as {answered}s", "annotations")
    remarks = (read, remark) if len(kept) < len(annotations) else (read,)
    return Restated({asked: record["data"][key], answered: said, **rest}, shape, remarks)


def _agreed(annotations: Sequence[tuple[str, Mapping[str, Any]]]) -> _Answer:
    """What all annotations say, or those that are marked as the truth."""
    truth = [(field, each) for field, each in annotations if each.get("ground_truth") is True]
    answers = dict.fromkeys(
        _answer(each.get("result"), f"{field}.result") for field, each in truth or annotations
    )
    if len(answers) == 1:
        return next(iter(answers))
    raise DataError(
        f"{counted(len(answers), 'annotation')} of the task say different things",
        field="annotations",
        hint='mark one as the ground truth, or pass on_error="skip" to leave such tasks out',
    )


def _answer(value: Any, field: str) -> _Answer:
    if value == []:
        raise fields.blank(field, "the annotation has no result")
    results = fields.items(value, field)
    if len(results) > 1:
        kinds = [str(each.get("type")) for each in results if isinstance(each, Mapping)]
        raise DataError(
            f"the annotation has {len(results)} results ({listed(kinds)}), and one is the answer",
            field=field,
            hint=_ONE_RESULT,
        )
    result = fields.mapping(results[0], f"{field}[0]")
    kind, given = result.get("type"), fields.mapping(result.get("value", {}), f"{field}[0].value")
    if not isinstance(kind, str) or kind not in _SHAPES or not _REGION.isdisjoint(given):
        what = f"of the type {brief(kind)}" if kind not in _SHAPES else "about a part of the text"
        hint = "choices and text areas about a whole text are read"
        raise DataError(f"an annotation {what}", field=f"{field}[0].type", hint=hint)
    return _Answer(kind, str(result.get("to_name")), _said(given, kind, f"{field}[0].value"))


def _said(given: Mapping[str, Any], kind: str, field: str) -> tuple[str, ...]:
    field, value = f"{field}.{_VALUES[kind]}", given.get(_VALUES[kind])
    texts = fields.items([value] if isinstance(value, str) else value, field)
    if kind == "textarea" and len(texts) > 1:
        hint = "keep one of them: a row has one completion"
        raise DataError(f"{len(texts)} texts stand in one text area", field=field, hint=hint)
    return tuple(fields.not_blank(fields.as_text(text, field), field) for text in texts)


def _annotated(data: Mapping[str, Any], about: str) -> str:
    """The key of the text that was annotated: called like the result's object, called "text", or the only one."""
    texts = [key for key, value in data.items() if isinstance(value, str)]
    found = [about] if about in texts else ["text"] if "text" in texts else texts
    if len(found) == 1:
        return found[0]
    raise DataError(
        f"which text was annotated is not clear: {brief(about)} is none of {listed(texts) or 'no texts'}",
        field="data",
        hint='call it "text" in the data of the tasks',
    )


PROGRAM = Program(
    frozenset({"annotations", "annotation_id"}),
    _wrote,
    _restated,
    frozenset({"labelled", "prompt-completion"}),
)
