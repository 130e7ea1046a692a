"""How grading can fail, by the names that OpenAI gave it. Knows no grader."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeAlias

from tunekit.errors import EvaluationError

Flag: TypeAlias = Literal[
    "formula_parse_error",
    "sample_parse_error",
    "truncated_observation_error",
    "unresponsive_reward_error",
    "invalid_variable_error",
    "other_error",
    "python_grader_server_error",
    "python_grader_runtime_error",
    "model_grader_server_error",
    "model_grader_refusal_error",
    "model_grader_parse_error",
]
"""The eleven ways in which OpenAI's graders fail, by the names in its `RunGraderResponse`."""


HINTS: Mapping[Flag, str] = {
    "formula_parse_error": "keep the formula from such values, as in x / max(y, 1)",
    "sample_parse_error": "ask the model for what the grader reads, or let the grader read less",
    "truncated_observation_error": "let answers be longer",
    "unresponsive_reward_error": "look at the grader: it says nothing",
    "invalid_variable_error": "add the field to the item, or change the grader's template",
    "other_error": "look at the detail",
    "python_grader_server_error": "look at the machine: it starts no process, or has no room for one",
    "python_grader_runtime_error": "mend the source; for answers that it cannot read, let it return a low grade",
    "model_grader_server_error": "look at the judge, and try again",
    "model_grader_refusal_error": "change the grader's prompt, or take another judge",
    "model_grader_parse_error": "ask the judge for JSON by the schema that it is given",
}
"""What to do about each."""


class Unreadable(EvaluationError):
    """An answer cannot be graded. It never leaves this package: `Grader.grade` makes a `Grade` of it.

    Args:
        flag: What kind of failure.
        detail: What happened, for a person.
    """

    def __init__(self, flag: Flag, detail: str) -> None:
        super().__init__(detail, hint=HINTS[flag])
        self.flag: Flag = flag
        self.detail = detail
