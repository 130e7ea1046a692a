"""From answers to scores to one model's results. Knows scorers and items; asks no model and compares none.

A scorer may ask a model itself (a judge). So a sync one runs in a thread of its own, where blocking calls are allowed,
one item at a time. An async one is awaited, several items at once.
"""

from __future__ import annotations

import asyncio
import inspect
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TypeAlias

from tunekit.backends.base import Generation, Scores
from tunekit.data.wording import brief, listed
from tunekit.errors import BackendError, EvaluationError
from tunekit.evaluation.items import Item
from tunekit.evaluation.measuring import metric_of
from tunekit.evaluation.results import ItemResult, Metric
from tunekit.evaluation.running.own_thread import called_in_own_thread
from tunekit.evaluation.running.runner import Failed
from tunekit.evaluation.scorers import Score, Scorer, is_awaited
from tunekit.evaluation.transcript import transcript
from tunekit.events import Usage
from tunekit.spec import Sampling

Output: TypeAlias = Generation | Scores | Failed
Graded: TypeAlias = Mapping[str, Sequence[Score | Failed]]
"""A score or a failure for each item, by scorer."""

BLOCKED = "content_filter"
"""How an answer ends that the host took away: nobody knows whether it was right."""
_ORDINARY = frozenset({"stop", "eos", "length", "tool_calls", "function_call", BLOCKED, ""})


async def grade_all(
    scorer: Scorer, items: Sequence[Item], outputs: Sequence[Output], *, concurrency: int = 1
) -> list[Score | Failed]:
    """What each output is worth to one scorer; whatever the scorer raises is that item's failure.

    Args:
        scorer: Sync or async; see this module.
        items: The questions.
        outputs: What the model said to each.
        concurrency: Items that an async scorer sees at the same time.
    """
    pairs = list(zip(items, outputs, strict=True))
    if is_awaited(scorer):
        return await _grade_together(scorer, pairs, concurrency)
    # A plain function can still return something to await; it is called there and awaited here.
    found = await called_in_own_thread(lambda pair: _call(scorer, *pair), pairs, thread="tunekit-scorer")
    return [await _settled(score) for score in found]


def metrics(
    scorers: Sequence[Scorer], results: Sequence[ItemResult], graded: Graded, level: float
) -> dict[str, Metric]:
    """Each scorer's result over the items that it could score.

    Raises:
        EvaluationError: One could score none.
    """
    return {scorer.name: _metric(scorer, results, graded[scorer.name], level) for scorer in scorers}


def item_results(items: Sequence[Item], answers: Sequence[Output], graded: Graded) -> tuple[ItemResult, ...]:
    """One row for each item: what was answered, and what each scorer made of it."""
    texts: Sequence[Output | None] = answers or [None] * len(items)
    return tuple(
        _item_result(item, text, {name: scores[position] for name, scores in graded.items()})
        for position, (item, text) in enumerate(zip(items, texts, strict=True))
    )


def warnings(answers: Sequence[Output], graded: Graded, sampling: Sampling) -> Iterator[str]:
    """What to know before believing the numbers: odd answers, and items left out."""
    given = [answer for answer in answers if isinstance(answer, Generation)]
    ends = Counter(answer.finish_reason for answer in given)
    if ends["length"]:
        yield f"{ends['length']} of {len(answers)} answers were cut at max_tokens={sampling.max_tokens}"
    if odd := sorted(ends.keys() - _ORDINARY):
        count = sum(ends[reason] for reason in odd)
        yield f"{count} of {len(answers)} answers ended with {listed(odd)}, and may not be whole"
    for note, count in sorted(Counter(answer.note for answer in given if answer.note).items()):
        yield f"{count} of {len(answers)} answers: {note}"
    for name, scores in graded.items():
        failures = [score for score in scores if isinstance(score, Failed)]
        if failures:
            yield (
                f"{name!r} could not score {len(failures)} of {len(scores)} items, which are left out;"
                f" the first: {failures[0]}"
            )


async def _grade_together(
    scorer: Scorer, pairs: Sequence[tuple[Item, Output]], concurrency: int
) -> list[Score | Failed]:
    graded: dict[int, Score | Failed] = {}
    waiting = iter(enumerate(pairs))

    async def work() -> None:
        for position, (item, output) in waiting:
            graded[position] = await _settled(_call(scorer, item, output))

    async with asyncio.TaskGroup() as group:
        for _ in range(min(concurrency, len(pairs))):
            group.create_task(work())
    return [graded[position] for position in range(len(pairs))]


def _call(scorer: Scorer, item: Item, output: Output) -> object:
    """What the scorer returns, perhaps to be awaited; or why it could not."""
    if isinstance(output, Failed):
        return output
    if isinstance(output, Generation) and output.finish_reason == BLOCKED:
        return Failed(_blocked())
    try:
        # Which of the two a scorer takes is settled by its class; see `Evaluator`.
        return scorer.score(item, output)  # type: ignore[arg-type]
    except Exception as error:
        return Failed(error)
    except SystemExit as error:
        return _left(error)


def _blocked() -> BackendError:
    return BackendError(
        f"blocked by the host ({BLOCKED})", hint="ask the host for other rules, or leave such items out"
    )


async def _settled(found: object) -> Score | Failed:
    try:
        return _checked(await found if inspect.isawaitable(found) else found)
    except Exception as error:
        return Failed(error)
    except SystemExit as error:
        return _left(error)


def _left(error: SystemExit) -> Failed:
    """A scorer that runs what a model wrote meets `exit()`; let through, it would end the event loop."""
    return Failed(
        EvaluationError(
            f"the scorer left with {error!r}", hint="run code that a model wrote in a process of its own"
        )
    )


def _checked(found: object) -> Score | Failed:
    if isinstance(found, Failed):
        return found
    score = found if isinstance(found, Score) else Score(value=_number(found))
    _number(score.value)
    for number in score.counts.values():
        _number(number)
    return replace(score, value=float(score.value))


def _number(found: object) -> float:
    if not isinstance(found, int | float) or not math.isfinite(found):
        raise EvaluationError(
            f"a score must be a finite number, not {brief(found)}",
            hint="return a number, or raise where an item cannot be scored",
        )
    return found


def _metric(
    scorer: Scorer, results: Sequence[ItemResult], scores: Sequence[Score | Failed], level: float
) -> Metric:
    if not any(isinstance(score, Score) for score in scores):
        first = next(score for score in scores if isinstance(score, Failed))
        raise EvaluationError(
            f"{scorer.name!r} could not score any of {len(scores)} items, the first because of {first}",
            hint=getattr(first.error, "hint", "") or "look at the scorer",
        ) from first.error
    found = metric_of(
        results,
        scorer.name,
        corpus=scorer.corpus,
        higher_is_better=scorer.higher_is_better,
        level=level,
    )
    return found.model_copy(update={"warnings": (*found.warnings, *scorer.warnings(results))})


def _item_result(item: Item, answer: Output | None, scores: Mapping[str, Score | Failed]) -> ItemResult:
    generated = answer if isinstance(answer, Generation) else None
    usage = generated.usage if generated else Usage()
    scored = {name: score for name, score in scores.items() if isinstance(score, Score)}
    return ItemResult(
        id=item.id,
        prompt=transcript(item.prompt),
        reference=item.reference,
        answer=generated.text if generated else None,
        finish_reason=generated.finish_reason if generated else "",
        scores={name: score.value for name, score in scored.items()},
        counts={name: dict(score.counts) for name, score in scored.items() if score.counts},
        choices={name: score.choice for name, score in scored.items() if score.choice},
        log_probs={name: score.log_probs for name, score in scored.items() if score.log_probs},
        errors={name: str(score) for name, score in scores.items() if isinstance(score, Failed)},
        slices=dict(item.slices),
        cluster=item.cluster,
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        seconds=usage.seconds or None,
    )
