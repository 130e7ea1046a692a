"""What an evaluation keeps of the arm that it was made with, as a value. Knows hashes and prices; not how to ask."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from tunekit.evaluation.arms.costs import CallPrice
from tunekit.evaluation.records import Record

if TYPE_CHECKING:
    from tunekit.evaluation.results import Evaluation


class ArmRecord(Record):
    """How a model was asked, and what that costs. Evaluations of different arms may be compared: that is their point.

    Attributes:
        name: What the arm is called.
        kind: "model" (asked as the test stands), "zero_shot", "few_shot", "nearest" or "function".
        template_hash: Of the template; "" where the question was asked as it stands.
        shown_hash: Of the rows that demonstrations were drawn from, and of how; "" where nothing was shown.
        prompts_hash: Of every prompt, as it was asked, in every draw.
        k: Demonstrations before each question.
        selection: How they were chosen.
        seed: Of the first draw.
        draws: How often everything was asked, each time with other demonstrations.
        by_draw: What each draw scored by itself, by scorer; empty for one draw.
        calls: Texts that it answered with, in all draws; 0 where it was only asked to weigh choices.
        asking_s: Wall time of all answers, at this evaluator's concurrency, without scoring them; None where that is
            not known.
        trained: Whether the model was trained for this task.
        training_usd: What that cost, once, in US dollars; None where nobody knows.
        price: What a call costs; None where nobody knows.

    Examples:
        >>> record = ArmRecord(name="few_shot", kind="few_shot", k=8, draws=3)
        >>> ArmRecord.from_json(record.to_json()) == record
        True
    """

    name: str
    kind: str
    template_hash: str = ""
    shown_hash: str = ""
    prompts_hash: str = ""
    k: int = 0
    selection: str = ""
    seed: int = 0
    draws: int = 1
    by_draw: dict[str, tuple[float, ...]] = Field(default_factory=dict)
    calls: int = 0
    asking_s: float | None = None
    trained: bool = False
    training_usd: float | None = None
    price: CallPrice | None = None


def record_of(evaluation: Evaluation) -> ArmRecord:
    """How it was asked; of an evaluation that does not say, as the test stands."""
    return evaluation.arm or ArmRecord(name=str(evaluation.model), kind="model")
