"""Results on a test, as values that can be stored. Knows scores and provenance; not how to get them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from tunekit.errors import NotFoundError
from tunekit.evaluation.stats import Interval, Verdict
from tunekit.refs import ModelRef
from tunekit.spec import Sampling, parse_model

T = TypeVar("T")


class Record(BaseModel):
    """A frozen value with a JSON form; infinite ends of an interval are written as strings."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings")

    def to_json(self, *, indent: int | None = None) -> str:
        """JSON that `from_json` turns back into an equal value."""
        return self.model_dump_json(indent=indent)

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Read what `to_json` wrote.

        Raises:
            SpecError: The text is something else; the message names each wrong field.
        """
        value: Self = parse_model(cls, text)
        return value


class ItemResult(Record):
    """What one model did on one item.

    Attributes:
        id: The item's id.
        answer: Generated text; None if nothing was generated or it failed.
        finish_reason: Why generation ended; "length" means the answer was cut.
        scores: Value by scorer. A scorer that could not score this item is missing here and is in `errors`.
        choices: What the model picked, by choice scorer.
        errors: What went wrong, by scorer.

    Examples:
        >>> result = ItemResult(id="tickets.csv:3", answer="delivery", scores={"exact_match": 1.0})
        >>> ItemResult.from_json(result.to_json()) == result
        True
    """

    id: str
    answer: str | None = None
    finish_reason: str = ""
    scores: dict[str, float] = {}
    choices: dict[str, str] = {}
    errors: dict[str, str] = {}


class Metric(Record):
    """One scorer's result for one model.

    Attributes:
        name: Name of the scorer.
        mean: Mean score of the items that could be scored, with its interval: Wilson where every score is 0
            or 1, otherwise Student t.
        binary: Whether every score is 0 or 1.
        n_errors: Items that could not be asked or scored. They are not in the mean.
    """

    name: str
    mean: Interval
    binary: bool
    n_errors: int


class Provenance(Record):
    """What must be equal before two evaluations may be compared.

    Attributes:
        test_fingerprint: Fingerprint of the test set's content and order.
        n_items: Items in the test set.
        sampling: How answers were drawn.
        scorers: Configuration by scorer.
    """

    test_fingerprint: str
    n_items: int
    sampling: Sampling
    scorers: dict[str, dict[str, JsonValue]]

    def differences(self, other: Provenance) -> tuple[str, ...]:
        """In words, what is not the same: test set, sampling, or a scorer that both have."""
        pairs = {
            "test set": (self.test_fingerprint, other.test_fingerprint),
            "sampling": (self.sampling, other.sampling),
            **{f"scorer {name!r}": (self.scorers[name], other.scorers[name]) for name in self.shared(other)},
        }
        return tuple(
            f"{what} ({mine} against {theirs})" for what, (mine, theirs) in pairs.items() if mine != theirs
        )

    def shared(self, other: Provenance) -> tuple[str, ...]:
        """Names of the scorers that both have."""
        return tuple(name for name in self.scorers if name in other.scorers)


class Evaluation(Record):
    """One model's results on one test set.

    Attributes:
        model: The model.
        provenance: Test set, sampling and scorers.
        metrics: Result by scorer.
        items: Result by item, in the order of the test set.
        input_tokens: Prompt tokens, where the backend counts them.
        output_tokens: Generated tokens, where the backend counts them.
        seconds: Wall time.
        created_at: Unix seconds at the end.
        tunekit_version: Version that made it.
        warnings: What to know before believing it.

    Examples:
        >>> from tunekit.data.dataset import Dataset
        >>> from tunekit.evaluation.evaluator import Evaluator
        >>> from tunekit.testing import ScriptedBackend
        >>> test = Dataset.from_records([{"prompt": "Where is it?", "completion": "delivery"}] * 20)
        >>> backend = ScriptedBackend(generate=lambda prompt: "delivery")
        >>> evaluation = Evaluator(test).run("scripted:base", backend=backend)
        >>> round(evaluation["exact_match"].mean.low, 2)
        0.84
        >>> Evaluation.from_json(evaluation.to_json()) == evaluation
        True
    """

    schema_version: Literal[1] = 1
    model: ModelRef
    provenance: Provenance = Field(repr=False)
    metrics: dict[str, Metric]
    items: tuple[ItemResult, ...] = Field(repr=False)
    input_tokens: int = 0
    output_tokens: int = 0
    seconds: float
    created_at: float
    tunekit_version: str
    warnings: tuple[str, ...] = ()

    def __getitem__(self, name: str) -> Metric:
        return _look_up(self.metrics, name)

    def __str__(self) -> str:
        from tunekit.evaluation.report import render_evaluation

        return render_evaluation(self)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the scorers."""
        return tuple(self.metrics)

    def scored(self, name: str) -> Iterator[tuple[str, float]]:
        """Item id and score of every item that this scorer could score."""
        return ((item.id, item.scores[name]) for item in self.items if name in item.scores)


class MetricComparison(Record):
    """One scorer's comparison of two models on the same items. Differences are `b` minus `a`.

    Attributes:
        name: Name of the scorer.
        a: The first model's result (usually the base) over the items that both could be scored on, so that
            `a` and `delta` add up to `b`. Its `n_errors` counts all of its own failures.
        b: The second model's result (usually the tuned one), over the same items.
        n_a: Items that the first model could be scored on.
        n_b: Items that the second model could be scored on.
        delta: Mean paired difference over the same items, with its interval.
        verdict: What the interval says of `b`, held against margin and gain (`stats.verdict`).
        p_value: Two-sided p-value of no difference. Beside the verdict, not behind it.
        test: How the p-value was found.
        method: How the interval was found.
        wins: Items on which `b` scores higher.
        losses: Items on which `a` scores higher.
        ties: Items on which both score the same.
        correlation: Pearson's, between the two models' scores; None where one of them never varies.
        detectable: Smallest difference that this many items show with 80 % power, at the observed disagreement;
            None where they show none.
        items_needed: Items that would show the observed difference with 80 % power; None if no number would.
        newly_fixed: Ids of the items that `b` wins: the list to read first.
        newly_broken: Ids of the items that `b` loses.
        warnings: What to know before believing it.

    Examples:
        >>> from tunekit.data.dataset import Dataset
        >>> from tunekit.evaluation.evaluator import Evaluator
        >>> from tunekit.testing import ScriptedBackend
        >>> test = Dataset.from_records([{"prompt": f"{n}", "completion": f"{n}"} for n in range(20)], name="n")
        >>> evaluator = Evaluator(test)
        >>> base = evaluator.run("scripted:a", backend=ScriptedBackend(generate=lambda prompt: prompt[:1]))
        >>> tuned = evaluator.run("scripted:b", backend=ScriptedBackend(generate=lambda prompt: prompt))
        >>> found = evaluator.compare(base, tuned)["exact_match"]
        >>> found.verdict, found.wins, found.losses, found.newly_fixed[0]
        ('better', 10, 0, 'n:11')
    """

    name: str
    a: Metric
    b: Metric
    n_a: int
    n_b: int
    delta: Interval
    verdict: Verdict
    p_value: float
    test: str
    method: str
    wins: int
    losses: int
    ties: int
    correlation: float | None
    detectable: float | None
    items_needed: int | None
    newly_fixed: tuple[str, ...] = Field(repr=False)
    newly_broken: tuple[str, ...] = Field(repr=False)
    warnings: tuple[str, ...] = ()

    @property
    def n_paired(self) -> int:
        """Items that both could be scored on: what `a`, `b` and `delta` rest on."""
        return self.delta.n


class Comparison(Record):
    """Two models on the same test, paired item by item. Print it for a table.

    Attributes:
        a: The first model (usually the base).
        b: The second model (usually the tuned one).
        provenance: Test set, sampling and scorers, the same for both.
        margin: Largest difference that does not matter.
        min_gain: Gain that "better" must exceed.
        metrics: Comparison by scorer.
        warnings: What concerns all scorers.

    Examples:
        >>> from tunekit.data.dataset import Dataset
        >>> from tunekit.evaluation.evaluator import Evaluator
        >>> from tunekit.testing import ScriptedBackend
        >>> test = Dataset.from_records([{"prompt": "Where is it?", "completion": "delivery"}] * 100)
        >>> backend = ScriptedBackend(generate=lambda prompt: "delivery")
        >>> evaluator = Evaluator(test, margin=0.05)
        >>> report = evaluator.compare("scripted:base", "scripted:base", backend=backend)
        >>> report.names, report["exact_match"].verdict
        (('exact_match',), 'equivalent')
    """

    schema_version: Literal[1] = 1
    a: ModelRef
    b: ModelRef
    provenance: Provenance = Field(repr=False)
    margin: float
    min_gain: float
    metrics: dict[str, MetricComparison]
    warnings: tuple[str, ...] = ()

    def __getitem__(self, name: str) -> MetricComparison:
        return _look_up(self.metrics, name)

    def __str__(self) -> str:
        from tunekit.evaluation.report import render_comparison

        return render_comparison(self)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the scorers that were compared."""
        return tuple(self.metrics)


def _look_up(metrics: Mapping[str, T], name: str) -> T:
    if name not in metrics:
        raise NotFoundError(f"no scorer {name!r} in these results", hint=f"there are: {', '.join(metrics)}")
    return metrics[name]
