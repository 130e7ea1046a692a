"""Grader JSON to graders: every problem in it is found at once, with its path. Knows the types by name."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from tunekit.data.wording import brief, listed, nearest
from tunekit.errors import SpecError, UnsupportedError
from tunekit.graders.base import Grader
from tunekit.graders.fields import Fields
from tunekit.graders.formula import FUNCTIONS, Formula
from tunekit.graders.judging import Judge, JudgeReply, JudgeRequest
from tunekit.graders.label_model import LabelModel
from tunekit.graders.metrics import Embed
from tunekit.graders.multi import Multi
from tunekit.graders.python_grader import PythonGrader
from tunekit.graders.sandbox import Limits
from tunekit.graders.score_model import ScoreModel
from tunekit.graders.string_check import StringCheck
from tunekit.graders.text_similarity import TextSimilarity

TYPES = ("string_check", "text_similarity", "python", "score_model", "label_model", "multi")
_JUDGED = ("score_model", "label_model")
_NAME = re.compile(r"[A-Za-z_]\w*", re.A)
_MAX_GRADERS = 100


def parse(
    body: Mapping[str, Any],
    *,
    judge: Judge | None = None,
    embed: Embed | None = None,
    limits: Limits | None = None,
) -> Grader:
    """A grader from OpenAI's grader JSON. Nothing of it runs yet.

    Args:
        body: The JSON, decoded.
        judge: Asks a model, for `score_model` and `label_model`.
        embed: Embeds texts, for `text_similarity` with "cosine".
        limits: What a `python` grader may use; None are those of the original.

    Raises:
        SpecError: Something in it is wrong; the message names every field, by its path.
        UnsupportedError: It needs a judge or embeddings, and there are none.
        MissingExtraError: A metric's library is not installed.

    Examples:
        >>> from tunekit.graders import Sample
        >>> grader = parse({"type": "string_check", "name": "right", "operation": "eq",
        ...                 "input": "{{sample.output_text}}", "reference": "{{item.answer}}"})
        >>> grader.grade(Sample("4"), {"answer": 4}).value
        1.0
    """
    problems: list[str] = []
    reader = _Reader(judge, embed, limits or Limits())
    grader = reader.grader(Fields({}, "", problems).below(body, "grader"), nested=False)
    if problems:
        raise SpecError(
            f"not a valid grader: {'; '.join(problems[:20])}",
            hint="compare with docs/reference/graders.md; fields are those of OpenAI's grader JSON",
            details={"problems": problems},
        )
    if reader.needs_judge:
        raise UnsupportedError(
            f"a {reader.needs_judge} grader needs a judge, and no model was given for it",
            hint="pass judge=, a function that asks a model; RFT on this machine has none: use other types there",
        )
    assert grader is not None, "without problems there is a grader"
    return grader


class _Reader:
    """Makes graders of fields."""

    def __init__(self, judge: Judge | None, embed: Embed | None, limits: Limits) -> None:
        self._judge, self._embed, self._limits = judge, embed, limits
        self.needs_judge = ""

    def grader(self, fields: Fields, *, nested: bool, name: str = "") -> Grader | None:
        """One grader, or None where its type is not known."""
        before = fields.count()
        kind = fields.choice("type", TYPES)
        if fields.count() > before:
            return None  # which fields it should have, nobody knows
        if kind == "multi" and nested:
            fields.problem("type", "is 'multi' inside a 'multi', which cannot be")
            return None
        name = fields.text("name", name or kind)
        found = self._of(kind, fields, name)
        fields.finish()
        return found

    def _of(self, kind: str, fields: Fields, name: str) -> Grader | None:
        if kind in _JUDGED and self._judge is None:
            self.needs_judge = kind
        judge = self._judge or _nobody
        readers: Mapping[str, Callable[[], Grader]] = {
            "string_check": lambda: StringCheck.read(fields, name),
            "text_similarity": lambda: TextSimilarity.read(fields, name, self._embed),
            "python": lambda: PythonGrader.read(fields, name, self._limits),
            "score_model": lambda: ScoreModel.read(fields, name, judge),
            "label_model": lambda: LabelModel.read(fields, name, judge),
            "multi": lambda: self._multi(fields, name),
        }
        return readers[kind]()

    def _multi(self, fields: Fields, name: str) -> Grader:
        inside = _inside(fields)
        graders = {
            key: found
            for key, path, body in inside
            if (found := self.grader(fields.below(body, path), nested=True, name=key)) is not None
        }
        formula = fields.made("calculate_output", Formula.parse)
        known = [key for key, _, _ in inside]
        strangers = [key for key in formula.names if key not in known] if formula else []
        if strangers:
            near = nearest(strangers[0], known)
            fields.problem(
                "calculate_output",
                f"names {listed(strangers)}; there are {listed(known)}{near and '; ' + near}",
            )
        threshold = fields.number("pass_threshold")
        formula = formula or Formula((), lambda names: 0.0)
        return Multi(name=name, graders=graders, formula=formula, pass_threshold=threshold)


def _inside(fields: Fields) -> list[tuple[str, str, Any]]:
    """Name, path and body of each grader of a `multi`: a map by name, or a list or a single one that name themselves.

    OpenAI's guide shows the map, its reference the list, and its schema has a single grader.
    """
    body, path = fields.raw("graders"), fields.path("graders")
    if isinstance(body, Mapping) and isinstance(body.get("type"), str):
        found = [(_own_name(body), path, body)]
    elif isinstance(body, Mapping):
        found = [(str(key), f"{path}.{str(key)[:40]}", value) for key, value in body.items()]
    elif isinstance(body, list):
        found = [(_own_name(value), f"{path}[{at}]", value) for at, value in enumerate(body)]
    else:
        found = []
    _complain(fields, body, [key for key, _, _ in found])
    return found[:_MAX_GRADERS]


def _own_name(body: Any) -> str:
    return str(body.get("name") or body.get("type") or "") if isinstance(body, Mapping) else ""


def _complain(fields: Fields, body: Any, names: list[str]) -> None:
    if not names:
        fields.problem("graders", "is missing" if body is None else "has no grader in it")
    if len(names) > _MAX_GRADERS:
        fields.problem("graders", f"has {len(names)} graders, more than {_MAX_GRADERS}")
    for name, count in Counter(names).items():
        if count > 1:
            fields.problem("graders", f"has {brief(name)} more than once")
        if not _NAME.fullmatch(name) or name in FUNCTIONS:
            fields.problem("graders", f"has the name {brief(name)}, which a formula cannot use")


def _nobody(request: JudgeRequest) -> JudgeReply:
    raise AssertionError("a grader without a judge is not handed out")
