"""Questions about paragraphs, as SQuAD has them: nested, or one question in a record. Knows no other lists.

A prompt is the context, a blank line and the question; the completion is the first answer. A question that the context
does not answer (SQuAD 2.0) has the completion "unanswerable", the word that Flan's and T0's templates ask for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tunekit.data.shapes import fields
from tunekit.data.shapes.base import Shape
from tunekit.data.wording import shown
from tunekit.errors import DataError
from tunekit.examples import CompletionExample, Example

UNANSWERABLE = "unanswerable"
_KINDS = frozenset({"completion"})
_BETWEEN = "\n\n"
_HINT = 'a question is {"context": "...", "question": "...", "answers": {"text": ["..."]}}'


def _recognises(record: Mapping[str, Any]) -> bool:
    if isinstance(record.get("context"), str) and isinstance(record.get("question"), str):
        return isinstance(record.get("answers"), (dict, list))
    data = record.get("data")
    nested = isinstance(data, list) and bool(data) and isinstance(data[0], dict) and "paragraphs" in data[0]
    return nested or isinstance(record.get("paragraphs"), list) or isinstance(record.get("qas"), list)


def _read(record: Mapping[str, Any], id: str) -> Example | tuple[Example, ...]:
    if "question" in record:
        return _example(record, "", id)
    found = list(_questions(record))
    if not found:
        raise DataError("there is no question in the record", field="qas", hint=_HINT)
    return tuple(_example(each, f"{field}.", f"{id}.{n}") for n, (field, each) in enumerate(found, start=1))


def _questions(record: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every question with its field, and what it has from the paragraph and the article around it."""
    for article_field, article in _inside(record, "data", ""):
        title = fields.rest(article, ("paragraphs", "context", "qas", "data", "version"))
        for field, paragraph in _inside(article, "paragraphs", article_field):
            context = fields.text(paragraph, "context")
            for at, question in _inside(paragraph, "qas", field, needed=True):
                yield at, {**title, "context": context, **question}


def _inside(
    outer: Mapping[str, Any], key: str, field: str, *, needed: bool = False
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The objects of a list; the outer object itself where it is one of them already."""
    if key not in outer and not needed:
        yield field, outer
        return
    where = f"{field}.{key}" if field else key
    value = outer.get(key)
    if not isinstance(value, list):
        raise DataError(f"expected a list, found {shown(value)}", field=where, hint=_HINT)
    for index, each in enumerate(value):
        yield f"{where}[{index}]", fields.mapping(each, f"{where}[{index}]")


def _example(question: Mapping[str, Any], field: str, id: str) -> CompletionExample:
    asked, context = fields.text(question, "question"), fields.text(question, "context")
    answers = _answers(question.get("answers"), f"{field}answers")
    texts = answers["text"]
    answer = fields.not_blank(texts[0], f"{field}answers") if texts else UNANSWERABLE
    meta = fields.rest(question, ("context", "question", "answers"))
    if answers != _said(answer, context):
        meta["answers"] = answers
    return CompletionExample(prompt=context + _BETWEEN + asked, completion=answer, id=id, meta=meta)


def _said(answer: str, context: str) -> dict[str, Any]:
    """The answers that a completion alone stands for."""
    if answer == UNANSWERABLE:
        return {"text": [], "answer_start": []}
    return {"text": [answer], "answer_start": [context.find(answer)]}


def _answers(value: Any, field: str) -> dict[str, Any]:
    """Hugging Face's form, an object of lists; SQuAD's own is a list of objects."""
    if isinstance(value, list):
        value = {
            key: [each.get(key) if isinstance(each, dict) else None for each in value]
            for key in ("text", "answer_start")
        }
    texts = value.get("text") if isinstance(value, dict) else None
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise DataError(f"expected answers, found {shown(value)}", field=field, hint=_HINT)
    found: dict[str, Any] = value
    return found


def _write(example: Example) -> dict[str, Any]:
    if not isinstance(example, CompletionExample):
        raise fields.refused(example, "squad", _KINDS)
    context, between, question = example.prompt.rpartition(_BETWEEN)
    if not between:
        raise DataError(
            "the prompt has no blank line between a context and a question",
            field="prompt",
            hint='write shape="prompt-completion"',
        )
    columns = example.replace(meta=fields.rest(example.meta, ("answers",)))
    answers = _written_answers(example, context)
    return fields.with_meta({"context": context, "question": question, "answers": answers}, columns)


def _written_answers(example: CompletionExample, context: str) -> Any:
    """The answers that were read, as long as the first of them still is the completion."""
    known = example.meta.get("answers")
    texts = known.get("text") if isinstance(known, Mapping) else None
    if isinstance(texts, list) and (texts[:1] or [UNANSWERABLE]) == [example.completion]:
        return known
    return _said(example.completion, context)


SQUAD = Shape(
    name="squad",
    says='SQuAD questions; one without an answer is answered "unanswerable"',
    kinds=_KINDS,
    recognises=_recognises,
    read=_read,
    write=_write,
)
