"""Prompts to be answered, and groups of answers with their rewards. Knows graders and tokens; no loss and no tensor."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias, TypedDict

from tunekit.errors import JobFailedError
from tunekit.graders import Grade, Grader, Sample
from tunekit.training.objectives.drawing import Drawn
from tunekit.training.plan.preflight import names
from tunekit.training.serving.sampling import DrawKey
from tunekit.training.texts.rows import Answers, Tokens

Read: TypeAlias = Callable[["Question", Drawn], Sample]
"""Tokens of an answer as graders see it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A prompt before it is answered. What it counts is the most that it can come to.

    Attributes:
        id: Id of the example.
        prompt: Token ids.
        item: What the grader may know of it.
        copies: Answers that will be drawn.
        max_tokens: Longest of them.
        encoded: An encoder reads the prompt, so it takes no positions from the answers.
        calls_tools: Whether answers may hold tool calls.
        is_continued: Whether answers go on with its text, and are no texts of their own.
        keys: Of its draws, once it falls to a step.
    """

    id: str
    prompt: tuple[int, ...]
    item: Mapping[str, Any]
    copies: int
    max_tokens: int
    encoded: bool = False
    calls_tools: bool = False
    is_continued: bool = False
    keys: tuple[DrawKey, ...] = ()

    @property
    def length(self) -> int:
        """See `Row.length`."""
        return len(self.prompt) + self.target_count

    @property
    def longest(self) -> int:
        """See `Row.longest`."""
        return max(len(self.prompt), self.max_tokens) if self.encoded else len(self.prompt) + self.max_tokens

    @property
    def highest(self) -> int:
        """See `Row.highest`."""
        return max(self.prompt, default=-1)

    @property
    def weight(self) -> float:
        """See `Row.weight`."""
        return float(self.target_count)

    @property
    def target_count(self) -> int:
        """See `Row.target_count`."""
        return self.copies * self.max_tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class Group(Answers):
    """A prompt with the answers that were drawn to it.

    Attributes:
        rewards: Grade of each answer; 0 for one that the grader could not read (see `unreadable`).
        log_probs: Of each answer as it was drawn, in nats.
        cut: Answers that ran into `max_tokens`.
        unreadable: Answers without what the grader reads, such as JSON.
        failed: Share of the step's rows that are left out because their grader failed.
    """

    rewards: tuple[float, ...]
    log_probs: tuple[float, ...]
    cut: int
    unreadable: int
    failed: float = 0.0

    @property
    def advantages(self) -> tuple[float, ...]:
        """Reward less the mean of the group's; exactly 0 where all are equal.

        Not divided by their standard deviation, which would make most of the questions that are hardest or easiest:
        Liu et al. 2025 (arXiv 2503.20783), section 3.1.
        """
        if min(self.rewards) == max(self.rewards):
            return (0.0,) * len(self.rewards)
        mean = math.fsum(self.rewards) / len(self.rewards)
        return tuple(reward - mean for reward in self.rewards)

    @property
    def teaches(self) -> bool:
        """Whether some answers were better than others."""
        return min(self.rewards) != max(self.rewards)


class Verdict(TypedDict):
    """What a grader said of one answer, JSON-ready: its grade, or why there is none.

    Attributes:
        value: The grade.
        trouble: What went wrong, or "".
        unreadable: Whether the answer is at fault, which lacks what the grader reads.
    """

    value: float | None
    trouble: str
    unreadable: bool


Answered: TypeAlias = Sequence[tuple[Question, Sequence[Drawn]]]
"""Questions and their answers."""


def all_grades(answered: Answered, grader: Grader, read: Read) -> list[list[Verdict]]:
    """What the grader says of each answer to each question, up to the first on which it fails.

    Args:
        answered: Questions and their answers.
        grader: Grades an answer.
        read: Makes an answer's sample.

    Raises:
        JobFailedError: More than half of the questions could not be graded; the rest is not tried.
    """
    found: list[list[Verdict]] = []
    failed: list[tuple[Question, str]] = []
    for question, answers in answered:
        found.append(_verdicts(question, answers, grader, read))
        if _has_failed(found[-1]):
            failed.append((question, found[-1][-1]["trouble"]))
            if 2 * len(failed) > len(answered):
                raise _failing(failed, len(answered))
    return found


def grouped(
    answered: Answered,
    grades: Sequence[Sequence[Verdict]],
    *,
    warn: Callable[[str], object],
    is_step: bool = True,
) -> list[Group]:
    """Groups of the questions whose answers could be graded; the others are left out, with a warning.

    An answer that lacks what the grader reads gets 0, or a model could never learn to write what is read. Any other
    failure says nothing of the answer, so its question is left out.

    Args:
        answered: Questions and their answers.
        grades: What `all_grades` found.
        warn: Told what was left out.
        is_step: A group weighs as many as it has tokens; in an evaluation, each weighs the same.
    """
    groups: list[Group] = []
    failed: list[tuple[Question, str]] = []
    for (question, answers), verdicts in zip(answered, grades, strict=True):
        if _has_failed(verdicts):
            failed.append((question, verdicts[-1]["trouble"]))
        else:
            groups.append(_group(question, answers, verdicts, is_step=is_step))
    if not failed:
        return groups
    told = names([question for question, _ in failed])
    warn(
        f"grading failed for {len(failed)} of {len(answered)} rows, which are left out here: {told}; "
        f"the first with {failed[0][1]}"
    )
    share = len(failed) / len(answered)
    return [replace(group, failed=share) for group in groups]


def _verdicts(question: Question, answers: Sequence[Drawn], grader: Grader, read: Read) -> list[Verdict]:
    """Up to the first that says nothing: the question is then left out, so there is no need of the others."""
    found: list[Verdict] = []
    for answer in answers:
        found.append(_verdict(grader.grade(read(question, answer), question.item)))
        if _has_failed(found):
            break
    return found


def _verdict(grade: Grade) -> Verdict:
    error = grade.error
    return Verdict(
        value=grade.value,
        trouble=f"{error.flag}: {error.detail}" if error else "",
        unreadable=error is not None and error.blames_answer,
    )


def _has_failed(verdicts: Sequence[Verdict]) -> bool:
    return bool(verdicts[-1]["trouble"]) and not verdicts[-1]["unreadable"]


def _group(
    question: Question, answers: Sequence[Drawn], verdicts: Sequence[Verdict], *, is_step: bool
) -> Group:
    tokens = tuple(
        Tokens(ids=answer.ids, weights=(1.0,) * len(answer.ids), row=question.id) for answer in answers
    )
    return Group(
        id=question.id,
        prompt=question.prompt,
        answers=tokens,
        weight=float(sum(len(answer.ids) for answer in answers)) if is_step else 1.0,
        encoded=question.encoded,
        rewards=tuple(verdict["value"] or 0.0 for verdict in verdicts),
        log_probs=tuple(answer.log_prob for answer in answers),
        cut=sum(not answer.stopped for answer in answers),
        unreadable=sum(verdict["value"] is None for verdict in verdicts),
    )


def _failing(failed: Sequence[tuple[Question, str]], rows: int) -> JobFailedError:
    questions = [question for question, _ in failed]
    return JobFailedError(
        f"the grader fails for more than half of {rows} rows: {names(questions)}; the first with {failed[0][1]}",
        hint="mend the grader: where it cannot read an answer, it should give it a low grade instead of failing",
        details={"rows": [question.id for question in questions], "error": failed[0][1]},
    )
