"""OpenAI's grader JSON as functions of (sample, item), run on this machine. No grader knows who asks, or why."""

from __future__ import annotations

from tunekit.graders.base import Grade, GradeError, Grader
from tunekit.graders.flags import Flag
from tunekit.graders.judging import Judge, JudgeReply, JudgeRequest
from tunekit.graders.parsing import parse
from tunekit.graders.sample import Sample
from tunekit.graders.sandbox import Limits

__all__ = [
    "Flag",
    "Grade",
    "GradeError",
    "Grader",
    "Judge",
    "JudgeReply",
    "JudgeRequest",
    "Limits",
    "Sample",
    "parse",
]
