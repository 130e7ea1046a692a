"""Which columns of a table are the input and the target, where nobody said so. Knows the names and contents people use.

A guess is made where names and contents leave one answer, and is named in a finding; else the error lists the columns
with what each seems to hold, and proposes what to pass.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tunekit.data.classes.targets import MAX_CLASS_CHARS
from tunekit.data.shapes.column_kinds import Column, columns
from tunekit.data.shapes.columns import Columns
from tunekit.data.wording import brief
from tunekit.errors import DataError

_INPUTS = frozenset(
    {
        *(
            "text",
            "sentence",
            "content",
            "message",
            "utterance",
            "review",
            "review_text",
            "comment",
            "tweet",
            "body",
        ),
        *(
            "document",
            "article",
            "post",
            "email",
            "sms",
            "query",
            "question",
            "prompt",
            "input",
            "instruction",
        ),
    }
)
_LABELS = frozenset(
    {
        *(
            "label",
            "labels",
            "category",
            "categories",
            "class",
            "intent",
            "sentiment",
            "emotion",
            "topic",
            "tag",
        ),
        *("tags", "classification", "target", "y"),
    }
)
# What is asked, and what may answer it: names that come in pairs.
_ANSWERS: Mapping[str, tuple[str, ...]] = {
    "question": ("answer", "response", "solution"),
    "q": ("a",),
    "query": ("response", "answer"),
    "prompt": ("completion", "response", "answer", "output", "canonical_solution", "solution"),
    "instruction": ("response", "output", "answer", "completion"),
    "input": ("output", "response", "target", "completion"),
    "problem": ("solution", "answer"),
    "source": ("target",),
    "src": ("tgt",),
    "document": ("summary",),
    "article": ("summary", "highlights"),
    "dialogue": ("summary",),
    "user": ("assistant", "bot"),
    "human": ("assistant", "ai", "bot"),
}
_RAW = frozenset({"text", "content", "body", "document", "article"})
_TWO_INPUTS = (
    ("premise", "hypothesis"),
    ("sentence1", "sentence2"),
    ("question1", "question2"),
    ("text_a", "text_b"),
    ("title", "description"),
    ("title", "text"),
    ("title", "body"),
    ("title", "content"),
    ("subject", "body"),
    ("summary", "text"),
)
_BESIDE = frozenset({"empty", "id", "date", "constant"})
"""Columns of these kinds are neither read nor answered."""
_MANY_ROWS = 10
"""Contents alone decide from so many rows on."""
_QUESTIONS = 0.5
_TEMPLATE = "{title}: {body}"


@dataclass(frozen=True, slots=True)
class Guess:
    """Columns, and why these."""

    columns: Columns
    reason: str


def guess(records: Sequence[Mapping[str, Any]], asked: Columns | None = None) -> Guess:
    """The input and the target of flat records.

    Args:
        records: The first rows.
        asked: What the caller did say: the kind, the names of labels.

    Raises:
        DataError: Names and contents leave no answer, or several.
    """
    found = columns(records)
    kind = asked.kind if asked else None
    ways = (_labelled, _answered) if kind == "labelled" else (_answered, _labelled)
    for way in (*ways, _questions, _raw):
        guessed = way(found, len(records))
        if guessed is not None:
            return _as_asked(guessed, asked)
    raise DataError(
        "which column is the input and which the target is not clear; the columns are " + _listed(found),
        hint=_proposal(found),
    )


def _as_asked(guessed: Guess, asked: Columns | None) -> Guess:
    if asked is None:
        return guessed
    was = guessed.columns
    kind = was.kind if was.input is None else asked.kind or was.kind
    return Guess(
        Columns(was.input, was.target, kind, asked.label_names, asked.label_separator), guessed.reason
    )


# --- ways to guess ------------------------------------------------------------------------------------


def _answered(found: Sequence[Column], rows: int) -> Guess | None:
    """Two columns whose names are a question's and its answer's."""
    named = {column.folded: column for column in found if column.kind not in ("empty", "nested")}
    pairs = [
        (named[asks], named[answer])
        for asks, answers in _ANSWERS.items()
        if asks in named
        for answer in answers
        if answer in named
    ]
    if len({(asks.name, answer.name) for asks, answer in pairs}) != 1:
        return None
    asks, answer = pairs[0]
    if asks.kind == "id" or (answer.folded == "target" and answer.kind == "label"):
        return None
    return Guess(Columns(asks.name, answer.name, "completion"), "their names say so")


def _labelled(found: Sequence[Column], rows: int) -> Guess | None:
    """A text and a label, each the only one of its kind by name or by content."""
    label = _only_label(found)
    text = _only_text(found, label)
    if label is None or text is None:
        return None
    named = _is_label_name(label)
    if not named and rows < _MANY_ROWS:
        return None
    texts = f"{brief(text.name)} holds varied texts" if text.folded not in _INPUTS else ""
    labels = f"{brief(label.name)} has {label.distinct} different values in {label.filled} rows"
    reason = " and ".join(filter(None, (texts, "" if named else labels))) or "their names say so"
    return Guess(Columns(text.name, label.name, "labelled"), reason)


def _only_label(found: Sequence[Column]) -> Column | None:
    named = [column for column in found if _is_label_name(column) and _may_be_label(column)]
    if len(named) > 1:
        # Numbers beside their names: "label" and "label_text".
        named = [column for column in named if column.is_word]
    if named:
        return named[0] if len(named) == 1 else None
    like = [column for column in found if column.kind == "label"]
    return like[0] if len(like) == 1 else None


def _is_label_name(column: Column) -> bool:
    return column.folded in _LABELS or column.last_word in _LABELS or column.folded.startswith("label_")


def _may_be_label(column: Column) -> bool:
    known = column.kind in ("label", "short text", "constant", "number", "text")
    return known and column.longest <= MAX_CLASS_CHARS


def _only_text(found: Sequence[Column], label: Column | None) -> Column | None:
    # A second label column writes the same labels otherwise.
    labels = [column for column in found if column is label or (label and _is_label_name(column))]
    others = [column for column in found if column not in labels and column.kind not in _BESIDE]
    texts = [column for column in others if column.kind == "text"]
    named = [column for column in others if column.folded in _INPUTS]
    if len(named) == 1:
        # A text beside it that is no input by name (a title) may belong to the input.
        return named[0] if texts in ([], named) else None
    # Without a name for it, one text among other columns that say something may be any of their targets.
    return texts[0] if not named and others == texts and len(texts) == 1 else None


def _questions(found: Sequence[Column], rows: int) -> Guess | None:
    """Two columns of texts and nothing else that could matter, the first of them questions."""
    matter = [column for column in found if column.kind not in _BESIDE]
    if len(matter) != 2 or rows < _MANY_ROWS or any(column.kind != "text" for column in matter):
        return None
    first, second = matter
    if first.questions < _QUESTIONS or second.questions >= _QUESTIONS:
        return None
    reason = f"{first.questions:.0%} of {brief(first.name)} are questions"
    return Guess(Columns(first.name, second.name, "completion"), reason)


def _raw(found: Sequence[Column], rows: int) -> Guess | None:
    """One column of text, and beside it nothing that could be asked or answered."""
    texts = [column for column in found if column.kind == "text"]
    others = {column.kind for column in found} - {"text"}
    alone = len(texts) == 1 and not others - _BESIDE - {"number"}
    if not alone or (texts[0].folded not in _RAW and len(found) > 1):
        return None
    return Guess(Columns(None, texts[0].name, "completion"), "it is the only column of text")


# --- the error ----------------------------------------------------------------------------------------


def _listed(found: Sequence[Column]) -> str:
    shown = ", ".join(f"{brief(column.name)} ({column.kind})" for column in found[:20])
    return f"{shown} and {len(found) - 20} more" if len(found) > 20 else shown or "none"


def _proposal(found: Sequence[Column]) -> str:
    labels = _labels(found)
    texts = [column for column in found if column.kind in ("text", "short text") and column not in labels]
    texts.sort(key=lambda column: (bool(labels) and column.folded not in _INPUTS, column.kind != "text"))
    if not texts:
        return "pass input= and target= with the columns to read and to answer, or target= alone for raw text"
    if labels:
        both = _two_inputs(found)
        several = "" if both else f"; from several columns it is input={_TEMPLATE!r}"
        return f"perhaps input={(both or texts[0].name)!r}, target={_either(labels)}{several}"
    if len(texts) > 1:
        return f"perhaps input={texts[0].name!r}, target={texts[1].name!r}; or target= alone for raw text"
    return f"perhaps target={texts[0].name!r} for raw text; else pass input= and target="


def _two_inputs(found: Sequence[Column]) -> str:
    named = {column.folded: column.name for column in found}
    pair = next((pair for pair in _TWO_INPUTS if pair[0] in named and pair[1] in named), None)
    return f"{{{named[pair[0]]}}}\n{{{named[pair[1]]}}}" if pair else ""


def _labels(found: Sequence[Column]) -> list[Column]:
    """What may be the target: the one whose name says so, else all that hold few values."""
    like = [column for column in found if column.kind == "label"]
    named = [column for column in like if _is_label_name(column)]
    best = _only_label(found) or min(named, key=lambda column: column.distinct, default=None)
    return [best] if best else like


def _either(labels: Sequence[Column]) -> str:
    return " or ".join(repr(column.name) for column in labels[:5])
