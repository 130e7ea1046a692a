"""Prompts to be answered, and groups of answers with their rewards. Knows graders and tokens; no loss and no tensor."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

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
        keys: Of its draws, once it falls to a step.
    """

    id: str
    prompt: tuple[int, ...]
    item: Mapping[str, Any]
    copies: int
    max_tokens: int
    encoded: bool = False
    calls_tools: bool = False
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


def graded(
    answered: Sequence[tuple[Question, Sequence[Drawn]]],
    grader: Grader,
    read: Read,
    *,
    warn: Callable[[str], object],
    is_step: bool = True,
) -> list[Group]:
    """Groups of the questions whose answers could be graded; the others are left out, with a warning.

    An answer that lacks what the grader reads (`GradeError.blames_answer`) gets 0, or a model could never learn to
    write what is read. Any other failure says nothing of the answer, so its question is left out.

    Args:
        answered: Questions and their answers.
        grader: Grades an answer.
        read: Makes an answer's sample.
        warn: Told what was left out.
        is_step: A group weighs as many as it has tokens; in an evaluation, each weighs the same.

    Raises:
        JobFailedError: More than half could not be graded; the rest is not tried.
    """
    groups: list[Group] = []
    failed: list[tuple[Question, str]] = []
    for question, answers in answered:
        grades = _grades(question, answers, grader, read)
        trouble = grades[-1].error
        if trouble is not None and not trouble.blames_answer:
            failed.append((question, f"{trouble.flag}: {trouble.detail}"))
            if 2 * len(failed) > len(answered):
                raise _failing(failed, len(answered))
        else:
            groups.append(_group(question, answers, grades, is_step=is_step))
    if not failed:
        return groups
    told = names([question for question, _ in failed])
    warn(
        f"grading failed for {len(failed)} of {len(answered)} rows, which are left out here: {told}; "
        f"the first with {failed[0][1]}"
    )
    share = len(failed) / len(answered)
    return [replace(group, failed=share) for group in groups]


def _grades(question: Question, answers: Sequence[Drawn], grader: Grader, read: Read) -> list[Grade]:
    """Grades up to the first that is none: the question is then left out, so there is no need of the others."""
    found = []
    for answer in answers:
        found.append(grader.grade(read(question, answer), question.item))
        error = found[-1].error
        if error is not None and not error.blames_answer:
            break
    return found


def _group(question: Question, answers: Sequence[Drawn], grades: Sequence[Grade], *, is_step: bool) -> Group:
    tokens = tuple(
        Tokens(ids=answer.ids, weights=(1.0,) * len(answer.ids), row=question.id) for answer in answers
    )
    return Group(
        id=question.id,
        prompt=question.prompt,
        answers=tokens,
        weight=float(sum(len(answer.ids) for answer in answers)) if is_step else 1.0,
        encoded=question.encoded,
        rewards=tuple(grade.value or 0.0 for grade in grades),
        log_probs=tuple(answer.log_prob for answer in answers),
        cut=sum(not answer.stopped for answer in answers),
        unreadable=sum(grade.value is None for grade in grades),
    )


def _failing(failed: Sequence[tuple[Question, str]], rows: int) -> JobFailedError:
    questions = [question for question, _ in failed]
    return JobFailedError(
        f"the grader fails for more than half of {rows} rows: {names(questions)}; the first with {failed[0][1]}",
        hint="mend the grader: where it cannot read an answer, it should give it a low grade instead of failing",
        details={"rows": [question.id for question in questions], "error": failed[0][1]},
    )
