"""Several arms on one test, as values that can be stored. Knows what was found and its costs; not how to find it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal, TypeAlias

from pydantic import Field

from tunekit.errors import NotFoundError
from tunekit.evaluation.arms.costs import CallPrice
from tunekit.evaluation.comparison import MetricComparison
from tunekit.evaluation.records import Record
from tunekit.evaluation.results import Evaluation

Answer: TypeAlias = Literal["yes", "no", "not shown", ""]


class ArmResult(Record):
    """One arm: what it scored, what that is against the baseline, and what it takes.

    Attributes:
        name: What the arm is called.
        evaluation: Its whole evaluation, with the quality and its interval by scorer, and how it was asked.
        trained: Whether its model was trained for this task.
        against: By scorer, the paired comparison with the baseline (`a`); empty for the baseline itself. The level of
            each interval is Holm's for the arms compared, and `p_adjusted` is Holm's for them, too.
        input_tokens_per_call: Mean; None where the backend counted none.
        output_tokens_per_call: Mean; None where the backend counted none.
        seconds_per_call: Median wall time of the calls, of which one may answer a batch; None where it is not known.
        seconds_per_1000_calls: Wall time of a thousand questions at the concurrency of this evaluator.
        usd_per_1000_calls: What a thousand questions cost; None where that is not known.
        price: What that was reckoned with.
        training_usd: What training cost, once; None where nobody knows.
        break_even_calls: Of a trained arm, calls after which training has paid for itself against the baseline; None
            where it never does or that is not known, and `notes` says which.
        notes: What is not known of its costs, and what to pass.
    """

    name: str
    evaluation: Evaluation = Field(repr=False)
    trained: bool = False
    against: dict[str, MetricComparison] = Field(default_factory=dict, repr=False)
    input_tokens_per_call: float | None = None
    output_tokens_per_call: float | None = None
    seconds_per_call: float | None = None
    seconds_per_1000_calls: float | None = None
    usd_per_1000_calls: float | None = None
    price: CallPrice | None = None
    training_usd: float | None = None
    break_even_calls: int | None = None
    notes: tuple[str, ...] = ()


class Arms(Record):
    """Several arms on the same items, beside each other: should this be fine-tuned at all? Print it for a table.

    Attributes:
        baseline: Name of the arm that the others are compared with.
        by: The scorer that decides.
        answer: Whether training pays in quality, by that scorer: "yes" where a trained arm is "better" than the
            baseline; "no" where all are "worse" or "equivalent"; else "not shown". "" where there is no such
            question: no arm is trained, or the baseline is.
        verdict: That in words, with what it costs.
        arms: Each arm, in the order given.
        margin: Largest difference that does not matter.
        min_gain: Gain that "better" must exceed.
        warnings: What to know before believing it.

    Examples:
        >>> from tunekit.data.dataset import Dataset
        >>> from tunekit.evaluation.evaluator import Evaluator
        >>> test = Dataset.from_records([{"prompt": f"{n}", "completion": f"{n % 4}"} for n in range(100)])
        >>> found = Evaluator(test).arms(
        ...     base=lambda prompt: "0", tuned=lambda prompt: str(int(prompt) % 4)
        ... )
        >>> found.baseline, found.answer, found["tuned"].against["exact_match"].verdict
        ('base', 'yes', 'better')
        >>> Arms.from_json(found.to_json()) == found
        True
    """

    schema_version: Literal[1] = 1
    baseline: str
    by: str
    answer: Answer
    verdict: str
    arms: tuple[ArmResult, ...]
    margin: float
    min_gain: float
    warnings: tuple[str, ...] = ()

    def __getitem__(self, name: str) -> ArmResult:
        found = {arm.name: arm for arm in self.arms}
        if name not in found:
            raise NotFoundError(f"no arm {name!r} in these results", hint=f"there are: {', '.join(found)}")
        return found[name]

    def __str__(self) -> str:
        from tunekit.evaluation.arms.table import render_arms

        return render_arms(self)

    def write(self, path: str | os.PathLike[str]) -> Path:
        """Write them as a file that its ending names: .html, .json or .txt; see `report.write`."""
        from tunekit.evaluation.report import write

        return write(self, path)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the arms."""
        return tuple(arm.name for arm in self.arms)
