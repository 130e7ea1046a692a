"""`score_model`: a judge gives a number in a range. Knows numbers; not how to reach a judge."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tunekit.data.wording import brief
from tunekit.graders.base import Grade, Grader
from tunekit.graders.fields import Fields
from tunekit.graders.finite import finite
from tunekit.graders.judging import SAMPLING, Judge, JudgeRequest, Prompt, ask, no_verdict
from tunekit.graders.sample import Sample
from tunekit.graders.templates import Variable

_STEP = {
    "type": "object",
    "properties": {"description": {"type": "string"}, "conclusion": {"type": "string"}},
    "required": ["description", "conclusion"],
    "additionalProperties": False,
}
SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "properties": {"steps": {"type": "array", "items": _STEP}, "result": {"type": "number"}},
    "required": ["steps", "result"],
    "additionalProperties": False,
}
"""The reply that OpenAI's guide describes: steps of reasoning, and the result."""


@dataclass(frozen=True, kw_only=True)
class ScoreModel(Grader):
    """Asks a judge for a score.

    Attributes:
        prompt: What the judge is shown.
        model: Which model judges.
        sampling: How it answers.
        least: Lower end of the range; what lies below counts as this, as in the original.
        most: Upper end.
        judge: Asks the model.
    """

    prompt: Prompt
    model: str
    sampling: Mapping[str, Any]
    least: float
    most: float
    judge: Judge

    @classmethod
    def read(cls, fields: Fields, name: str, judge: Judge) -> ScoreModel:
        """From its JSON."""
        least, most = _range(fields)
        return cls(
            name=name,
            prompt=Prompt.read(fields),
            model=fields.text("model"),
            sampling=_sampling(fields),
            least=least,
            most=most,
            judge=judge,
            pass_threshold=fields.number("pass_threshold"),
        )

    def variables(self) -> Iterator[Variable]:
        """See `Grader.variables`."""
        return self.prompt.variables()

    def _grade(self, sample: Sample, item: Mapping[str, Any]) -> Grade:
        messages = self.prompt.render(sample, item)
        request = JudgeRequest(model=self.model, messages=messages, sampling=self.sampling, schema=SCHEMA)
        said = ask(self.judge, request)
        found = finite(said)
        if found is None:
            raise no_verdict(said)
        return Grade.of(min(self.most, max(self.least, found)))


def _range(fields: Fields) -> tuple[float, float]:
    found = fields.raw("range")
    if found is None:
        return 0.0, 1.0
    ends = [finite(end) for end in found] if isinstance(found, list) else []
    match ends:
        case [float(least), float(most)] if least < most:
            return least, most
    fields.problem("range", f"is {brief(found)}, not two numbers of which the first is less")
    return 0.0, 1.0


def _sampling(fields: Fields) -> Mapping[str, Any]:
    body = fields.raw("sampling_params")
    if body is None:
        return {}
    inside = fields.below(body, fields.path("sampling_params"))
    found = {name: inside.raw(name) for name in SAMPLING}
    for name, value in found.items():
        if value is not None and (wanted := _wanted(name, value)):
            inside.problem(name, f"is {brief(value)}, not {wanted}")
    inside.finish()
    return {name: value for name, value in found.items() if value is not None}


def _wanted(name: str, value: Any) -> str:
    """What a parameter has to be, if it is not that; else ""."""
    number = finite(value)
    match name:
        case "temperature" if number is None or not 0 <= number <= 2:
            return "a number from 0 to 2"
        case "top_p" if number is None or not 0 < number <= 1:
            return "a number above 0, up to 1"
        case "max_completions_tokens" if number is None or number < 1 or number % 1:
            return "a whole number of 1 or more"
        case "seed" if number is None or number % 1:
            return "a whole number"
        case "reasoning_effort" if not isinstance(value, str):
            return "text"
    return ""
