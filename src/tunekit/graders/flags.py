"""How grading can fail, by the names that OpenAI gave it. Knows no grader."""

from __future__ import annotations

from typing import Literal, TypeAlias

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


class Unreadable(Exception):
    """Inside graders alone: what they were to read is not there. `Grader.grade` turns it into a `Grade`.

    Args:
        flag: What kind of failure.
        detail: What happened, for a person.
    """

    def __init__(self, flag: Flag, detail: str) -> None:
        super().__init__(detail)
        self.flag, self.detail = flag, detail
