"""OpenAI's grader JSON as a scorer, run on this machine. Knows items and answers; graders are `tunekit.graders`.

It takes the place of a grader of OpenAI's Evals platform or of its fine-tuning API: the JSON stays as it is.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tunekit import _portal, graders
from tunekit.backends.base import Backend, Generation
from tunekit.errors import SpecError
from tunekit.evaluation.items import Item
from tunekit.evaluation.results import ItemResult
from tunekit.evaluation.running.judge_replies import reply_of
from tunekit.evaluation.running.keeping import kept_for_judges
from tunekit.evaluation.running.own_thread import called_in_own_thread
from tunekit.evaluation.scorers.asking_judges import JUDGE_SAMPLING, THREAD, called, failed
from tunekit.evaluation.scorers.base import AnswerScorer, Config, Score
from tunekit.evaluation.transcript import transcript
from tunekit.examples import ChatExample, LabelledExample, PromptExample, message_to_dict
from tunekit.graders import Grade, Grader, Limits, Sample
from tunekit.refs import ModelRef

_BY_SCHEMA = "Reply with one JSON value by this schema, and nothing else:\n"


@dataclass(frozen=True, kw_only=True)
class GraderScorer(AnswerScorer):
    """A grader as a column; `from_openai` makes one of its JSON.

    A grader that fails on an item is an error of that item, and never a wrong answer. Its message begins with the flag
    of OpenAI's error record, such as `sample_parse_error` or `model_grader_refusal_error`.

    Attributes:
        body: The grader's JSON.
        grader: What it came to.
        judged_by: Who judges, in words; empty for nobody.
        passed: Whether the column is the share of answers that reach the JSON's `pass_threshold`, and not the mean
            grade.
        name: Column in the results.

    Examples:
        >>> from tunekit import scorers
        >>> scorers.from_openai({"type": "string_check", "name": "right", "operation": "eq",
        ...                      "input": "{{sample.output_text}}", "reference": "{{item.reference}}"}).name
        'right'
    """

    body: Mapping[str, Any] = field(hash=False)
    grader: Grader = field(repr=False, compare=False)
    judged_by: str = ""
    passed: bool = False
    name: str

    def config(self) -> Config:
        """The JSON, who judges, and whether grades or passes are counted."""
        return {
            "type": "GraderScorer",
            "grader": dict(self.body),
            "judged_by": self.judged_by,
            "passed": self.passed,
        }

    def prepare(self, items: Sequence[Item]) -> GraderScorer:
        """Itself.

        Raises:
            SpecError: No item has what the grader's templates read, so that nothing could be graded.
        """
        missing = [self.grader.missing(grader_item(item)) for item in items]
        if all(missing):
            raise SpecError(
                f"no item of the test has what the grader {self.name!r} reads: {missing[0][0]}",
                hint="items have the fields prompt and reference, and all columns of their rows",
            )
        return self

    def warnings(self, results: Sequence[ItemResult]) -> Iterator[str]:
        """That a judge was not asked all that the JSON says."""
        by_name = self.judged_by and not self.judged_by.startswith("function:")
        if by_name and _says(self.body, "reasoning_effort"):
            yield f"{self.judged_by} judged without the JSON's reasoning_effort, which is not passed on"

    async def score(self, item: Item, answer: Generation) -> Score:
        """The grade, or 1 or 0 by the threshold."""
        sample = Sample(answer.text, finish_reason=answer.finish_reason)
        (grade,) = await called_in_own_thread(
            lambda known: self.grader.grade(sample, known), [grader_item(item)], thread=THREAD
        )
        return Score(value=self._value(grade))

    def _value(self, grade: Grade) -> float:
        if grade.value is None:
            assert grade.error is not None, "a grade without a value has an error"
            raise failed(grade.error.flag, grade.error.detail)
        threshold = self.grader.pass_threshold
        return grade.value if not self.passed or threshold is None else float(grade.value >= threshold)


def from_openai(
    body: Mapping[str, Any],
    *,
    judge: str | graders.Judge | None = None,
    backend: Backend | None = None,
    embed: Callable[[Sequence[str]], Sequence[Sequence[float]]] | None = None,
    limits: Limits | None = None,
    passed: bool = False,
    name: str = "",
) -> GraderScorer:
    """A scorer from OpenAI's grader JSON, verbatim: all six types run on this machine.

    `{{item.*}}` are the row's columns, with `prompt` (as text), `reference`, and `messages` where the row is a chat;
    `{{sample.*}}` is the answer. Answers are graded several at once, in threads.

    Args:
        body: The JSON, decoded.
        judge: Who judges, for `score_model` and `label_model`: a reference such as `"openai:gpt-4o"`, which is asked in
            place of the JSON's `model`, or a function from `graders.JudgeRequest` to `graders.JudgeReply`.
        backend: A configured instance to ask, for a judge by name.
        embed: A function from texts to vectors, for `text_similarity` with "cosine".
        limits: What a `python` grader may use; None are those of the original.
        passed: Whether the column is the share of answers that reach the JSON's `pass_threshold`.
        name: Column in the results; the grader's name, unless told.

    Raises:
        SpecError: Something in the JSON is wrong, or `passed` without a `pass_threshold`.
        UnsupportedError: It needs a judge or embeddings, and there are none.
        MissingExtraError: A metric's library is not installed.
        RefError: The judge is text, but not a reference.

    Examples:
        >>> from tunekit.data.dataset import Dataset
        >>> from tunekit.evaluation.evaluator import Evaluator
        >>> from tunekit.testing import ScriptedBackend
        >>> right = from_openai({"type": "string_check", "name": "right", "operation": "ilike",
        ...                      "input": "{{sample.output_text}}", "reference": "{{item.reference}}"})
        >>> test = Dataset.from_records([{"prompt": f"{n}", "completion": f"{n % 2}"} for n in range(100)])
        >>> backend = ScriptedBackend(generate=lambda prompt: "It is 1.")
        >>> Evaluator(test, scorers=[right]).run("scripted:m", backend=backend)["right"].value.estimate
        0.5
    """
    asked = _judge_of(judge, backend) if isinstance(judge, str) else judge
    grader = graders.parse(body, judge=asked, embed=embed, limits=limits)
    if passed and grader.pass_threshold is None:
        raise SpecError("the grader has no pass_threshold", hint="add it to the JSON, or leave out passed=")
    plain = json.loads(json.dumps(body))
    judged_by = "" if judge is None else called(judge)
    return GraderScorer(
        body=plain, grader=grader, judged_by=judged_by, passed=passed, name=name or grader.name
    )


def grader_item(item: Item) -> dict[str, Any]:
    """What graders see as the item: the columns of its row, and what every item has by the same names."""
    example = item.example
    own: dict[str, Any] = {"prompt": transcript(item.prompt), "reference": item.reference}
    if isinstance(example, LabelledExample):
        own |= {"text": example.text, "label": example.label}
    if isinstance(example, ChatExample | PromptExample) and not isinstance(item.prompt, str):
        own |= {"messages": [message_to_dict(message) for message in item.prompt]}
    facts = dict(example.reference) if isinstance(example, PromptExample) else {}
    return {**example.meta, **{key: value for key, value in own.items() if value is not None}, **facts}


def _says(body: object, name: str) -> bool:
    """Whether a field stands anywhere in the JSON."""
    if isinstance(body, Mapping):
        return any(key == name or _says(value, name) for key, value in body.items())
    return isinstance(body, list) and any(_says(each, name) for each in body)


def _judge_of(model: str, backend: Backend | None) -> graders.Judge:
    """A model as graders ask it. No schema binds its words, so it is told the schema."""
    reference = ModelRef(model)

    def ask(request: graders.JudgeRequest) -> graders.JudgeReply:
        schema = json.dumps(request.schema)
        messages = [*request.messages, {"role": "user", "content": _BY_SCHEMA + schema}]
        given = request.sampling
        sampling = JUDGE_SAMPLING.model_copy(
            update={
                "max_tokens": int(given.get("max_completions_tokens") or JUDGE_SAMPLING.max_tokens),
                "temperature": float(given.get("temperature") or 0.0),
                "top_p": float(given.get("top_p") or 1.0),
                "seed": int(given.get("seed") or 0),
            }
        )
        # Looked for here: the reply comes on another thread, where the evaluation is not known.
        keeping = kept_for_judges()
        asked = reply_of(reference, messages, sampling=sampling, backend=backend, keeping=keeping)
        answer = _portal.run(asked, instead="scorers.from_openai(judge=function)")
        blocked = answer.finish_reason == "content_filter"
        return graders.JudgeReply(text=answer.text, refusal="blocked by its host" if blocked else None)

    return ask
