"""One model's results on a test, as values that can be stored. Knows scores and provenance; not how to get them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal, TypeVar

from pydantic import Field, JsonValue

from tunekit.errors import NotFoundError
from tunekit.evaluation.arms.record import ArmRecord, record_of
from tunekit.evaluation.leakage import Leakage
from tunekit.evaluation.records import Record
from tunekit.evaluation.sealed import Opening
from tunekit.evaluation.stats import Interval
from tunekit.refs import ModelRef
from tunekit.spec import Sampling

T = TypeVar("T")


class ItemResult(Record):
    """What one model did on one item: all that it takes to score a whole test again, compare it, and show it.

    Attributes:
        id: The item's id.
        prompt: What was asked, as text; a chat with the role before each turn.
        reference: The expected answer, or None where the test names none.
        answer: Generated text; None if nothing was generated or it failed.
        finish_reason: Why generation ended; "length" means the answer was cut.
        scores: Value by scorer. A scorer that could not score this item is missing here and is in `errors`.
        counts: What a metric of the whole test is computed from, by scorer; see `evaluation.metrics.table`.
        choices: What the model picked, by scorer that decides that.
        log_probs: Log-probability (nats) of each choice, by choice scorer, in the order of its configuration.
        errors: What went wrong, by scorer.
        slices: The value of each column by which the test was sliced.
        cluster: The group that the item belongs to, where items come in groups; None where they do not.
        input_tokens: Prompt tokens, where the backend counts them.
        output_tokens: Generated tokens, where the backend counts them.
        seconds: Wall time of the call that answered, which may have answered other items, too; None where unknown.

    Examples:
        >>> result = ItemResult(id="tickets.csv:3", answer="delivery", scores={"exact_match": 1.0})
        >>> ItemResult.from_json(result.to_json()) == result
        True
    """

    id: str
    prompt: str = ""
    reference: str | None = None
    answer: str | None = None
    finish_reason: str = ""
    scores: dict[str, float] = Field(default_factory=dict)
    counts: dict[str, dict[str, float]] = Field(default_factory=dict)
    choices: dict[str, str] = Field(default_factory=dict)
    log_probs: dict[str, tuple[float, ...]] = Field(default_factory=dict)
    errors: dict[str, str] = Field(default_factory=dict)
    slices: dict[str, str] = Field(default_factory=dict)
    cluster: str | None = None
    input_tokens: int = 0
    output_tokens: int = 0
    seconds: float | None = None


class Baseline(Record):
    """What always giving the commonest answer would get: a model that is not better has learned nothing.

    Attributes:
        label: The most frequent reference of the items; the first in the alphabet of several.
        value: The metric of a model that always says so.
    """

    label: str
    value: float


class Metric(Record):
    """One scorer's result for one model.

    Attributes:
        name: Name of the scorer.
        value: The result over the items that could be scored, with its interval.
        kind: "binary" is the share of right items (every score is 0 or 1), with Wilson's interval. "mean" is the mean
            of the scores, with Student's. "corpus" is a function of what all items add up to, such as macro F1 or
            BLEU, with the interval of resampled items.
        higher_is_better: False for what is worse the more of it there is: an error, a perplexity, a length.
        corpus: Of a corpus metric, its name in `evaluation.metrics.table.CORPUS`; it need not be the scorer's.
        n_errors: Items that could not be asked or scored. They are in no value.
        method: How the interval was found.
        baseline: Of a classification, what the majority class alone gets on the same items.
        warnings: What to know before believing it.
    """

    name: str
    value: Interval
    kind: Literal["binary", "mean", "corpus"] = "mean"
    higher_is_better: bool = True
    corpus: str = ""
    n_errors: int = 0
    method: str = ""
    baseline: Baseline | None = None
    warnings: tuple[str, ...] = ()


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
        model: The model; of a function, `function:` and the name of the arm.
        arm: How it was asked; None in evaluations that were made without saying so.
        provenance: Test set, sampling and scorers.
        metrics: Result by scorer.
        items: Result by item, in the order of the test set.
        input_tokens: Prompt tokens, where the backend counts them.
        output_tokens: Generated tokens, where the backend counts them.
        reused: Answers that were not asked for, because they were known from before; their tokens are counted here.
        seconds: Wall time.
        created_at: Unix seconds at the end.
        tunekit_version: Version that made it.
        leakage: What of the test is in the training data, where those lie here; None where nobody looked.
        opening: Which opening of a sealed test this was; None where the test is not sealed.
        warnings: What to know before believing it.

    Examples:
        >>> from tunekit.data.dataset import Dataset
        >>> from tunekit.evaluation.evaluator import Evaluator
        >>> from tunekit.testing import ScriptedBackend
        >>> test = Dataset.from_records([{"prompt": "Where is it?", "completion": "delivery"}] * 20)
        >>> backend = ScriptedBackend(generate=lambda prompt: "delivery")
        >>> evaluation = Evaluator(test).run("scripted:base", backend=backend)
        >>> round(evaluation["exact_match"].value.low, 2)
        0.84
        >>> Evaluation.from_json(evaluation.to_json()) == evaluation
        True
    """

    schema_version: Literal[1] = 1
    model: ModelRef
    arm: ArmRecord | None = Field(default=None, repr=False)
    provenance: Provenance = Field(repr=False)
    metrics: dict[str, Metric]
    items: tuple[ItemResult, ...] = Field(repr=False)
    input_tokens: int = 0
    output_tokens: int = 0
    reused: int = 0
    seconds: float
    created_at: float
    tunekit_version: str
    leakage: Leakage | None = Field(default=None, repr=False)
    opening: Opening | None = None
    warnings: tuple[str, ...] = ()

    def __getitem__(self, name: str) -> Metric:
        return look_up(self.metrics, name)

    def __str__(self) -> str:
        from tunekit.evaluation.report import render_evaluation

        return render_evaluation(self)

    def write(self, path: str | os.PathLike[str]) -> Path:
        """Write it as a file that its ending names: .html, .json, .xml (JUnit) or .txt; see `report.write`."""
        from tunekit.evaluation.report import write

        return write(self, path)

    @property
    def title(self) -> str:
        """What a reader knows it by: the model, after the name of the arm where that says more."""
        model, name = str(self.model), record_of(self).name
        return model if model.endswith(name) else f"{name} ({model})"

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the scorers."""
        return tuple(self.metrics)

    def scored(self, name: str) -> Iterator[tuple[str, float]]:
        """Item id and score of every item that this scorer could score."""
        return ((item.id, item.scores[name]) for item in self.items if name in item.scores)


def look_up(metrics: Mapping[str, T], name: str) -> T:
    """The metric of this name, or an error that names those there are."""
    if name not in metrics:
        raise NotFoundError(f"no scorer {name!r} in these results", hint=f"there are: {', '.join(metrics)}")
    return metrics[name]
