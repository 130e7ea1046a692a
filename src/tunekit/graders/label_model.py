"""`label_model`: a judge picks a label; 1 if it is one of those that pass. Knows labels; not how to reach a judge."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tunekit.data.wording import listed
from tunekit.graders.base import Grade, Grader
from tunekit.graders.fields import Fields
from tunekit.graders.judging import Judge, JudgeRequest, Prompt, ask, no_verdict
from tunekit.graders.sample import Sample
from tunekit.graders.templates import Variable


@dataclass(frozen=True, kw_only=True)
class LabelModel(Grader):
    """Asks a judge for a label.

    Attributes:
        prompt: What the judge is shown.
        model: Which model judges.
        labels: What it may say.
        passing: Which of them are a 1.
        judge: Asks the model.
    """

    prompt: Prompt
    model: str
    labels: tuple[str, ...]
    passing: tuple[str, ...]
    judge: Judge

    @classmethod
    def read(cls, fields: Fields, name: str, judge: Judge) -> LabelModel:
        """From its JSON."""
        labels, passing = fields.texts("labels"), fields.texts("passing_labels")
        strangers = [label for label in passing if label not in labels]
        if labels and strangers:
            fields.problem("passing_labels", f"has {listed(strangers)}, which labels has not")
        return cls(
            name=name,
            prompt=Prompt.read(fields),
            model=fields.text("model"),
            labels=labels,
            passing=passing,
            judge=judge,
            pass_threshold=fields.number("pass_threshold"),
        )

    def variables(self) -> Iterator[Variable]:
        """See `Grader.variables`."""
        return self.prompt.variables()

    def _grade(self, sample: Sample, item: Mapping[str, Any]) -> Grade:
        label = {"type": "string", "enum": list(self.labels)}
        schema = {
            "type": "object",
            "properties": {"result": label},
            "required": ["result"],
            "additionalProperties": False,
        }
        messages = self.prompt.render(sample, item)
        found = ask(self.judge, JudgeRequest(model=self.model, messages=messages, schema=schema))
        # A judge that says nothing but a label such as 1 or true has said JSON.
        said = json.dumps(found) if isinstance(found, (bool, int, float)) else found
        if said not in self.labels:
            raise no_verdict(found)
        return Grade.of(said in self.passing)
